/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one stack tells of its thread's event loop: waiting in its selector, busy with its own code, or inside a step of a task or
 * a callback. Told by where asyncio's functions stand in the stack. A loop that is not Python code (uvloop) has no frames of its own
 * but the function that started it: a frame right above that is a callback, and without one only the kernel's stack tells waiting.
 */
#pragma once

#include "decode/decode.h"

enum cs_sight_kind {
	CS_SIGHT_UNKNOWN = 0, /* it cannot be told */
	CS_SIGHT_NO_LOOP,     /* no event loop runs in this thread */
	CS_SIGHT_POLL, /* none on its stack, but it waits for events: perhaps one that is not Python code */
	CS_SIGHT_SELECTOR, /* asks or waits for events */
	CS_SIGHT_LOOP,     /* the loop's own code */
	CS_SIGHT_STEP,     /* a step of a task, or a callback */
};

struct cs_sight {
	enum cs_sight_kind kind;
	uint64_t task, coro; /* CS_SIGHT_STEP: 0: a callback of no task */
	uint64_t code;       /* of such a callback's outermost Python frame; 0: it has none */
	struct cs_step step; /* what tells steps of one task, and calls of one callback, apart */
};

struct cs_sights; /* what was learned of code objects and kernel addresses */

int cs_sights_new(struct cs_sights **ret); /* 0 or -ENOMEM */
void cs_sights_free(struct cs_sights *sights);

/* Learn from the next event of the capture; kinds that teach nothing are ignored. 0 or -ENOMEM. */
int cs_sights_learn(struct cs_sights *sights, const struct cs_event *event);

/* Source of the functions' names: Lib/asyncio/base_events.py, events.py and Lib/selectors.py of 3.8 to 3.15. */
struct cs_sight cs_sights_see(const struct cs_sights *sights, uint32_t pid,
			      const struct cs_event_stack *stack);

/* Are two sights of one thread, next to each other, in the same step? */
enum cs_same_step {
	CS_STEP_OTHER, /* certainly not */
	CS_STEP_CHANGED, /* of the same task, or callback; but contexts were entered or left: it may be another step */
	CS_STEP_UNTOLD, /* ... and nothing tells */
	CS_STEP_SAME,   /* certainly */
};

enum cs_same_step cs_sight_same_step(const struct cs_sight *a, const struct cs_sight *b);
