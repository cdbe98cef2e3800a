/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks of threads: with and without a running task, seen again, cut, and forgotten with their process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <coroscope/limits.h>
#include <stdio.h>

#include "core/cleanup.h"
#include "unit/stitch/made_events.h"

enum { A = 0x10, B = 0x20 };

static struct made_stitch *begin(void **state)
{
	struct made_stitch *made = *state;

	made_code(made, 'L', CS_CODE_LOOP | CS_CODE_ASYNCIO);
	made_code(made, 'a', CS_CODE_ASYNCIO);
	return made;
}

static void test_plain(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_STACK(made, .frames = "rxy", .nkernel = 2, .user_ip = 0x99);
	made_expect(made, "r x y k11 k10\n");
	assert_true(made->last.on_cpu);
	assert_int_equal(made->last.weight_ns, 100);
	assert_int_equal(made->last.pid, MADE_PID);
	assert_int_equal(made->last.tid, MADE_TID);
	assert_int_equal(made->last.task_id, 0);
	assert_string_equal(made->thread_name, "worker");
	MADE_STACK(made, .frames = "r", .origin = CS_ORIGIN_WALL, .weight_ns = 7);
	made_expect(made, "r\n");
	assert_false(made->last.on_cpu);
	assert_int_equal(made->sum_ns, 107);
}

/* A name given in Python is worth more than the kernel's, until the process is another one. */
static void test_names(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_STACK(made, .frames = "x");
	assert_string_equal(made->thread_name, "worker");
	made_thread(made, "loop 1");
	MADE_STACK(made, .frames = "x", .origin = CS_ORIGIN_WALL);
	assert_string_equal(made->thread_name, "loop 1");
	MADE_TASK(made, .task = A, .name = "A", .frames = "y");
	MADE_PASS(made, 10, 0, A);
	assert_string_equal(made->thread_name, "loop 1");
	made_thread(made, "another");
	made_event(made, CS_EV_SAME);
	assert_string_equal(made->thread_name, "another");
	made_event(made, CS_EV_EXEC);
	MADE_STACK(made, .frames = "x");
	assert_string_equal(made->thread_name, "worker");
	made_expect(made, "x\nx\n[not seen] <A> y\nx\nx\n");
}

static void test_no_python(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_STACK(made, .user_ip = 0x99, .nkernel = 1, .status = CS_STATUS_NOT_PYTHON);
	made_expect(made, "n99 k10\n");
	MADE_STACK(made, .user_ip = 0x99, .status = CS_STATUS_NO_TSTATE);
	made_expect(made, "[status] n99\n");
	MADE_STACK(made, .nkernel = 0, .status = CS_STATUS_NOT_PYTHON);
	made_expect(made, "\n");
}

static void test_native_frames(void **state)
{
	struct made_stitch *made = begin(state);

	made_native(made, 5, 3, CS_STATUS_COMPLETE, 1);
	MADE_STACK(made, .user_ip = 0x99, .nkernel = 1, .status = CS_STATUS_NOT_PYTHON, .ts_ns = 5);
	made_expect(made, "n22 n21 n20 k10\n");
	/* of another moment */
	MADE_STACK(made, .user_ip = 0x99, .status = CS_STATUS_NOT_PYTHON, .ts_ns = 6);
	made_expect(made, "n99\n");
	made_native(made, 7, 2, CS_STATUS_NATIVE_NO_RULE, 1);
	MADE_STACK(made, .user_ip = 0x99, .status = CS_STATUS_NOT_PYTHON, .ts_ns = 7);
	made_expect(made, "[status] n21 n20\n");
	made_native(made, 8, 0, CS_STATUS_NATIVE_NOT_YET, 1);
	MADE_STACK(made, .user_ip = 0x99, .status = CS_STATUS_NOT_PYTHON, .ts_ns = 8);
	made_expect(made, "n99\n");
	made_native(made, 9, 3, CS_STATUS_COMPLETE, 1);
	MADE_STACK(made, .frames = "rx", .user_ip = 0x99, .ts_ns = 9);
	made_expect(made, "r x\n");
}

