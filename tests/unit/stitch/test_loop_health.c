/* SPDX-License-Identifier: Apache-2.0 */
/* What samples tell of event loops: where a hold begins and ends and how long it can have been, and what of it is passed on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <coroscope/limits.h>
#include <stdlib.h>
#include <string.h>

#include "unit/stitch/made_loop.h"

static void test_hold(void **state)
{
	struct made *made = *state;
	const struct cs_hold *hold;

	begin(made, CS_MODE_WALL);
	SHOW(made, 10, .frames = IDLE, .stack = 1);
	made->now += 3;
	SHOW(made, 12, .frames = IN_STEP, .task = A, .stack = 2);
	SHOW(made, 18, .frames = IN_STEP, .task = A, .stack = 3);
	made->now += 4;
	SHOW(made, 10, .frames = IDLE, .stack = 1);
	finish(made);
	hold = slow(made, 0, 1);
	check_length(hold, 300, 290, 290 + 13 + 14);
	assert_int_equal(hold->start_ns, 1103 * MS);
	assert_int_equal(hold->task, A);
	assert_int_equal(hold->tid, TID);
	assert_int_equal(hold->stack, 3);
	assert_int_equal(hold->off_cpu_ns, 0);
	assert_int_equal(hold->sure_ns, 0);
	assert_int_equal(made->told[1], 0);
	assert_int_equal(made->told[2], 120);
	assert_int_equal(made->told[3], 180);
	check_length(&only_loop(made)->longest, 300, 290, 317);
	assert_int_equal(only_loop(made)->held_ns, 300 * MS);
	assert_int_equal(only_loop(made)->watched_ns, 500 * MS);
	assert_int_equal(only_loop(made)->nsamples, 50);
	/* 300 of 500 ms: the median waits 50 ms, one in a hundred all but 5 */
	assert_int_equal(only_loop(made)->wait_p50_ns, 50 * MS);
	assert_int_equal(only_loop(made)->wait_p99_ns, 295 * MS);
}

/* A step that one sample shows may have been as short as any; the time counts, a hold it is not. */
static void test_single_samples(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	for (int i = 0; i < 50; i++) {
		SHOW(made, 1, .frames = IDLE, .stack = 1);
		SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 2);
	}
	finish(made);
	slow(made, 0, 0);
	assert_int_equal(only_loop(made)->longest.ns, 0);
	assert_int_equal(only_loop(made)->held_ns, 500 * MS);
	assert_int_equal(only_loop(made)->wait_p99_ns, 0);
}

/* What comes between two halves of 100 ms each makes two holds of them, or leaves one. */
static void between(struct made *made, const struct shown *what, bool two)
{
	begin(made, CS_MODE_WALL);
	SHOW(made, 1, .frames = IDLE, .stack = 1);
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 2);
	show(made, 1, what);
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 2);
	SHOW(made, 1, .frames = IDLE, .stack = 1);
	finish(made);
	if (two)
		check_length(slow(made, 1, 2), 100, 90, 110);
	else
		check_length(slow(made, 0, 1), 200, 200, 220);
}

static void test_selector_between(void **state)
{
	between(*state, &(struct shown){.frames = IDLE, .stack = 1}, true);
}

static void test_loop_between(void **state)
{
	between(*state, &(struct shown){.frames = "mLo", .stack = 1}, true);
}

static void test_task_between(void **state)
{
	between(*state, &(struct shown){.frames = IN_STEP, .task = B, .stack = 2}, true);
}

static void test_successor_between(void **state)
{
	between(*state, &(struct shown){.frames = IN_STEP, .task = A, .coro = 0x77, .stack = 2},
		true);
}

static void test_callback_between(void **state)
{
	between(*state, &(struct shown){.frames = IN_STEP, .stack = 2}, true);
}

/* Nobody knows what it was: no end, and no time. */
static void test_unknown_between(void **state)
{
	struct made *made = *state;

	between(made, &(struct shown){.frames = "x", .status = CS_STATUS_UNREADABLE_FRAME}, false);
	assert_int_equal(only_loop(made)->unknown_ns, TICK * MS);
	assert_int_equal(only_loop(made)->watched_ns, 220 * MS);
}

