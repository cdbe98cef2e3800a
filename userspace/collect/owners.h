/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose the watched processes are, into the capture: looked up when a process is met and now and then later (whose/book.h), for a bounded
 * time each turn. What was found is written a turn later: an exec that the kernel side had not told of yet when the process was looked at
 * has been heeded by then, so nothing that was sampled before it is told to be the new program's.
 */
#pragma once

#include <stdint.h>

#include "core/buf.h"
#include "whose/book.h"

struct cs_target;

/* What a target remembers; all zero is the beginning. */
struct cs_target_owner {
	uint64_t next_ns;    /* not looked for before */
	uint64_t news;       /* of the book, when it was looked for */
	uint64_t revision;   /* that was told last, or waits */
	struct cs_buf waits; /* a CS_EV_WHOSE record, to be written; owned */
};

/* Forget all: the process is another program. */
void cs_target_owner_clear(struct cs_target_owner *owner);

/* Append what waits. Returns 0 or -ENOMEM. */
int cs_target_owner_tell(struct cs_target_owner *owner, struct cs_buf *out);

/*
 * Once a turn, after the ring was drained and heeded: append what waits and look at whose turn it is. targets is the uthash table by pid.
 * Returns 0 or -ENOMEM.
 */
int cs_target_owners_turn(struct cs_book *book, struct cs_target *targets, uint64_t now_ns,
			  struct cs_buf *out);
