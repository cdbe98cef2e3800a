/* SPDX-License-Identifier: Apache-2.0 */
/* Uprobes: attached once for all their users, kept for a while when the last has gone, and at rest while they have cost more than they may. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collect/probes_private.h"
#include "core/allowance.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/thread.h"
#include "proc/file.h"

/*
 * One attached uprobe. Those of all processes are shared: a hundred interpreters that map the same file need one. The kernel takes some 150 ms to
 * detach one, which would be a hole in the capture: a thread waits for it. Those that nobody uses stay for the next process for a while.
 */
struct cs_probe_link {
	struct cs_probes *probes;
	struct bpf_link *link; /* NULL: it rests */
	int fd;                /* the file, to be attached to it again */
	bool has_budget;
	struct cs_allowance allowance;
	bool spent, tired; /* see cs_probes_keep_budgets */
	uint64_t again_ns; /* when it is attached again, if it rests */
	unsigned int users;
	unsigned int idle; /* times that cs_probes_age met it without a user */
	struct probe_place {
		uint64_t dev, ino, offset;
		int64_t pid;
		uint64_t kind; /* enum cs_probe_kind */
	} place;
	UT_hash_handle hh;
};

/* Waits for the kernel. */
struct cs_detached {
	struct bpf_link *link;
	struct cs_detached *next;
};

/* Attached uprobes, those that nobody uses among them: a machine has few files that hold asyncio. */
#define MAX_LINKS  256
/* ... but each holds its file, and with it the file system of a container that may be long gone. */
#define MAX_IDLE   5
/* What one with a limit may cost the processes that it interrupts: 1% of a CPU, and a tenth of a second at once, as programs do much at their start. */
#define PART       100
#define AT_ONCE_NS 100000000ull
/* One that could not be attached again is tried again after so long. */
#define RETRY_NS   10000000000ull

/* Open the very file that was looked at: its owner may have put another one, or a link to one of the system's, there. */
static int open_site(const struct cs_probe_site *site)
{
	_cleanup_close_ int fd = cs_open_regular(site->path);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_dev != site->dev || st.st_ino != site->ino)
		return -ESTALE;
	return TAKE_FD(fd);
}

unsigned int cs_probes_attached(const struct cs_probes *probes)
{
	const struct cs_probe_link *link;
	unsigned int n = 0;

	for (link = probes->links; link; link = link->hh.next)
		n += link->link != NULL;
	return n;
}

static const struct bpf_program *program_of(const struct cs_probes *probes, enum cs_probe_kind kind)
{
	switch (kind) {
	case CS_PROBE_SPAN_SET:
		return probes->programs.span_events->progs.span_set;
	case CS_PROBE_SPAN_RESET:
		return probes->programs.span_events->progs.span_reset;
	default:
		return probes->programs.task_events->progs.task_init;
	}
}

int cs_probes_want_spans(struct cs_probes *probes)
{
	return cs_programs_want_spans(&probes->programs);
}

/* Attach it to its file. Returns 0 or -errno. */
static int attach(struct cs_probe_link *link)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", link->fd);
	link->link = bpf_program__attach_uprobe(
		program_of(link->probes, (enum cs_probe_kind)link->place.kind), false,
		(pid_t)link->place.pid, path, link->place.offset);
	return link->link ? 0 : -errno;
}

int cs_probes_attach(struct cs_probes *probes, enum cs_probe_kind kind, pid_t pid,
		     const struct cs_probe_site *site, struct cs_probe_link **ret)
{
	const struct probe_place place = {site->dev, site->ino, site->offset, pid, kind};
	_cleanup_free_ struct cs_probe_link *link = NULL;
	_cleanup_close_ int fd = -1;
	int err;

	HASH_FIND(hh, probes->links, &place, sizeof(place), *ret);
	if (*ret) {
		(*ret)->users++;
		return 0;
	}
	fd = open_site(site);
	if (fd < 0)
		return fd;
	link = calloc(1, sizeof(*link));
	if (!link)
		return -ENOMEM;
	link->probes = probes;
	link->users = 1;
	link->place = place;
	link->fd = fd;
	err = attach(link);
	if (err)
		return err;
	TAKE_FD(fd);
	HASH_ADD(hh, probes->links, place, sizeof(link->place), link);
	*ret = TAKE_PTR(link);
	return 0;
}

static void destroy(struct cs_detached *detached)
{
	bpf_link__destroy(detached->link);
	free(detached);
}

