/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arenas that caches of pages (proc/mem.h) take and give back, of one thread: a crowd of processes is read one after the other, and one of them at a
 * time needs some.
 */
#pragma once

#include <stddef.h>

struct cs_mem_pool;
int cs_mem_pool_new(struct cs_mem_pool **ret);   /* 0 or -ENOMEM */
void cs_mem_pool_free(struct cs_mem_pool *pool); /* NULL is fine */
static inline void cs_mem_pool_freep(struct cs_mem_pool **pool)
{
	cs_mem_pool_free(*pool);
}

/* The arena that was given last, still in the processor's cache, and its size; the caller owns it. NULL, and the size unchanged: there is none. */
char *cs_mem_pool_take(struct cs_mem_pool *pool, size_t *pages);

/* Hand over an arena from malloc, or NULL; without a pool (NULL), or if there are enough, or it is uncommonly large, it is freed. */
void cs_mem_pool_give(struct cs_mem_pool *pool, char *arena, size_t pages);

/* Give what nobody uses back to the system. */
void cs_mem_pool_trim(struct cs_mem_pool *pool);
