/* SPDX-License-Identifier: Apache-2.0 */
/* A made-up job of an executor's worker thread, and everything between it and the task that waits for it. */
#pragma once

#include "made_python.h"

#define MADE_RUN_CODE   0x6a00ull /* _WorkItem.run */
#define MADE_CHAIN_CODE 0x6b00ull /* asyncio's callback */

struct made_work {
	uint64_t item;     /* its future has the callback, */
	uint64_t callback; /* whose closure has a cell with */
	uint64_t cell;
	uint64_t future;   /* asyncio's, whose first callback wakes up */
	uint64_t callable; /* ... through this */
	uint64_t task, coro;
};

/* The job, its attributes kept as in this version; py->info.work then says how to get along. name: the task's, or 0. */
struct made_work made_work(struct made_python *py, uint64_t name);

/* The frame of _WorkItem.run above `previous`, which works on this item. */
uint64_t made_work_frame(struct made_python *py, uint64_t previous, uint64_t item);

/* A tuple of n with one item, and a list of one. */
uint64_t made_tuple(struct made_python *py, uint64_t n, uint64_t index, uint64_t value);
uint64_t made_list(struct made_python *py, uint64_t value);

/* Addresses of the names of a task's attributes. */
#define MADE_CORO_KEY   0x6c00ull
#define MADE_NAME_KEY   0x6c10ull
#define MADE_WAITER_KEY 0x6c20ull

/*
 * A task that is written in Python, of a class derived from py->info.types.in_python; its attributes are kept as the version does, or in
 * a dict of its own.
 */
uint64_t made_python_task(struct made_python *py, uint64_t coro, uint64_t name, uint64_t waiter,
			  bool in_dict);

/* A type derived from another, which may be 0. */
uint64_t made_type_of(struct made_python *py, uint64_t base);

/* Reads from the item to the task's coroutine, its name not counted. */
unsigned int made_work_reads(const struct made_python *py);
