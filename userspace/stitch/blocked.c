/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks of blocked threads. */
#include "stitch/blocked.h"

#include <stdio.h>
#include <string.h>

uint32_t cs_blocked_count(const struct cs_event_stack *stack, uint32_t tid, uint64_t ts_ns)
{
	uint64_t dice = (ts_ns ^ (uint64_t)tid << 40) * 0x9e3779b97f4a7c15ull >> 40, n;

	if (stack->origin != CS_ORIGIN_OFF_CPU || stack->weight_ns <= stack->blocked_ns ||
	    !stack->blocked_ns)
		return 1;
	n = stack->weight_ns / stack->blocked_ns;
	if (stack->weight_ns % stack->blocked_ns >
	    (double)stack->blocked_ns * (double)dice / (1 << 24))
		n++;
	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

void cs_blocked_learn_waker(struct cs_thread *thread, const struct cs_event *event)
{
	const struct cs_event_waker *waker = &event->waker;

	thread->waker_ns = event->ts_ns;
	thread->waker_interrupt = waker->kind == CS_WAKER_INTERRUPT;
	*thread->waker = '\0';
	if (waker->kind == CS_WAKER_THREAD)
		snprintf(thread->waker, sizeof(thread->waker), "%.*s [%u]", (int)waker->comm.len,
			 waker->comm.str, waker->pid);
	thread->nwaker = waker->n;
	if (waker->n)
		memcpy(thread->waker_kernel, waker->kernel, waker->n * sizeof(*waker->kernel));
}

static void add_waker(struct cs_parts *parts, const struct cs_thread *thread)
{
	struct cs_part *part = cs_parts_add(parts, CS_PART_WAKER);

	if (part)
		part->name = thread->waker_interrupt ? NULL : thread->waker;
	for (uint32_t i = 0; i < thread->nwaker; i++) {
		part = cs_parts_add(parts, CS_PART_KERNEL);
		if (part)
			part->addr = thread->waker_kernel[i];
	}
}

void cs_blocked_add(struct cs_parts *parts, const struct cs_thread *thread,
		    const struct cs_event_stack *stack, uint64_t ts_ns)
{
	struct cs_part *part = cs_parts_add(parts, CS_PART_WAIT);

	if (part)
		part->addr = stack->reason | (stack->before ? CS_STACKF_BEFORE : 0) |
			     (stack->still ? CS_STACKF_STILL : 0);
	if (thread->waker_ns == ts_ns && (thread->waker_interrupt || *thread->waker))
		add_waker(parts, thread);
}
