/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel side as an object in the test's own memory: what collect/probes.h does to it is noted, so that who tells it what can be
 * tested without privilege. Linked in place of collect/probes.c.
 */
#pragma once

#include "collect/probes.h"

#define MADE_MAX 64

struct made_row {
	pid_t pid;
	struct cs_proc_info info;
	bool stale; /* the process called exec since */
};

struct made_file {
	struct cs_file_id id;
	struct cs_file_info info;
};

struct cs_probe_link {
	bool limited, rests;
	uint64_t spent_ns;
	unsigned int users;
};

struct cs_probes {
	struct made_row rows[MADE_MAX];
	size_t nrows;
	struct made_file files[MADE_MAX]; /* in the order in which they were told */
	size_t nfiles;
	uint64_t tstates[MADE_MAX]; /* thread pointers that are told */
	size_t ntstates;
	pid_t dropped;               /* the last process whose row went */
	int spans_err;               /* what the programs that tell of spans are */
	unsigned int span_processes; /* where they are attached */
	struct cs_probe_link *link;  /* what is attached next; NULL: it cannot be */
	uint64_t creations;          /* of every process */
};

/* The row of a process, or NULL. */
struct made_row *made_row(struct cs_probes *probes, pid_t pid);
