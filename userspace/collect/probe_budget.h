/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a probe may cost the processes that it interrupts: 1% of a CPU in the mean, and a tenth of a second at once, since programs do much at their start.
 * Over it, it rests until it has earned that tenth again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* All times are CLOCK_MONOTONIC nanoseconds. */
struct cs_probe_budget {
	int64_t left_ns;   /* what it may cost at once */
	uint64_t as_of_ns; /* when that was so */
};

void cs_probe_budget_begin(struct cs_probe_budget *budget, uint64_t now_ns);

/* It has cost so much since it was asked last. Returns whether it may go on. */
bool cs_probe_budget_spend(struct cs_probe_budget *budget, uint64_t cost_ns, uint64_t now_ns);

/* When one that has spent it all may be attached again. */
uint64_t cs_probe_budget_again_ns(const struct cs_probe_budget *budget);
