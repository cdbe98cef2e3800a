/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the types of another process's objects are to a reading of its tasks, each looked up once: a direct-mapped cache, since real
 * programs have a handful, and a forged process shall cost no more. It holds for one reading; then it is to be
 * forgotten, because types come and go like other objects.
 */
#pragma once

#include <stdint.h>

#include "python/objects.h"

/* What a type is. TASK and FUTURE count subclasses; all others but INSTANCE are the interpreter's own, exactly. */
enum cs_type_what {
	CS_TYPE_FUTURE = 1 << 0, /* _asyncio.Future, or asyncio's own in Python */
	CS_TYPE_TASK =
		1 << 1, /* _asyncio.Task, or asyncio's own in Python, which is a future, too */
	CS_TYPE_WEAKREF = 1 << 2,
	CS_TYPE_NONE = 1 << 3,
	CS_TYPE_AWAIT_WRAPPER = 1 << 4, /* see cs_coro_is_wrapper */
	CS_TYPE_WAKEUP = 1 << 5,        /* what wakes a task up (up to 3.9) */
	CS_TYPE_CFUNCTION =
		1 << 6, /* a built-in function or method (which wakes a task up from 3.10 on) */
	CS_TYPE_FUNCTION = 1 << 7,
	CS_TYPE_METHOD = 1 << 8,
	CS_TYPE_PARTIAL = 1 << 9,
	CS_TYPE_DEQUE = 1 << 10,
	CS_TYPE_CONCURRENT_FUTURE = 1 << 11, /* concurrent.futures.Future, written in Python */
	CS_TYPE_INSTANCE = 1 << 12,          /* of any other class that has attributes */
	CS_TYPE_IN_PYTHON =
		1 << 13, /* with TASK or FUTURE: one that is written in Python (pytask.h) */
};

struct cs_type {
	uint64_t addr; /* 0: it could not be read, or is no type */
	unsigned int what;
	uint64_t flags; /* PyTypeObject.tp_flags */
	char name[CS_PYTYPE_NAME];
};

#define CS_TYPES 256 /* a power of two */

struct cs_types {
	struct cs_type *items; /* CS_TYPES of them, between begin and end */
	uint64_t met[64];      /* addresses of those of the last reading; 0: no more */
};

/* Before a reading: ask cs_mem for the types that the last one met. Returns 0 or -ENOMEM. */
int cs_types_begin(struct cs_types *types, const struct cs_pyobj_ctx *ctx);
void cs_types_end(struct cs_types *types);

/* In a reading: what is known of the type object at addr; never NULL, valid until the next call. */
const struct cs_type *cs_types_look_up(struct cs_types *types, const struct cs_pyobj_ctx *ctx,
				       const struct cs_asyncio *asyncio, uint64_t addr);
