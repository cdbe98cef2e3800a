/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passes over the tasks of one process: find a moment at which they can be read truly, read them (walk.c), and
 * write down what is new.
 *
 * Everything is read before it is known whether the reading holds, and nothing is read after: records are
 * written from the walk alone. In the per-task form two walks are compared: of what is equal in both, all that was read of a
 * task (its name, its coroutines) belongs together.
 *
 * Most processes are at rest most of the time. If every thread that a process had was blocked before the last reading, and
 * none has been given a CPU since, then nothing can have written to its memory, and the last reading is this pass's, too: no byte
 * is read again. All threads count, not only those with a loop: any of them may drop the last reference to a task, collect garbage, or
 * begin to run a loop that was at rest. New threads need not be looked for, since somebody would have had to run to make one.
 */
#include "python/tasks.h"

#include <coroscope/event.h>
#include <coroscope/limits.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "python/addrmap.h"
#include "python/digest.h"
#include "python/loops.h"
#include "python/quiet.h"
#include "python/walk.h"

/* How long to wait before asking again whether the threads are at rest. */
#define POLL_NS          30000
/*
 * A process whose loops never sleep would cost the whole wait in every pass: after so many restless ones in a row it is
 * waited for only now and then.
 */
#define RESTLESS_PASSES  8
#define RESTLESS_RETRIES 32
/*
 * Processes with more threads are read in every pass: to ask so many would cost as much as reading some hundred tasks, and two
 * open files for each.
 */
#define STILL_THREADS    32

struct cs_tasks {
	struct cs_interp interp;
	struct cs_asyncio asyncio;
	struct cs_quiet *quiet;   /* the threads with a loop, or all if they are not known */
	struct cs_quiet *process; /* all threads */
	bool still;               /* process says whether what walk and known have is still so */
	struct cs_loops loops;
	struct cs_walk walks[2];
	struct cs_walk *walk, *second; /* the last reading, and the one before it */
	uint64_t walk_ns, second_ns;   /* when they began */
	unsigned int nread;            /* readings of this pass */
	struct cs_addrmap digests; /* of the second walk: task -> digest of all it was read from */
	struct cs_addrmap known;   /* of the last pass: task -> digest of what its record says */
	struct cs_addrmap next;    /* of this pass */
	unsigned int restless;     /* passes in a row that found no rest */
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* Is this task part of the pass? What was dropped has no state. */
static bool is_alive(const struct cs_walk_task *task)
{
	return task->state && task->state != CS_TASK_DONE;
}

/* Do the fields that walk.c picks out of a chunk lie in it? */
static bool layout_is_sane(const struct cs_py_offsets *off)
{
	const uint32_t fields[] = {
		off->future_loop, off->task_fut_waiter,  off->task_coro,       off->task_name,
		off->object_type, off->future_callback0, off->future_callbacks};

	if (off->task_size > CS_TASK_CHUNK || off->weakref_object + 8 > CS_WALK_WEAKREF_CHUNK)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i] + 8 > off->task_size)
			return false;
	}
	return true;
}

int cs_tasks_new(const struct cs_interp *interp, const struct cs_asyncio *asyncio,
		 struct cs_tasks **ret)
{
	_cleanup_(cs_tasks_freep) struct cs_tasks *tasks = NULL;
	int err;

	if (!asyncio->loaded || !layout_is_sane(&interp->info.off))
		return -EINVAL;
	tasks = calloc(1, sizeof(*tasks));
	if (!tasks)
		return -ENOMEM;
	tasks->walk = &tasks->walks[0];
	tasks->second = &tasks->walks[1];
	tasks->interp = *interp;
	tasks->asyncio = *asyncio;
	cs_loops_init(&tasks->loops, interp->pid);
	err = cs_quiet_new(interp->pid, CS_QUIET_THREADS, &tasks->quiet);
	if (!err)
		err = cs_quiet_new(interp->pid, STILL_THREADS, &tasks->process);
	if (err)
		return err;
	*ret = TAKE_PTR(tasks);
	return 0;
}

