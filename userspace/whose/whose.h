/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose process is it: service, container, pod, unit. Asked in the order in which they are believed: the cgroups (and the kubelet, see
 * book.h) for what contains the process; for the service what a tracer in it publishes (OpenTelemetry's process context, Datadog's tracer
 * info), which knows what the program has set itself, then the environment; else a guess from the command line.
 * What is told is of one moment of one program: a process that ends or execs meanwhile is not told of.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "whose/facts.h"

/* Which run of which program: of two processes, or of a process before and after an exec, it differs. */
struct cs_run {
	uint64_t started;     /* clock ticks after the system's start */
	uint64_t environment; /* address; 0 where it may not be read */
	pid_t parent;         /* when it was read: no part of what a run is */
};

struct cs_whose {
	pid_t pid;
	struct cs_run run;
	struct cs_facts facts; /* owned */
};

/* Returns 0, -ESRCH: it is gone, or -ENOMEM. */
int cs_run_read(pid_t pid, struct cs_run *ret);
static inline bool cs_run_same(const struct cs_run *a, const struct cs_run *b)
{
	return a->started == b->started && a->environment == b->environment;
}

/* Look at a process once: measured 0.4 ms, and 3 us more for each file it has open. What may not be read is not known. Returns 0, -ESRCH: it is gone or never held still, or -ENOMEM. */
int cs_whose_read(pid_t pid, struct cs_whose *ret);
void cs_whose_free(struct cs_whose *whose);
#define _cleanup_whose_ __attribute__((cleanup(cs_whose_free)))
