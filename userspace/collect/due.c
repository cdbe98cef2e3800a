/* SPDX-License-Identifier: Apache-2.0 */
/* The ticks that the CPU clock owed. */
#include "collect/due.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collect/record.h"
#include "core/cleanup.h"

struct cpu {
	bool online;
	uint64_t idle_ns;
};

/* Ticks before the start are not of this clock. */
struct ticks {
	int n;
	struct cs_cpu_ticks cpus[CS_MAX_CPUS];
};

struct moment {
	uint64_t ns; /* 0: not yet */
	struct cpu cpus[CS_MAX_CPUS];
};

struct cs_due {
	uint64_t interval_ns;
	struct moment start, end;
	struct ticks before;
};

/* Idle time of every CPU. Source: proc_stat(5): user, nice, system, idle, iowait in clock ticks. */
static int read_moment(struct moment *moment)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/stat", "re");
	uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK), idle, iowait;
	unsigned int cpu;
	char line[512];

	if (!file)
		return -errno;
	memset(moment->cpus, 0, sizeof(moment->cpus));
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "cpu%u %*u %*u %*u %" SCNu64 " %" SCNu64, &cpu, &idle, &iowait) !=
			    3 ||
		    cpu >= CS_MAX_CPUS)
			continue;
		moment->cpus[cpu] = (struct cpu){true, (idle + iowait) * tick_ns};
	}
	moment->ns = cs_now_ns();
	return 0;
}

static int read_ticks(const struct cs_probes *probes, struct ticks *ticks)
{
	ticks->n = cs_probes_cpu_ticks(probes, ticks->cpus, CS_MAX_CPUS);
	return ticks->n < 0 ? ticks->n : 0;
}

int cs_due_start(uint64_t interval_ns, const struct cs_probes *probes, struct cs_due **ret)
{
	_cleanup_free_ struct cs_due *due = calloc(1, sizeof(*due));
	int err;

	if (!due)
		return -ENOMEM;
	due->interval_ns = interval_ns;
	err = read_ticks(probes, &due->before);
	if (!err)
		err = read_moment(&due->start);
	if (err)
		return err;
	*ret = TAKE_PTR(due);
	return 0;
}

void cs_due_free(struct cs_due *due)
{
	free(due);
}

void cs_due_stop(struct cs_due *due)
{
	if (due && !due->end.ns)
		read_moment(&due->end);
}

static uint64_t difference(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* One CPU's share: of what did not come, as much as it was idle beyond its idle ticks slept. */
static void settle_cpu(const struct cs_due *due, const struct moment *end, unsigned int cpu,
		       const struct cs_cpu_ticks *ticks, uint64_t counters[CS_COUNTER_MAX_])
{
	uint64_t owed = (end->ns - due->start.ns) / due->interval_ns;
	uint64_t idle =
		difference(end->cpus[cpu].idle_ns, due->start.cpus[cpu].idle_ns) / due->interval_ns;
	const struct cs_cpu_ticks *before = &due->before.cpus[cpu];
	uint64_t absent = difference(owed, difference(ticks->all, before->all));
	uint64_t asleep = difference(idle, difference(ticks->idle, before->idle));

	asleep = asleep < absent ? asleep : absent;
	counters[CS_COUNTER_IDLE_ASLEEP] += asleep;
	counters[CS_COUNTER_MISSED] += absent - asleep;
}

int cs_due_settle(const struct cs_due *due, const struct cs_probes *probes,
		  uint64_t counters[CS_COUNTER_MAX_])
{
	_cleanup_free_ struct ticks *ticks = calloc(1, sizeof(*ticks));
	_cleanup_free_ struct moment *now = calloc(1, sizeof(*now));
	const struct moment *end = &due->end;
	int err = 0;

	if (!ticks || !now)
		return -ENOMEM;
	if (!due->end.ns) {
		err = read_moment(now);
		end = now;
	}
	if (!err)
		err = read_ticks(probes, ticks);
	for (int cpu = 0; !err && cpu < ticks->n; cpu++)
		if (due->start.cpus[cpu].online)
			settle_cpu(due, end, (unsigned int)cpu, &ticks->cpus[cpu], counters);
	return err;
}