void cs_tasks_free(struct cs_tasks *tasks)
{
	if (!tasks)
		return;
	cs_quiet_free(tasks->quiet);
	cs_quiet_free(tasks->process);
	cs_walk_free(&tasks->walks[0]);
	cs_walk_free(&tasks->walks[1]);
	cs_addrmap_free(&tasks->digests);
	cs_addrmap_free(&tasks->known);
	cs_addrmap_free(&tasks->next);
	free(tasks);
}

/*
 * Look up the threads of the loops that were met. Returns whether the watched threads were all that matter;
 * if not, the right ones are watched from now on.
 */
static bool watch_loops(struct cs_tasks *tasks, const struct cs_pyobj_ctx *ctx)
{
	uint32_t tids[CS_LOOPS_MAX];
	bool enough;
	size_t n;

	cs_loops_begin(&tasks->loops);
	for (size_t i = 0; i < tasks->walk->ntasks; i++) {
		const struct cs_walk_task *task = &tasks->walk->tasks[i];

		if (is_alive(task) && task->loop)
			cs_loops_add(&tasks->loops, ctx, task->loop);
	}
	n = cs_loops_tids(&tasks->loops, tids);
	enough = cs_quiet_covers(tasks->quiet, tids, n);
	cs_quiet_watch(tasks->quiet, tids, n);
	return enough;
}

/* Read all tasks; the last reading becomes the second. Returns what cs_walk_read returns. */
static int read_once(struct cs_tasks *tasks, const struct cs_pyobj_ctx *ctx)
{
	struct cs_walk *last = tasks->walk;

	tasks->walk = tasks->second;
	tasks->second = last;
	tasks->second_ns = tasks->walk_ns;
	tasks->walk_ns = now_ns();
	tasks->nread++;
	return cs_walk_read(tasks->walk, ctx, &tasks->asyncio);
}

/* Note how often each thread has run, before a reading. Run counts tell nothing of ourselves: we run while we read. */
static bool begin_still(struct cs_tasks *tasks)
{
	return tasks->interp.pid != getpid() && cs_quiet_begin(tasks->process);
}

/* Returns 0 when the process was at rest during the walk, -EBUSY if it never was, or the walk's error. */
static int read_quiet(struct cs_tasks *tasks, const struct cs_pyobj_ctx *ctx, uint64_t wait_ns)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};
	uint64_t began_ns = now_ns(), deadline = began_ns + wait_ns;

	for (;; began_ns = now_ns()) {
		if (cs_quiet_begin(tasks->quiet)) {
			bool still = begin_still(tasks), quiet;
			int err = read_once(tasks, ctx);

			if (err)
				return err;
			quiet = cs_quiet_end(tasks->quiet);
			if (watch_loops(tasks, ctx) && quiet) {
				tasks->still = still;
				return 0;
			}
		}
		if (began_ns >= deadline)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
}

/* Of all the bytes that a task was read from. */
static uint64_t read_digest(const struct cs_walk_task *task)
{
	return cs_digest_word(task->digest, task->bytes);
}

/*
 * Have two readings, those that were in vain for a quiet one included. What is left was so in the first one and is so in the
 * second: tasks that changed in between are dropped.
 */
static int read_twice(struct cs_tasks *tasks, const struct cs_pyobj_ctx *ctx)
{
	struct cs_walk *walk;
	uint64_t digest;
	int err = 0;

	while (!err && tasks->nread < 2) {
		err = read_once(tasks, ctx);
		if (!err)
			watch_loops(tasks, ctx);
	}
	if (!err)
		err = cs_addrmap_reset(&tasks->digests, tasks->second->ntasks);
	if (err)
		return err;
	for (size_t i = 0; i < tasks->second->ntasks; i++) {
		const struct cs_walk_task *task = &tasks->second->tasks[i];

		if (task->state)
			cs_addrmap_add(&tasks->digests, task->addr, read_digest(task));
	}
	walk = tasks->walk;
	for (size_t i = 0; i < walk->ntasks; i++) {
		struct cs_walk_task *task = &walk->tasks[i];

		if (!task->state || (cs_addrmap_get(&tasks->digests, task->addr, &digest) &&
				     digest == read_digest(task)))
			continue;
		task->state = 0;
		walk->ndropped++;
	}
	return 0;
}

