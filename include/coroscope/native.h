/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel side knows of the native code of a process: which file's unwind table (unwind.h) holds at which address.
 */
#pragma once

#include <coroscope/limits.h>
#include <coroscope/types.h>

#define CS_PAGE_SHIFT 12

/* Places in the map `native_files` that are no tables. */
enum cs_native_file {
	CS_NATIVE_UNKNOWN = 0, /* no table, and nothing to go by: the walk ends */
	CS_NATIVE_FRAME_POINTERS =
		1, /* code made while it runs, and files without any table: by rbp */
	CS_NATIVE_FIRST_TABLE = 2,
};

/* Executable memory. Addresses of the file count in pages, as the process's do: a file's parts are mapped by pages. */
struct cs_native_mapping {
	__u64 start_file;  /* first page of the process (40 bits) << 24 | place in native_files */
	__u64 vaddr_pages; /* first page in the file's own space (24 bits) << 40 | number of pages */
};
CS_ASSERT_SIZE(struct cs_native_mapping, 16);

/* The value of the map `native_procs`, by tgid. Replaced as a whole: a walk sees one list or the next. */
struct cs_native_proc {
	__u32 n;
	__u32 pad;
	struct cs_native_mapping mappings[CS_MAX_NATIVE_MAPS]; /* ascending, not overlapping */
};
