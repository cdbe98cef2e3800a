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

	/* the wall clock's lengths are of time, whatever the thread did; the CPU clock's are of what it ran */
	if (look->unmoved ||
	    (clock->wall && cs_sight_same_step(&lasting->step, &look->sight) == CS_STEP_SAME))
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

/* Until when it is certain that it was one step. */
static void be_sure(struct cs_lasting *lasting, const struct cs_look *look)
{
	bool told = look->sight.step.context_ver;

	if (!look->unmoved)
		lasting->still_since_ns = look->ts_ns;
	lasting->sure_ns = MAX(lasting->sure_ns, look->ts_ns - lasting->still_since_ns);
	if (told && !lasting->step.step.context_ver)
		lasting->told_since_ns = look->ts_ns;
	if (!told)
		return;
	lasting->sure_ns = MAX(lasting->sure_ns, look->ts_ns - lasting->told_since_ns);
	lasting->step.step.context_ver = look->sight.step.context_ver;
	if (look->sight.step.caller)
		lasting->step.step.caller = look->sight.step.caller;
}

void cs_lasting_add(struct cs_lasting *lasting, const struct cs_look *look, enum cs_edge before,
		    uint64_t before_ns)
{
	if (lasting->step.kind != CS_SIGHT_STEP)
		*lasting = (struct cs_lasting){.step = look->sight,
					       .before = before,
					       .before_ns = before_ns,
					       .first_ns = look->ts_ns,
					       .told_since_ns = look->ts_ns,
					       .still_since_ns = look->ts_ns};
	be_sure(lasting, look);
	lasting->last_ns = look->ts_ns;
	lasting->sum_ns += look->weight_ns;
	if (look->off_cpu)
		lasting->off_cpu_ns += look->weight_ns;
	if (look->weight_ns && look->stack != CS_HOLD_NO_STACK)
		weigh_stack(lasting, look->stack, look->weight_ns);
}

/* Does the look beyond an edge, so far away, say that the hold ended before it? */
static bool is_bound(const struct cs_hold_clock *clock, enum cs_edge edge, uint64_t away_ns)
{
	/* the CPU clock would have seen what ran for an interval more, whatever came then */
	return edge == CS_EDGE_OTHER ||
	       (edge == CS_EDGE_GAP && !clock->wall && away_ns >= clock->interval_ns);
}

/* How long it can have been; *ret_likely: if what changed was another step. */
static uint64_t most(const struct cs_lasting *lasting, const struct cs_hold_clock *clock,
		     enum cs_edge after, uint64_t after_ns, uint64_t *ret_likely)
{
	uint64_t before_away = lasting->first_ns - MIN(lasting->before_ns, lasting->first_ns);
	uint64_t after_away = after_ns - lasting->last_ns;
	uint64_t limit = clock->wall ? UINT64_MAX : clock->interval_ns;
	uint64_t ns = lasting->last_ns - lasting->first_ns + MIN(before_away, limit) +
		      MIN(after_away, limit);
	bool bounded =
		is_bound(clock, lasting->before, before_away) && is_bound(clock, after, after_away);

	*ret_likely =
		lasting->before != CS_EDGE_GAP && after != CS_EDGE_GAP ? ns : CS_HOLD_NO_BOUND;
	return bounded ? ns : CS_HOLD_NO_BOUND;
}

bool cs_lasting_end(struct cs_lasting *lasting, const struct cs_hold_clock *clock,
		    enum cs_edge after, uint64_t after_ns, struct cs_hold *ret)
{
	uint64_t least = lasting->last_ns - lasting->first_ns, likely, ns;
	bool seen_twice = lasting->step.kind == CS_SIGHT_STEP && least;

	lasting->step.kind = CS_SIGHT_UNKNOWN;
	if (!seen_twice)
		return false;
	*ret = (struct cs_hold){
		.task = lasting->step.task,
		.start_ns = lasting->first_ns,
		.least_ns = least,
		.sure_ns = lasting->sure_ns,
		.most_ns = most(lasting, clock, after, after_ns, &likely),
		.stack = lasting->nstacks ? lasting->stacks[seen_longest(lasting)].stack
					  : CS_HOLD_NO_STACK,
	};
	ns = MAX(lasting->sum_ns, least);
	ret->ns = MIN(ns, MIN(likely, ret->most_ns));
	ret->off_cpu_ns = MIN(lasting->off_cpu_ns, ret->ns);
	return true;
}

uint64_t cs_stretch_add(struct cs_stretch *stretch, const struct cs_lasting *lasting,
			enum cs_edge after, bool listed)
{
	bool counts;

	if (!stretch->lasts)
		*stretch = (struct cs_stretch){.lasts = true, .first_ns = lasting->first_ns};
	stretch->last_ns = lasting->last_ns;
	stretch->shown = stretch->shown || lasting->nstacks;
	stretch->listed = stretch->listed || listed;
	stretch->changed = stretch->changed || after == CS_EDGE_CHANGED;
	stretch->lasts = after == CS_EDGE_CHANGED;
	counts = !stretch->lasts && stretch->changed && stretch->shown && !stretch->listed;
	return counts ? stretch->last_ns - stretch->first_ns : 0;
}
