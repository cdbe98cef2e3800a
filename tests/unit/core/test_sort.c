/* SPDX-License-Identifier: Apache-2.0 */
/* The same order as the C library's sort. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/sort.h"

#define MOST 5000

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Random words of which only the bits of mask differ. */
static void check_sorted(size_t n, uint64_t same, uint64_t mask)
{
	static uint64_t words[MOST + 1], spare[MOST + 1], expected[MOST + 1];

	for (size_t i = 0; i < n; i++) {
		uint64_t random =
			(uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();

		words[i] = expected[i] = same ^ (random & mask);
	}
	words[n] = spare[n] = 0x1234;
	if (n)
		qsort(expected, n, sizeof(*expected), compare);
	cs_sort_words(words, spare, n);
	assert_memory_equal(words, expected, n * sizeof(*words));
	assert_int_equal(words[n], 0x1234);
	assert_int_equal(spare[n], 0x1234);
}

static void any_words_are_sorted(void **state)
{
	for (size_t n = 0; n < 20; n++)
		check_sorted(n, 0, UINT64_MAX);
	check_sorted(MOST, 0, UINT64_MAX);
	check_sorted(MOST, 0, 1ull << 63 | 1);
}

static void words_that_differ_in_some_bytes_are_sorted(void **state)
{
	check_sorted(MOST, 0x00007f1234567890, 0);
	for (unsigned int first = 0; first < 8; first++) {
		for (unsigned int last = first; last < 8; last++)
			check_sorted(300, 0x00007f1234567890,
				     UINT64_MAX >> (8 * (7 - last)) & UINT64_MAX << (8 * first));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_words_are_sorted),
		cmocka_unit_test(words_that_differ_in_some_bytes_are_sorted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
