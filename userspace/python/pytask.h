/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks and futures that are written in Python: asyncio.tasks._PyTask, asyncio.futures._PyFuture, and what derives from them. A program
 * has them from a task factory of its own, or where the C module _asyncio is missing. What the C ones keep in fields, these keep in
 * attributes of the same names.
 */
#pragma once

#include <stdint.h>

#include "python/objects.h"

#define CS_PYTASK_KEYS 32

/*
 * The names of attributes that one reading has met: such strings are interned, so the same name is the same object, which is
 * compared letter by letter only once.
 */
struct cs_pytask_keys {
	struct {
		uint64_t key;
		unsigned int field;
	} items[CS_PYTASK_KEYS];
	unsigned int n;
	unsigned int left; /* attributes that this reading may still look at */
};

/* Addresses of the attributes' values; 0: it has no such attribute. */
struct cs_pytask {
	uint64_t coro, waiter, loop, name, callbacks, context;
	uint64_t state;  /* only once it is done: until then the class has it */
	uint64_t digest; /* of all its attributes */
};

/* Before a reading. */
void cs_pytask_begin(struct cs_pytask_keys *keys);

/*
 * Read the attributes of a task or future. Returns 0; -ENOENT (it stores none), -E2BIG (too many of its own, or of this reading), or what
 * cs_pyobj_attr_each returns.
 * Source: Lib/asyncio/{tasks,futures}.py of 3.8 to 3.15.
 */
int cs_pytask_read(struct cs_pytask_keys *keys, const struct cs_pyobj_ctx *ctx, uint64_t obj,
		   struct cs_pytask *ret);
