/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping within budgets: lowered at once and far enough, raised late, and never to and fro. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/budget.h"

#define MB (1u << 20)

/* What a machine costs: so much at the asked rate, by the rate of what sleeps and of what runs, and so much at any. */
struct load {
	double by_rate, by_clock, always;
	size_t memory;
};

static enum cs_budget_verdict window(struct cs_budget *budget, const struct load *load)
{
	const struct cs_ease ease = cs_budget_ease(budget);
	double asleep = load->by_rate / ease.asleep, clock = load->by_clock / ease.clock;
	const struct cs_use use = {
		.cpu_share = load->always + asleep + clock,
		.clock_part = clock > 0 ? clock / (asleep + clock) : 0,
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
	const struct load load = {.by_rate = 0.0089, .memory = 99 * MB};
	struct cs_budget budget = begin();

	for (int i = 0; i < 1000; i++)
		assert_int_equal(window(&budget, &load), CS_BUDGET_KEEP);
	assert_int_equal(cs_budget_ease(&budget).asleep, 1);
	assert_int_equal(cs_budget_ease(&budget).clock, 1);
}

static void test_far_over_is_lowered_at_once(void **state)
{
	const struct load load = {.by_rate = 0.1, .memory = 10 * MB};
	struct cs_budget budget = begin();

	assert_int_equal(window(&budget, &load), CS_BUDGET_LOWER_FOR_CPU);
	assert_int_equal(cs_budget_ease(&budget).asleep, 12);
	assert_int_equal(cs_budget_ease(&budget).clock, 4);
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
	assert_int_equal(cs_budget_ease(&budget).asleep, 6);
	load.by_rate = 0.002;
	for (; cs_budget_ease(&budget).asleep > 1; windows++)
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
	assert_int_equal(cs_budget_ease(&budget).asleep, 2);
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
	const struct load load = {.by_rate = 0.01, .always = 0.015, .memory = 10 * MB};
	struct cs_budget budget = begin();
	enum cs_budget_verdict verdict;
	int n = 0;

	while ((verdict = window(&budget, &load)) != CS_BUDGET_OVER) {
		assert_in_range(verdict, CS_BUDGET_KEEP, CS_BUDGET_LOWER_FOR_CPU);
		assert_int_not_equal(verdict, CS_BUDGET_RAISE);
		assert_in_range(++n, 1, 20 * CS_BUDGET_WINDOWS);
	}
	assert_int_equal(verdict, CS_BUDGET_OVER);
	assert_int_equal(cs_budget_ease(&budget).asleep, 1024);
	assert_int_equal(cs_budget_ease(&budget).clock, 8); /* less of it would not help */
	/* which is so until it is not, and can be said once */
	for (int i = 0; i < 100; i++)
		assert_int_equal(window(&budget, &load), CS_BUDGET_OVER);
}

/* What is aimed at is used up, and no more can be lowered: the budget is kept all the same. */
static void test_close_at_the_end(void **state)
{
	const struct load load = {.by_rate = 0.01, .always = 0.0095, .memory = 10 * MB};
	struct cs_budget budget = begin();

	for (int i = 0; i < 300; i++)
		assert_int_not_equal(window(&budget, &load), CS_BUDGET_OVER);
	assert_int_equal(cs_budget_ease(&budget).asleep, 1024);
	assert_int_equal(window(&budget, &load), CS_BUDGET_KEEP);
}

/* Somewhat over: not one window tells, which may be the one in which a profile is delivered, but their mean. */
static void test_the_mean_counts(void **state)
{
	const struct load usual = {.by_rate = 0.008, .memory = 10 * MB};
	const struct load delivery = {.by_rate = 0.013, .memory = 10 * MB};
	const struct load more = {.by_rate = 0.012, .memory = 10 * MB};
	struct cs_budget budget = begin();
	int n = 0;

	for (int i = 0; i < 600; i++)
		assert_int_equal(window(&budget, i % 6 ? &usual : &delivery), CS_BUDGET_KEEP);
	while (window(&budget, &more) == CS_BUDGET_KEEP)
		assert_in_range(++n, 1, 6);
	assert_int_equal(cs_budget_ease(&budget).asleep, 2);
	/* what is judged next is only what came after that */
	assert_int_equal(window(&budget, &delivery), CS_BUDGET_KEEP);
}

/* Everything ran, so the clock was eased far; now that everything sleeps that is in vain. */
static void test_what_no_longer_helps(void **state)
{
	const struct load runs = {.by_clock = 0.4, .memory = 10 * MB};
	const struct load sleeps = {.by_rate = 9.6, .by_clock = 0.001, .memory = 10 * MB};
	struct cs_budget budget = begin();

	for (int i = 0; i < 200; i++)
		window(&budget, &runs);
	assert_int_equal(cs_budget_ease(&budget).clock, 64);
	for (int i = 0; i < 200; i++)
		window(&budget, &sleeps);
	assert_int_equal(cs_budget_ease(&budget).clock, 8);
	assert_int_equal(cs_budget_ease(&budget).asleep, 1024);
}

/* Where everything runs, easing what sleeps is in vain, and the clock is eased in its turn. */
static void test_what_runs(void **state)
{
	const struct load load = {.by_clock = 0.06, .memory = 10 * MB};
	struct cs_budget budget = begin();

	for (int i = 0; i < 100; i++)
		window(&budget, &load);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(window(&budget, &load), CS_BUDGET_KEEP);
	assert_in_range(cs_budget_ease(&budget).clock, 6, 16);
}

/* If nothing else is looked at, the clock alone is eased. */
static void test_only_clock(void **state)
{
	const struct load load = {.by_clock = 0.06, .memory = 10 * MB};
	struct cs_budget budget = begin();

	budget.only_clock = true;
	assert_int_equal(window(&budget, &load), CS_BUDGET_LOWER_FOR_CPU);
	assert_int_equal(cs_budget_ease(&budget).clock, 8);
	for (int i = 0; i < 100; i++)
		assert_int_equal(window(&budget, &load), CS_BUDGET_KEEP);
}

/* A load that the next step up always breaks, in a way that cannot be foreseen: tried more and more seldom. */
static void test_no_swinging(void **state)
{
	struct cs_budget budget = begin();
	int changes = 0, late = 0;

	for (int i = 0; i < 2000; i++) {
		const struct load load = {
			.by_rate = cs_budget_ease(&budget).asleep == 1 ? 0.02 : 0.004,
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
		cmocka_unit_test(test_close_at_the_end),
		cmocka_unit_test(test_the_mean_counts),
		cmocka_unit_test(test_what_runs),
		cmocka_unit_test(test_what_no_longer_helps),
		cmocka_unit_test(test_only_clock),
		cmocka_unit_test(test_no_swinging),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