/* From the innermost loop on, asyncio's own frames up to the task are left out. */
static void test_running(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_STACK(made, .frames = "rLahxy", .task = A, .root_frame = 1, .name = "A", .nkernel = 1);
	made_expect(made, "r L <A> x y k10\n");
	assert_int_equal(made->last.task_id, A);
	assert_string_equal(made->task_name, "A");
	/* a loop run inside a loop */
	MADE_STACK(made, .frames = "rLasLhx", .task = A, .name = "A");
	made_expect(made, "r L a s L <A> x\n");
	/* the task itself runs a loop: that one is above it */
	MADE_STACK(made, .frames = "rLxLy", .task = A, .root_frame = 2, .name = "A");
	made_expect(made, "r L <A> x L y\n");
}

static void test_running_with_parents(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_STACK(made, .frames = "rLxa", .task = A, .root_frame = 1, .name = "A", .subject = B);
	MADE_STACK(made, .frames = "rLzc", .task = B, .root_frame = 1, .name = "B");
	made_expect(made, "r L <A> x <B+> z c\n");
	/* now A is known to wait for it */
	MADE_TASK(made, .task = A, .name = "A", .frames = "xw", .waiter = B);
	MADE_TASK(made, .task = B, .name = "B", .state = CS_TASK_RUNNING);
	MADE_PASS(made, 10, 0, A, B);
	made_expect(made, "");
	MADE_STACK(made, .frames = "rLz", .task = B, .name = "B");
	made_expect(made, "r L <A> x w <B> z\n");
	/* another coroutine at B's address is another task: nothing of this holds for it */
	MADE_STACK(made, .frames = "rLv", .task = B, .name = "C", .coro = 0x7777);
	made_expect(made, "r L <C> v\n");
}

/* What was deeper than the limit is missing at the root, and no base is learned from it. */
static void test_truncated(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_STACK(made, .frames = "Lxy", .status = CS_STATUS_TRUNCATED);
	made_expect(made, "[truncated] L x y\n");
	MADE_STACK(made, .frames = "xy", .status = CS_STATUS_UNREADABLE_FRAME);
	made_expect(made, "[unreadable] x y\n");
	MADE_STACK(made, .frames = "Lxy", .status = CS_STATUS_TRUNCATED, .task = A, .root_frame = 1,
		   .name = "A");
	made_expect(made, "[not seen] <A> x y\n");
	MADE_STACK(made, .frames = "rLxy", .task = A, .root_frame = 1, .name = "A");
	made_expect(made, "r L <A> x y\n");
	/* the base that was learned stays */
	MADE_STACK(made, .frames = "sLxy", .status = CS_STATUS_TRUNCATED, .task = A,
		   .root_frame = 1, .name = "A");
	made_expect(made, "r L <A> x y\n");
}

/* `before`, then n times `letter`, then `after`, separated by blanks if `spaced`. */
static void repeat(char *out, const char *before, char letter, unsigned int n, const char *after,
		   bool spaced)
{
	out += sprintf(out, "%s", before);
	for (unsigned int i = 0; i < n; i++)
		out += sprintf(out, spaced ? " %c" : "%c", letter);
	sprintf(out, "%s", after);
}

/* Frames left out in the middle of a deep stack: root and leaf are there, the gap is marked where it is. */
static void test_cut(void **state)
{
	char leaf[CS_LEAF_FRAMES * 2 + 8], frames[CS_MAX_PY_FRAMES * 2], expected[2048];
	struct made_stitch *made = begin(state);

	/* the gap above the event loop: something in there may run another one, so no base is learned */
	repeat(frames, "rLxy", 'z', CS_LEAF_FRAMES, "", false);
	repeat(leaf, "{7}", 'z', CS_LEAF_FRAMES, "", true);
	MADE_STACK(made, .frames = frames, .status = CS_STATUS_CUT, .nskipped = 7);
	snprintf(expected, sizeof(expected), "r L x y %s\n", leaf);
	made_expect(made, expected);
	/* the task's root frame itself is kept: its base is known */
	MADE_STACK(made, .frames = frames, .status = CS_STATUS_CUT, .nskipped = 7, .task = A,
		   .root_frame = CS_LEAF_FRAMES + 1, .name = "A");
	snprintf(expected, sizeof(expected), "r L <A> x y %s\n", leaf);
	made_expect(made, expected);
	/* it was left out: the gap is its */
	MADE_STACK(made, .frames = frames, .status = CS_STATUS_CUT, .nskipped = 7, .task = A,
		   .root_frame = CS_LEAF_FRAMES - 1, .name = "A");
	snprintf(expected, sizeof(expected), "r L <A> %s\n", leaf);
	made_expect(made, expected);
	/* a deep stack whose root was not reached either */
	MADE_STACK(made, .frames = frames, .status = CS_STATUS_TRUNCATED, .nskipped = 7);
	snprintf(expected, sizeof(expected), "[truncated] r L x y %s\n", leaf);
	made_expect(made, expected);
}

