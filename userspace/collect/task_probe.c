/* SPDX-License-Identifier: Apache-2.0 */
/* The probe of one process's new tasks. */
#include "collect/task_probe.h"

#include <stdio.h>

#include "collect/record.h"
#include "core/cleanup.h"

/* What each creation costs the process (tools/bench/tasks): in a loop of them 2.0 us, among a server's requests 2.8. */
#define CREATION_NS 3000
#define SECOND_NS   1000000000ull

int cs_task_probe_attach(struct cs_task_probe *task_probe, struct cs_probes *probes,
			 pid_t probe_pid, const struct cs_probe_site *site, uint64_t now_ns)
{
	int err;

	if (task_probe->link || task_probe->probing == CS_PROBING_OFF)
		return 0;
	err = cs_probes_attach(probes, CS_PROBE_TASK_INIT, probe_pid, site, &task_probe->link);
	if (!err && task_probe->probing == CS_PROBING_AUTO)
		cs_probes_limit(task_probe->link, now_ns);
	return err;
}

static void count_creations(struct cs_task_probe *task_probe, struct cs_probes *probes, pid_t pid,
			    uint64_t now_ns)
{
	uint64_t counters[CS_COUNTER_MAX_], since_ns = now_ns - task_probe->seen_ns, n;

	if (!since_ns || cs_probes_counters(probes, pid, counters))
		return;
	n = cs_task_probe_hits(counters);
	if (task_probe->seen_ns && n > task_probe->seen) {
		cs_probes_spend(task_probe->link, (n - task_probe->seen) * CREATION_NS, now_ns);
		task_probe->a_second = (n - task_probe->seen) * SECOND_NS / since_ns;
	}
	task_probe->seen = n;
	task_probe->seen_ns = now_ns;
}

int cs_task_probe_check(struct cs_task_probe *task_probe, struct cs_probes *probes, pid_t pid,
			bool count, uint64_t now_ns, struct cs_buf *out)
{
	bool rests;

	if (!task_probe->link || task_probe->probing != CS_PROBING_AUTO)
		return 0;
	rests = cs_probes_rests(task_probe->link);
	if (count && !rests)
		count_creations(task_probe, probes, pid, now_ns);
	if (rests == task_probe->misses)
		return 0;
	task_probe->misses = rests;
	/* of those that share the probe this one may be at rest itself */
	if (rests && !*task_probe->note)
		snprintf(task_probe->note, sizeof(task_probe->note),
			 "who creates tasks is told part of the time only (%llu a second here)",
			 (unsigned long long)task_probe->a_second);
	return cs_record_creations(out, now_ns, pid, !rests);
}

void cs_task_probe_end(struct cs_task_probe *task_probe)
{
	cs_probes_detach(TAKE_PTR(task_probe->link));
	*task_probe = (struct cs_task_probe){.probing = task_probe->probing};
}
