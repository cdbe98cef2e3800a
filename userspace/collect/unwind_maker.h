/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that makes unwind tables and takes back those that are not used: reading those of a new interpreter takes some 50 ms, and the kernel waits a
 * grace period for what it is given and for each that is taken from it. It runs while there is something to do, and no more than its share of a CPU:
 * somebody may map new files without end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collect/unwind_tables.h"
#include "proc/elf.h"

/* The making of one file's table. From cs_unwind_maker_ask until cs_unwind_maker_take gives it back it is the maker's. */
struct cs_unwind_making {
	struct cs_elf *elf; /* asked for; NULL when it comes back */
	void *asker;        /* for whoever asked */
	/* what came of it: as of cs_unwind_tables_make; the table's user is whoever asked */
	int err;
	struct cs_kernel_table *table;
	struct cs_unwind_making *next;
};

struct cs_unwind_maker;

/* As cs_unwind_tables_new. */
int cs_unwind_maker_new(int map_fd, size_t budget_bytes, struct cs_unwind_maker **ret);
/* NULL is fine. Waits for what is being made at this moment; nothing that was asked for is touched later. */
void cs_unwind_maker_free(struct cs_unwind_maker *maker);

/* Have a table made of making->elf, which is taken over. */
void cs_unwind_maker_ask(struct cs_unwind_maker *maker, struct cs_unwind_making *making);

/* What is done and known to the kernel side: one, or NULL if there is none. */
struct cs_unwind_making *cs_unwind_maker_take(struct cs_unwind_maker *maker);

/* The table has a user less. */
void cs_unwind_maker_release(struct cs_unwind_maker *maker, struct cs_kernel_table *table);

/* Wait until all is done, no longer than this. */
void cs_unwind_maker_wait(struct cs_unwind_maker *maker, uint64_t timeout_ns);

/* As of the last that was done. */
struct cs_unwind_stats cs_unwind_maker_stats(struct cs_unwind_maker *maker);
