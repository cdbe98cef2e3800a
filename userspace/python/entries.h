/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where asyncio keeps its tasks: its sets up to 3.13, and circular lists of its C tasks from 3.14 on. What they hold is listed here; nothing
 * is read of the tasks themselves but the links of the lists, which are in them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "python/objects.h"

/* Objects lie at multiples of 8: this bit says that the entry is a weak reference to a task, not the task. */
#define CS_ENTRY_WEAK 1ull

struct cs_entries {
	uint64_t *items; /* n of them; owned */
	size_t n, cap;
	uint32_t nleft; /* beyond CS_MAX_TASKS */
	/* Those of the last reading: the lists are mostly in the same order, so they are read ahead. */
	uint64_t *last;
	size_t nlast, last_cap;
};

void cs_entries_free(struct cs_entries *entries);

/*
 * Returns 0, -EFAULT or -EINVAL (something could not be read, or was changed whenever it was), -ESRCH, -EPERM or -ENOMEM.
 */
int cs_entries_read(struct cs_entries *entries, const struct cs_pyobj_ctx *ctx,
		    const struct cs_asyncio *asyncio);
