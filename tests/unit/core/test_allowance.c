/* SPDX-License-Identifier: Apache-2.0 */
/* CPU time that something may cost: little always, much for a moment, and no more than its part in the mean. */
#include "core/allowance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS    1000000ull
#define S     (1000 * MS)
#define BEGIN (100 * S)

static struct cs_allowance begun(void)
{
	return cs_allowance_begin(100 * MS, 100, BEGIN);
}

static void test_little(void **state)
{
	struct cs_allowance allowance = begun();

	for (uint64_t i = 1; i < 10000; i++)
		assert_true(cs_allowance_spend(&allowance, 9 * MS, BEGIN + i * S));
}

static void test_at_once(void **state)
{
	struct cs_allowance allowance = begun();

	assert_true(cs_allowance_spend(&allowance, 99 * MS, BEGIN + MS));
	/* what was spent once is not forgiven at once */
	assert_false(cs_allowance_spend(&allowance, 50 * MS, BEGIN + S));
}

/* What it did not spend in an hour is not there for the next. */
static void test_saves_no_more(void **state)
{
	struct cs_allowance allowance = begun();

	assert_true(cs_allowance_spend(&allowance, 0, BEGIN + 3600 * S));
	assert_false(cs_allowance_spend(&allowance, 150 * MS, BEGIN + 3601 * S));
}

/* Seldom asked, it has spent what it earned meanwhile. */
static void test_seldom_asked(void **state)
{
	struct cs_allowance allowance = begun();

	for (uint64_t i = 1; i < 100; i++)
		assert_true(cs_allowance_spend(&allowance, 3500 * MS, BEGIN + i * 360 * S));
}

static void test_earned(void **state)
{
	struct cs_allowance allowance = begun();

	assert_int_equal(cs_allowance_earned_ns(&allowance, 0), BEGIN);
	assert_false(cs_allowance_spend(&allowance, 150 * MS, BEGIN));
	assert_int_equal(cs_allowance_earned_ns(&allowance, 0), BEGIN + 5 * S);
	assert_int_equal(cs_allowance_earned_ns(&allowance, 100 * MS), BEGIN + 15 * S);
	assert_true(cs_allowance_spend(&allowance, 0, BEGIN + 5 * S + 100));
}

/* Whoever spends an eighth of a CPU whenever it may: 0.1 s at once, and 1% of the time. */
static void mean(uint64_t until_left_ns)
{
	struct cs_allowance allowance = begun();
	uint64_t now = BEGIN, spent = 0;

	while (now < BEGIN + 600 * S) {
		now += 100 * MS;
		spent += 12 * MS;
		if (!cs_allowance_spend(&allowance, 12 * MS, now))
			now = cs_allowance_earned_ns(&allowance, until_left_ns);
	}
	assert_in_range(spent, 5900 * MS, 6200 * MS);
}

static void test_mean(void **state)
{
	mean(0);
	mean(100 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_little),        cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_saves_no_more), cmocka_unit_test(test_seldom_asked),
		cmocka_unit_test(test_earned),        cmocka_unit_test(test_mean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