/* Callbacks are told apart by their function. */
static void test_callbacks(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 10, .frames = "mLohxy", .stack = 1);
	SHOW(made, 11, .frames = "mLohyx", .stack = 2);
	SHOW(made, 12, .frames = "mLoh", .stack = 3);
	SHOW(made, 1, .frames = IDLE, .stack = 4);
	finish(made);
	assert_int_equal(slow(made, 0, 3)->stack, 3);
	assert_int_equal(slow(made, 1, 3)->stack, 2);
	check_length(slow(made, 2, 3), 100, 90, CS_HOLD_NO_BOUND);
	assert_int_equal(slow(made, 2, 3)->task, 0);
}

/* A creation shows, for no time, who runs. */
static void test_creations(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 1);
	created(made, A);
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 1);
	created(made, B);
	SHOW(made, 15, .frames = IN_STEP, .task = A, .stack = 1);
	SHOW(made, 1, .frames = IDLE, .stack = 2);
	finish(made);
	check_length(slow(made, 0, 2), 200, 190, CS_HOLD_NO_BOUND);
	check_length(slow(made, 1, 2), 150, 140, 155);
	assert_int_equal(only_loop(made)->held_ns, 350 * MS);
}

/* Passes over the task in the middle of two halves. */
static void passes(struct made *made, enum cs_task_state state, bool complete, bool two)
{
	static const uint64_t tasks[] = {A};
	const struct cs_event_task task = {
		.task = A, .coro = A + CORO, .state = state, .name = text("A"), .leaf = text("")};
	struct cs_event event = {.kind = CS_EV_PASS};

	begin(made, CS_MODE_WALL);
	SHOW(made, 1, .frames = IDLE, .stack = 1);
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 2);
	made->now -= TICK / 2;
	assert_int_equal(cs_graph_update(made->graph, made->now * MS, &task, TID), 0);
	cs_graph_pass(made->graph, made->now * MS, tasks, complete, true);
	feed(made, &event, CS_HOLD_NO_STACK);
	made->now += TICK / 2;
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 2);
	SHOW(made, 1, .frames = IDLE, .stack = 1);
	finish(made);
	check_length(slow(made, 0, two ? 2 : 1), two ? 100 : 200, two ? 90 : 190, two ? 105 : 210);
}

static void test_pass_suspended(void **state)
{
	passes(*state, CS_TASK_READY, true, true);
}

static void test_pass_running(void **state)
{
	passes(*state, CS_TASK_RUNNING, true, false);
}

/* Its state is an old one: the pass did not see it. */
static void test_pass_without_it(void **state)
{
	passes(*state, CS_TASK_WAITING, false, false);
}

/* A thread asleep in a step: it has not run, however long nobody looked. */
static void test_blocked(void **state)
{
	struct made *made = *state;
	const struct cs_hold *hold;

	begin(made, CS_MODE_WALL);
	same(made, 10, CS_HOLD_NO_STACK); /* of a thread that nobody knows */
	SHOW(made, 2, .frames = IDLE, .stack = 1);
	SHOW(made, 2, .frames = IN_STEP, .task = A, .stack = 2);
	SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 3, .wall = true);
	made->now += 90;
	same(made, 100, 3);
	made->now += 10;
	same(made, 10, 3);
	made->now += 10;
	SHOW(made, 1, .frames = IDLE, .stack = 1);
	finish(made);
	hold = slow(made, 0, 1);
	check_length(hold, 140, 130, 150);
	assert_int_equal(hold->off_cpu_ns, 120 * MS);
	assert_int_equal(hold->sure_ns, 110 * MS);
	assert_int_equal(hold->stack, 3);
	assert_int_equal(made->told[2] + made->told[3], 140);
}

/* A gap is no hold: what the loop did in it is not known. */
static void test_gap(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_CPU);
	made->now += 500;
	SHOW(made, 11, .frames = IN_STEP, .task = A, .stack = 1);
	made->now += 250;
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 1);
	made->now += 10; /* a tick later than it should: it has moved to another CPU */
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 1);
	made->now += 500;
	finish(made);
	/* the CPU clock would have seen more of them, had they run for an interval more */
	check_length(slow(made, 0, 2), 200, 200, 220);
	check_length(slow(made, 1, 2), 110, 100, 120);
	assert_int_equal(only_loop(made)->held_ns, 310 * MS);
	assert_int_equal(only_loop(made)->watched_ns, 1070 * MS);
}

