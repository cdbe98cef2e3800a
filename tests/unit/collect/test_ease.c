/* SPDX-License-Identifier: Apache-2.0 */
/* What costs less with ease: as always without, never more often with more of it, and not without end. */
#include "collect/ease.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS CS_EASE_MS

static void test_without(void **state)
{
	for (unsigned int ease = 0; ease <= 1; ease++) {
		assert_int_equal(cs_ease_known(ease, 7 * MS), 7 * MS);
		assert_int_equal(cs_ease_turn(ease, 20 * MS), 20 * MS);
		assert_int_equal(cs_ease_young_ns(ease), 1 * MS);
		assert_int_equal(cs_ease_stranger_ns(ease), 0);
		assert_int_equal(cs_ease_owner_ns(ease), 0);
	}
}

static void test_with(void **state)
{
	for (unsigned int ease = 2; ease < 1000; ease++) {
		assert_true(cs_ease_known(ease, MS) >= cs_ease_known(ease - 1, MS));
		assert_true(cs_ease_turn(ease, 20 * MS) >= cs_ease_turn(ease - 1, 20 * MS));
		assert_true(cs_ease_young_ns(ease) >= cs_ease_young_ns(ease - 1));
		assert_true(cs_ease_stranger_ns(ease) >= cs_ease_stranger_ns(ease - 1));
		assert_true(cs_ease_owner_ns(ease) >= cs_ease_owner_ns(ease - 1));
	}
	assert_int_equal(cs_ease_known(2, MS), 2 * MS);
	assert_int_equal(cs_ease_known(1000, MS), 16 * MS);
	assert_int_equal(cs_ease_turn(2, 20 * MS), 40 * MS);
	assert_int_equal(cs_ease_turn(1000, 20 * MS), 250 * MS);
	assert_int_equal(cs_ease_turn(1000, 300 * MS), 300 * MS);
	assert_int_equal(cs_ease_young_ns(1000), 2000 * MS);
	assert_int_equal(cs_ease_stranger_ns(1000), 6000 * MS);
	assert_int_equal(cs_ease_owner_ns(2), 30000 * MS);
	assert_int_equal(cs_ease_owner_ns(1000), 120000 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without),
		cmocka_unit_test(test_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
