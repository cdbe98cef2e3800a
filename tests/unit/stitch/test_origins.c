/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker thread does for a task of another thread: above that task, as long as it is the one that waited. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <coroscope/limits.h>
#include <stdio.h>
#include <string.h>

#include "unit/stitch/made_events.h"

enum { A = 0x10, B = 0x20, LOOP_TID = 71 };

/* Thread LOOP_TID runs the loop of A, which awaits B, which waits for a job of thread MADE_TID, the worker. */
static struct made_stitch *begin(void **state)
{
	struct made_stitch *made = *state;

	made_code(made, 'L', CS_CODE_LOOP | CS_CODE_ASYNCIO);
	MADE_STACK(made, .frames = "rLs", .origin = CS_ORIGIN_WALL, .tid = LOOP_TID,
		   .weightless = true);
	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .waiter = B, .tid = LOOP_TID);
	MADE_TASK(made, .task = B, .name = "B", .frames = "yz", .tid = LOOP_TID);
	MADE_PASS(made, 10, 0, A, B);
	made_expect(made, "r L <A> x <B> y z\n");
	made_thread(made, "pool_0");
	return made;
}

/* The job is frames j and k, called by R, _WorkItem.run; it works for B. */
#define MADE_JOB(made, time, ...)                                                          \
	do {                                                                               \
		MADE_ORIGIN(made, .task = B, .root_frame = 2, .name = "B", .ts_ns = time); \
		MADE_STACK(made, .frames = "bRjk", .ts_ns = time, __VA_ARGS__);            \
	} while (0)

static void test_below_its_task(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_JOB(made, 20, .nkernel = 1);
	made_expect(made, "r L <A> x <B> y z (pool_0) j k k10\n");
	assert_true(made->last.on_cpu);
	assert_false(made->last.suspended);
	assert_int_equal(made->last.weight_ns, 100);
	/* the time is the worker's, the stack the task's thread's */
	assert_int_equal(made->last.tid, MADE_TID);
	assert_string_equal(made->thread_name, "pool_0");
	assert_int_equal(made->last.root_tid, LOOP_TID);
	assert_string_equal(made->root_thread_name, "worker");
	assert_int_equal(made->last.origin_id, B);
	assert_string_equal(made->origin_name, "B");
	assert_int_equal(made->last.task_id, 0);
}

/* A stack of its own: no label of an earlier one stays. */
static void expect_own(struct made_stitch *made)
{
	made_expect(made, "b R j k\n");
	assert_int_equal(made->last.origin_id, 0);
	assert_string_equal(made->origin_name, "");
	assert_int_equal(made->last.tid, MADE_TID);
	assert_int_equal(made->last.root_tid, MADE_TID);
	assert_string_equal(made->root_thread_name, "pool_0");
}

static void test_same(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_JOB(made, 20, .origin = CS_ORIGIN_WALL);
	made_event(made, CS_EV_SAME);
	made_expect(made, "r L <A> x <B> y z (pool_0) j k\nr L <A> x <B> y z (pool_0) j k\n");
	assert_int_equal(made->last.origin_id, B);
	assert_int_equal(made->last.root_tid, LOOP_TID);
	assert_false(made->last.on_cpu);
	/* B goes on to wait where it was when it was last seen, and has nobody above it now */
	MADE_TASK(made, .task = B, .name = "B", .frames = "yv", .tid = LOOP_TID);
	MADE_PASS(made, 30, 0, B);
	made_expect(made, "r L <B> y v\n");
	made_event(made, CS_EV_SAME);
	made_expect(made, "r L <B> y v (pool_0) j k\n");
}

/* What was told of one stack holds for no other one. */
static void test_another_time(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_JOB(made, 20, .origin = CS_ORIGIN_WALL);
	made_expect(made, "r L <A> x <B> y z (pool_0) j k\n");
	MADE_STACK(made, .frames = "bRjk", .origin = CS_ORIGIN_WALL, .ts_ns = 21);
	expect_own(made);
	made_event(made, CS_EV_SAME);
	expect_own(made);
}

static void test_another_thread(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_ORIGIN(made, .task = B, .root_frame = 2, .name = "B", .ts_ns = 20, .tid = 72);
	MADE_STACK(made, .frames = "bRjk", .ts_ns = 20);
	expect_own(made);
}

/* Another task at its address. */
static void test_another_coroutine(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_JOB(made, 20, .origin = CS_ORIGIN_WALL);
	made_expect(made, "r L <A> x <B> y z (pool_0) j k\n");
	MADE_TASK(made, .task = B, .name = "C", .frames = "v", .coro = 0x7777, .tid = LOOP_TID);
	MADE_PASS(made, 30, 0, B);
	made_expect(made, "r L <C> v\n");
	made_event(made, CS_EV_SAME);
	expect_own(made);
}

