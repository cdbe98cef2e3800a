/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks of blocked threads: how many blocks one stands for, why the thread waited, and who woke it. */
#pragma once

#include <stdint.h>

#include "decode/decode.h"
#include "stitch/parts.h"
#include "stitch/thread.h"

/*
 * How many blocks a stack of this thread and time stands for: its weight by its length. That is no whole number; rounded up as often as its
 * fraction says, its sum is right. The dice are the record's, so that each reading of a capture is the same. 1 for any other stack.
 */
uint32_t cs_blocked_count(const struct cs_event_stack *stack, uint32_t tid, uint64_t ts_ns);

/* Remember who woke the thread: a CS_EV_WAKER. */
void cs_blocked_learn_waker(struct cs_thread *thread, const struct cs_event *event);

/* Why the thread was off the CPU, and who ended that, if it is known of this time. */
void cs_blocked_add(struct cs_parts *parts, const struct cs_thread *thread,
		    const struct cs_event_stack *stack, uint64_t ts_ns);
