/* SPDX-License-Identifier: Apache-2.0 */
/* Uprobes: attached once for all their users, and kept for a while when the last has gone. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "collect/probes_private.h"
#include "core/cleanup.h"
#include "core/thread.h"
#include "proc/file.h"

/*
 * One attached uprobe. Those of all processes are shared: a hundred interpreters that map the same file need one. The kernel takes some 150 ms to
 * detach one, which would be a hole in the capture: a thread waits for it. Those that nobody uses stay for the next process for a while.
 */
struct cs_probe_link {
	struct cs_probes *probes;
	struct bpf_link *link;
	unsigned int users;
	unsigned int idle; /* times that cs_probes_age met it without a user */
	struct probe_place {
		uint64_t dev, ino, offset;
		int64_t pid;
		uint64_t kind; /* enum cs_probe_kind */
	} place;
	struct cs_probe_link *next; /* to be detached */
	UT_hash_handle hh;
};

/* Attached uprobes, those that nobody uses among them: a machine has few files that hold asyncio. */
#define MAX_LINKS 256
/* ... but each holds its file, and with it the file system of a container that may be long gone. */
#define MAX_IDLE  5

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
	return HASH_COUNT(probes->links);
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

int cs_probes_attach(struct cs_probes *probes, enum cs_probe_kind kind, pid_t pid,
		     const struct cs_probe_site *site, struct cs_probe_link **ret)
{
	const struct probe_place place = {site->dev, site->ino, site->offset, pid, kind};
	_cleanup_free_ struct cs_probe_link *link = NULL;
	_cleanup_close_ int fd = -1;
	char path[32];

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
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	link->link = bpf_program__attach_uprobe(program_of(probes, kind), false, pid, path,
						site->offset);
	if (!link->link)
		return -errno;
	HASH_ADD(hh, probes->links, place, sizeof(link->place), link);
	*ret = TAKE_PTR(link);
	return 0;
}

static void destroy(struct cs_probe_link *link)
{
	bpf_link__destroy(link->link);
	free(link);
}

/* Until nothing is left to be detached. */
static void *run_detaching(void *arg)
{
	struct cs_detaching *detaching = arg;
	struct cs_probe_link *link;

	pthread_mutex_lock(&detaching->lock);
	while ((link = detaching->first)) {
		detaching->first = link->next;
		pthread_mutex_unlock(&detaching->lock);
		destroy(link);
		pthread_mutex_lock(&detaching->lock);
	}
	detaching->runs = false;
	pthread_cond_signal(&detaching->done);
	pthread_mutex_unlock(&detaching->lock);
	return NULL;
}

/*
 * Hand it to a thread that waits for the kernel. One, as the kernel lets go of one at a time, and whoever attaches one meanwhile waits in the same
 * line (event_mutex in kernel/trace/trace_event_perf.c).
 */
static void link_free(struct cs_probe_link *link)
{
	struct cs_detaching *detaching = &link->probes->detaching;
	pthread_t thread;
	bool alone = false;

	HASH_DEL(link->probes->links, link);
	pthread_mutex_lock(&detaching->lock);
	if (!detaching->runs) {
		alone = cs_thread_start(&thread, run_detaching, detaching) != 0;
		if (!alone)
			pthread_detach(thread);
		detaching->runs = !alone;
	}
	if (!alone) {
		link->next = detaching->first;
		detaching->first = link;
	}
	pthread_mutex_unlock(&detaching->lock);
	if (alone)
		destroy(link);
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