/* The creator's stack keeps its gap too: no two frames stand next to each other that did not call each other. */
static void test_cut_creation(void **state)
{
	char leaf[CS_LEAF_FRAMES * 2 + 8], frames[CS_MAX_PY_FRAMES * 2], expected[2048];
	struct made_stitch *made = begin(state);

	repeat(frames, "rLxy", 'z', CS_LEAF_FRAMES, "", false);
	repeat(leaf, "{7}", 'z', CS_LEAF_FRAMES, "", true);
	MADE_STACK(made, .frames = frames, .status = CS_STATUS_CUT, .nskipped = 7, .task = A,
		   .root_frame = CS_LEAF_FRAMES + 1, .name = "A", .subject = B);
	MADE_TASK(made, .task = A, .name = "A", .frames = "x");
	MADE_TASK(made, .task = B, .name = "B", .frames = "v");
	MADE_PASS(made, 10, 0, A, B);
	snprintf(expected, sizeof(expected), "[not seen] <A> x\n[not seen] <A> x y %s <B+> v\n",
		 leaf);
	made_expect(made, expected);
}

static void test_same(void **state)
{
	struct made_stitch *made = begin(state);

	made_event(made, CS_EV_SAME); /* the capture began in the middle */
	made_expect(made, "");
	MADE_STACK(made, .frames = "rLxs", .origin = CS_ORIGIN_WALL, .nkernel = 1, .task = A,
		   .root_frame = 1, .name = "A", .weight_ns = 5);
	MADE_STACK(made, .frames = "rc"); /* a CPU tick is not what the wall clock saw */
	made_expect(made, "r L <A> x s k10\nr c\n");
	made_event(made, CS_EV_SAME);
	made_event(made, CS_EV_SAME);
	made_expect(made, "r L <A> x s k10\nr L <A> x s k10\n");
	assert_int_equal(made->sum_ns, 5 + 100 + 200);
	assert_false(made->last.on_cpu);
	assert_string_equal(made->task_name, "A");
	assert_string_equal(made->thread_name, "worker");
	MADE_STACK(made, .frames = "rd", .origin = CS_ORIGIN_WALL);
	made_event(made, CS_EV_SAME);
	made_expect(made, "r d\nr d\n");
}

/* Why it was off the CPU is the leaf of all, above the running task's frames and the kernel's. */
static void test_off_cpu(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_STACK(made, .frames = "rLxs", .origin = CS_ORIGIN_OFF_CPU, .nkernel = 1, .task = A,
		   .root_frame = 1, .name = "A", .reason = CS_WAIT_REASON_GIL, .weight_ns = 70,
		   .blocked_ns = 70);
	made_expect(made, "r L <A> x s k10 ?2\n");
	assert_false(made->last.on_cpu);
	assert_false(made->last.suspended);
	assert_int_equal(made->last.count, 1);
	assert_int_equal(made->last.span_ns, 70);
	MADE_STACK(made, .frames = "r", .origin = CS_ORIGIN_OFF_CPU, .reason = CS_WAIT_REASON_SLEEP,
		   .before = true, .still = true, .blocked_ns = 100);
	made_expect(made, "r ?c004\n");
	/* it is no wall stack: nothing is the same as it */
	made_event(made, CS_EV_SAME);
	made_expect(made, "");
}

