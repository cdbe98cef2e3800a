/* SPDX-License-Identifier: Apache-2.0 */
/* Arenas between two readings: a stack of few, since mostly one at a time is in use. */
#include "proc/mem_pool.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#define MAX_SPARES  2u     /* a process's cache, and one for a second reading */
#define SPARE_PAGES 16384u /* 64 MB: what a reading of many tasks grows to, which lets go of more */

struct cs_mem_pool {
	struct spare {
		char *arena;
		size_t pages;
	} spares[MAX_SPARES];
	uint32_t n;
};

int cs_mem_pool_new(struct cs_mem_pool **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void cs_mem_pool_free(struct cs_mem_pool *pool)
{
	if (pool)
		cs_mem_pool_trim(pool);
	free(pool);
}

char *cs_mem_pool_take(struct cs_mem_pool *pool, size_t *pages)
{
	struct spare spare;

	if (!pool || !pool->n)
		return NULL;
	spare = pool->spares[--pool->n];
	*pages = spare.pages;
	return spare.arena;
}

void cs_mem_pool_give(struct cs_mem_pool *pool, char *arena, size_t pages)
{
	if (pool && arena && pool->n < MAX_SPARES && pages <= SPARE_PAGES)
		pool->spares[pool->n++] = (struct spare){arena, pages};
	else
		free(arena);
}

void cs_mem_pool_trim(struct cs_mem_pool *pool)
{
	while (pool->n)
		free(pool->spares[--pool->n].arena);
}
