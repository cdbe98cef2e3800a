/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads, tasks and links to one stack per sample. Root first: the thread's synchronous frames down to its event
 * loop, then each task from the outermost waiter to the leaf with its coroutine frames, and above a running leaf the
 * synchronous Python, native and kernel frames. Knows addresses only; names come later.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"
#include "stitch/graph.h"

enum cs_part_kind {
	CS_PART_PYTHON = 0,
	CS_PART_TASK = 1, /* a task boundary */
	CS_PART_KERNEL = 2,
	CS_PART_NATIVE = 3,
	CS_PART_STATUS = 4,    /* why the Python frames end here */
	CS_PART_TASKS_CUT = 5, /* the tasks above are cut: a cycle or a very long chain */
	CS_PART_LEAF = 6,      /* what the innermost coroutine awaits, by type name */
};

enum cs_task_mark {
	CS_MARK_NONE = 0,
	CS_MARK_CREATED = 1,
	CS_MARK_FINISHED = 2,
	CS_MARK_PROBABLE = 3
};

struct cs_part {
	enum cs_part_kind kind;
	enum cs_task_mark mark;    /* CS_PART_TASK */
	uint32_t parents;          /* CS_PART_TASK: how many tasks wait for it */
	enum cs_status status;     /* CS_PART_STATUS */
	struct cs_py_frame python; /* CS_PART_PYTHON */
	uint64_t addr;             /* CS_PART_KERNEL, CS_PART_NATIVE; CS_PART_TASK: the task */
	const char *name;          /* CS_PART_TASK, CS_PART_LEAF: borrowed; NULL: not known */
};

struct cs_stitched {
	uint32_t pid, tid;
	const char *thread_name; /* borrowed; "" if unknown */
	uint64_t weight_ns;
	bool on_cpu;
	uint64_t task_id; /* of the leaf task, 0: none */
	const char *task_name;
	const struct cs_part *parts; /* root first */
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

/* Take the next event of the capture, in order. Returns 0, -ENOMEM or what fn returned. */
int cs_stitch_feed(struct cs_stitch *stitch, const struct cs_event *event);

/* The tasks of a process as of its last pass, or NULL if there was none. */
struct cs_graph *cs_stitch_graph(struct cs_stitch *stitch, uint32_t pid);
