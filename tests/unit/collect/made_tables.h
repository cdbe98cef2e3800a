/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's side of unwinding, in the test's own memory: the map `native_files` with its tables, and `native_procs`. Linked in place of what
 * libbpf has of these functions.
 */
#pragma once

#include <coroscope/native.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Descriptors of the two maps. */
#define MADE_FILES      77
#define MADE_PROCS      78
#define MADE_TABLES_MAX 512

struct made_list {
	pid_t pid;
	struct cs_native_proc proc;
};

/* Inner maps are files in memory, by id from 1 on. */
extern struct made_tables {
	int inner[MADE_TABLES_MAX];
	unsigned int ninner;
	uint32_t told[MADE_TABLES_MAX]; /* places, as they were given a table */
	unsigned int ntold, ngone;
	bool taken[CS_MAX_NATIVE_FILES]; /* places that hold a table now */
	struct made_list lists[8];
	size_t nlists;
	unsigned int lists_told; /* lists that came, however often of one process */
	bool no_batches;         /* an old kernel */
	bool forgets;            /* what is in a table, and which were told */
	bool refuses;            /* tables */
	_Atomic bool hold;       /* who makes a table waits as long as this is so */
} made_tables;

void made_tables_begin(void);
void made_tables_end(void);

/* The list of a process, or NULL. */
const struct cs_native_proc *made_list(pid_t pid);

/* What the list says of this address: the number of the table; -1 if it is in none of its mappings. */
long made_table_at(const struct cs_native_proc *list, const void *addr);
