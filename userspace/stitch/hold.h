/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hold of an event loop: a span in which every sample of the loop's thread shows the same step of a task, or callback.
 * It began after the last sample that shows anything else and ended before the next such one: from its first to its last sample is the least,
 * between those two the most it can have lasted. The samples' own time lies between and is right on average.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "stitch/loop_sight.h"

#define CS_HOLD_NO_BOUND UINT64_MAX
#define CS_HOLD_NO_STACK UINT32_MAX
#define CS_HOLD_STACKS   32 /* that are told apart; the time of more goes to the one seen longest */

struct cs_hold {
	uint32_t pid, tid;
	uint64_t task;       /* address, 0: a callback of no task */
	uint64_t start_ns;   /* of its first sample */
	uint64_t ns;         /* how long: the time that its samples stand for */
	uint64_t off_cpu_ns; /* of it, in samples that found the thread off the CPU */
	uint64_t least_ns;   /* if it was one step, which is certain only of: */
	uint64_t sure_ns;    /* the longest span in which the thread cannot have run */
	uint64_t
		most_ns; /* CS_HOLD_NO_BOUND: it may go on before or behind the capture, or a gap */
	uint32_t stack;  /* the caller's: the one that was seen longest */
};

/* How the capture was made. */
struct cs_hold_clock {
	bool wall;
	uint64_t start_ns, interval_ns;
};

/* One sample, or other sight, of a loop's thread. */
struct cs_look {
	struct cs_sight sight;
	uint64_t ts_ns, weight_ns;
	uint32_t stack; /* the caller's name for it; CS_HOLD_NO_STACK: none */
	bool off_cpu;
	bool unmoved;   /* it certainly has not run since its last wall stack */
	bool suspended; /* no sample: a pass found the sight's task suspended then */
};

/* The hold that lasts. */
struct cs_lasting {
	struct cs_sight step; /* CS_SIGHT_UNKNOWN: none lasts */
	uint64_t before_ns;   /* of the last sample before it that showed something else; 0: none */
	uint64_t first_ns, last_ns, sum_ns, off_cpu_ns;
	uint64_t still_since_ns; /* the thread has not run since this look of those */
	uint64_t sure_ns;
	uint32_t nstacks;
	struct {
		uint32_t stack;
		uint64_t ns;
	} stacks[CS_HOLD_STACKS];
};

/* Is the time since its last sample more than this look can speak for? */
bool cs_lasting_gap(const struct cs_lasting *lasting, const struct cs_hold_clock *clock,
		    const struct cs_look *look);

/* A look at a step: the hold begins (before_ns is then as above) or goes on. */
void cs_lasting_add(struct cs_lasting *lasting, const struct cs_look *look, uint64_t before_ns);

/*
 * What it was, now that the next look came at after_ns. open: that showed nothing else, or none came until the end of the capture.
 * Returns false if none lasted, or it was seen only once: its step may have taken microseconds. Its stacks stay.
 */
bool cs_lasting_end(struct cs_lasting *lasting, const struct cs_hold_clock *clock,
		    uint64_t after_ns, bool open, struct cs_hold *ret);
