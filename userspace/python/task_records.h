/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a reading of tasks (walk.h) to records: CS_EV_TASK for those that are new or have changed, then one CS_EV_PASS. Records are
 * written from the reading alone; nothing is read any more.
 */
#pragma once

#include <coroscope/event.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/buf.h"
#include "python/loops.h"
#include "python/roster.h"
#include "python/walk.h"

/* What is written of one reading. All is borrowed. */
struct cs_task_records {
	pid_t pid;
	const struct cs_walk *walk;
	const struct cs_loops *loops;
	const struct cs_share *share;
	struct cs_roster *roster; /* what the reader knows, brought up to date */
	uint64_t ts_ns, weight_ns;
	enum cs_coherence coherence;
	uint64_t held_ns; /* so long the loop's thread stood still for it */
};

/* Is this task part of the pass? What was dropped has no state. */
bool cs_task_is_alive(const struct cs_walk_task *task);

/* Append the records to out. Returns 0 and how many tasks the pass has, or -ENOMEM; then out is unchanged and the roster empty. */
int cs_task_records_write(const struct cs_task_records *records, struct cs_buf *out,
			  uint32_t *ret_ntasks);

/* Append the record that says that the last pass still holds. Returns 0 or -ENOMEM. */
int cs_task_records_again(const struct cs_task_records *records, struct cs_buf *out);
