/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping within budgets: lowered at once and far enough, raised late, and never to and fro. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/budget.h"

#define MB (1u << 20)

/* What a machine costs: so much at the asked rate, by the rate, and so much at any. */
struct load {
	double by_rate, always;
	size_t memory;
};

static enum cs_budget_verdict window(struct cs_budget *budget, const struct load *load)
{
	const struct cs_use use = {
		.cpu_share = load->always + load->by_rate / cs_budget_ease(budget),
		.memory_bytes = load->memory,
	};

	return cs_budget_judge(budget, &use);
}

static struct cs_budget begin(void)
{
	return (struct cs_budget){.cpu_share = 0.01, .memory_bytes = 100 * MB};
}

static void test_within(void **state)
{
	const struct load load = {.by_rate = 0.009, .memory = 99 * MB};
	struct cs_budget budget = begin();

	for (int i = 0; i < 1000; i++)
		assert_int_equal(window(&budget, &load), CS_BUDGET_KEEP);
	assert_int_equal(cs_budget_ease(&budget), 1);
}

static void test_far_over_is_lowered_at_once(void **state)
{
	const struct load load = {.by_rate = 0.1, .memory = 10 * MB};
	struct cs_budget budget = begin();

	assert_int_equal(window(&budget, &load), CS_BUDGET_LOWER_FOR_CPU);
	assert_int_equal(cs_budget_ease(&budget), 12);
	/* and stays: one step up would be over what is kept free */
	for (int i = 0; i < 1000; i++)
		assert_int_equal(window(&budget, &load), CS_BUDGET_KEEP);
}

static void test_room_raises_late(void **state)
{
	struct load load = {.by_rate = 0.04, .memory = 10 * MB};
	struct cs_budget budget = begin();
	int raises = 0, windows = 0;

	assert_int_equal(window(&budget, &load), CS_BUDGET_LOWER_FOR_CPU);
	assert_int_equal(cs_budget_ease(&budget), 6);
	load.by_rate = 0.002;
	for (; cs_budget_ease(&budget) > 1; windows++)
		raises += window(&budget, &load) == CS_BUDGET_RAISE;
	assert_int_equal(raises, 4);
	assert_int_equal(windows, 12);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(window(&budget, &load), CS_BUDGET_KEEP);
}

static void test_memory(void **state)
{
	struct load load = {.by_rate = 0.001, .memory = 101 * MB};
	struct cs_budget budget = begin();

	assert_int_equal(window(&budget, &load), CS_BUDGET_LOWER_FOR_MEMORY);
	assert_int_equal(cs_budget_ease(&budget), 2);
	load.memory = 90 * MB; /* within, but no room */
	for (int i = 0; i < 100; i++)
		assert_int_equal(window(&budget, &load), CS_BUDGET_KEEP);
	load.memory = 50 * MB;
	for (int i = 0; i < 2; i++)
		assert_int_equal(window(&budget, &load), CS_BUDGET_KEEP);
	assert_int_equal(window(&budget, &load), CS_BUDGET_RAISE);
}

static void test_what_cannot_be_kept(void **state)
{
	const struct load load = {.by_rate = 0.01, .always = 0.02, .memory = 10 * MB};
	struct cs_budget budget = begin();
	enum cs_budget_verdict verdict;
	int n = 0;

	while ((verdict = window(&budget, &load)) == CS_BUDGET_LOWER_FOR_CPU)
		assert_in_range(++n, 1, 12);
	assert_int_equal(verdict, CS_BUDGET_OVER);
	assert_int_equal(cs_budget_ease(&budget), 64);
}

/* A load that the next step up always breaks, in a way that cannot be foreseen: tried more and more seldom. */
static void test_no_swinging(void **state)
{
	struct cs_budget budget = begin();
	int changes = 0, late = 0;

	for (int i = 0; i < 2000; i++) {
		const struct load load = {
			.by_rate = cs_budget_ease(&budget) == 1 ? 0.02 : 0.004,
			.memory = 10 * MB,
		};
		enum cs_budget_verdict verdict = window(&budget, &load);

		changes += verdict != CS_BUDGET_KEEP;
		late += i >= 1000 && verdict != CS_BUDGET_KEEP;
	}
	assert_in_range(changes, 1, 60);
	/* 192 windows between two trials: five or six, each a fall and two raises */
	assert_in_range(late, 1, 18);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_within),
		cmocka_unit_test(test_far_over_is_lowered_at_once),
		cmocka_unit_test(test_room_raises_late),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_what_cannot_be_kept),
		cmocka_unit_test(test_no_swinging),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
