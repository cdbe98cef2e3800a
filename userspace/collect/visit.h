/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One turn's look at what does not run: sleeping threads (in the kernel, or from here where it cannot) and the suspended
 * tasks of every event loop. Weights are the time since the last look, so a late or failed one costs detail, not time.
 */
#pragma once

#include <coroscope/event.h>
#include <coroscope/status.h>
#include <stdbool.h>
#include <stdint.h>

#include "collect/instants.h"
#include "collect/probes.h"
#include "collect/target.h"
#include "core/buf.h"

struct cs_visit {
	struct cs_probes *probes;     /* borrowed */
	struct cs_instants *instants; /* borrowed, or NULL: no copies are made */
	bool all_processes;
	bool no_idle;     /* sleeping threads are not asked for */
	bool tasks_weigh; /* else suspended tasks are read for their tree only */
	uint64_t turn_ns; /* between two looks, for a process's first pass */
	uint64_t last_ns; /* of the last look at threads */
	/* To cost less: looks and passes keep at least this distance, and passes take so many times less of a CPU than usual. */
	uint64_t every_ns; /* 0: a look every turn */
	uint64_t ease;     /* at least 1 */
	uint64_t counters[CS_COUNTER_MAX_];
};

/* Visit the sleeping threads of all targets. What user space reads is appended to out. Returns 0 or -ENOMEM. */
int cs_visit_threads(struct cs_visit *visit, struct cs_target *targets, struct cs_buf *out);

/*
 * Visits that found nothing new are told together, up to a second later: tell them now, so that a period or a capture that ends has all of
 * its own. They are in the kernel's ring then.
 */
void cs_visit_tell_held(struct cs_visit *visit, struct cs_target *targets);

/* Pass over the suspended tasks of all targets whose turn it is. Records are appended to out. Returns 0 or -ENOMEM. */
int cs_visit_tasks(struct cs_visit *visit, struct cs_target *targets, struct cs_buf *out);
