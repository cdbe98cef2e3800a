/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where native frames belong among Python frames. Each run of the interpreter's loop is one native frame and some Python frames, of
 * which native code called the outermost: counted from the root, the n-th run of one stack is the n-th of the other.
 */
#pragma once

#include <coroscope/limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"
#include "stitch/process.h"

/* The native frames [from, to) of a stack, newest first: none if equal. */
struct cs_native_run {
	uint16_t from, to;
};

struct cs_merge {
	bool known; /* the two stacks agree; else it is not known where the native frames belong */
	struct cs_native_run root; /* what called the outermost Python frame */
	struct cs_native_run calls
		[CS_MAX_PY_FRAMES]; /* what frames[i] has called, up to the next Python frame */
};

/* Of the thread's stack of this time. */
void cs_merge(const struct cs_process *process, const struct cs_thread *thread,
	      const struct cs_event_stack *stack, uint64_t ts_ns, struct cs_merge *ret);
