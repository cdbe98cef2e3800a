/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Since when each task of one process has been what it is now: fed with the process's events in
 * order, asked after the last. What began before the first event is only known to be older. A look
 * sees a task at moments: a wait that ended and began anew between two looks, at the same place
 * and for a future at the same address, counts as one unless the task was met running in between.
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