/* The job goes on although nobody waits for it any more. */
static void test_finished(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_JOB(made, 20, .origin = CS_ORIGIN_WALL);
	MADE_PASS(made, 30, 0, A);
	made_expect(made, "r L <A> x <B> y z (pool_0) j k\nr L <A> x\n");
	made_event(made, CS_EV_SAME);
	expect_own(made);
}

/* A task that no pass has listed yet: its thread is not known. */
static void test_unknown_task(void **state)
{
	struct made_stitch *made = *state;

	made_thread(made, "pool_0");
	MADE_JOB(made, 20, .nkernel = 0);
	made_expect(made, "<B> (pool_0) j k\n");
	assert_int_equal(made->last.origin_id, B);
	assert_int_equal(made->last.root_tid, MADE_TID);
	assert_string_equal(made->root_thread_name, "pool_0");
}

/* The frame that it names is not among those of the stack. */
static void test_beyond_the_frames(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_ORIGIN(made, .task = B, .root_frame = 4, .name = "B", .ts_ns = 20);
	MADE_STACK(made, .frames = "bRjk", .ts_ns = 20);
	expect_own(made);
	MADE_ORIGIN(made, .task = B, .root_frame = 3, .name = "B", .ts_ns = 30);
	MADE_STACK(made, .frames = "bRjk", .ts_ns = 30);
	made_expect(made, "r L <A> x <B> y z (pool_0) R j k\n");
	/* it is only just being called */
	MADE_ORIGIN(made, .task = B, .root_frame = 0, .name = "B", .ts_ns = 40);
	MADE_STACK(made, .frames = "bR", .ts_ns = 40, .nkernel = 1);
	made_expect(made, "r L <A> x <B> y z (pool_0) k10\n");
}

/* The job runs a loop of its own: its task is what counts. */
static void test_runs_a_task(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_ORIGIN(made, .task = B, .root_frame = 3, .name = "B", .ts_ns = 20);
	MADE_STACK(made, .frames = "bRLi", .ts_ns = 20, .task = 0x30, .name = "inner");
	made_expect(made, "b R L <inner> i\n");
	assert_int_equal(made->last.origin_id, 0);
	assert_int_equal(made->last.root_tid, MADE_TID);
}

/* A job so deep that frames were left out, _WorkItem.run among them: the gap is shown. */
static void test_deep(void **state)
{
	char frames[CS_LEAF_FRAMES + 3], expected[2 * CS_LEAF_FRAMES + 64];
	struct made_stitch *made = begin(state);
	size_t n;

	snprintf(frames, sizeof(frames), "bc");
	memset(frames + 2, 'j', CS_LEAF_FRAMES);
	frames[CS_LEAF_FRAMES + 2] = '\0';
	MADE_ORIGIN(made, .task = B, .root_frame = CS_LEAF_FRAMES, .name = "B", .ts_ns = 20);
	MADE_STACK(made, .frames = frames, .ts_ns = 20, .status = CS_STATUS_CUT, .nskipped = 7);
	n = (size_t)snprintf(expected, sizeof(expected), "r L <A> x <B> y z (pool_0) {7}");
	for (unsigned int i = 0; i < CS_LEAF_FRAMES; i++)
		n += (size_t)snprintf(expected + n, sizeof(expected) - n, " j");
	snprintf(expected + n, sizeof(expected) - n, "\n");
	made_expect(made, expected);
}

/* In the tree of creations below who made it; in that of threads a thread shows what it runs. */
static void test_trees(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_STACK(made, .frames = "rLxa", .task = A, .root_frame = 1, .name = "A", .tid = LOOP_TID,
		   .subject = 0x40, .ts_ns = 15);
	cs_stitch_show(made->stitch, 1u << CS_TREE_CREATION | 1u << CS_TREE_THREADS);
	MADE_ORIGIN(made, .task = 0x40, .root_frame = 2, .name = "D", .ts_ns = 20);
	MADE_STACK(made, .frames = "bRjk", .ts_ns = 20);
	assert_int_equal(made->last.tree, CS_TREE_THREADS);
	assert_int_equal(made->last.origin_id, 0);
	made_expect(made, "r L <A> x a <D> (pool_0) j k\nb R j k\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, made_setup, made_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_below_its_task),
		TEST(test_same),
		TEST(test_another_time),
		TEST(test_another_thread),
		TEST(test_another_coroutine),
		TEST(test_finished),
		TEST(test_unknown_task),
		TEST(test_beyond_the_frames),
		TEST(test_runs_a_task),
		TEST(test_deep),
		TEST(test_trees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
