/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coroutines, generators and asynchronous generators of another process: where each one stands and what
 * it awaits. Following `awaits` from a task's coroutine gives the task's await chain, outermost first.
 * Source: Objects/genobject.c (_PyGen_yf) and Include/internal/pycore_frame.h of 3.11 to 3.13.
 */
#pragma once

#include <coroscope/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "python/objects.h"

struct cs_coro {
	uint64_t type; /* of whatever the object is; what follows counts if cs_coro_is(type) */
	struct cs_py_frame frame;
	int state;       /* gi_frame_state, raw */
	uint64_t awaits; /* the object it is suspended on, or 0 */
	uint64_t digest; /* of the bytes that this was read from */
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

/* Has it ended (returned, raised, or been closed)? Is it executing? Has it not started? */
static inline bool cs_coro_ended(const struct cs_coro *coro)
{
	return coro->state > 0;
}
static inline bool cs_coro_executing(const struct cs_coro *coro)
{
	return coro->state == 0;
}
static inline bool cs_coro_created(const struct cs_interp *interp, const struct cs_coro *coro)
{
	return coro->state == interp->info.traits.gen_created;
}

/*
 * Is this one of the interpreter's own types that only pass an await on to the object they hold: what
 * __await__ of a coroutine and __anext__ of an asynchronous generator return?
 */
bool cs_coro_is_wrapper(const struct cs_pytype *type);

/* The object that a wrapper passes the await on to. */
int cs_coro_unwrap(const struct cs_pyobj_ctx *ctx, uint64_t wrapper, uint64_t *ret);