/* On a busy machine visits come late. A wait for a CPU tells how long it was; of any other gap nobody knows whether the hold went on. */
static void test_gap_of_wall(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 1, .frames = IDLE, .stack = 2);
	SHOW(made, 12, .frames = IN_STEP, .task = A, .stack = 1);
	made->now += 60;
	SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 1, .wall = true, .weight = 50);
	made->now += 60;
	SHOW(made, 14, .frames = IN_STEP, .task = A, .stack = 1);
	SHOW(made, 1, .frames = IDLE, .stack = 2);
	finish(made);
	check_length(slow(made, 0, 2), 180, 180, CS_HOLD_NO_BOUND);
	assert_int_equal(slow(made, 0, 2)->off_cpu_ns, 50 * MS);
	check_length(slow(made, 1, 2), 140, 130, CS_HOLD_NO_BOUND);
}

/* At the ends of the capture, and of the process. */
static void test_ends(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 20, .frames = IN_STEP, .task = A, .stack = 1);
	SHOW(made, 1, .frames = IDLE, .stack = 2);
	SHOW(made, 19, .frames = IN_STEP, .task = A, .stack = 1);
	other_event(made, CS_EV_EXIT);
	made->now += 30;
	begin(made, CS_MODE_WALL);
	SHOW(made, 1, .frames = IDLE, .stack = 2);
	SHOW(made, 18, .frames = IN_STEP, .task = A, .stack = 1);
	finish(made);
	check_length(slow(made, 0, 3), 200, 190, CS_HOLD_NO_BOUND);
	check_length(slow(made, 1, 3), 190, 180, 200);
	check_length(slow(made, 2, 3), 180, 170, CS_HOLD_NO_BOUND);
}

/* Records change places: what user space saw is written before or behind what the kernel's ring held meanwhile. */
static void test_order(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	made->now += 10;
	SHOW(made, 30, .frames = IN_STEP, .task = A, .stack = 1);
	made->now -= 150; /* it was in the middle */
	SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 1, .wall = true);
	made->now -= 170; /* before all of it */
	SHOW(made, 1, .frames = IDLE, .stack = 2);
	made->now += 300;
	SHOW(made, 1, .frames = IDLE, .stack = 2);
	finish(made);
	check_length(slow(made, 0, 1), 310, 290, 310);
}

/* Two threads and two processes' loops are apart; a process that ended keeps its own. */
static void test_loops(void **state)
{
	struct made *made = *state;
	const struct cs_loop *loop = NULL;
	unsigned int n = 0;

	begin(made, CS_MODE_WALL);
	for (int i = 0; i < 20; i++) {
		struct cs_py_frame frames[8] = {0};
		struct cs_event event = {.kind = CS_EV_STACK, .tid = TID + 1};

		event.stack = stack_of(&(struct shown){.frames = IN_STEP, .task = B}, frames);
		feed(made, &event, 5);
		SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 6);
	}
	finish(made);
	slow(made, 1, 2);
	assert_int_equal(made->told[5], 200);
	assert_int_equal(made->told[6], 200);
	while ((loop = cs_loop_health_next(made->health, loop)))
		assert_int_equal(loop->tid, n++ ? TID : TID + 1);
	assert_int_equal(n, 2);
}

/* A thread without a loop is none; one that has had one is not watched while it has none. */
static void test_no_loop(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 20, .frames = "mx", .stack = 1);
	assert_null(cs_loop_health_next(made->health, NULL));
	SHOW(made, 20, .frames = IN_STEP, .task = A, .stack = 2);
	SHOW(made, 20, .frames = "mx", .stack = 1);
	finish(made);
	check_length(slow(made, 0, 1), 200, 190, CS_HOLD_NO_BOUND);
	assert_int_equal(only_loop(made)->watched_ns, 200 * MS);
}

/* Without stacks (they are not shown) nothing is listed or passed on. */
static void test_hidden(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 20, .frames = IN_STEP, .task = A, .stack = CS_HOLD_NO_STACK);
	finish(made);
	slow(made, 0, 0);
	assert_int_equal(only_loop(made)->stack, CS_HOLD_NO_STACK);
}

