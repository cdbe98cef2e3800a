/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads, tasks and links to one stack per sample. Root first: the thread's synchronous frames down to its event
 * loop, then each task from the outermost waiter to the leaf with its coroutine frames, and above a running leaf the
 * synchronous Python, native and kernel frames. That is the await tree; what the others do in its place, enum
 * cs_tree says. Await and creation tree show the same moments, and so the same time in sum. Knows addresses only;
 * names come later.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"
#include "profile/profile.h"
#include "stitch/graph.h"

enum cs_part_kind {
	CS_PART_PYTHON = 0,
	CS_PART_TASK = 1, /* a task boundary */
	CS_PART_KERNEL = 2,
	CS_PART_NATIVE = 3,
	CS_PART_STATUS = 4,    /* why the Python frames end here */
	CS_PART_TASKS_CUT = 5, /* the tasks above are cut: a cycle or a very long chain */
	CS_PART_THREAD = 7,    /* what follows runs in another thread, for the task below */
	CS_PART_LEAF = 6,      /* what the innermost coroutine awaits, by type name */
	CS_PART_WAIT = 8,      /* why the thread is off the CPU */
	CS_PART_WAKER =
		9, /* who ended that; the kernel's frames above it are the waker's, newest first */
};

struct cs_part {
	enum cs_part_kind kind;
	enum cs_task_mark mark;    /* CS_PART_TASK */
	uint32_t parents;          /* CS_PART_TASK: how many tasks wait for it */
	uint64_t task;             /* CS_PART_TASK: a number that only this task has */
	struct cs_py_frame site;   /* CS_PART_TASK: where it was created; code 0: not known */
	enum cs_status status;     /* CS_PART_STATUS */
	struct cs_py_frame python; /* CS_PART_PYTHON */
	/* CS_PART_KERNEL, CS_PART_NATIVE; CS_PART_TASK: the task; CS_PART_WAIT: enum cs_wait_reason, and enum cs_stack_flags */
	uint64_t addr;
	const char *
		name; /* CS_PART_TASK, CS_PART_LEAF, CS_PART_THREAD: borrowed; NULL: not known; CS_PART_WAKER: NULL: an interrupt */
};

struct cs_stitched {
	uint32_t pid, tid;
	const char *thread_name; /* borrowed; "" if unknown */
	uint64_t ts_ns;          /* when it was last seen so */
	uint64_t weight_ns;      /* time before that which it stands for, of `count` looks */
	uint64_t span_ns;        /* its own part of that */
	uint32_t count;
	uint32_t
		tasks; /* that it stands for: of more than one if only a share was read; all their time and looks */
	enum cs_tree tree;
	bool on_cpu, suspended;
	uint64_t task_id; /* of the leaf task, 0: none */
	const char *task_name;
	/* The task that waits for what the thread does, 0: none. The stack is then that task's thread's, with the thread's own as a part. */
	uint64_t origin_id;
	const char *origin_name;
	uint32_t root_tid; /* the thread whose stack it is: tid, unless there is an origin */
	const char *root_thread_name;
	const struct cs_event_span *span; /* that was active; NULL: none */
	const struct cs_part *parts;      /* root first */
	uint32_t n;
};

/* Receives every sample; pointers are valid during the call. Returns 0 to go on. */
typedef int cs_stitch_fn(void *ctx, const struct cs_stitched *sample);

struct cs_stitch;

int cs_stitch_new(cs_stitch_fn *fn, void *ctx, struct cs_stitch **ret); /* 0 or -ENOMEM */
void cs_stitch_free(struct cs_stitch *stitch);
static inline void cs_stitch_freep(struct cs_stitch **stitch)
{
	cs_stitch_free(*stitch);
}

/* Show every sample in each of these trees, bits 1 << enum cs_tree. Without it: the await tree. */
void cs_stitch_show(struct cs_stitch *stitch, unsigned int trees);

/* Show the interpreter's own native frames too. Without it they are left out where Python frames stand for them. */
void cs_stitch_unfold(struct cs_stitch *stitch, bool unfold);

/*
 * A pass that holds again and again is one sample a task, handed out when it no longer holds: call this before
 * anything heeds the next event, and with NULL after the last. Returns 0, -ENOMEM or what fn returned.
 */
int cs_stitch_settle(struct cs_stitch *stitch, const struct cs_event *next);

/* Take the next event of the capture, in order. Returns 0, -ENOMEM or what fn returned. */
int cs_stitch_feed(struct cs_stitch *stitch, const struct cs_event *event);

/*
 * A new period begins at now_ns, after a cs_stitch_settle of all: what was counted for the last one starts anew, and who has gone
 * unnoticed is forgotten. Processes, tasks and threads that are there stay known.
 */
void cs_stitch_begin(struct cs_stitch *stitch, uint64_t now_ns);

/* Python stacks whose native frames were there: shown among the Python frames, or left out as the two did not match. */
struct cs_natives_told {
	uint64_t matched, left_out;
};
struct cs_natives_told cs_stitch_natives(const struct cs_stitch *stitch);

/* The tasks of a process as of its last pass, or NULL if there was none. */
struct cs_graph *cs_stitch_graph(struct cs_stitch *stitch, uint32_t pid);
