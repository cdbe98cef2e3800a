/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executable files as processes map them.
 *
 * Source: perf_event_open(2): attr.mmap and attr.mmap2 give a PERF_RECORD_MMAP2 for every executable mapping.
 */
#include "collect/mapped.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"

/* Of each CPU's buffer: some thousand records between two turns. */
#define BUFFER_PAGES 64

struct cs_mapped {
	struct perf_buffer *buffer;
	int map; /* libbpf wants one to keep the events in */
	void (*fn)(void *ctx, pid_t pid, const char *path);
	void *ctx;
	bool lost;
};

/* The record's fixed part; a terminated file name follows. */
struct mmap2 {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t addr, len, pgoff;
	uint32_t major, minor;
	uint64_t ino, ino_generation;
	uint32_t prot, flags;
	char filename[];
};

static enum bpf_perf_event_ret on_event(void *ctx, int cpu, struct perf_event_header *event)
{
	const struct mmap2 *mmap2 = (const void *)event;
	struct cs_mapped *mapped = ctx;

	if (event->type == PERF_RECORD_LOST)
		mapped->lost = true;
	if (event->type != PERF_RECORD_MMAP2 || event->size <= sizeof(*mmap2) ||
	    !memchr(mmap2->filename, '\0', event->size - sizeof(*mmap2)))
		return LIBBPF_PERF_EVENT_CONT;
	mapped->fn(mapped->ctx, (pid_t)mmap2->pid, mmap2->filename);
	return LIBBPF_PERF_EVENT_CONT;
}

int cs_mapped_new(void (*fn)(void *ctx, pid_t pid, const char *path), void *ctx,
		  struct cs_mapped **ret)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.mmap = 1,
		.mmap2 = 1,
		.watermark = 1, /* any byte: wakeup_events counts samples only */
		.wakeup_watermark = 1,
	};
	_cleanup_(cs_mapped_freep) struct cs_mapped *mapped = calloc(1, sizeof(*mapped));
	int ncpu = libbpf_num_possible_cpus();

	if (!mapped || ncpu < 0)
		return mapped ? ncpu : -ENOMEM;
	mapped->fn = fn;
	mapped->ctx = ctx;
	mapped->map = bpf_map_create(BPF_MAP_TYPE_PERF_EVENT_ARRAY, "mapped", sizeof(int),
				     sizeof(int), (uint32_t)ncpu, NULL);
	if (mapped->map < 0)
		return -errno;
	mapped->buffer =
		perf_buffer__new_raw(mapped->map, BUFFER_PAGES, &attr, on_event, mapped, NULL);
	if (!mapped->buffer)
		return -errno;
	*ret = TAKE_PTR(mapped);
	return 0;
}

int cs_mapped_fd(const struct cs_mapped *mapped)
{
	return perf_buffer__epoll_fd(mapped->buffer);
}

void cs_mapped_free(struct cs_mapped *mapped)
{
	if (!mapped)
		return;
	perf_buffer__free(mapped->buffer);
	if (mapped->map > 0)
		close(mapped->map);
	free(mapped);
}

bool cs_mapped_drain(struct cs_mapped *mapped)
{
	mapped->lost = false;
	perf_buffer__consume(mapped->buffer);
	return mapped->lost;
}
