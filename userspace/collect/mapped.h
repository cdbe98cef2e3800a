/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executable files as processes map them, told by the kernel: an interpreter or _asyncio that is loaded late is noticed
 * without asking every process again and again. A perf event that counts nothing carries the records, on every kernel.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct cs_mapped;

/* Begin to listen on all CPUs. Returns 0 or -errno. fn gets the process and the file as the process sees it. */
int cs_mapped_new(void (*fn)(void *ctx, pid_t pid, const char *path), void *ctx,
		  struct cs_mapped **ret);
void cs_mapped_free(struct cs_mapped *mapped); /* NULL is fine */
static inline void cs_mapped_freep(struct cs_mapped **mapped)
{
	cs_mapped_free(*mapped);
}

/* Becomes readable when something was mapped. */
int cs_mapped_fd(const struct cs_mapped *mapped);

/* Call fn for what was mapped since the last time. Returns true if some of it was lost. */
bool cs_mapped_drain(struct cs_mapped *mapped);
