/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw capture made up of fixed events. Time goes in steps of 1 ms from START, one an event; weights are
 * multiples of the interval of 10 ms.
 */
#include "golden/made_capture.h"

#include <coroscope/event.h>
#include <errno.h>
#include <string.h>

#include "collect/record.h"

#define START    1000000000ull
#define INTERVAL 10000000ull
#define STDLIB   "/usr/lib/python3.12/asyncio/"

enum { PID = 42, LOOP_THREAD = 42, WORKER_THREAD = 44, OLD_PID = 50, C_PID = 60 };

/* Code objects; from the third on those of the application. */
enum code {
	RUN_FOREVER = 0x1000,
	CREATE_TASK = 0x1100,
	MODULE = 0x2000,
	MAIN = 0x2100,
	FETCH = 0x2200,
	QUERY = 0x2300,
	PARSE = 0x2400,
	WATCH = 0x2500,
	WORK = 0x2600,
	GONE = 0x2700,
	UNKNOWN = 0x2800,
};

/* Tasks; their coroutines are at +0x100. */
enum task {
	TASK_MAIN = 0x10000,
	TASK_FETCH_1 = 0x11000,
	TASK_FETCH_2 = 0x12000,
	TASK_QUERY = 0x13000,
	TASK_WATCH = 0x14000,
	TASK_A = 0x15000,
	TASK_B = 0x16000,
	FUTURE = 0x99000,
};

/* fetch-2 has no stack of its own: it waits for what fetch-1 waits for, and comes second. */
const char *const made_capture_tasks[] = {"main", "fetch-1", "query", "Task-7",
					  "left", "right",   NULL};

/* The capture under construction. */
struct made {
	struct cs_buf *out;
	uint64_t now;
	int err;
};

static void *begin(struct made *made, enum cs_ev_kind kind, pid_t pid, size_t fixed, size_t tail)
{
	void *record = cs_record_begin(made->out, kind, made->now, pid, fixed, tail);

	made->now += 1000000;
	if (!record)
		made->err = -ENOMEM;
	return record;
}

