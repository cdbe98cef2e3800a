/* SPDX-License-Identifier: Apache-2.0 */
/* proc/page_list.c against what a set with ages would say. */
#include "proc/page_list.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE 4096u
#define MANY 512

static int add(struct cs_page_list *list, size_t n, const uint64_t *numbers, size_t most)
{
	uint64_t pages[MANY];

	for (size_t i = 0; i < n; i++)
		pages[i] = numbers[i] * PAGE;
	return cs_page_list_add(list, pages, n, most);
}

#define ADD(list, most, ...) \
	add(list, sizeof((uint64_t[]){__VA_ARGS__}) / 8, (uint64_t[]){__VA_ARGS__}, most)

static void assert_pages(const struct cs_page_list *list, size_t n, const uint64_t *numbers)
{
	assert_int_equal(list->n, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(list->pages[i], numbers[i] * PAGE);
}

#define ASSERT_PAGES(list, ...) \
	assert_pages(list, sizeof((uint64_t[]){__VA_ARGS__}) / 8, (uint64_t[]){__VA_ARGS__})

static void pages_are_merged_in_order(void **state)
{
	struct cs_page_list list = {0};

	assert_int_equal(ADD(&list, MANY, 7, 3, 5), 3);
	ASSERT_PAGES(&list, 3, 5, 7);
	assert_int_equal(ADD(&list, MANY, 9, 5, 1, 6), 3);
	ASSERT_PAGES(&list, 1, 3, 5, 6, 7, 9);
	assert_int_equal(ADD(&list, MANY, 1, 9, 3), 0);
	ASSERT_PAGES(&list, 1, 3, 5, 6, 7, 9);
	assert_int_equal(cs_page_list_add(&list, NULL, 0, MANY), 0);
	cs_page_list_free(&list);
	assert_int_equal(list.n, 0);
}

static void what_does_not_fit_changes_nothing(void **state)
{
	struct cs_page_list list = {0};

	assert_int_equal(ADD(&list, 3, 1, 2, 3), 3);
	assert_int_equal(ADD(&list, 3, 2, 4), -E2BIG);
	ASSERT_PAGES(&list, 1, 2, 3);
	assert_int_equal(ADD(&list, 3, 3, 1), 0);
	cs_page_list_free(&list);
}

static void what_is_not_read_is_forgotten(void **state)
{
	struct cs_page_list list = {0};

	ADD(&list, MANY, 1, 2, 3);
	for (int round = 0; round < CS_PAGE_LIST_AGE; round++) {
		cs_page_list_round(&list);
		ADD(&list, MANY, 2);
		assert_int_equal(list.n, 3);
	}
	cs_page_list_round(&list);
	ASSERT_PAGES(&list, 2);
	cs_page_list_free(&list);
}

/* The same with a plain table. */
static void any_rounds_give_what_a_table_gives(void **state)
{
	int unread[MANY]; /* -1: not there */
	struct cs_page_list list = {0};
	uint64_t numbers[MANY];

	srandom(7);
	memset(unread, -1, sizeof(unread));
	for (int round = 0; round < 2000; round++) {
		size_t n = 0, nnew = 0, there = 0;

		cs_page_list_round(&list);
		for (int i = 0; i < MANY; i++) {
			if (unread[i] >= 0 && ++unread[i] > CS_PAGE_LIST_AGE)
				unread[i] = -1;
			if (random() % 30)
				continue;
			nnew += unread[i] < 0;
			unread[i] = 0;
			numbers[n++] = (uint64_t)i;
		}
		assert_int_equal(add(&list, n, numbers, MANY), nnew);
		for (int i = 0; i < MANY; i++) {
			if (unread[i] < 0)
				continue;
			assert_int_equal(list.pages[there], (uint64_t)i * PAGE);
			assert_int_equal(list.unread[there++], unread[i]);
		}
		assert_int_equal(list.n, there);
	}
	cs_page_list_free(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_merged_in_order),
		cmocka_unit_test(what_does_not_fit_changes_nothing),
		cmocka_unit_test(what_is_not_read_is_forgotten),
		cmocka_unit_test(any_rounds_give_what_a_table_gives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
