/* SPDX-License-Identifier: Apache-2.0 */
/* How long some spans took: percentiles of what was seen to begin and end. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Zeroes: none yet. */
struct cs_durations {
	uint64_t *ns; /* owned */
	size_t n, cap;
	size_t told, errors; /* spans of which it is known how they ended; in error */
};

void cs_durations_free(struct cs_durations *durations);
int cs_durations_add(struct cs_durations *durations, uint64_t ns); /* 0 or -ENOMEM */

/* The shortest that is not shorter than percent % of them; 0 if there are none. Puts them in order. */
uint64_t cs_durations_percentile(struct cs_durations *durations, unsigned int percent);
