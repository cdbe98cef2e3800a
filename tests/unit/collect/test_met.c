/* SPDX-License-Identifier: Apache-2.0 */
/* What was met of tracers' objects: the newest first, and no more often than it may be. */
#include "collect/met.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS 1000000ull

static void test_newest_first(void **state)
{
	struct cs_met met = {0};
	struct cs_met_object object;

	assert_false(cs_met_get(&met, 0, &object));
	for (unsigned int n = 1; n <= 3 * CS_MET; n++) {
		unsigned int there = n < CS_MET ? n : CS_MET;

		cs_met_note(&met, 7, n);
		for (unsigned int i = 0; i < there; i++) {
			assert_true(cs_met_get(&met, i, &object));
			assert_int_equal(object.type, 7);
			assert_int_equal(object.object, n - i);
		}
		assert_false(cs_met_get(&met, there, &object));
	}
}

static void test_once(void **state)
{
	struct cs_met met = {0};
	struct cs_met_object object;

	for (unsigned int i = 0; i < 3; i++) {
		cs_met_note(&met, 7, 1);
		cs_met_note(&met, 7, 2);
		cs_met_note(&met, 8, 1);
	}
	assert_true(cs_met_get(&met, 2, &object));
	assert_int_equal(object.object, 1);
	assert_false(cs_met_get(&met, 3, &object));
}

/* Each of a list in its turn, and again from its beginning. */
static void test_lists(void **state)
{
	for (unsigned int length = 0; length <= 3 * CS_MET + 1; length++) {
		unsigned int seen[3 * CS_MET + 1] = {0}, rounds = length / CS_MET + 1;
		struct cs_met met = {0};
		struct cs_met_object object;

		for (unsigned int n = 0; n < 2 * rounds; n++) {
			for (unsigned int i = 0; i < length; i++)
				cs_met_note_listed(&met, 7, i);
			cs_met_end_list(&met);
			for (unsigned int i = 0; cs_met_get(&met, i, &object); i++)
				seen[object.object]++;
			met.n = 0;
		}
		for (unsigned int i = 0; i < length; i++)
			assert_true(seen[i] >= 2);
	}
}

static unsigned int due(uint64_t *last_ns, uint64_t now_ns, unsigned int burst)
{
	unsigned int n = 0;

	while (n < 100 && cs_met_is_due(last_ns, now_ns, MS, burst))
		n++;
	return n;
}

/* A turn that came late makes up for those before it, up to so many at once; on average no more than one a pause. */
static void test_burst(void **state)
{
	uint64_t last_ns = 0, now_ns = 5000 * MS, n = 0;

	assert_int_equal(due(&last_ns, now_ns, 8), 8);
	assert_int_equal(due(&last_ns, now_ns + MS / 2, 8), 0);
	assert_int_equal(due(&last_ns, now_ns + 3 * MS, 8), 3);
	assert_int_equal(due(&last_ns, now_ns + 100 * MS, 8), 8);
	now_ns += 200 * MS;
	due(&last_ns, now_ns, 8);
	for (unsigned int i = 0; i < 1000; i++)
		n += due(&last_ns, now_ns += MS / 4, 8);
	assert_int_equal(n, 250);
}

static void test_one(void **state)
{
	uint64_t last_ns = 0, now_ns = 5000 * MS;

	assert_int_equal(due(&last_ns, now_ns, 1), 1);
	assert_int_equal(due(&last_ns, now_ns + MS - 1, 1), 0);
	assert_int_equal(due(&last_ns, now_ns + MS, 1), 1);
	assert_int_equal(due(&last_ns, now_ns + 100 * MS, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_newest_first), cmocka_unit_test(test_once),
		cmocka_unit_test(test_lists),        cmocka_unit_test(test_burst),
		cmocka_unit_test(test_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
