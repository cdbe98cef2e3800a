/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages that somebody reads again and again: what was read lately is what will be read next. Which pages are
 * no longer read is found out with time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A page that was in none of the last so many rounds is forgotten. */
#define CS_PAGE_LIST_AGE 16

struct cs_page_list {
	uint64_t *pages; /* addresses, ascending; n of them; owned, as is what follows */
	uint8_t *unread; /* rounds since each was last read */
	size_t n, cap;
};

void cs_page_list_free(struct cs_page_list *list);

/* A round begins: every page gets older, and the oldest are forgotten. */
void cs_page_list_round(struct cs_page_list *list);

/*
 * These pages are read (in any order, which changes; none twice). Returns how many of them were not in the list, or -E2BIG (there would be more than
 * `most`: then nothing changes) or -ENOMEM.
 */
int cs_page_list_add(struct cs_page_list *list, uint64_t *pages, size_t n, size_t most);
