/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process costs the machine: its own CPU time, the time that its programs run in the kernel on others' account, and its memory. The kernel
 * counts the latter only while its BPF statistics are on, which costs every BPF program of the machine two looks at a clock a run: they are on for a
 * second in ten, and the rest is reckoned.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collect/session.h"

struct cs_usage; /* measured since it was begun, and window by window */

int cs_usage_new(struct cs_usage **ret); /* 0 or -ENOMEM */
void cs_usage_free(struct cs_usage *usage);
static inline void cs_usage_freep(struct cs_usage **usage)
{
	cs_usage_free(*usage);
}

/* What was spent for getting ready is not judged: a new window begins. */
void cs_usage_restart(struct cs_usage *usage);

/* Often: when the statistics are due to go on or off they do. Returns whether a window of 10 s is over. */
bool cs_usage_turn(struct cs_usage *usage, const struct cs_session *session);

struct cs_used {
	double cpu_share;        /* of all CPUs in the last window */
	double kernel_cpu_share; /* of it, in the kernel's programs; 0 where it does not tell */
	size_t memory_bytes;     /* resident now */
};

/* The last window; the next one begins. */
struct cs_used cs_usage_take(struct cs_usage *usage);
