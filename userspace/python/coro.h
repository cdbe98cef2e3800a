/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coroutines, generators and asynchronous generators of another process: where each one stands and what
 * it awaits. Following `awaits` from a task's coroutine gives the task's await chain, outermost first.
 * Source: Objects/genobject.c (_PyGen_yf) of 3.8 to 3.15, Include/frameobject.h (3.8 to 3.10), Include/internal/pycore_frame.h.
 */
#pragma once

#include <coroscope/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "python/objects.h"

enum cs_coro_state {
	CS_CORO_ENDED = 0,   /* it has returned, raised, or been closed */
	CS_CORO_CREATED = 1, /* it has not started */
	CS_CORO_SUSPENDED = 2,
	CS_CORO_EXECUTING = 3,
};

/* Where a coroutine was read, besides its own object. */
struct cs_coro_place {
	uint64_t frame; /* its frame object, where frames are objects; else 0 */
	uint64_t slot;  /* the address of the pointer to what it awaits; 0: it awaits nothing */
};

struct cs_coro {
	uint64_t type; /* of whatever the object is; what follows counts if cs_coro_is(type) */
	struct cs_py_frame frame; /* unless it has ended */
	enum cs_coro_state state;
	uint64_t awaits; /* the object it is suspended on, or 0 */
	struct cs_coro_place place;
	uint64_t digest; /* of what this says */
};

/* Is this the type of something that cs_coro_read understands? */
static inline bool cs_coro_is(const struct cs_interp *interp, uint64_t type)
{
	return type && (type == interp->type_coro || type == interp->type_gen ||
			type == interp->type_async_gen);
}

/* Bytes to ask cs_mem for: the fixed part of a coroutine and, of nearly all, the top of its stack. */
#define CS_CORO_CHUNK 192

/*
 * Look at an object that may be a coroutine. Returns 0, -EINVAL (a coroutine with absurd content), or what
 * cs_mem_read returns.
 */
int cs_coro_read(const struct cs_pyobj_ctx *ctx, uint64_t obj, struct cs_coro *ret);

/*
 * A coroutine was read through ctx, the same memory is in another cache, too, as it was at another time: is all the same there that tells where it
 * stands? Then it has not run in between. cs_coro_want asks that cache for what is to be compared.
 */
void cs_coro_want(const struct cs_pyobj_ctx *ctx, struct cs_mem *other, uint64_t obj,
		  const struct cs_coro_place *place);
bool cs_coro_same(const struct cs_pyobj_ctx *ctx, struct cs_mem *other, uint64_t obj,
		  const struct cs_coro_place *place);

/*
 * Is this one of the interpreter's own types that only pass an await on to the object they hold: what
 * __await__ of a coroutine and __anext__ of an asynchronous generator return?
 */
bool cs_coro_is_wrapper(const struct cs_pytype *type);

/* The object that a wrapper passes the await on to. */
int cs_coro_unwrap(const struct cs_pyobj_ctx *ctx, uint64_t wrapper, uint64_t *ret);