static struct cs_ev_hdr header(const struct cs_tasks *tasks, enum cs_ev_kind kind, size_t size,
			       uint64_t ts_ns)
{
	return (struct cs_ev_hdr){
		.size = (uint32_t)size,
		.kind = (uint16_t)kind,
		.ts_ns = ts_ns,
		.pid = (uint32_t)tasks->interp.pid,
	};
}

/* Append a task's record. Returns 0 or -ENOMEM. */
static int append_task(const struct cs_tasks *tasks, const struct cs_walk_task *task,
		       uint64_t ts_ns, struct cs_buf *out)
{
	size_t frames_size = task->nframes * sizeof(struct cs_py_frame);
	size_t links_size = task->nlinks * sizeof(struct cs_task_link);
	size_t size = sizeof(struct cs_ev_task) + frames_size + links_size + task->name_len +
		      task->leaf_len;
	struct cs_ev_task *ev;
	uint32_t at = task->first;
	char *text;

	size = (size + 7) & ~(size_t)7;
	ev = cs_buf_extend(out, size);
	if (!ev)
		return -ENOMEM;
	ev->hdr = header(tasks, CS_EV_TASK, size, ts_ns);
	ev->hdr.flags = task->flags;
	ev->hdr.tid = cs_loops_tid(&tasks->loops, task->loop);
	ev->task = task->addr;
	ev->coro = task->coro;
	ev->waiter = task->waiter;
	ev->loop = task->loop;
	ev->state = task->state;
	ev->name_len = task->name_len;
	ev->leaf_len = task->leaf_len;
	ev->nframes = task->nframes;
	ev->nlinks = task->nlinks;
	for (uint32_t i = 0; i < task->nframes; i++, at = tasks->walk->frames[at].next)
		ev->frames[i] = tasks->walk->frames[at].frame;
	text = (char *)ev->frames + frames_size;
	if (links_size)
		memcpy(text, tasks->walk->links + task->link_at, links_size);
	text += links_size;
	if (task->name_len)
		memcpy(text, tasks->walk->texts.data + task->name_at, task->name_len);
	if (task->leaf_len)
		memcpy(text + task->name_len, tasks->walk->texts.data + task->leaf_at,
		       task->leaf_len);
	return 0;
}

/* Of all that a task's record says: what the walk found, and what is known of its loop. */
static uint64_t record_digest(const struct cs_tasks *tasks, const struct cs_walk_task *task)
{
	uint64_t rest = (uint64_t)cs_loops_tid(&tasks->loops, task->loop) << 32 |
			(uint32_t)task->state << 16 | task->flags;

	return cs_digest_word(task->digest, rest);
}

/* Append the records of the tasks that are new or have changed. Returns 0 or -ENOMEM. */
static int append_tasks(struct cs_tasks *tasks, uint64_t ts_ns, struct cs_buf *out)
{
	struct cs_walk *walk = tasks->walk;

	if (cs_addrmap_reset(&tasks->next, walk->ntasks))
		return -ENOMEM;
	for (size_t i = 0; i < walk->ntasks; i++) {
		struct cs_walk_task *task = &walk->tasks[i];
		uint64_t digest, old;

		if (!is_alive(task))
			continue;
		digest = record_digest(tasks, task);
		if (!cs_addrmap_add(&tasks->next, task->addr, digest))
			task->state = 0; /* in two sets at once: an eager task that was suspended */
		else if ((!cs_addrmap_get(&tasks->known, task->addr, &old) || old != digest) &&
			 append_task(tasks, task, ts_ns, out))
			return -ENOMEM;
	}
	return 0;
}

/* Append the record that names every task of the pass. Returns 0 or -ENOMEM. */
static int append_pass(const struct cs_tasks *tasks, uint64_t ts_ns, uint64_t weight_ns,
		       const struct cs_tasks_result *result, struct cs_buf *out)
{
	size_t size = sizeof(struct cs_ev_pass) + result->ntasks * sizeof(uint64_t);
	struct cs_ev_pass *ev = cs_buf_extend(out, size);
	size_t n = 0;

	if (!ev)
		return -ENOMEM;
	ev->hdr = header(tasks, CS_EV_PASS, size, ts_ns);
	ev->weight_ns = weight_ns;
	ev->ntasks = result->ntasks;
	ev->ndropped = result->ndropped;
	ev->coherence = result->coherence;
	for (size_t i = 0; i < tasks->walk->ntasks; i++) {
		if (is_alive(&tasks->walk->tasks[i]))
			ev->tasks[n++] = tasks->walk->tasks[i].addr;
	}
	return 0;
}

