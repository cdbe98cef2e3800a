/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of one process's native code: for natives.c, which looks at it, and native_names.c, which names its addresses. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uthash.h>

#include "collect/unwind_files.h"
#include "core/buf.h"
#include "proc/perf_map.h"

/* An address that the capture has a name for. */
struct cs_native_told {
	uint64_t addr;
	uint32_t age; /* of the names that it was told by */
	UT_hash_handle hh;
};

/* One executable mapping, or several of one file that follow each other. */
struct cs_native_place {
	uint64_t start, end, vaddr, offset;
	struct cs_unwind_file *file; /* borrowed; NULL: not a file, or none that can be read */
	uint32_t path;               /* offset into paths */
	bool waits; /* too many files wait for their tables: this one is asked for again */
};

struct cs_native_process {
	pid_t pid;
	bool poked, untold;
	bool asleep; /* it was there at the start, and has not been seen to run since */
	uint64_t looked_ns;
	unsigned int looks;
	struct cs_native_place *places; /* ascending */
	size_t nplaces;
	size_t unmade; /* places of files whose tables were not made when the kernel side was told */
	struct cs_buf paths; /* terminated strings */
	struct cs_native_told *told;
	struct cs_perf_map *made; /* names of code made at run time; NULL: not asked for yet */
	uint64_t made_ns;         /* when they were looked for last */
	uint32_t made_age;        /* counts the times that they changed */
	UT_hash_handle hh;
};

/* The capture knows no names of this process any more. */
void cs_native_names_forget(struct cs_native_process *process);

/* Name one address: append CS_EV_SYMBOL and CS_EV_MAPPING to out if that is not done yet. Returns 0 or -ENOMEM. */
int cs_native_name(struct cs_native_process *process, uint64_t addr, uint64_t now_ns,
		   struct cs_buf *out);
