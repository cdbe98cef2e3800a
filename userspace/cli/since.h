/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Since when each task of one process has been what it is now: fed with the process's events in
 * order, asked after the last. What began before the first event is only known to be older.
 *
 * A look sees a task at moments. A wait that follows another one is seen to be another one, even at
 * the same place: the Handle that resumes the task holds the future that is done until the step is
 * over, and in that step the next future is made, elsewhere (Lib/asyncio/events.py and
 * Modules/_asynciomodule.c of 3.8 to 3.15, and uvloop; test_next_wait of tests/live/ps.py). Only the
 * one after that may lie where the first did. So no wait is told to be longer than it is unless,
 * between every two looks of that time, the task waited two times or more, at the same place, and no
 * sample met it running: waits that are longer than a look's interval are told as they are.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"

struct cs_since;

/* A span of time up to the last look, in nanoseconds. */
struct cs_since_span {
	uint64_t ns;
	/* its beginning was seen, to one look; else it is at least so long, and 0 says nothing */
	bool exact;
};

int cs_since_new(struct cs_since **ret);    /* 0 or -ENOMEM */
void cs_since_free(struct cs_since *since); /* NULL is fine */

/* Returns 0 or -ENOMEM. Events of no task are ignored. */
int cs_since_feed(struct cs_since *since, const struct cs_event *event);

/* How long the task at this address has existed by now_ns. */
struct cs_since_span cs_since_born(const struct cs_since *since, uint64_t task, uint64_t now_ns);

/* How long it has stood where it stands: state, coroutines, what it is suspended on. */
struct cs_since_span cs_since_changed(const struct cs_since *since, uint64_t task, uint64_t now_ns);
