/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hold of an event loop: a span in which every sample of the loop's thread shows the same step of a task, or callback.
 * It began after the last sample that shows anything else and ended before the next such one: from its first to its last sample is the least,
 * between those two the most it can have lasted. The samples' own time lies between and is right on average.
 *
 * That it is one step is certain where samples tell (struct cs_step). Where contexts were entered or left between two samples of one task, it
 * cannot be told whether it is another step: the hold ends there, without an upper bound, and what such samples make up together is a stretch.
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
	uint64_t sure_ns; /* the longest span in which it is told, or the thread cannot have run */
	uint64_t most_ns; /* CS_HOLD_NO_BOUND: it may go on beyond an edge */
	uint32_t stack;   /* the caller's: the one that was seen longest */
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

/* What is on either side of a hold. */
enum cs_edge {
	CS_EDGE_GAP = 0, /* nothing is known from there on */
	CS_EDGE_OTHER,   /* something else was seen there */
	CS_EDGE_CHANGED, /* the same task, or callback, but perhaps another step */
};

/* The hold that lasts. */
struct cs_lasting {
	struct cs_sight
		step; /* CS_SIGHT_UNKNOWN: none lasts; with what was told last of its step */
	enum cs_edge before;
	uint64_t before_ns; /* when that was seen */
	uint64_t first_ns, last_ns, sum_ns, off_cpu_ns;
	uint64_t told_since_ns;  /* of the first look that told the step */
	uint64_t still_since_ns; /* the thread has not run since this look of those */
	uint64_t sure_ns;
	uint32_t nstacks;
	struct {
		uint32_t stack;
		uint64_t ns;
	} stacks[CS_HOLD_STACKS];
};

/* Several holds of one task or callback in a row, with changed edges between them. All 0: none lasts. */
struct cs_stretch {
	bool lasts;
	bool changed; /* there is such an edge in it */
	bool shown;   /* a hold has a stack */
	bool listed;  /* a hold is long enough to be listed */
	uint64_t first_ns, last_ns;
};

/* Is the time since its last sample more than this look, which may be the same step, can speak for? */
bool cs_lasting_gap(const struct cs_lasting *lasting, const struct cs_hold_clock *clock,
		    const struct cs_look *look);

/* A look at a step: the hold begins (the edge before it is then as above) or goes on. */
void cs_lasting_add(struct cs_lasting *lasting, const struct cs_look *look, enum cs_edge before,
		    uint64_t before_ns);

/*
 * What it was, now that the next look came at after_ns, or none came until the end of the capture then.
 * Returns false if none lasted, or it was seen only once: its step may have taken microseconds. Its stacks stay.
 */
bool cs_lasting_end(struct cs_lasting *lasting, const struct cs_hold_clock *clock,
		    enum cs_edge after, uint64_t after_ns, struct cs_hold *ret);

/*
 * The hold that cs_lasting_end has just ended is of the stretch; after: what is behind it. Returns how long the stretch was, if that ends it and it has
 * changed edges, is shown, and none of its holds is listed; else 0.
 */
uint64_t cs_stretch_add(struct cs_stretch *stretch, const struct cs_lasting *lasting,
			enum cs_edge after, bool listed);
