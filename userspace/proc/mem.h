/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another process's memory, read without stopping it (process_vm_readv). A cs_mem is a cache of whole
 * pages: callers that know many addresses first say what they want, fetch it in few system calls (one
 * per 1,024 page runs), then read. What was not wanted first is read through, one page a call, and kept.
 * The cache is a picture of one moment only until cs_mem_forget().
 *
 * Source: process_vm_readv(2); measured: page-coalesced reading is 4 to 20 times faster than a call an object.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proc/mem_pool.h"

struct cs_mem;

/* Returns 0 or -ENOMEM. Does not touch the process. */
int cs_mem_new(pid_t pid, struct cs_mem **ret);
void cs_mem_free(struct cs_mem *mem); /* NULL is fine */
static inline void cs_mem_freep(struct cs_mem **mem)
{
	cs_mem_free(*mem);
}

/* What pages are read into comes from the pool (borrowed: it outlives the cache), and goes back when they are released. */
void cs_mem_use_pool(struct cs_mem *mem, struct cs_mem_pool *pool);

/* Another cache of the same process, for what is there later; likewise from the same pool. Returns 0 or -ENOMEM. */
int cs_mem_new_beside(const struct cs_mem *mem, struct cs_mem **ret);

/* Drop every cached page: the next read sees the process as it is then. */
void cs_mem_forget(struct cs_mem *mem);

/* The same, and give back the memory that they took, to the pool if there is one: for after a reading. NULL is fine. */
void cs_mem_release(struct cs_mem *mem);

/*
 * The same, and note that what had to be read through since then will be read again: who does nearly the same many times need not know
 * all addresses before. What is no longer read is found out after some dozen times.
 */
void cs_mem_renew(struct cs_mem *mem);

/* Forget if more than so many pages are cached: how a long reading stays small. Returns whether. */
bool cs_mem_trim(struct cs_mem *mem, uint32_t pages);

/* Pages as they all were at one instant. */
struct cs_mem_image {
	const uint64_t *
		pages; /* their addresses, ascending; CS_MEM_UNREADABLE is added to that of one without bytes */
	const char *data; /* n pages of 4,096 bytes, in the same order */
	size_t n;
};
#define CS_MEM_UNREADABLE 1ull

/*
 * Forget, and until unsealed take every page from the image (borrowed) that it holds; others are read from the process as it is now, so
 * that a reading which is no longer of one instant finds out all that it lacks. Unsealing keeps what was taken.
 */
void cs_mem_seal(struct cs_mem *mem, const struct cs_mem_image *image);
bool cs_mem_unseal(
	struct cs_mem *mem); /* was all of the image, also of what was forgotten since? */

/* The addresses of all pages asked for since the cache was forgotten, got or not: in no order, at most max. Returns how many there are. */
size_t cs_mem_asked(const struct cs_mem *mem, uint64_t *ret, size_t max);

/* Note that [addr, addr + size) will be read; absurd ranges are ignored (the read then fails). */
void cs_mem_want(struct cs_mem *mem, uint64_t addr, size_t size);

/* Read all noted pages that are not cached. Pages that cannot be read are remembered as such. */
void cs_mem_fetch(struct cs_mem *mem);

/*
 * Copy size bytes at addr to dst. Returns 0, -EFAULT (unreadable), -ESRCH (the process is gone),
 * -EPERM, or -ENOMEM (more pages than a pass may hold: 32,768).
 */
int cs_mem_read(struct cs_mem *mem, uint64_t addr, void *dst, size_t size);

/*
 * The same bytes where the cache has them, if they lie in one page; NULL if not, or if they cannot be read. Valid until something else is read or
 * fetched.
 */
const char *cs_mem_peek(struct cs_mem *mem, uint64_t addr, size_t size);

/* Are these bytes the same in two caches of one process, which were filled at different times? What cannot be read is not. */
bool cs_mem_same(struct cs_mem *mem, struct cs_mem *other, uint64_t addr, size_t size);

/* Is all that was wanted of mem there, and every page the same in the other? That is told far sooner than of many small objects. */
bool cs_mem_same_pages(struct cs_mem *mem, struct cs_mem *other);

/* One unsigned 64-bit word, through the cache. */
int cs_mem_read_u64(struct cs_mem *mem, uint64_t addr, uint64_t *ret);

/* A terminated string of at most size - 1 bytes, cut there. The end of a mapping ends it too. */
int cs_mem_read_str(struct cs_mem *mem, uint64_t addr, char *dst, size_t size);
