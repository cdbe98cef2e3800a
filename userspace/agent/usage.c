/* SPDX-License-Identifier: Apache-2.0 */
/* What this process costs the machine. */
#include "agent/usage.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "collect/record.h"
#include "core/cleanup.h"

#define SECOND    1000000000ull
#define WINDOW_NS (10 * SECOND)
/* The statistics are on in the middle of a window. */
#define FROM_NS   (4 * SECOND)
#define TO_NS     (5 * SECOND)

struct cs_usage {
	uint64_t begun_ns, cpu_ns; /* at the window's begin */
	int statistics;            /* descriptor that keeps them on; -1: off */
	uint64_t on_ns;            /* since when */
	struct cs_kernel_time before;
	double kernel_share; /* of one CPU, while they were on last */
};

static uint64_t own_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

int cs_usage_new(struct cs_usage **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	(*ret)->statistics = -1;
	return 0;
}

static void turn_off(struct cs_usage *usage)
{
	if (usage->statistics >= 0)
		close(TAKE_FD(usage->statistics));
}

void cs_usage_free(struct cs_usage *usage)
{
	if (!usage)
		return;
	turn_off(usage);
	free(usage);
}

static void begin_window(struct cs_usage *usage)
{
	turn_off(usage);
	usage->on_ns = 0;
	usage->begun_ns = cs_now_ns();
	usage->cpu_ns = own_cpu_ns();
}

void cs_usage_restart(struct cs_usage *usage)
{
	usage->kernel_share = 0;
	begin_window(usage);
}

/* What they say of our programs since they were turned on. */
static void read_statistics(struct cs_usage *usage, const struct cs_session *session)
{
	uint64_t for_ns = cs_now_ns() - usage->on_ns;
	struct cs_kernel_time now;

	if (for_ns && !cs_session_kernel_time(session, &now) && now.ns >= usage->before.ns)
		usage->kernel_share = (double)(now.ns - usage->before.ns) / (double)for_ns;
	turn_off(usage);
}

bool cs_usage_turn(struct cs_usage *usage, const struct cs_session *session)
{
	uint64_t now = cs_now_ns(), into_ns = now - usage->begun_ns;

	if (!usage->on_ns && into_ns >= FROM_NS) {
		usage->on_ns = now;
		/* Linux 5.8; without the privilege only our own time counts */
		usage->statistics = bpf_enable_stats(BPF_STATS_RUN_TIME);
		if (usage->statistics >= 0 && cs_session_kernel_time(session, &usage->before))
			turn_off(usage);
	}
	if (usage->statistics >= 0 && into_ns >= TO_NS)
		read_statistics(usage, session);
	return into_ns >= WINDOW_NS;
}

/* Source: proc_pid_statm(5): size and resident, in pages. */
static size_t resident_bytes(void)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/statm", "re");
	size_t pages = 0;

	if (!file || fscanf(file, "%*u %zu", &pages) != 1)
		return 0;
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

struct cs_used cs_usage_take(struct cs_usage *usage)
{
	uint64_t for_ns = cs_now_ns() - usage->begun_ns;
	double ncpu = (double)sysconf(_SC_NPROCESSORS_ONLN);
	double own = for_ns ? (double)(own_cpu_ns() - usage->cpu_ns) / (double)for_ns : 0;
	struct cs_used used = {
		.cpu_share = (own + usage->kernel_share) / ncpu,
		.kernel_cpu_share = usage->kernel_share / ncpu,
		.memory_bytes = resident_bytes(),
	};

	begin_window(usage);
	return used;
}
