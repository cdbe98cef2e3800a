/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwind tables in the kernel's map `native_files`: made from files, shared by those that hold the same, within a budget. For one thread at a time.
 */
#pragma once

#include <coroscope/native.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/elf.h"

struct cs_unwind_tables;
struct cs_kernel_table; /* one of them; lives as long as it has users */

/* map_fd: of `native_files`, borrowed. budget_bytes: of all tables together. Returns 0 or -ENOMEM. */
int cs_unwind_tables_new(int map_fd, size_t budget_bytes, struct cs_unwind_tables **ret);
/* NULL is fine. What the map holds stays there: it goes with it. */
void cs_unwind_tables_free(struct cs_unwind_tables *tables);

/*
 * The table of a file: another one's of the same content, or its own, which the kernel side has after the flush. *ret has one user more. Returns 0, -ENOENT
 * (the file has no .eh_frame), -ENOSPC (over the budget, or no place is left), -E2BIG (see cs_unwind_file), -ENOMEM, or -errno of the kernel.
 */
int cs_unwind_tables_make(struct cs_unwind_tables *tables, struct cs_elf *elf,
			  struct cs_kernel_table **ret);

/* Hand over new tables: all at once, as the kernel waits a grace period each time, some 10 ms. Before anybody is told of their places. */
void cs_unwind_tables_flush(struct cs_unwind_tables *tables);

/* One user less. The last one's takes the table from the kernel side, which waits a grace period: nobody may have been told of it any more. */
void cs_unwind_tables_release(struct cs_unwind_tables *tables, struct cs_kernel_table *table);

/* Its number (coroscope/native.h); for any thread. */
uint32_t cs_kernel_table_number(const struct cs_kernel_table *table);

struct cs_unwind_stats {
	size_t files, bytes, eh_bytes; /* tables, what they take, what they were made from */
};
struct cs_unwind_stats cs_unwind_tables_stats(const struct cs_unwind_tables *tables);