/* Append the record that says that the last pass still holds. Returns 0 or -ENOMEM. */
static int append_again(const struct cs_tasks *tasks, uint64_t ts_ns, uint64_t weight_ns,
			struct cs_buf *out)
{
	struct cs_ev_pass_again *ev = cs_buf_extend(out, sizeof(*ev));

	if (!ev)
		return -ENOMEM;
	ev->hdr = header(tasks, CS_EV_PASS_AGAIN, sizeof(*ev), ts_ns);
	ev->weight_ns = weight_ns;
	return 0;
}

/* Write down a reading that holds. Returns 0 or -ENOMEM; then out is unchanged. */
static int write_records(struct cs_tasks *tasks, uint64_t ts_ns, uint64_t weight_ns,
			 struct cs_tasks_result *result, struct cs_buf *out)
{
	size_t before = out->len;
	struct cs_addrmap old;
	int err;

	err = append_tasks(tasks, ts_ns, out);
	result->ntasks = (uint32_t)tasks->next.n;
	if (!err)
		err = append_pass(tasks, ts_ns, weight_ns, result, out);
	if (err) {
		out->len = before;
		return err;
	}
	old = tasks->known;
	tasks->known = tasks->next;
	tasks->next = old;
	return 0;
}

static uint64_t patience(const struct cs_tasks *tasks, uint64_t wait_ns)
{
	if (tasks->restless < RESTLESS_PASSES || tasks->restless % RESTLESS_RETRIES == 0)
		return wait_ns;
	return 0;
}

/* Find a reading that holds, in whichever way. Returns 0 or what went wrong. */
static int read_tasks(struct cs_tasks *tasks, const struct cs_pyobj_ctx *ctx, uint64_t wait_ns,
		      uint64_t *ret_began_ns, enum cs_coherence *ret)
{
	int err;

	tasks->still = false;
	tasks->nread = 0;
	err = read_quiet(tasks, ctx, patience(tasks, wait_ns));
	tasks->restless = err == -EBUSY ? tasks->restless + 1 : 0;
	*ret = err == -EBUSY ? CS_COHERENT_PER_TASK : CS_COHERENT_QUIET;
	if (err == -EBUSY)
		err = read_twice(tasks, ctx);
	*ret_began_ns = *ret == CS_COHERENT_QUIET ? tasks->walk_ns : tasks->second_ns;
	return err;
}

static int pass(struct cs_tasks *tasks, struct cs_mem *mem, uint64_t weight_ns, uint64_t wait_ns,
		struct cs_buf *out, struct cs_tasks_result *ret)
{
	struct cs_pyobj_ctx ctx = {&tasks->interp, mem};
	enum cs_coherence coherence = CS_COHERENT_QUIET;
	uint64_t began_ns = now_ns();
	bool still = tasks->still && cs_quiet_end(tasks->process);
	int err = still ? 0 : read_tasks(tasks, &ctx, wait_ns, &began_ns, &coherence);

	ret->ndropped = tasks->walk->ndropped;
	/* The sets themselves could not be read. */
	if (err == -EFAULT || err == -EINVAL)
		return -EAGAIN;
	if (err)
		return err;
	ret->coherence = coherence;
	if (still) {
		ret->ntasks = (uint32_t)tasks->known.n;
		return append_again(tasks, began_ns, weight_ns, out);
	}
	err = write_records(tasks, began_ns, weight_ns, ret, out);
	if (err)
		tasks->still = false;
	return err;
}

int cs_tasks_pass(struct cs_tasks *tasks, struct cs_mem *mem, uint64_t weight_ns, uint64_t wait_ns,
		  struct cs_buf *out, struct cs_tasks_result *ret)
{
	uint64_t began_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int err;

	*ret = (struct cs_tasks_result){0};
	err = pass(tasks, mem, weight_ns, wait_ns, out, ret);
	ret->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns;
	return err;
}

void cs_tasks_renew(struct cs_tasks *tasks, uint64_t task)
{
	cs_addrmap_change(&tasks->known, task);
	tasks->still = false;
}
