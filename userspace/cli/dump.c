/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroscope dump: every thread's Python stack now, newest frame first, with its running task. Nothing is paused: a thread
 * that runs copies what its stack was read from at one instant, on kernels that can; else it is read until two readings agree. It is
 * said to have been running.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/snapshot.h"
#include "collect/instants.h"
#include "collect/record.h"
#include "collect/walk_user.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "proc/threads.h"
#include "python/instant.h"

#define TRIES      50
/* A copy that lacks something is made again, with it, so often. */
#define COPY_TRIES 5
/* So long a thread is waited for to make one. */
#define COPY_NS    100000000ull

struct dump {
	struct cs_snapshot snapshot;
	struct cs_instants *instants; /* owned */
	bool running;                 /* of the thread being shown */
	bool torn;
};

/* Is the one record in records a stack from its root to its leaf (or to the limit)? */
static bool is_whole(const struct cs_buf *records)
{
	return cs_walk_status(records) == CS_STATUS_COMPLETE ||
	       cs_walk_status(records) == CS_STATUS_CUT ||
	       cs_walk_status(records) == CS_STATUS_TRUNCATED;
}

/* Walk a copy that the thread makes of what it was just read from. Returns 0, or an error: then records says nothing. */
static int read_copy(struct dump *dump, struct cs_instant_reader *reader,
		     const struct cs_tstate *tstate, const char *comm, struct cs_buf *records)
{
	struct cs_target *target = dump->snapshot.target;
	int err = -ENODATA;

	for (int i = 0; i < COPY_TRIES && err == -ENODATA; i++) {
		int lacking;

		cs_instants_turn(dump->instants, cs_now_ns() + COPY_NS);
		err = cs_instant_begin(reader, target->mem, (uint32_t)tstate->tid);
		if (err)
			return err;
		records->len = 0;
		err = cs_walk_thread(&target->interp, target->mem, tstate, comm,
				     reader->copy.began_ns, 0, records);
		lacking = cs_instant_end(reader, target->mem);
		if (!err && lacking)
			err = lacking < 0 ? lacking : -ENODATA;
	}
	return err;
}

/* A thread that runs was just read. Is there a whole stack of it, as it was at one instant, in records now? */
static bool read_at_instant(struct dump *dump, const struct cs_tstate *tstate, const char *comm,
			    struct cs_buf *records)
{
	struct cs_instant_reader reader = {.source = cs_instants_source(dump->instants)};
	bool whole;

	if (!tstate->tid || cs_instants_load(dump->instants))
		return false;
	whole = cs_instant_learn(&reader, dump->snapshot.target->mem) >= 0 &&
		!read_copy(dump, &reader, tstate, comm, records) && is_whole(records);
	cs_instant_reader_free(&reader);
	return whole;
}

/* Read one thread into records. Returns 0 or -ENOMEM; dump->running and ->torn say how sure it is. */
static int read_thread(struct dump *dump, const struct cs_tstate *tstate, const char *comm,
		       struct cs_buf *records)
{
	struct cs_target *target = dump->snapshot.target;
	_cleanup_buf_ struct cs_buf again = {0};
	struct cs_thread_rest before, after;
	int err = 0;

	dump->torn = true;
	for (int i = 0; i < TRIES && dump->torn && !err; i++) {
		cs_thread_rest(target->pid, tstate->tid, &before);
		records->len = 0;
		again.len = 0;
		cs_mem_forget(target->mem);
		err = cs_walk_thread(&target->interp, target->mem, tstate, comm, cs_now_ns(), 0,
				     records);
		cs_thread_rest(target->pid, tstate->tid, &after);
		dump->running = !before.off_cpu || !after.off_cpu || before.runs != after.runs;
		dump->torn = dump->running;
		if (err || !dump->running)
			break;
		if (!i && !after.off_cpu && read_at_instant(dump, tstate, comm, records)) {
			dump->torn = false;
			break;
		}
		cs_mem_forget(target->mem);
		err = cs_walk_thread(&target->interp, target->mem, tstate, comm, cs_now_ns(), 0,
				     &again);
		dump->torn = err || !is_whole(records) || !cs_walk_same(records, &again);
	}
	return err;
}

/* A torn reading that looks the same twice still names code that is none. */
static bool has_names(struct dump *dump, const struct cs_event_stack *stack)
{
	struct cs_snapshot *snapshot = &dump->snapshot;

	for (uint32_t i = 0; i < stack->nframes; i++) {
		int64_t index = cs_symbols_python(
			snapshot->symbols, (uint32_t)snapshot->target->pid, &stack->frames[i]);

		if (index == -ENOENT)
			continue;
		if (index < 0 || cs_profile_get_frame(snapshot->profile, (uint32_t)index)->kind !=
					 CS_FRAME_PYTHON)
			return false;
	}
	return stack->nframes > 0;
}

