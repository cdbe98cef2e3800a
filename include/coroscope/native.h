/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel side knows of the native code of a process: which file's unwind table (unwind.h) holds at which address.
 */
#pragma once

#include <coroscope/limits.h>
#include <coroscope/types.h>

#define CS_PAGE_SHIFT 12
#define CS_PAGE_BYTES (1u << CS_PAGE_SHIFT)

/*
 * A table is known by its number: where it is in the map `native_files` (CS_PLACE_BITS), and above that how many other tables the place
 * has had (CS_PLACE_USES at most). So no number ever stands for two tables, and what was found in one may be kept for good.
 */
#define CS_PLACE_BITS 12
#define CS_PLACE_USES (1u << (24 - CS_PLACE_BITS))
_Static_assert(CS_MAX_NATIVE_FILES == 1 << CS_PLACE_BITS, "a place is as many bits");

static inline __u32 cs_native_place(__u32 table)
{
	return table & (CS_MAX_NATIVE_FILES - 1);
}

/* Numbers that are no tables. */
enum cs_native_table {
	CS_NATIVE_UNKNOWN = 0, /* no table, and nothing to go by: the walk ends */
	CS_NATIVE_FRAME_POINTERS =
		1,              /* code made while it runs, and files without any table: by rbp */
	CS_NATIVE_NOT_MADE = 2, /* not known yet: the walk ends, with another word for it */
	CS_NATIVE_FIRST_TABLE = 3,
};

/* Executable memory. Addresses of the file count in pages, as the process's do: a file's parts are mapped by pages. */
struct cs_native_mapping {
	__u64 start_table; /* first page of the process (40 bits) << 24 | number of the table */
	__u64 vaddr_pages; /* first page in the file's own space (24 bits) << 40 | number of pages */
};
CS_ASSERT_SIZE(struct cs_native_mapping, 16);

/* The value of the map `native_procs`, by tgid. Replaced as a whole: a walk sees one list or the next. */
struct cs_native_proc {
	__u64 id; /* never 0, and never that of another list: what was found in this one may be kept */
	__u32 n;
	__u32 pad;
	struct cs_native_mapping mappings[CS_MAX_NATIVE_MAPS]; /* ascending, not overlapping */
};