/* The longest are kept, all are summed and passed on. */
static void test_many(void **state)
{
	struct made *made = *state;
	uint64_t all, sum_ns, told = 0;
	uint32_t n;

	begin(made, CS_MODE_WALL);
	for (uint32_t i = 0; i < 100; i++) {
		SHOW(made, 1, .frames = IDLE, .stack = 0);
		/* 10 to 109 ticks, in no order */
		for (uint32_t k = 0; k < 10 + i * 37 % 100; k++)
			SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 1 + k % (STACKS - 1));
	}
	SHOW(made, 1, .frames = IDLE, .stack = 0);
	finish(made);
	for (uint32_t i = 0; i < CS_HOLDS_KEPT; i++)
		assert_int_equal(slow(made, i, 100)->ns, (1090 - i * 10) * MS);
	cs_loop_health_slow(made->health, &n, &all, &sum_ns);
	assert_int_equal(sum_ns, 59500 * MS);
	/* more stacks than a hold tells apart, and all their time */
	for (uint32_t i = 1; i < STACKS; i++)
		told += made->told[i];
	assert_int_equal(told, 59500);
	assert_int_equal(made->told[0], 0);
}

/* Times and weights of a forged capture: any figures, but no crash. */
static void test_hostile(void **state)
{
	static const uint64_t times[] = {0, 5, UINT64_MAX, 7, UINT64_MAX - 1};
	struct made *made = *state;

	begin(made, CS_MODE_CPU);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(times); i++) {
		struct cs_py_frame frames[8] = {0};
		struct cs_event event = {.kind = CS_EV_STACK,
					 .ts_ns = times[i % ARRAY_SIZE(times)],
					 .pid = PID,
					 .tid = TID};

		event.stack = stack_of(&(struct shown){.frames = IN_STEP, .task = A}, frames);
		event.stack.weight_ns = UINT64_MAX;
		assert_int_equal(cs_loop_health_feed(made->health, &event, NULL, 1), 0);
	}
	finish(made);
	assert_in_range(slow(made, 0, 2)->ns, slow(made, 0, 2)->least_ns,
			slow(made, 0, 2)->most_ns);
}

/* A capture in periods: what a loop showed last and what its functions are lives on, what was told of the last period does not. */
static void test_periods(void **state)
{
	struct made *made = *state;
	struct cs_event event = {.kind = CS_EV_CAPTURE,
				 .capture = {.mode = CS_MODE_WALL, .interval_ns = TICK * MS}};

	begin(made, CS_MODE_WALL);
	SHOW(made, 20, .frames = IN_STEP, .stack = 3);
	SHOW(made, 10, .frames = IDLE, .wall = true);
	finish(made);
	slow(made, 0, 1);
	cs_loop_health_begin(made->health);
	slow(made, 0, 0);
	feed(made, &event, CS_HOLD_NO_STACK);
	for (int i = 0; i < 20; i++, made->now += TICK)
		same(made, TICK, 5); /* asleep as it was */
	finish(made);
	assert_int_equal(only_loop(made)->watched_ns, 20 * TICK * MS);
	assert_int_equal(only_loop(made)->held_ns, 0);
	assert_int_equal(only_loop(made)->stack, 5);
	slow(made, 0, 0);
	cs_loop_health_begin(made->health);
	feed(made, &event, CS_HOLD_NO_STACK);
	SHOW(made, 30, .frames = IN_STEP, .stack = 4);
	finish(made);
	assert_int_equal(slow(made, 0, 1)->stack, 4);
	/* not seen for a whole period: its thread has ended without a word */
	cs_loop_health_begin(made->health);
	feed(made, &event, CS_HOLD_NO_STACK);
	finish(made);
	cs_loop_health_begin(made->health);
	assert_null(cs_loop_health_next(made->health, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hold),
		TEST(test_single_samples),
		TEST(test_selector_between),
		TEST(test_loop_between),
		TEST(test_task_between),
		TEST(test_successor_between),
		TEST(test_callback_between),
		TEST(test_unknown_between),
		TEST(test_callbacks),
		TEST(test_creations),
		TEST(test_pass_suspended),
		TEST(test_pass_running),
		TEST(test_pass_without_it),
		TEST(test_blocked),
		TEST(test_gap),
		TEST(test_gap_of_wall),
		TEST(test_ends),
		TEST(test_order),
		TEST(test_loops),
		TEST(test_no_loop),
		TEST(test_hidden),
		TEST(test_many),
		TEST(test_hostile),
		TEST(test_periods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
