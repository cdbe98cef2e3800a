/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU time that something may cost: a part of the time that passes, and so much at once, since there is much to do at a beginning. What it does not use it may use later, up
 * to that much.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* All times are nanoseconds, moments of CLOCK_MONOTONIC. */
struct cs_allowance {
	uint64_t at_once_ns;
	unsigned int part; /* it may cost one of so many nanoseconds */
	int64_t left_ns;   /* what it may cost at once now; negative: it has cost more */
	uint64_t as_of_ns; /* when that was so */
};

static inline struct cs_allowance cs_allowance_begin(uint64_t at_once_ns, unsigned int part,
						     uint64_t now_ns)
{
	return (struct cs_allowance){at_once_ns, part, (int64_t)at_once_ns, now_ns};
}

/* It has cost so much since it was asked last. Returns whether it may go on. */
bool cs_allowance_spend(struct cs_allowance *allowance, uint64_t cost_ns, uint64_t now_ns);

/* When it may cost so much at once, if it costs nothing until then. */
uint64_t cs_allowance_earned_ns(const struct cs_allowance *allowance, uint64_t left_ns);
