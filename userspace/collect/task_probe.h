/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe that tells who creates the tasks of one process (bpf/task_events.bpf.c): attached where asyncio's C module is, and at rest for a while when so many are created
 * that telling them costs more than it may. What it misses is known by a CS_EV_CREATIONS record at each end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collect/probes.h"
#include "collect/probing.h"
#include "core/buf.h"

struct cs_task_probe {
	struct cs_probe_link *link; /* NULL: not attached */
	enum cs_probing probing;
	bool misses;   /* it rests, and a record has said so */
	uint64_t seen; /* creations, at: */
	uint64_t seen_ns;
	uint64_t a_second; /* between the last two looks */
	char note[96];     /* why not all are told; "": they are, or nobody asked */
};

/* How often the probe has interrupted who has these accounts. */
static inline uint64_t cs_task_probe_hits(const uint64_t counters[CS_COUNTER_MAX_])
{
	return counters[CS_COUNTER_CREATES] + counters[CS_COUNTER_CREATES_RING_FULL] +
	       counters[CS_COUNTER_CREATES_NESTED];
}

/*
 * Attach it, unless it is; probe_pid is the process that it is limited to, or -1. Returns 0, also if it is not to be attached, or
 * -errno.
 */
int cs_task_probe_attach(struct cs_task_probe *task_probe, struct cs_probes *probes,
			 pid_t probe_pid, const struct cs_probe_site *site, uint64_t now_ns);

/*
 * Now and then: has it begun or ended to rest? Then a record says so. With `count`, what it has cost is told, too (see cs_probes_spend). Returns 0 or -ENOMEM. The
 * note may have changed.
 */
int cs_task_probe_check(struct cs_task_probe *task_probe, struct cs_probes *probes, pid_t pid,
			bool count, uint64_t now_ns, struct cs_buf *out);

/* Nothing is attached any more, and may be again. */
void cs_task_probe_end(struct cs_task_probe *task_probe);
