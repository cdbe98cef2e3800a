/* SPDX-License-Identifier: Apache-2.0 */
/* One stack while it is put together, root first, for one of the trees. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"
#include "stitch/merge.h"
#include "stitch/process.h"
#include "stitch/stitch.h"

/* base, tasks with frames of each, running frames, kernel: what is beyond is cut and marked */
#define CS_MAX_PARTS 4096

struct cs_parts {
	enum cs_tree tree;
	bool unfold; /* the interpreter's own native frames too */
	uint32_t n;
	struct cs_part items[CS_MAX_PARTS];
};

/* Room for one more part, or NULL; the last one is kept for the mark that says so. */
struct cs_part *cs_parts_add(struct cs_parts *parts, enum cs_part_kind kind);
void cs_parts_add_status(struct cs_parts *parts, enum cs_status status);
void cs_parts_add_frames(struct cs_parts *parts, const struct cs_frames *frames);

/*
 * Everything from the thread's root to the boundary of `leaf`, the boundary included. What stands between two boundaries
 * is where the upper task waits for the lower one, or where it created it. tid: of its thread, if no task above it knows better.
 */
void cs_parts_add_lineage(struct cs_parts *parts, struct cs_process *process, struct cs_task *leaf,
			  uint32_t tid);

/*
 * The newest `count` Python frames of a stack, with a mark where some were left out, and the native frames that they called where
 * that is known: the interpreter's own are left out unless they are to be unfolded. What lies above them.
 */
void cs_parts_add_stack(struct cs_parts *parts, const struct cs_process *process,
			const struct cs_thread *thread, const struct cs_event_stack *stack,
			uint32_t count, const struct cs_merge *merge);
/* Its native frames, if it has no Python frames; `thread` may know more of them than the leaf. */
void cs_parts_add_native(struct cs_parts *parts, const struct cs_thread *thread,
			 const struct cs_event_stack *stack, uint64_t ts_ns);
void cs_parts_add_kernel(struct cs_parts *parts, const struct cs_event_stack *stack);

/* The newest `count` frames of a stack, oldest first, with a mark where some were left out. Returns how many: one more at most. */
uint32_t cs_parts_oldest_first(const struct cs_event_stack *stack, uint32_t count,
			       struct cs_py_frame frames[CS_MAX_PY_FRAMES + 1]);