static char *put(char *at, const void *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

static void capture(struct made *made)
{
	static const char host[] = "host", command[] = "python3 app.py";
	struct cs_ev_capture *ev =
		begin(made, CS_EV_CAPTURE, 0, sizeof(*ev), sizeof(host) + sizeof(command) - 2);

	if (!ev)
		return;
	ev->realtime_ns = 1700000000000000000ull;
	ev->interval_ns = INTERVAL;
	ev->mode = CS_MODE_WALL;
	ev->ncpu = 2;
	ev->host_len = sizeof(host) - 1;
	ev->command_len = sizeof(command) - 1;
	put(put(ev->text, host, sizeof(host) - 1), command, sizeof(command) - 1);
}

static void process(struct made *made, pid_t pid, const char *comm, unsigned int py_minor,
		    enum cs_status status, const char *note)
{
	size_t comm_len = strlen(comm), note_len = strlen(note);
	struct cs_ev_process *ev =
		begin(made, CS_EV_PROCESS, pid, sizeof(*ev), comm_len + note_len);

	if (!ev)
		return;
	ev->py_major = py_minor ? 3 : 0;
	ev->py_minor = (__u8)py_minor;
	ev->status = (__u8)status;
	ev->comm_len = (__u16)comm_len;
	ev->note_len = (__u16)note_len;
	put(put(ev->text, comm, comm_len), note, note_len);
}

/* Its instruction 0 is in the first line, 2 in the one two below. */
static void code(struct made *made, enum code address, unsigned int flags, unsigned int line,
		 const char *name, const char *file)
{
	static const unsigned char linetable[] = {0xe8, 0x00, 0xe8, 0x04};
	size_t name_len = strlen(name), file_len = strlen(file);
	struct cs_ev_code *ev =
		begin(made, CS_EV_CODE, PID, sizeof(*ev), name_len + file_len + sizeof(linetable));

	if (!ev)
		return;
	ev->hdr.flags = (__u16)flags;
	ev->code = address;
	ev->firstlineno = line;
	ev->name_len = (__u16)name_len;
	ev->file_len = (__u16)file_len;
	ev->linetable_len = sizeof(linetable);
	put(put(put(ev->text, name, name_len), file, file_len), linetable, sizeof(linetable));
}

struct stack {
	enum cs_ev_kind kind;
	pid_t pid;
	uint32_t tid;
	const char *comm;
	enum cs_stack_origin origin;
	enum cs_status status;
	uint64_t subject, user_ip;
	uint64_t task; /* with its name, and the index of its outermost frame */
	const char *name;
	uint16_t root_frame;
	uint16_t nframes, nkernel;
	struct cs_py_frame frames[4]; /* newest first */
	uint64_t kernel[2];
};

static void add_stack(struct made *made, const struct stack *stack)
{
	size_t frames = stack->nframes * sizeof(*stack->frames);
	size_t kernel = stack->nkernel * sizeof(*stack->kernel);
	struct cs_ev_stack *ev = begin(made, stack->kind, stack->pid, sizeof(*ev), frames + kernel);

	if (!ev)
		return;
	ev->hdr.flags = (__u16)stack->origin;
	ev->hdr.tid = stack->tid;
	ev->weight_ns = INTERVAL;
	ev->subject = stack->subject;
	ev->user_ip = stack->user_ip;
	ev->nframes = stack->nframes;
	ev->nkernel = stack->nkernel;
	ev->status = (__u8)stack->status;
	strncpy(ev->comm, stack->comm, sizeof(ev->comm) - 1);
	if (stack->task) {
		ev->running.task = stack->task;
		ev->running.coro = stack->task + 0x100;
		ev->running.root_frame = stack->root_frame;
		ev->running.name_kind = CS_NAME_LATIN1;
		ev->running.name_bytes = (__u32)strlen(stack->name);
		put((char *)ev->running.name, stack->name, strlen(stack->name));
	}
	put(put((char *)ev->frames, stack->frames, frames), stack->kernel, kernel);
}
#define STACK(made, ...) add_stack(made, &(const struct stack){__VA_ARGS__})

struct suspended {
	uint64_t task, waiter;
	const char *name, *leaf;
	uint32_t nframes;
	struct cs_py_frame frames[2]; /* outermost first */
};

static void add_task(struct made *made, const struct suspended *task)
{
	size_t frames = task->nframes * sizeof(*task->frames), name_len = strlen(task->name);
	size_t leaf_len = task->leaf ? strlen(task->leaf) : 0;
	struct cs_ev_task *ev =
		begin(made, CS_EV_TASK, PID, sizeof(*ev), frames + name_len + leaf_len);

	if (!ev)
		return;
	ev->hdr.tid = LOOP_THREAD;
	ev->task = task->task;
	ev->coro = task->task + 0x100;
	ev->waiter = task->waiter;
	ev->state = CS_TASK_WAITING;
	ev->nframes = task->nframes;
	ev->name_len = (__u16)name_len;
	ev->leaf_len = (__u16)leaf_len;
	put(put(put((char *)ev->frames, task->frames, frames), task->name, name_len),
	    task->leaf ? task->leaf : "", leaf_len);
}
#define TASK(made, ...) add_task(made, &(const struct suspended){__VA_ARGS__})

static void pass(struct made *made, const uint64_t *tasks, uint32_t n)
{
	struct cs_ev_pass *ev = begin(made, CS_EV_PASS, PID, sizeof(*ev), n * sizeof(*tasks));

	if (!ev)
		return;
	ev->weight_ns = INTERVAL;
	ev->ntasks = n;
	ev->coherence = CS_COHERENT_QUIET;
	memcpy(ev->tasks, tasks, n * sizeof(*tasks));
}
#define PASS(made, ...)                             \
	pass(made, (const uint64_t[]){__VA_ARGS__}, \
	     sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static void names(struct made *made)
{
	process(made, PID, "python3", 12, CS_STATUS_COMPLETE, "");
	process(made, OLD_PID, "python2", 0, CS_STATUS_UNSUPPORTED, "Python 2.7 is not supported");
	process(made, C_PID, "cc1", 0, CS_STATUS_NOT_PYTHON, "");
	code(made, RUN_FOREVER, CS_CODE_ASYNCIO | CS_CODE_LOOP, 600, "BaseEventLoop.run_forever",
	     STDLIB "base_events.py");
	code(made, CREATE_TASK, CS_CODE_ASYNCIO, 400, "create_task", STDLIB "tasks.py");
	code(made, MODULE, 0, 1, "<module>", "app.py");
	code(made, MAIN, 0, 10, "main", "app.py");
	code(made, FETCH, 0, 20, "fetch", "lib/client.py");
	code(made, QUERY, 0, 30, "Pool.query", "lib/client.py");
	code(made, PARSE, 0, 40, "fetch.<locals>.parse", "lib/client.py");
	code(made, WATCH, 0, 50,
	     "w\xc3\xa4"
	     "chter",
	     "app.py");
	code(made, WORK, 0, 60, "work", "app.py");
	code(made, GONE, CS_CODE_UNREADABLE, 0, "", "");
	if (cs_record_ksym(made->out, made->now, 0xffffffff81000100, "do_epoll_wait") ||
	    cs_record_mapping(made->out, made->now, C_PID, 0x400000, 0x800000, 0x1000,
			      "/usr/lib/gcc/cc1"))
		made->err = -ENOMEM;
}

/* What the loop's thread and another thread were seen doing. */
static void threads(struct made *made)
{
	struct cs_ev_same *same;

	STACK(made, .kind = CS_EV_STACK, .pid = PID, .tid = LOOP_THREAD, .comm = "python3",
	      .origin = CS_ORIGIN_WALL, .nframes = 2,
	      .frames = {{RUN_FOREVER, 2, 0}, {MODULE, 2, 0}}, .nkernel = 2,
	      .kernel = {0xffffffff81000100, 0xffffffff81000200});
	same = begin(made, CS_EV_SAME, PID, sizeof(*same), 0);
	if (same) {
		same->hdr.tid = LOOP_THREAD;
		same->hdr.flags = 2;
		same->weight_ns = 2 * INTERVAL;
	}
	STACK(made, .kind = CS_EV_STACK, .pid = PID, .tid = WORKER_THREAD, .comm = "pool-1",
	      .nframes = 3, .frames = {{GONE, 0, 0}, {WORK, 2, 0}, {UNKNOWN, 0, 0}});
	STACK(made, .kind = CS_EV_STACK, .pid = PID, .tid = WORKER_THREAD, .comm = "pool-1",
	      .status = CS_STATUS_TRUNCATED, .nframes = 2, .frames = {{WORK, 2, 0}, {WORK, 0, 0}});
	STACK(made, .kind = CS_EV_STACK, .pid = OLD_PID, .tid = OLD_PID, .comm = "python2",
	      .status = CS_STATUS_UNSUPPORTED, .user_ip = 0x1234);
	STACK(made, .kind = CS_EV_STACK, .pid = C_PID, .tid = C_PID, .comm = "cc1",
	      .status = CS_STATUS_NOT_PYTHON, .user_ip = 0x400010);
}

/* main makes two fetches and a watcher, and waits for the first; the first waits for a query. */
static void tasks(struct made *made)
{
	const struct cs_py_frame in_main[] = {
		{CREATE_TASK, 0, 0}, {MAIN, 0, 0}, {RUN_FOREVER, 2, 0}, {MODULE, 2, 0}};
	struct stack created = {.kind = CS_EV_TASK_CREATED,
				.pid = PID,
				.tid = LOOP_THREAD,
				.comm = "python3",
				.task = TASK_MAIN,
				.name = "main",
				.root_frame = 1,
				.nframes = 4};

	memcpy(created.frames, in_main, sizeof(in_main));
	for (uint64_t task = TASK_FETCH_1; task <= TASK_WATCH; task += 0x1000) {
		created.subject = task;
		add_stack(made, &created);
	}
	TASK(made, TASK_MAIN, TASK_FETCH_1, "main", NULL, 1, {{MAIN, 2, 0}});
	TASK(made, TASK_FETCH_1, TASK_QUERY, "fetch-1", NULL, 1, {{FETCH, 2, 0}});
	TASK(made, TASK_FETCH_2, TASK_QUERY, "fetch-2", NULL, 1, {{FETCH, 2, 0}});
	TASK(made, TASK_QUERY, FUTURE, "query", "Event", 2, {{QUERY, 0, 0}, {QUERY, 2, 0}});
	TASK(made, TASK_WATCH, 0, "Task-7", NULL, 1, {{WATCH, 2, 0}});
	PASS(made, TASK_MAIN, TASK_FETCH_1, TASK_FETCH_2, TASK_QUERY, TASK_WATCH);
	STACK(made, .kind = CS_EV_STACK, .pid = PID, .tid = LOOP_THREAD, .comm = "python3",
	      .task = TASK_FETCH_1, .name = "fetch-1", .root_frame = 1, .nframes = 4,
	      .frames = {{PARSE, 0, 0}, {FETCH, 2, 0}, {RUN_FOREVER, 2, 0}, {MODULE, 2, 0}});
	/* main is done, and two tasks wait for each other */
	TASK(made, TASK_A, TASK_B, "left", NULL, 1, {{FETCH, 2, 0}});
	TASK(made, TASK_B, TASK_A, "right", NULL, 1, {{QUERY, 2, 0}});
	PASS(made, TASK_WATCH, TASK_A, TASK_B);
}

static void finish(struct made *made)
{
	static const uint64_t counters[CS_COUNTER_MAX_] = {
		[CS_COUNTER_TICKS] = 100,
		[CS_COUNTER_SAMPLES] = 5,
		[CS_COUNTER_IDLE] = 92,
		[CS_COUNTER_RING_FULL] = 3,
	};
	struct cs_ev_end *end;

	if (cs_record_stats(made->out, made->now, 0, counters))
		made->err = -ENOMEM;
	end = begin(made, CS_EV_END, 0, sizeof(*end), 0);
	if (end)
		end->reason = CS_END_INTERRUPTED;
}

int made_capture(struct cs_buf *out)
{
	const struct cs_raw_file_header header = {CS_RAW_MAGIC, CS_RAW_VERSION, sizeof(header)};
	struct made made = {.out = out, .now = START};

	made.err = cs_buf_append(out, &header, sizeof(header));
	capture(&made);
	names(&made);
	threads(&made);
	tasks(&made);
	finish(&made);
	return made.err;
}
