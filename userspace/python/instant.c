/* SPDX-License-Identifier: Apache-2.0 */
/* Readings of a process that never rests. */
#include "python/instant.h"

#include <errno.h>
#include <stdlib.h>

#include "core/cleanup.h"

/* A copy that was too large costs the loop as much as one that is of use: it is tried so seldom. */
#define REST            64
/* After several that each lacked something. */
#define REST_AFTER_MANY 4

void cs_instant_reader_free(struct cs_instant_reader *reader)
{
	cs_page_list_free(&reader->pages);
}

int cs_instant_learn(struct cs_instant_reader *reader, const struct cs_mem *mem)
{
	size_t most = reader->source->most, n;
	_cleanup_free_ uint64_t *pages = calloc(most, sizeof(*pages));
	int nnew;

	if (!pages)
		return -ENOMEM;
	n = cs_mem_asked(mem, pages, most);
	if (n > most)
		return -E2BIG;
	nnew = cs_page_list_add(&reader->pages, pages, n, most);
	if (nnew != -E2BIG)
		return nnew;
	/* those of today matter more than those of yesterday */
	reader->pages.n = 0;
	return cs_page_list_add(&reader->pages, pages, n, most);
}

int cs_instant_begin(struct cs_instant_reader *reader, struct cs_mem *mem, uint32_t tid)
{
	const struct cs_page_list *pages = &reader->pages;
	int err;

	if (reader->rest) {
		reader->rest--;
		return -EAGAIN;
	}
	err = reader->source->take(reader->source->ctx, tid, pages->pages, pages->n, &reader->copy);
	if (err == -E2BIG)
		reader->rest = REST;
	if (err)
		return err;
	cs_page_list_round(&reader->pages);
	cs_mem_seal(mem, &reader->copy.image);
	return 0;
}

void cs_instant_rest(struct cs_instant_reader *reader)
{
	reader->rest = REST_AFTER_MANY;
}

int cs_instant_end(struct cs_instant_reader *reader, struct cs_mem *mem)
{
	bool whole = cs_mem_unseal(mem);
	int nnew = cs_instant_learn(reader, mem);

	if (nnew == -E2BIG)
		reader->rest = REST;
	/* of a long reading only the pages of its end are there to be learnt */
	return nnew || whole ? nnew : 1;
}
