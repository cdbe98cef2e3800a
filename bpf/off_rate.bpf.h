/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which blocks are shown when there are more than the budget allows, without bias.
 *
 * A block of length d is kept with probability min(1, d / t) and then stands for max(d, t): its expected weight is d whatever t is. Of all ways
 * to keep so many on average this has the least variance of sums (Duffield, Lund, Thorup: "threshold sampling"): long blocks, which make up the time,
 * are always kept and exact; 1 in n of all would now and then multiply a block of seconds by n. t is chosen when a block begins, from the past alone, so
 * changing it all the time adds no bias. The dice are thrown then, too (above = u * t, kept if d > above), so that whoever wakes the
 * thread can tell already that it will be kept.
 *
 * t follows the rate: the number kept can fall at most as 1 / t, so t * (kept / wanted) never overshoots. A window ends early when it
 * has kept a quarter too many; what was kept too many is saved in the next ones.
 */
#pragma once

#include <coroscope/off_cpu.h>
#include <coroscope/types.h>

#define OFF_WINDOW_NS 50000000ull
#define OFF_MAX_NS    (1ull << 40)

/* u * t for u = random / 2^32. */
static __always_inline __u64 off_share(__u64 t, __u32 random)
{
	return t >> 32 ? (t >> 16) * random >> 16 : t * random >> 32;
}

/* How many a window may keep of so many a second. */
static __always_inline __u64 off_per_window(__u64 per_second)
{
	__u64 n = per_second * (OFF_WINDOW_NS / 1000000) / 1000;

	return n ? n : 1;
}

/* The next t: `kept` in `elapsed_ns` should have been `wanted` in a window. */
static __always_inline __u64 off_next(__u64 t, __u64 kept, __u64 elapsed_ns, __u64 wanted,
				      __u64 floor_ns)
{
	__u64 ratio; /* in 1/1024 */

	if (elapsed_ns < 1000)
		elapsed_ns = 1000;
	if (elapsed_ns > 64 * OFF_WINDOW_NS)
		elapsed_ns = 64 * OFF_WINDOW_NS;
	ratio = (kept * 1024 / wanted) * OFF_WINDOW_NS / elapsed_ns;
	/* few events tell little: down in steps */
	if (ratio < 256)
		ratio = 256;
	if (ratio > 1 << 20)
		ratio = 1 << 20;
	t = t * ratio >> 10;
	if (t > OFF_MAX_NS)
		t = OFF_MAX_NS;
	return t < floor_ns ? floor_ns : t;
}

/*
 * Count a block that ended now, and end the window if it is time. CPUs that end one at once write the same; what they count
 * meanwhile is lost, which only makes the next t a little late.
 */
static __always_inline void off_count(struct cs_off_rate *rate, __u64 now_ns, bool kept,
				      __u64 per_second, __u64 floor_ns)
{
	__u64 budget = off_per_window(per_second), n = rate->kept + kept, elapsed, allowed, excess;

	if (kept)
		__sync_fetch_and_add(&rate->kept, 1);
	elapsed = now_ns - rate->begun_ns;
	if (elapsed < OFF_WINDOW_NS && n < budget + budget / 4 + 1)
		return;
	if (elapsed > 64 * OFF_WINDOW_NS)
		elapsed = 64 * OFF_WINDOW_NS;
	allowed = budget * elapsed / OFF_WINDOW_NS;
	excess = rate->excess + n;
	excess = excess > allowed ? excess - allowed : 0;
	if (excess > 4 * budget)
		excess = 4 * budget;
	rate->begun_ns = now_ns;
	rate->kept = 0;
	rate->excess = excess;
	budget -= excess < budget - budget / 4 ? excess : budget - budget / 4;
	rate->stands_ns = off_next(rate->stands_ns, n, elapsed, budget ? budget : 1, floor_ns);
}
