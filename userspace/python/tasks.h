/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every asyncio task of one process at one moment: enumerated from asyncio's own sets, read level by
 * level through the page cache of proc/mem.h, written as CS_EV_TASK records (only for tasks that are new
 * or have changed) and one CS_EV_PASS record. Of more than CS_PASS_TASKS a random share is read: see share.h.
 *
 * Coherence: the caller's process keeps running. A pass is quiet if the loops' threads were off the CPU
 * for its whole length (/proc/PID/task/TID/syscall does not say "running", and the run count in
 * /proc/PID/task/TID/schedstat did not move: CS_COHERENT_QUIET); it waits up to wait_ns for such a moment. If none
 * comes, it reads a copy that the loop's thread makes of its memory (CS_COHERENT_IN_TASK), where somebody has such copies made. Else, and
 * from when on one runs all the same, every task is read twice and kept only if nothing changed in between (CS_COHERENT_PER_TASK).
 * Types are checked on every object; what fails is counted in ndropped, never guessed.
 *
 * If no thread of the process has run since the last quiet pass, its reading is taken again: see tasks.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "proc/mem.h"
#include "python/instant.h"
#include "python/interp.h"
#include "python/tracer.h"

struct cs_tasks; /* what is remembered of one process between passes */

int cs_tasks_new(const struct cs_interp *interp, const struct cs_asyncio *asyncio,
		 struct cs_tasks **ret);
void cs_tasks_free(struct cs_tasks *tasks);
static inline void cs_tasks_freep(struct cs_tasks **tasks)
{
	cs_tasks_free(*tasks);
}

/*
 * From now on passes over loops that never rest may read copies from there (borrowed). One that lacks something is made again, with it, so that
 * a pass has `tries` of them made at most: each holds the loop.
 */
void cs_tasks_use_instants(struct cs_tasks *tasks, const struct cs_instant_source *source,
			   unsigned int tries);

/* From now on, with the next pass, records tell the span that is active in a task's context. The source is borrowed. */
void cs_tasks_use_spans(struct cs_tasks *tasks, const struct cs_span_source *source);

struct cs_tasks_result {
	uint32_t ntasks;
	uint32_t ndropped;
	uint32_t
		nmoved; /* tasks that changed while they were read: of what they did nothing is known */
	uint32_t nunread;   /* tasks that were not this pass's share */
	uint32_t coherence; /* enum cs_coherence; 0: the pass was given up */
	bool again;         /* nothing has run: nothing was read */
	/* CPU time of this thread that the pass took, waiting included; of one that read more than usual, the usual part of that. */
	uint64_t cpu_ns;
};

/* To be said before the first pass: so many tasks may one read, of more a share. Else CS_PASS_TASKS; CS_MAX_TASKS: all, always. */
void cs_tasks_limit(struct cs_tasks *tasks, uint32_t most);

/*
 * One pass. Appends records to out: CS_EV_TASK..., then CS_EV_PASS with weight_ns, or CS_EV_PASS_AGAIN alone, all stamped with the
 * CLOCK_MONOTONIC time at which reading began. Returns 0, -EAGAIN (given up: nothing was appended, *ret says
 * what was seen), -ESRCH (the process is gone) or -ENOMEM.
 */
int cs_tasks_pass(struct cs_tasks *tasks, struct cs_mem *mem, uint64_t weight_ns, uint64_t wait_ns,
		  struct cs_buf *out, struct cs_tasks_result *ret);

/*
 * A task is being created at this address. The last pass may have read it already, before anyone knew that it is a new one:
 * the next pass writes its record again.
 */
void cs_tasks_renew(struct cs_tasks *tasks, uint64_t task);

/* The records so far are for nobody: the next pass writes one of every task. */
void cs_tasks_renew_all(struct cs_tasks *tasks);
