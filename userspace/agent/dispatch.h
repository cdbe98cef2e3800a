/* SPDX-License-Identifier: Apache-2.0 */
/* All couriers: who gets the profiles of a period. */
#pragma once

#include "agent/config.h"
#include "agent/courier.h"
#include "agent/shared_profile.h"
#include "serve/metrics.h"

struct cs_dispatch;

int cs_dispatch_new(struct cs_dispatch **ret);       /* 0 or -ENOMEM */
void cs_dispatch_free(struct cs_dispatch *dispatch); /* ends at once; NULL is fine */
static inline void cs_dispatch_freep(struct cs_dispatch **dispatch)
{
	cs_dispatch_free(*dispatch);
}

/*
 * Begin with these destinations, borrowed until they end. What hinders is said, and then none is begun. Returns 0 or -errno.
 */
int cs_dispatch_begin(struct cs_dispatch *dispatch, const struct cs_destinations *to);

/* Hand the profile, which is borrowed, to everybody. */
void cs_dispatch_put(struct cs_dispatch *dispatch, struct cs_shared_profile *profile);

/* Deliver what is there for at most so long, and end all; what could not be delivered is said. There may be a new beginning. */
void cs_dispatch_end(struct cs_dispatch *dispatch, uint64_t within_ns);

/* Tell what became of profiles, by destination. Returns as cs_metrics_add. */
int cs_dispatch_tell(const struct cs_dispatch *dispatch, struct cs_metrics *metrics);
