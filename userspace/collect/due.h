/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ticks that the CPU clock owed, and what became of those that never came. A tick is due every interval on every CPU
 * while the clock is on. Some systems let the timer of an idle CPU sleep (seen on virtual machines): the kernel's own idle
 * time tells those from the ticks that a busy CPU missed.
 */
#pragma once

#include <coroscope/status.h>
#include <stdint.h>

#include "collect/probes.h"

#define CS_MAX_CPUS 4096

struct cs_due; /* the state of all CPUs when the clock was started */

/* Note the moment: call right before the clock starts. Returns 0 or -errno. */
int cs_due_start(uint64_t interval_ns, const struct cs_probes *probes, struct cs_due **ret);
void cs_due_free(struct cs_due *due); /* NULL is fine */

/* The clock has been stopped: nothing is due from now on. */
void cs_due_stop(struct cs_due *due);

/* Add IDLE_ASLEEP and MISSED to the accounts as of now, or of when the clock was stopped. Returns 0 or -errno. */
int cs_due_settle(const struct cs_due *due, const struct cs_probes *probes,
		  uint64_t counters[CS_COUNTER_MAX_]);
