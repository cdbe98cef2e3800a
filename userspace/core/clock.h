/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks as numbers. */
#pragma once

#include <stdint.h>
#include <time.h>

/* What the clock (clock_gettime(2)) says, in nanoseconds. */
static inline uint64_t cs_clock_ns(clockid_t clock)
{
	struct timespec ts = {0};

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