/* Who ended the block stands above the reason, with what it did newest first; of another time, or not told, it is nobody. */
static void test_waker(void **state)
{
	struct made_stitch *made = begin(state);

	made_waker(made, 10, CS_WAKER_THREAD);
	MADE_STACK(made, .frames = "r", .origin = CS_ORIGIN_OFF_CPU, .nkernel = 1, .ts_ns = 10,
		   .reason = CS_WAIT_REASON_PIPE);
	MADE_STACK(made, .frames = "r", .origin = CS_ORIGIN_OFF_CPU, .ts_ns = 11);
	made_waker(made, 12, CS_WAKER_INTERRUPT);
	MADE_STACK(made, .frames = "r", .origin = CS_ORIGIN_OFF_CPU, .ts_ns = 12);
	made_waker(made, 13, CS_WAKER_NOT_TOLD);
	MADE_STACK(made, .frames = "r", .origin = CS_ORIGIN_OFF_CPU, .ts_ns = 13);
	made_expect(made, "r k10 ?6 !w [9] k30 k31\nr ?0\nr ?0 ! k30 k31\nr ?0\n");
}

/* One that stands for others: as many as its weight says, on average where that is no whole number. */
static void test_off_cpu_count(void **state)
{
	struct made_stitch *made = begin(state);
	uint64_t blocks = 0;

	MADE_STACK(made, .frames = "r", .origin = CS_ORIGIN_OFF_CPU, .weight_ns = 700,
		   .blocked_ns = 70);
	assert_int_equal(made->last.count, 10);
	assert_int_equal(made->last.weight_ns, 700);
	assert_int_equal(made->last.span_ns, 70);
	for (uint64_t i = 0; i < 10000; i++) {
		MADE_STACK(made, .frames = "r", .origin = CS_ORIGIN_OFF_CPU, .weight_ns = 100,
			   .blocked_ns = 80, .ts_ns = 1000 + i * 7919);
		assert_in_range(made->last.count, 1, 2);
		blocks += made->last.count;
	}
	assert_in_range(blocks, 12500 - 175, 12500 + 175); /* four standard deviations */
	MADE_STACK(made, .frames = "r", .origin = CS_ORIGIN_OFF_CPU, .weight_ns = UINT64_MAX,
		   .blocked_ns = 1);
	assert_int_equal(made->last.count, UINT32_MAX);
	MADE_STACK(made, .frames = "r", .origin = CS_ORIGIN_OFF_CPU, .weight_ns = 7);
	assert_int_equal(made->last.count, 1);
}

static void test_threads_apart(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_STACK(made, .frames = "rLs", .origin = CS_ORIGIN_WALL);
	MADE_STACK(made, .frames = "tLs", .origin = CS_ORIGIN_WALL, .tid = 71);
	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .tid = 71);
	MADE_TASK(made, .task = B, .name = "B", .frames = "y");
	MADE_PASS(made, 10, 0, A, B);
	made_event(made, CS_EV_SAME);
	made_expect(made, "r L s\nt L s\nt L <A> x\nr L <B> y\nr L s\n");
}

static void forget_by(void **state, enum cs_ev_kind kind)
{
	struct made_stitch *made = begin(state);

	MADE_STACK(made, .frames = "rLxa", .task = A, .root_frame = 1, .name = "A", .subject = B);
	MADE_STACK(made, .frames = "rLs", .origin = CS_ORIGIN_WALL);
	made_expect(made, "r L s\n");
	assert_non_null(cs_stitch_graph(made->stitch, MADE_PID));
	made_event(made, kind);
	assert_null(cs_stitch_graph(made->stitch, MADE_PID));
	/* its last stack, its base, its code objects, who created B */
	made_event(made, CS_EV_SAME);
	made_expect(made, "");
	MADE_STACK(made, .frames = "rLs");
	MADE_STACK(made, .frames = "rLz", .task = B, .name = "B");
	made_expect(made, "r L s\n[not seen] <B> z\n");
}

static void test_exec(void **state)
{
	forget_by(state, CS_EV_EXEC);
}

static void test_exit(void **state)
{
	forget_by(state, CS_EV_EXIT);
}

