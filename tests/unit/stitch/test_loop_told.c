/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that are told apart by what the interpreter says of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/stitch/made_loop.h"

static struct cs_stretches stretches(const struct made *made)
{
	return cs_loop_health_stretches(made->health);
}

/* Samples of one step, told by the version alone; creations and what tells nothing change nothing. */
static void test_told(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 1, .frames = IDLE, .stack = 1, .step = {3, 0});
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 2, .step = {4, 0});
	created_in(made, A, (struct cs_step){4, 0});
	SHOW(made, 5, .frames = IN_STEP, .task = A, .stack = 2, .step = {4, 9});
	created(made, A);
	SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 2);
	made->now += 500; /* nobody looked, but it is the same */
	SHOW(made, 4, .frames = IN_STEP, .task = A, .stack = 2, .step = {4, 0});
	SHOW(made, 1, .frames = IDLE, .stack = 1, .step = {5, 0});
	finish(made);
	check_length(slow(made, 0, 1), 690, 690, 710);
	assert_int_equal(slow(made, 0, 1)->sure_ns, 690 * MS);
	assert_int_equal(stretches(made).n, 0);
}

/* Where it begins to be told, it begins to be certain. */
static void test_told_late(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 5, .frames = IN_STEP, .task = A, .stack = 2);
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 2, .step = {4, 0});
	finish(made);
	check_length(slow(made, 0, 1), 150, 140, CS_HOLD_NO_BOUND);
	assert_int_equal(slow(made, 0, 1)->sure_ns, 90 * MS);
}

/* A task that only yields: each of its steps was seen once. */
static void test_yielding(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 1, .frames = IDLE, .stack = 1);
	for (uint32_t i = 0; i < 30; i++)
		SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 2, .step = {4 + i, 8 + i % 2});
	finish(made);
	slow(made, 0, 0);
	assert_int_equal(only_loop(made)->longest.ns, 0);
	assert_int_equal(only_loop(made)->held_ns, 300 * MS);
	assert_int_equal(stretches(made).n, 0);
}

/* ... without a handle to look at, which may have been one step that enters contexts. */
static void test_perhaps_yielding(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	for (uint32_t i = 0; i < 40; i++)
		SHOW(made, 1, .frames = i == 20 ? IDLE : IN_STEP, .task = i == 20 ? 0 : A,
		     .stack = i == 20 ? 1 : 2, .step = {4 + i, 0});
	SHOW(made, 9, .frames = IDLE, .stack = 1);
	for (uint32_t i = 0; i < 9; i++) /* too short */
		SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 2, .step = {4 + i, 0});
	finish(made);
	slow(made, 0, 0);
	assert_int_equal(stretches(made).n, 2);
	assert_int_equal(stretches(made).sum_ns, (190 + 180) * MS);
}

/* A slow step among many short ones: it has bounds if these are certainly others. */
static void slow_among_short(struct made *made, bool handles)
{
	uint32_t ver = 4;

	begin(made, CS_MODE_WALL);
	for (uint32_t i = 0; i < 10; i++, ver += 2)
		SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 2,
		     .step = {ver, handles ? 8 + i % 2 : 0});
	SHOW(made, 15, .frames = IN_STEP, .task = A, .stack = 3, .step = {ver, handles ? 8 : 0});
	for (uint32_t i = 0; i < 10; i++)
		SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 2,
		     .step = {ver += 2, handles ? 9 - i % 2 : 0});
	finish(made);
	check_length(slow(made, 0, 1), 150, 140, handles ? 160 : CS_HOLD_NO_BOUND);
	assert_int_equal(slow(made, 0, 1)->sure_ns, 140 * MS);
	assert_int_equal(slow(made, 0, 1)->stack, 3);
	assert_int_equal(made->told[2], 0);
	assert_int_equal(stretches(made).n, 0);
}

static void test_slow_among_short(void **state)
{
	slow_among_short(*state, true);
}

static void test_slow_among_perhaps_short(void **state)
{
	slow_among_short(*state, false);
}

/* The CPU clock's lengths are of what ran: a step that waited is told in pieces even so. */
static void test_told_gap_of_cpu(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_CPU);
	made->now += 100;
	SHOW(made, 11, .frames = IN_STEP, .task = A, .stack = 1, .step = {4, 0});
	made->now += 250;
	SHOW(made, 12, .frames = IN_STEP, .task = A, .stack = 1, .step = {4, 0});
	made->now += 100;
	finish(made);
	check_length(slow(made, 0, 2), 120, 110, 130);
	check_length(slow(made, 1, 2), 110, 100, 120);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_told),
		TEST(test_told_late),
		TEST(test_yielding),
		TEST(test_perhaps_yielding),
		TEST(test_slow_among_short),
		TEST(test_slow_among_perhaps_short),
		TEST(test_told_gap_of_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