/* Until nothing is left to be detached. */
static void *run_detaching(void *arg)
{
	struct cs_detaching *detaching = arg;
	struct cs_detached *detached;

	pthread_mutex_lock(&detaching->lock);
	while ((detached = detaching->first)) {
		detaching->first = detached->next;
		pthread_mutex_unlock(&detaching->lock);
		destroy(detached);
		pthread_mutex_lock(&detaching->lock);
	}
	detaching->runs = false;
	pthread_cond_signal(&detaching->done);
	pthread_mutex_unlock(&detaching->lock);
	return NULL;
}

/* Hand it to the thread; false: there is none. */
static bool hand_over(struct cs_detaching *detaching, struct cs_detached *detached)
{
	pthread_t thread;
	bool taken;

	pthread_mutex_lock(&detaching->lock);
	taken = detaching->runs || !cs_thread_start(&thread, run_detaching, detaching);
	if (taken && !detaching->runs)
		pthread_detach(thread);
	if (taken) {
		detaching->runs = true;
		detached->next = detaching->first;
		detaching->first = detached;
	}
	pthread_mutex_unlock(&detaching->lock);
	return taken;
}

/*
 * Have a thread wait for the kernel. One, as the kernel lets go of one at a time, and whoever attaches one meanwhile waits in the same
 * line (event_mutex in kernel/trace/trace_event_perf.c).
 */
static void detach(struct cs_probe_link *link)
{
	struct cs_detached *detached;

	if (!link->link)
		return;
	detached = calloc(1, sizeof(*detached));
	if (!detached) {
		bpf_link__destroy(TAKE_PTR(link->link));
		return;
	}
	detached->link = TAKE_PTR(link->link);
	if (!hand_over(&link->probes->detaching, detached))
		destroy(detached);
}

static void link_free(struct cs_probe_link *link)
{
	HASH_DEL(link->probes->links, link);
	detach(link);
	close(link->fd);
	free(link);
}

static void wait_for_detaching(struct cs_detaching *detaching)
{
	pthread_mutex_lock(&detaching->lock);
	while (detaching->runs)
		pthread_cond_wait(&detaching->done, &detaching->lock);
	pthread_mutex_unlock(&detaching->lock);
}

unsigned int cs_probes_span_processes(const struct cs_probes *probes)
{
	const struct cs_probe_link *link;
	unsigned int n = 0;

	for (link = probes->links; link; link = link->hh.next)
		n += link->users && link->place.kind == CS_PROBE_SPAN_SET;
	return n;
}

void cs_probes_detach(struct cs_probe_link *link)
{
	if (link && --link->users == 0 && HASH_COUNT(link->probes->links) > MAX_LINKS)
		link_free(link);
}

void cs_probes_detach_now(struct cs_probe_link *link)
{
	if (link && --link->users == 0)
		link_free(link);
}

void cs_probes_age(struct cs_probes *probes)
{
	struct cs_probe_link *link, *tmp;

	HASH_ITER (hh, probes->links, link, tmp) {
		link->idle = link->users ? 0 : link->idle + 1;
		if (link->idle > MAX_IDLE)
			link_free(link);
	}
}

void cs_probes_detach_unused(struct cs_probes *probes)
{
	struct cs_probe_link *link, *tmp;

	HASH_ITER (hh, probes->links, link, tmp)
		if (!link->users)
			link_free(link);
	wait_for_detaching(&probes->detaching);
}

void cs_probes_limit(struct cs_probe_link *link, uint64_t now_ns)
{
	if (link->has_budget)
		return;
	link->has_budget = true;
	link->allowance = cs_allowance_begin(AT_ONCE_NS, PART, now_ns);
}

void cs_probes_spend(struct cs_probe_link *link, uint64_t cost_ns, uint64_t now_ns)
{
	if (link->has_budget && link->link && !link->tired)
		link->spent |= !cs_allowance_spend(&link->allowance, cost_ns, now_ns);
}

bool cs_probes_rests(const struct cs_probe_link *link)
{
	return link->tired || !link->link;
}

static void wake(struct cs_probe_link *link, uint64_t now_ns)
{
	int err = attach(link);

	link->again_ns = now_ns + RETRY_NS;
	if (err)
		cs_debug("a probe cannot be attached again: %s, ignoring", strerror(-err));
	else
		link->allowance = cs_allowance_begin(AT_ONCE_NS, PART, now_ns);
}

void cs_probes_keep_budgets(struct cs_probes *probes, uint64_t now_ns)
{
	struct cs_probe_link *link;

	for (link = probes->links; link; link = link->hh.next) {
		if (link->tired) {
			link->again_ns = cs_allowance_earned_ns(&link->allowance, AT_ONCE_NS);
			link->tired = false;
			detach(link);
		} else if (link->spent) {
			link->spent = false;
			link->tired = true;
		} else if (!link->link && link->users && now_ns >= link->again_ns) {
			wake(link, now_ns);
		}
	}
}
