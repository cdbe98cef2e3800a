/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairing the interpreter loop's native frames with Python frames. The number of runs must be the same, which also proves both
 * walks. One native run more is the innermost: the loop has just been entered or is about to be left, and its Python frame is not
 * there yet or no more. Measured before on 3.9 to 3.13: that in 0.05 to 0.12% of stacks, and otherwise equal.
 */
#include "stitch/merge.h"

/* A run that has no Python frame stands near the leaf: below it is at most what enters or leaves a frame. */
#define MAX_BARE_DEPTH 3

static bool is_entry(const struct cs_thread *thread, uint32_t i)
{
	return thread->native_entries[i / 64] >> (i % 64) & 1;
}

/* Native frames of the loop, newest first. Returns how many. */
static uint32_t find_loops(const struct cs_process *process, const struct cs_thread *thread,
			   uint16_t loops[CS_MAX_NATIVE_FRAMES])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < thread->nnative; i++)
		if (cs_process_native_flags(process, thread->native[i]) & CS_SYMBOL_EVAL)
			loops[n++] = (uint16_t)i;
	return n;
}

void cs_merge(const struct cs_process *process, const struct cs_thread *thread,
	      const struct cs_event_stack *stack, uint64_t ts_ns, struct cs_merge *ret)
{
	uint16_t loops[CS_MAX_NATIVE_FRAMES] = {0};
	uint32_t nloops, nruns = 0, run = 0, inner = 0;

	*ret = (struct cs_merge){0};
	if (thread->native_ns != ts_ns || thread->native_status != CS_STATUS_COMPLETE ||
	    stack->status != CS_STATUS_COMPLETE || stack->nskipped || !stack->nframes)
		return;
	nloops = find_loops(process, thread, loops);
	for (uint32_t i = 0; i < stack->nframes; i++)
		nruns += is_entry(thread, i);
	if (!is_entry(thread, stack->nframes - 1))
		return;
	if (nloops == nruns + 1 && loops[0] < MAX_BARE_DEPTH)
		run = 1;
	else if (nloops != nruns)
		return;
	for (uint32_t i = 0; i < stack->nframes; i++) {
		/* the innermost frame of its run has called everything from the last run on */
		if (!i || is_entry(thread, i - 1)) {
			ret->calls[i] = (struct cs_native_run){(uint16_t)inner, loops[run]};
			inner = loops[run] + 1u;
			run++;
		}
	}
	ret->root = (struct cs_native_run){(uint16_t)inner, (uint16_t)thread->nnative};
	ret->known = true;
}