static int print_task(const struct cs_event_running *running)
{
	_cleanup_buf_ struct cs_buf name = {0};

	if (!running->task)
		return 0;
	if (cs_buf_append_escaped(&name, running->name.str, running->name.len, ""))
		return -ENOMEM;
	printf("  in <task %s>\n", cs_buf_str(&name));
	return 0;
}

static int print_frames(struct dump *dump, const struct cs_event_stack *stack)
{
	_cleanup_buf_ struct cs_buf text = {0}, shown = {0};

	for (uint32_t i = 0; i < stack->nframes; i++) {
		int err;

		if (stack->nskipped && i == CS_LEAF_FRAMES)
			printf("    [%u frames left out]\n", stack->nskipped);
		text.len = shown.len = 0;
		err = cs_snapshot_frame(&dump->snapshot, &stack->frames[i], &text);
		if (err == -ENOENT) /* the interpreter's own */
			continue;
		if (err || cs_buf_append_escaped(&shown, text.data, text.len, ""))
			return -ENOMEM;
		printf("    %s\n", cs_buf_str(&shown));
	}
	if (stack->status != CS_STATUS_COMPLETE && stack->status != CS_STATUS_CUT)
		printf("    [%s]\n",
		       stack->status == CS_STATUS_TRUNCATED ? "truncated" : "unreadable");
	return 0;
}

static int print_stack(void *ctx, const struct cs_event *event)
{
	const struct cs_event_stack *stack = &event->stack;
	struct dump *dump = ctx;

	if (event->kind != CS_EV_STACK)
		return 0;
	dump->torn = dump->torn || (dump->running && !has_names(dump, stack));
	printf("\nThread %u (%.*s) %s%s\n", event->tid, (int)stack->comm.len, stack->comm.str,
	       dump->running ? "running" : "sleeping",
	       dump->torn ? ", its stack changed while it was read: try again" : "");
	/* no stack is better than a wrong one */
	if (dump->torn)
		return 0;
	if (print_task(&stack->running))
		return -ENOMEM;
	return print_frames(dump, stack);
}

static int dump_threads(struct dump *dump)
{
	struct cs_target *target = dump->snapshot.target;
	struct cs_tstate tstates[CS_MAX_TSTATES];
	_cleanup_buf_ struct cs_buf records = {0};
	char comm[CS_COMM_BYTES + 1];
	int n, err = 0;

	n = cs_walk_list(&target->interp, target->mem, tstates, CS_MAX_TSTATES);
	for (int i = 0; i < n && !err; i++) {
		cs_thread_name(target->pid, tstates[i].tid, comm, sizeof(comm));
		err = read_thread(dump, &tstates[i], comm, &records);
		if (!err)
			err = cs_snapshot_feed(&dump->snapshot, &records, print_stack, dump);
	}
	return n < 0 ? n : err;
}

static int dump_process(pid_t pid)
{
	struct dump dump = {0};
	struct cs_target *target;
	int err, code = cs_snapshot_open(pid, &dump.snapshot);

	if (!code) {
		target = dump.snapshot.target;
		printf("Process %d: Python %d.%d.%d (%s)\n", pid, target->interp.major,
		       target->interp.minor, target->interp.micro, target->interp.binary);
		/* Without asyncio there is no running task to name. */
		if (!cs_asyncio_find(&target->interp, target->mem, false, &target->asyncio) &&
		    target->asyncio.loaded) {
			target->interp.info.current_tasks = target->asyncio.current_tasks;
			target->interp.info.types = target->asyncio.types;
		}
		err = cs_instants_new(NULL, &dump.instants);
		if (!err)
			err = dump_threads(&dump);
		if (err) {
			cs_err("cannot read process %d: %s", pid, strerror(-err));
			code = CS_EXIT_FAILURE;
		}
	}
	cs_instants_free(dump.instants);
	cs_snapshot_close(&dump.snapshot);
	return code;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	const char **pid = state->input;

	switch (key) {
	case 'p':
	case ARGP_KEY_ARG:
		if (*pid)
			cs_usage_error("one process at a time");
		*pid = arg;
		return 0;
	case ARGP_KEY_END:
		if (!*pid)
			cs_usage_error("which process?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cs_cli_dump(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"pid", 'p', "PID", 0, "the process, as in py-spy", 0},
		{0},
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "PID",
		.doc = "Prints every thread's Python stack, newest frame first, and its running task.",
	};
	const char *arg = NULL;
	pid_t pid;

	argv[0] = (char *)"coroscope dump";
	if (argp_parse(&argp, argc, argv, 0, NULL, &arg))
		return CS_EXIT_USAGE;
	pid = cs_snapshot_pid(arg);
	return pid ? dump_process(pid) : CS_EXIT_USAGE;
}
