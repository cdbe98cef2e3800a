/* SPDX-License-Identifier: Apache-2.0 */
/* stitch/merge.c: native frames stand where Python called them, or nowhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/stitch/made_events.h"

#define A 0xa000

/*
 * Two runs of the interpreter's loop: the C library's start, loop, an extension, a function of the interpreter, loop, a library.
 * Newest first: 20 library, 21 loop, 22 interpreter, 23 extension, 24 loop, 25 start.
 */
static struct made_stitch *begin(void **state)
{
	struct made_stitch *made = *state;

	made_symbol(made, 0x21, CS_SYMBOL_EVAL | CS_SYMBOL_INTERPRETER);
	made_symbol(made, 0x22, CS_SYMBOL_INTERPRETER);
	made_symbol(made, 0x24, CS_SYMBOL_EVAL | CS_SYMBOL_INTERPRETER);
	made_symbol(made, 0x25, CS_SYMBOL_LIBC);
	return made;
}

static void calls_stand_behind_their_callers(void **state)
{
	struct made_stitch *made = begin(state);

	made_native(made, 1, 6, CS_STATUS_COMPLETE, 3);
	MADE_STACK(made, .frames = "ab", .user_ip = 0x20, .nkernel = 1, .ts_ns = 1);
	made_expect(made, "a n23 b n20 k10\n");
	/* several Python frames in each run */
	made_native(made, 2, 6, CS_STATUS_COMPLETE, 1 << 1 | 1 << 4);
	MADE_STACK(made, .frames = "abcde", .user_ip = 0x20, .ts_ns = 2);
	made_expect(made, "a b c n23 d e n20\n");
}

static void a_program_around_python_is_shown(void **state)
{
	struct made_stitch *made = begin(state);

	made_native(made, 1, 7, CS_STATUS_COMPLETE, 3); /* 26 is of the program */
	MADE_STACK(made, .frames = "ab", .user_ip = 0x20, .ts_ns = 1);
	made_expect(made, "n26 n25 a n23 b n20\n");
}

static void a_loop_without_a_frame_is_the_innermost(void **state)
{
	struct made_stitch *made = begin(state);

	made_native(made, 1, 6, CS_STATUS_COMPLETE, 1);
	MADE_STACK(made, .frames = "a", .user_ip = 0x20, .ts_ns = 1);
	made_expect(made, "a n23 n20\n");
	/* too far from the leaf: it is no loop that is only being entered */
	made_symbol(made, 0x20, CS_SYMBOL_INTERPRETER);
	made_symbol(made, 0x21, 0);
	made_symbol(made, 0x23, CS_SYMBOL_EVAL);
	made_native(made, 2, 6, CS_STATUS_COMPLETE, 1);
	MADE_STACK(made, .frames = "a", .user_ip = 0x20, .ts_ns = 2);
	made_expect(made, "a\n");
}

static void stacks_that_disagree_are_not_mixed(void **state)
{
	struct made_stitch *made = begin(state);
	struct cs_natives_told told;

	made_native(made, 1, 6, CS_STATUS_COMPLETE, 7); /* a run more than loops */
	MADE_STACK(made, .frames = "abc", .user_ip = 0x20, .ts_ns = 1);
	made_expect(made, "a b c\n");
	made_native(made, 2, 6, CS_STATUS_COMPLETE, 1); /* the outermost is no run's */
	MADE_STACK(made, .frames = "ab", .user_ip = 0x20, .ts_ns = 2);
	made_expect(made, "a b\n");
	made_native(made, 3, 6, CS_STATUS_NATIVE_NO_RULE, 3);
	MADE_STACK(made, .frames = "ab", .user_ip = 0x20, .ts_ns = 3);
	made_expect(made, "a b\n");
	made_native(made, 4, 6, CS_STATUS_COMPLETE, 3);
	MADE_STACK(made, .frames = "ab", .user_ip = 0x20, .status = CS_STATUS_UNREADABLE_FRAME,
		   .ts_ns = 4);
	made_expect(made, "[unreadable] a b\n");
	MADE_STACK(made, .frames = "ab", .user_ip = 0x20, .ts_ns = 5); /* of another moment */
	made_expect(made, "a b\n");
	told = cs_stitch_natives(made->stitch);
	assert_int_equal(told.matched, 0);
	assert_int_equal(told.left_out, 4);
}

static void frames_below_a_task_are_the_trees(void **state)
{
	struct made_stitch *made = begin(state);

	made_code(made, 'L', CS_CODE_LOOP);
	/* one run holds r, L and x, the other one y */
	made_native(made, 1, 6, CS_STATUS_COMPLETE, 1 << 0 | 1 << 3);
	MADE_STACK(made, .frames = "rLxy", .task = A, .root_frame = 1, .name = "A", .user_ip = 0x20,
		   .ts_ns = 1);
	made_expect(made, "r L <A> x n23 y n20\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, made_setup, made_teardown)
	const struct CMUnitTest tests[] = {
		TEST(calls_stand_behind_their_callers),
		TEST(a_program_around_python_is_shown),
		TEST(a_loop_without_a_frame_is_the_innermost),
		TEST(stacks_that_disagree_are_not_mixed),
		TEST(frames_below_a_task_are_the_trees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
