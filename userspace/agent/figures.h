/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent knows of itself, and how it tells that as metrics. */
#pragma once

#include <coroscope/status.h>
#include <stdint.h>

#include "collect/session.h"
#include "serve/metrics.h"

struct cs_figures {
	uint64_t counters[CS_COUNTER_MAX_]; /* of the captures so far */
	uint64_t profiles;                  /* periods that ended */
	uint64_t started_realtime_ns, last_profile_realtime_ns;
	struct cs_population population[CS_POPULATIONS]; /* the watched processes, now */
	size_t npopulation;
	unsigned int probes;                            /* attached now */
	double rate_hz, asleep_hz;                      /* now */
	double cpu_share, kernel_cpu_share, cpu_budget; /* of the machine, in the last window */
	double memory_bytes, memory_budget;
};

/* Returns as cs_metrics_add. */
int cs_figures_tell(const struct cs_figures *figures, struct cs_metrics *metrics);
