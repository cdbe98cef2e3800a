/* SPDX-License-Identifier: Apache-2.0 */
/* A hold of an event loop. */
#include "stitch/hold.h"

#include <sys/param.h>

/*
 * A thread that runs on is met at most two intervals apart (it may move to a CPU whose clock ticks at another moment), a quarter
 * for lateness. Visits to sleeping threads are no closer than VISIT_NS, whatever the interval (collect/session.c).
 */
#define MAX_GAP(interval) ((interval)*2 + (interval) / 4)
#define VISIT_NS          10000000ull

bool cs_lasting_gap(const struct cs_lasting *lasting, const struct cs_hold_clock *clock,
		    const struct cs_look *look)
{
	uint64_t spacing = clock->wall ? MAX(clock->interval_ns, VISIT_NS) : clock->interval_ns;
	uint64_t since = look->ts_ns - lasting->last_ns;

	if (look->unmoved)
		return false;
	/* off the CPU, it weighs the time since it was looked at before */
	if (look->off_cpu)
		since -= MIN(since, look->weight_ns);
	return since > MAX_GAP(spacing);
}

static uint32_t seen_longest(const struct cs_lasting *lasting)
{
	uint32_t at = 0;

	for (uint32_t i = 1; i < lasting->nstacks; i++)
		if (lasting->stacks[i].ns > lasting->stacks[at].ns)
			at = i;
	return at;
}

static void weigh_stack(struct cs_lasting *lasting, uint32_t stack, uint64_t ns)
{
	uint32_t at = 0;

	while (at < lasting->nstacks && lasting->stacks[at].stack != stack)
		at++;
	if (at == CS_HOLD_STACKS)
		at = seen_longest(lasting);
	if (at == lasting->nstacks) {
		lasting->stacks[at].stack = stack;
		lasting->stacks[at].ns = 0;
		lasting->nstacks++;
	}
	lasting->stacks[at].ns += ns;
}

void cs_lasting_add(struct cs_lasting *lasting, const struct cs_look *look, uint64_t before_ns)
{
	if (lasting->step.kind != CS_SIGHT_STEP)
		*lasting = (struct cs_lasting){.step = look->sight,
					       .before_ns = before_ns,
					       .first_ns = look->ts_ns,
					       .still_since_ns = look->ts_ns};
	if (!look->unmoved)
		lasting->still_since_ns = look->ts_ns;
	lasting->sure_ns = MAX(lasting->sure_ns, look->ts_ns - lasting->still_since_ns);
	lasting->last_ns = look->ts_ns;
	lasting->sum_ns += look->weight_ns;
	if (look->off_cpu)
		lasting->off_cpu_ns += look->weight_ns;
	if (look->weight_ns && look->stack != CS_HOLD_NO_STACK)
		weigh_stack(lasting, look->stack, look->weight_ns);
}

static uint64_t most(const struct cs_lasting *lasting, const struct cs_hold_clock *clock,
		     uint64_t after_ns, bool open)
{
	uint64_t before_ns = lasting->before_ns ? lasting->before_ns : clock->start_ns;
	uint64_t before = lasting->first_ns - MIN(before_ns, lasting->first_ns);
	uint64_t least = lasting->last_ns - lasting->first_ns, after = after_ns - lasting->last_ns;
	uint64_t interval = clock->interval_ns;

	/* the CPU clock would have seen what ran for an interval more, whatever came then */
	if ((!lasting->before_ns && (clock->wall || before < interval)) ||
	    (open && (clock->wall || after < interval)))
		return CS_HOLD_NO_BOUND;
	return clock->wall ? before + least + after
			   : MIN(before, interval) + least + MIN(after, interval);
}

bool cs_lasting_end(struct cs_lasting *lasting, const struct cs_hold_clock *clock,
		    uint64_t after_ns, bool open, struct cs_hold *ret)
{
	uint64_t least = lasting->last_ns - lasting->first_ns, ns;
	bool seen_twice = lasting->step.kind == CS_SIGHT_STEP && least;

	lasting->step.kind = CS_SIGHT_UNKNOWN;
	if (!seen_twice)
		return false;
	*ret = (struct cs_hold){
		.task = lasting->step.task,
		.start_ns = lasting->first_ns,
		.least_ns = least,
		.sure_ns = lasting->sure_ns,
		.most_ns = most(lasting, clock, after_ns, open),
		.stack = lasting->nstacks ? lasting->stacks[seen_longest(lasting)].stack
					  : CS_HOLD_NO_STACK,
	};
	ns = MAX(lasting->sum_ns, least);
	ret->ns = MIN(ns, ret->most_ns);
	ret->off_cpu_ns = MIN(lasting->off_cpu_ns, ret->ns);
	return true;
}
