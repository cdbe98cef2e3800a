/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles on their way to one destination, a server or a directory. What hinders is said, in the words of a user's options. */
#pragma once

#include <signal.h>

#include "cli/destination.h"
#include "deliver/directory.h"
#include "deliver/sender.h"

struct cs_delivery {
	const struct cs_destination *to; /* borrowed */
	struct cs_sender_options options;
	struct cs_sender *sender;         /* NULL: a directory, or not open */
	struct cs_directory_counts files; /* of a directory */
};

/* Must not move in memory while it is open. stop: as in struct cs_transport_options. Returns 0 or -errno. */
int cs_delivery_open(struct cs_delivery *delivery, const struct cs_destination *to,
		     const volatile sig_atomic_t *stop);
/* Nothing more is sent: what waits is in the spool, if there is one, or counted as lost. */
void cs_delivery_end(struct cs_delivery *delivery);
void cs_delivery_close(struct cs_delivery *delivery); /* what is in the spool stays there */

/* Write the profile, or keep its parcels for cs_sender_step. Returns 0 or -errno. */
int cs_delivery_put(struct cs_delivery *delivery, const struct cs_profile *profile);
