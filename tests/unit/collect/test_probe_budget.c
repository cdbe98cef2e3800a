/* SPDX-License-Identifier: Apache-2.0 */
/* What a probe may cost: little always, much for a moment, and no more than a hundredth in the mean. */
#include "collect/probe_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS    1000000ull
#define S     (1000 * MS)
#define BEGIN (100 * S)

static struct cs_probe_budget begun(void)
{
	struct cs_probe_budget budget;

	cs_probe_budget_begin(&budget, BEGIN);
	return budget;
}

static void test_little(void **state)
{
	struct cs_probe_budget budget = begun();

	for (uint64_t i = 1; i < 10000; i++)
		assert_true(cs_probe_budget_spend(&budget, 9 * MS, BEGIN + i * S));
}

static void test_at_once(void **state)
{
	struct cs_probe_budget budget = begun();

	assert_true(cs_probe_budget_spend(&budget, 99 * MS, BEGIN + MS));
	/* what was spent once is not forgiven at once */
	assert_false(cs_probe_budget_spend(&budget, 50 * MS, BEGIN + S));
}

/* What it did not spend in an hour is not there for the next. */
static void test_saves_no_more(void **state)
{
	struct cs_probe_budget budget = begun();

	assert_true(cs_probe_budget_spend(&budget, 0, BEGIN + 3600 * S));
	assert_false(cs_probe_budget_spend(&budget, 150 * MS, BEGIN + 3601 * S));
}

/* Seldom asked, it has spent what it earned meanwhile. */
static void test_seldom_asked(void **state)
{
	struct cs_probe_budget budget = begun();

	for (uint64_t i = 1; i < 100; i++)
		assert_true(cs_probe_budget_spend(&budget, 3500 * MS, BEGIN + i * 360 * S));
}

/* A program that spends an eighth of a CPU as long as it may. */
static void test_mean(void **state)
{
	struct cs_probe_budget budget = begun();
	uint64_t now = BEGIN, spent = 0;

	while (now < BEGIN + 600 * S) {
		now += 100 * MS;
		spent += 12 * MS;
		if (cs_probe_budget_spend(&budget, 12 * MS, now))
			continue;
		now = cs_probe_budget_again_ns(&budget);
		cs_probe_budget_begin(&budget, now);
	}
	assert_in_range(spent, 5 * S, 6 * S + 100 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_little),        cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_saves_no_more), cmocka_unit_test(test_seldom_asked),
		cmocka_unit_test(test_mean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
