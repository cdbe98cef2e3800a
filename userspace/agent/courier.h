/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings profiles to one destination, in a thread of its own: a slow server holds up neither the capture nor the others. A few profiles wait to be
 * packed; from then on what is not delivered is kept by the sender, in the spool if there is one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/shared_profile.h"
#include "cli/destination.h"
#include "deliver/directory.h"
#include "deliver/sender.h"

struct cs_courier;

/* to is borrowed. What hinders is said. Returns 0 or -errno. */
int cs_courier_new(const struct cs_destination *to, struct cs_courier **ret);

/* Hand a profile over; if too many wait, the oldest goes, counted. Borrowed: the courier takes a reference. */
void cs_courier_put(struct cs_courier *courier, struct cs_shared_profile *profile);

/* Begin to end: what was handed over is packed and sent until deadline_ns (CLOCK_MONOTONIC), what is under way then is given up. */
void cs_courier_end(struct cs_courier *courier, uint64_t deadline_ns);

/* Wait for that; what is under way at the deadline is given up. Without a cs_courier_end it ends now. */
void cs_courier_join(struct cs_courier *courier);
void cs_courier_free(
	struct cs_courier *courier); /* joins; what was not sent stays in the spool; NULL is fine */

struct cs_courier_counts {
	uint64_t profiles;                /* handed over */
	uint64_t passed_over;             /* of them: too many waited */
	uint64_t failed;                  /* of them: could not be packed or written */
	struct cs_sender_counts sender;   /* of a server */
	struct cs_directory_counts files; /* of a directory */
	size_t waiting;                   /* parcels */
	uint64_t
		delivered_realtime_ns; /* when a profile, or a parcel of one, arrived last; 0: never */
};

/* As of the last moment at which the courier was not busy with a request. */
struct cs_courier_counts cs_courier_count(struct cs_courier *courier);
const struct cs_destination *cs_courier_to(const struct cs_courier *courier);
