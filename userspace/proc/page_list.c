/* SPDX-License-Identifier: Apache-2.0 */
/* The pages that somebody reads again and again: a sorted array, into which what is new is merged. */
#include "proc/page_list.h"

#include <errno.h>
#include <stdlib.h>

void cs_page_list_free(struct cs_page_list *list)
{
	free(list->pages);
	free(list->unread);
	*list = (struct cs_page_list){0};
}

void cs_page_list_round(struct cs_page_list *list)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		if (list->unread[i] >= CS_PAGE_LIST_AGE)
			continue;
		list->pages[n] = list->pages[i];
		list->unread[n++] = (uint8_t)(list->unread[i] + 1);
	}
	list->n = n;
}

static int compare_addresses(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int reserve(struct cs_page_list *list, size_t n)
{
	uint64_t *pages;
	uint8_t *unread;

	if (n <= list->cap)
		return 0;
	n *= 2;
	pages = realloc(list->pages, n * sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	list->pages = pages;
	unread = realloc(list->unread, n * sizeof(*unread));
	if (!unread)
		return -ENOMEM;
	list->unread = unread;
	list->cap = n;
	return 0;
}

/* Both ascending: note which are in the list as read. Returns how many are not. */
static size_t renew(struct cs_page_list *list, const uint64_t *pages, size_t n)
{
	size_t k = 0, nnew = 0;

	for (size_t i = 0; i < n; i++) {
		while (k < list->n && list->pages[k] < pages[i])
			k++;
		if (k < list->n && list->pages[k] == pages[i])
			list->unread[k] = 0;
		else
			nnew++;
	}
	return nnew;
}

/* From the end on, so that the list's own pages move to where they belong. */
static void merge(struct cs_page_list *list, const uint64_t *pages, size_t n, size_t nnew)
{
	size_t k = list->n, to = list->n + nnew; /* to - k of the n pages left are new */

	list->n = to;
	while (to > k) {
		if (k && list->pages[k - 1] == pages[n - 1]) {
			n--;
		} else if (k && list->pages[k - 1] > pages[n - 1]) {
			list->pages[--to] = list->pages[--k];
			list->unread[to] = list->unread[k];
		} else {
			list->pages[--to] = pages[--n];
			list->unread[to] = 0;
		}
	}
}

int cs_page_list_add(struct cs_page_list *list, uint64_t *pages, size_t n, size_t most)
{
	size_t nnew;

	if (!n)
		return 0;
	qsort(pages, n, sizeof(*pages), compare_addresses);
	nnew = renew(list, pages, n);
	if (list->n + nnew > most)
		return -E2BIG;
	if (reserve(list, list->n + nnew))
		return -ENOMEM;
	merge(list, pages, n, nnew);
	return (int)nnew;
}
