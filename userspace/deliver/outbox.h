/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waits for one server, in order: in a spool (parcels.h) if there is one, else in memory; also in memory while the spool's disk fails. What is in memory then
 * is younger than all in the spool, and moves there as soon as it can. Both are bounded, the oldest go.
 */
#pragma once

#include "deliver/parcels.h"

struct cs_outbox;

/* spool, limits: as of cs_parcels_open; spool NULL: none. memory_bytes: of bodies in memory. Returns 0 or as cs_parcels_open. */
int cs_outbox_new(const char *spool, const struct cs_parcels_limits *limits, uint64_t memory_bytes,
		  struct cs_outbox **ret);
void cs_outbox_free(struct cs_outbox *box); /* NULL is fine; what is in memory is gone */

/*
 * Add at the end; empties the parcel. Returns 0: on the disk, or in memory where there is no spool; -EFBIG: larger than the spool may be, counted there;
 * -ENOMEM: it is lost; or -errno: the disk's fault, it waits in memory.
 */
int cs_outbox_put(struct cs_outbox *box, struct cs_parcel *parcel);

/* Try to bring what is in memory to the spool. Returns 0, also without a spool, or the disk's fault. */
int cs_outbox_save(struct cs_outbox *box);

/* An attempt of the oldest begins (of those in memory, if the spool cannot be read or written), borrowed until the next call. Returns 0, -ENOENT: none is left, or -errno: then do not. */
int cs_outbox_begin(struct cs_outbox *box, const struct cs_parcel **ret);
/* Of that one nothing is left to do. Returns 0 or -errno. */
int cs_outbox_drop(struct cs_outbox *box);

/* Give up what is in memory. Returns how many. */
size_t cs_outbox_forget(struct cs_outbox *box);

size_t cs_outbox_n(const struct cs_outbox *box);             /* in all */
uint64_t cs_outbox_crowded_out(const struct cs_outbox *box); /* of memory, so far */
size_t cs_outbox_found(const struct cs_outbox *box);         /* by an earlier run, at first */
/* What the spool has lost on its own account; NULL without a spool. */
const struct cs_parcels_counts *cs_outbox_spool_counts(const struct cs_outbox *box);
