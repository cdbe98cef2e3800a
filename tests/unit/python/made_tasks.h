/* SPDX-License-Identifier: Apache-2.0 */
/* A made-up process with asyncio tasks, in the test's own memory. */
#pragma once

#include "core/buf.h"
#include "made_objects.h"
#include "python/tasks.h"

/* A process with one code object, one event loop and a set of tasks. */
struct world {
	struct made made;
	struct cs_asyncio asyncio;
	struct cs_tasks *tasks; /* NULL until they are watched */
	struct cs_buf out;      /* of a pass over them */
	struct cs_tasks_result result;
	uint64_t code, loop, leaf_type;
};

void world_begin(struct world *world, int minor);
void world_end(struct world *world);

/* These are its tasks, in the slots of a set of weak references. */
void world_watch(struct world *world, const uint64_t *tasks, size_t n, size_t nslots);

/* A coroutine or generator; state: that of its frame, -1 suspended. It awaits an object. */
uint64_t made_coro(struct world *world, uint64_t type, int state, uint64_t awaits);
uint64_t made_suspended(struct world *world, uint64_t awaits);
/* What the innermost coroutine awaits. */
uint64_t made_leaf(struct world *world);
uint64_t made_task(struct world *world, uint64_t coro, uint64_t name, uint64_t waiter);
