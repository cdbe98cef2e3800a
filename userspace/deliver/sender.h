/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of profiles to one server: packed by its backend, kept in order (outbox.h), sent one after the
 * other. What the server may take later is tried again; what it refuses is dropped, told and counted.
 */
#pragma once

#include "deliver/backend.h"
#include "deliver/parcels.h"
#include "deliver/transport.h"

enum cs_sender_event {
	CS_SENDER_WAITS, /* a first failure, of the server or the disk, after which it will try again */
	CS_SENDER_AGAIN,   /* the first success after that */
	CS_SENDER_REFUSED, /* a parcel was lost to the server's no */
	CS_SENDER_PARTLY,  /* a request was taken, but not all of it; or with a warning */
	CS_SENDER_LOST,    /* a parcel could not be kept, or its place is damaged */
};

/* Told as it happens: one line of printable text. */
typedef void cs_sender_tell(void *ctx, enum cs_sender_event event, const char *text);

/* Borrowed as long as the sender lives. */
struct cs_sender_options {
	const struct cs_backend *backend;
	struct cs_pack_options pack;
	struct cs_transport_options transport;
	const char *spool;               /* a directory; NULL: parcels are kept in memory */
	struct cs_parcels_limits limits; /* of the spool */
	uint64_t memory_bytes;           /* without a spool, or while its disk fails */
	cs_sender_tell *tell;
	void *ctx;
};

struct cs_sender_counts {
	uint64_t packed; /* parcels, and */
	uint64_t found;  /* those that an earlier run has left; each ends as one of: */
	uint64_t taken;
	uint64_t refused;
	uint64_t lost;     /* no room, too old, damaged, or the disk failed */
	uint64_t bytes;    /* of bodies that were taken */
	uint64_t attempts; /* requests begun */
	uint64_t busy_ns;  /* that they took */
	uint64_t repeated; /* of these, for parcels that may have arrived before */
	uint64_t rejected; /* items that servers refused of requests that they took */
};

struct cs_sender;

/* Returns 0 or as cs_transport_new and cs_parcels_open. */
int cs_sender_new(const struct cs_sender_options *options, struct cs_sender **ret);
void cs_sender_free(struct cs_sender *sender); /* what is in the spool stays there */
static inline void cs_sender_freep(struct cs_sender **sender)
{
	cs_sender_free(*sender);
}

/* Pack a profile and keep its parcels. Returns 0 or -errno; a parcel that cannot be kept is lost, told and counted. */
int cs_sender_put(struct cs_sender *sender, const struct cs_profile *profile);

/*
 * Send the oldest parcel, if it is time. Returns 0: it is dealt with; -ENOENT: there is none; -EAGAIN: it waits until *due_ns
 * (CLOCK_MONOTONIC); -ECANCELED: stopped; or -errno.
 */
int cs_sender_step(struct cs_sender *sender, uint64_t *due_ns);

/* Nothing more is sent: with a spool, what waits in memory goes there, or is lost, told and counted. */
void cs_sender_end(struct cs_sender *sender);

/* How many parcels wait. */
size_t cs_sender_waiting(const struct cs_sender *sender);
const struct cs_sender_counts *cs_sender_counts(const struct cs_sender *sender);
