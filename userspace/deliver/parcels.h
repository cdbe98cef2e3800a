/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parcels on their way, in order, in a directory: what was put is there until it is dropped, whatever ends the process. An
 * attempt is noted before it begins, in the file's name, so a parcel that may have arrived already is known as such. Bounded by
 * bytes and age, which a clock that is set while it runs does not change: the oldest go first, counted. A file that is damaged is
 * skipped, removed and counted; a directory that somebody removes is made again.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "deliver/parcel.h"

struct cs_parcels_limits {
	uint64_t bytes;
	uint64_t age_ns;
};

struct cs_parcels_counts {
	uint64_t over_bytes, over_age; /* parcels lost to the bounds */
	uint64_t damaged;
};

struct cs_parcels;

/*
 * Open the directory, made if it is not there, with what an earlier run has left. Returns 0, -EBUSY: another process has it,
 * -EPERM: it is not ours alone, or -errno.
 */
int cs_parcels_open(const char *path, const struct cs_parcels_limits *limits,
		    struct cs_parcels **ret);
void cs_parcels_close(struct cs_parcels *parcels); /* NULL is fine; files stay */
static inline void cs_parcels_closep(struct cs_parcels **parcels)
{
	cs_parcels_close(*parcels);
}

/* Add at the end, with the attempts that were made; on the disk when it returns. Returns 0, -EFBIG: alone over the bound (counted), or -errno: not there. */
int cs_parcels_put(struct cs_parcels *parcels, const struct cs_parcel *parcel);

/* The oldest, to be freed, its attempts included. Returns 0, -ENOENT: none is left, or -errno. */
int cs_parcels_first(struct cs_parcels *parcels, struct cs_parcel *ret);

/* Of the one that cs_parcels_first gave last: an attempt begins (0 or -errno: then do not), or nothing is left to do. */
int cs_parcels_note_attempt(struct cs_parcels *parcels);
int cs_parcels_drop(struct cs_parcels *parcels);

size_t cs_parcels_n(const struct cs_parcels *parcels);
uint64_t cs_parcels_bytes(const struct cs_parcels *parcels);
const struct cs_parcels_counts *cs_parcels_counts(const struct cs_parcels *parcels);
