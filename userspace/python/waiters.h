/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits for a task without awaiting it directly: found by going up from it through its done-callbacks, as gather, wait, wait_for,
 * as_completed, shield, TaskGroup and user code make them, to a task that is suspended on the future that was reached.
 * One rule for all of them, checked on the spot: such a task is believed only if it waits for exactly that future.
 */
#pragma once

#include <coroscope/event.h>
#include <coroscope/limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "python/objects.h"
#include "python/pytask.h"
#include "python/types.h"

#define CS_WAITERS_KNOWN 256 /* a power of two */

/* What was found through one callback: that of gather, wait and TaskGroup is the same for all their tasks. */
struct cs_waiters_known {
	uint64_t function, self; /* function 0: unused */
	uint32_t n;
	bool cut;
	struct cs_task_link links[CS_MAX_LINKS];
};

/* One reading's search. ctx, asyncio, types and keys are borrowed. */
struct cs_waiters {
	const struct cs_pyobj_ctx *ctx;
	const struct cs_asyncio *asyncio;
	struct cs_types *types;
	struct cs_pytask_keys *keys;
	unsigned int left;              /* words and entries that this reading may still look at */
	struct cs_waiters_known *known; /* CS_WAITERS_KNOWN of them, between begin and end */
};

/* Returns 0 or -ENOMEM. */
int cs_waiters_begin(struct cs_waiters *waiters, const struct cs_pyobj_ctx *ctx,
		     const struct cs_asyncio *asyncio, struct cs_types *types,
		     struct cs_pytask_keys *keys);
void cs_waiters_end(struct cs_waiters *waiters);

/* What was found no longer counts: what was read of memory has been forgotten. */
void cs_waiters_forget(struct cs_waiters *waiters);

/* The words of a future's object from which the search goes on. */
struct cs_waited {
	uint64_t addr;
	uint64_t callback0; /* its first done-callback, or 0 */
	uint64_t callbacks; /* the list of the others, or 0 */
};

/*
 * The tasks that wait for this one in other ways than by `await task`, in links. Returns how many; *ret_cut says that
 * there may be more, which were too many, too far, or could not be read. Memory is read through the cache of ctx->mem.
 * Source: Modules/_asynciomodule.c, Lib/asyncio/{tasks,futures,taskgroups}.py of 3.8 to 3.15.
 */
uint32_t cs_waiters_find(struct cs_waiters *waiters, const struct cs_waited *task,
			 struct cs_task_link links[CS_MAX_LINKS], bool *ret_cut);
