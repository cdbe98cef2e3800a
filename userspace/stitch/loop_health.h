/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The health of event loops: which callbacks and task steps held one for long, and how long what became ready had to wait.
 * Made from the samples of the loops' threads; loop_health.c says what can be known from those.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"
#include "stitch/graph.h"
#include "stitch/hold.h"

#define CS_HOLDS_KEPT 64

struct cs_loop {
	uint32_t pid, tid;
	uint32_t stack;    /* the caller's: of any sample; CS_HOLD_NO_STACK: it gave none */
	uint32_t nsamples; /* that weigh something */
	/* The time that the next four speak of; CPU clock: from the first sample on. */
	uint64_t watched_ns;
	uint64_t held_ns;    /* in callbacks and steps; CPU clock: as far as they ran */
	uint64_t unknown_ns; /* besides watched_ns: what the loop did could not be told */
	uint64_t wait_p50_ns, wait_p99_ns; /* of what becomes ready at a random moment, at least */
	struct cs_hold longest;            /* ns 0: none was seen twice */
};

/* Several holds in a row of one task, or callback, that may be one step, each shorter than slow_ns, but together longer. */
struct cs_stretches {
	uint64_t n, sum_ns;
};

/* A part of a hold that is slow enough: the caller's stack, and the time that its samples in the hold stand for. */
typedef void cs_slow_fn(void *ctx, uint32_t stack, uint64_t ns);

struct cs_loop_health;

/*
 * fn hears of every hold of slow_ns and more, once it is over; slow_ns 0: of none. Returns 0 or -ENOMEM.
 */
int cs_loop_health_new(uint64_t slow_ns, cs_slow_fn *fn, void *ctx, struct cs_loop_health **ret);
void cs_loop_health_free(struct cs_loop_health *health);
static inline void cs_loop_health_freep(struct cs_loop_health **health)
{
	cs_loop_health_free(*health);
}

/*
 * Take the next event of the capture, in order, after the stitcher. stack: what the caller calls the stack that the stitcher made of it,
 * CS_HOLD_NO_STACK if none. graph: of the event's process; may be NULL. Returns 0 or -ENOMEM.
 */
int cs_loop_health_feed(struct cs_loop_health *health, const struct cs_event *event,
			const struct cs_graph *graph, uint32_t stack);

/* The capture, or a period of it, speaks until end_ns: ends what lasts, works out the waits. Nothing may be fed until cs_loop_health_begin. */
void cs_loop_health_finish(struct cs_loop_health *health, uint64_t end_ns);

/* A new period, which a CS_EV_CAPTURE opens: loops that are still there begin anew, what was told of the last one is gone. */
void cs_loop_health_begin(struct cs_loop_health *health);

/* Every loop that was seen, in the order of their first samples: NULL begins; NULL after the last. */
const struct cs_loop *cs_loop_health_next(const struct cs_loop_health *health,
					  const struct cs_loop *loop);

/* The slow holds with a stack, longest first; *ret_n of them, at most CS_HOLDS_KEPT; *ret_all and *ret_ns: of all of them. */
const struct cs_hold *cs_loop_health_slow(const struct cs_loop_health *health, uint32_t *ret_n,
					  uint64_t *ret_all, uint64_t *ret_ns);

/* What cannot be told to be one slow step, or several. */
struct cs_stretches cs_loop_health_stretches(const struct cs_loop_health *health);