/* A stack without weight tells of the thread, so that its tasks have a base; it is no sample. */
static void test_introduction(void **state)
{
	struct made_stitch *made = begin(state);

	MADE_STACK(made, .frames = "rLs", .origin = CS_ORIGIN_WALL, .weightless = true);
	made_event(made, CS_EV_SAME);
	made_expect(made, "");
	MADE_TASK(made, .task = A, .name = "A", .frames = "x");
	MADE_PASS(made, 10, 0, A);
	made_expect(made, "r L <A> x\n");
	assert_string_equal(made->thread_name, "worker");
}

/* A code object's address may get another one. */
static void test_code_replaced(void **state)
{
	struct made_stitch *made = begin(state);

	made_code(made, 'L', 0);
	MADE_STACK(made, .frames = "rLx", .task = A, .name = "A");
	made_expect(made, "[not seen] <A> x\n");
}

static void test_of_no_process(void **state)
{
	struct made_stitch *made = *state;
	struct cs_event event = {.kind = CS_EV_STATS};

	assert_int_equal(cs_stitch_feed(made->stitch, &event), 0);
	assert_null(cs_stitch_graph(made->stitch, 0));
}

static int refuse(void *ctx, const struct cs_stitched *sample)
{
	return 42;
}

static void test_receiver_says_stop(void **state)
{
	_cleanup_(cs_stitch_freep) struct cs_stitch *stitch = NULL;
	const struct cs_event event = {.kind = CS_EV_STACK,
				       .pid = 1,
				       .tid = 1,
				       .stack = {.weight_ns = 1, .comm = {"x", 1}}};

	assert_int_equal(cs_stitch_new(refuse, NULL, &stitch), 0);
	assert_int_equal(cs_stitch_feed(stitch, &event), 42);
}

/* A capture in periods: a thread is known while it is seen, and some time more. */
static void test_periods(void **state)
{
	const uint64_t second = 1000000000;
	struct made_stitch *made = begin(state);
	struct cs_event process = {.kind = CS_EV_PROCESS, .pid = MADE_PID, .ts_ns = second};

	assert_int_equal(cs_stitch_feed(made->stitch, &process), 0);
	made_thread(made, "loop 1");
	MADE_STACK(made, .frames = "x", .ts_ns = 100 * second);
	cs_stitch_begin(made->stitch, 120 * second);
	MADE_STACK(made, .frames = "x", .ts_ns = 121 * second);
	assert_string_equal(made->thread_name, "loop 1");
	cs_stitch_begin(made->stitch, 180 * second);
	MADE_STACK(made, .frames = "x", .ts_ns = 181 * second);
	assert_string_equal(made->thread_name, "worker");
	assert_non_null(cs_stitch_graph(made->stitch, MADE_PID));
	cs_stitch_begin(made->stitch, 999 * second);
	assert_non_null(cs_stitch_graph(made->stitch, MADE_PID)); /* nobody said that it ended */
	made_expect(made, "x\nx\nx\n");
}

/* Of a process that nobody watches the end is not told: silence is. Accounts of a process are its last record. */
static void test_gone_unnoticed(void **state)
{
	const uint64_t second = 1000000000;
	struct made_stitch *made = *state;

	MADE_STACK(made, .frames = "x", .ts_ns = 100 * second);
	cs_stitch_begin(made->stitch, 120 * second);
	assert_non_null(cs_stitch_graph(made->stitch, MADE_PID));
	cs_stitch_begin(made->stitch, 140 * second);
	assert_null(cs_stitch_graph(made->stitch, MADE_PID));
	MADE_STACK(made, .frames = "x", .ts_ns = 141 * second);
	made_event(made, CS_EV_STATS);
	assert_null(cs_stitch_graph(made->stitch, MADE_PID));
	made_expect(made, "x\nx\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, made_setup, made_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_plain),          TEST(test_names),
		TEST(test_no_python),      TEST(test_native_frames),
		TEST(test_running),        TEST(test_running_with_parents),
		TEST(test_truncated),      TEST(test_cut),
		TEST(test_cut_creation),   TEST(test_same),
		TEST(test_off_cpu),        TEST(test_off_cpu_count),
		TEST(test_waker),          TEST(test_threads_apart),
		TEST(test_exec),           TEST(test_exit),
		TEST(test_introduction),   TEST(test_code_replaced),
		TEST(test_of_no_process),  TEST(test_periods),
		TEST(test_gone_unnoticed), cmocka_unit_test(test_receiver_says_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
