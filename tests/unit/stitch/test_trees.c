/* SPDX-License-Identifier: Apache-2.0 */
/* The same events as await tree, creation tree and threads, and what tells tasks of one name apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "unit/stitch/made_events.h"

enum { A = 0x10, B = 0x20, C = 0x30, FUTURE = 0x900, CHAIN = 0x1000000 };

#define BIT(tree) (1u << (tree))
#define ALL       (BIT(CS_TREE_AWAIT) | BIT(CS_TREE_CREATION) | BIT(CS_TREE_THREADS))

/* The thread's loop is known: its tasks hang above r L. */
static struct made_stitch *base(void **state, unsigned int trees)
{
	struct made_stitch *made = *state;

	made_code(made, 'L', CS_CODE_LOOP | CS_CODE_ASYNCIO);
	made_code(made, 'a', CS_CODE_ASYNCIO);
	MADE_STACK(made, .frames = "rLs", .origin = CS_ORIGIN_WALL);
	made_expect(made, "r L s\n");
	made->sum_ns = 0;
	cs_stitch_show(made->stitch, trees);
	return made;
}

/* A is running x when it creates `subject` through asyncio's own a. */
static void a_creates(struct made_stitch *made, uint64_t subject, uint64_t ts_ns)
{
	MADE_STACK(made, .frames = "rLxa", .task = A, .root_frame = 1, .name = "A",
		   .subject = subject, .ts_ns = ts_ns);
}

/* A has created B, for which C waits: that is where the two trees differ. */
static void a_created_what_c_awaits(struct made_stitch *made)
{
	a_creates(made, B, 5);
	MADE_TASK(made, .task = A, .name = "A", .frames = "v", .ts_ns = 9);
	MADE_TASK(made, .task = B, .name = "B", .frames = "z", .ts_ns = 9);
	MADE_TASK(made, .task = C, .name = "C", .frames = "w", .waiter = B, .ts_ns = 9);
}

static void test_below_the_creator(void **state)
{
	struct made_stitch *made = base(state, BIT(CS_TREE_CREATION));

	a_created_what_c_awaits(made);
	MADE_PASS(made, 10, 0, A, B, C);
	/* nothing else is a reason to stand there, so it is not marked */
	made_expect(made, "r L <A> v\nr L <A> x <B> z\n");
	assert_int_equal(made->last.tree, CS_TREE_CREATION);
	assert_true(made->last.suspended);
}

/* A pass shows the same tasks in both, so that one sum holds for both. */
static void test_one_sum(void **state)
{
	struct made_stitch *made = base(state, BIT(CS_TREE_AWAIT) | BIT(CS_TREE_CREATION));

	a_created_what_c_awaits(made);
	MADE_PASS(made, 10, 0, A, B, C);
	made_expect(made, "r L <A> v\nr L <A> v\n"
			  "r L <C> w <B> z\nr L <A> x <B> z\n");
	assert_int_equal(made->sum_ns, 2 * (10 + 10));
}

static void test_unknown_creator(void **state)
{
	struct made_stitch *made = base(state, BIT(CS_TREE_CREATION));

	MADE_TASK(made, .task = B, .name = "B", .frames = "z", .waiter = FUTURE);
	MADE_PASS(made, 10, 0, B);
	made_expect(made, "r L <B> z\n");
}

static void test_finished_creator(void **state)
{
	struct made_stitch *made = base(state, BIT(CS_TREE_CREATION));

	a_creates(made, B, 5);
	MADE_TASK(made, .task = B, .name = "B", .frames = "z", .ts_ns = 9);
	MADE_TASK(made, .task = C, .name = "C", .frames = "w", .waiter = B, .ts_ns = 9);
	MADE_PASS(made, 10, 0, B, C);
	made_expect(made, "r L <A!> x <B> z\n");
}

/* A running task hangs below its creator as well; its own stack follows. */
static void test_running(void **state)
{
	struct made_stitch *made = base(state, ALL);

	a_creates(made, B, 5);
	MADE_STACK(made, .frames = "rLzs", .task = B, .root_frame = 1, .name = "B", .ts_ns = 9);
	made_expect(made, "r L <A> x <B+> z s\n"
			  "r L <A> x <B> z s\n"
			  "r L z s\n");
	assert_int_equal(made->last.tree, CS_TREE_THREADS);
	assert_int_equal(made->last.task_id, B);
	assert_string_equal(made->task_name, "B");
	assert_false(made->last.suspended);
}

static void test_threads_have_no_suspended_tasks(void **state)
{
	struct made_stitch *made = base(state, BIT(CS_TREE_THREADS));

	a_created_what_c_awaits(made);
	MADE_PASS(made, 10, 0, A, B, C);
	made_expect(made, "");
	MADE_STACK(made, .frames = "rLs", .task = A, .root_frame = 0, .name = "A",
		   .status = CS_STATUS_TRUNCATED, .ts_ns = 11);
	made_expect(made, "[truncated] r L s\n");
}

/* A repeated stack is repeated in every tree. */
static void test_same(void **state)
{
	struct made_stitch *made = base(state, BIT(CS_TREE_AWAIT) | BIT(CS_TREE_THREADS));

	made_event(made, CS_EV_SAME);
	made_expect(made, "r L s\nr L s\n");
}

/* A chain of creations that is too long ends, and says so. */
static void test_long_chain(void **state)
{
	struct made_stitch *made = base(state, BIT(CS_TREE_CREATION));
	uint64_t leaf = CHAIN + 16 * (CS_MAX_TASK_DEPTH + 1);

	for (uint64_t task = CHAIN; task < leaf; task += 16)
		MADE_STACK(made, .frames = "rLx", .task = task, .name = "N", .subject = task + 16,
			   .ts_ns = 5);
	MADE_TASK(made, .task = leaf, .name = "N", .frames = "z", .ts_ns = 9);
	MADE_PASS(made, 10, 1, leaf);
	assert_memory_equal(cs_buf_str(&made->text), "r L [cut] <N> x <N> x ", 22);
	assert_int_equal(made->nsamples, 2);
	made->text.len = 0;
}

/* What the last sample's tasks are: by their place from the root. */
struct seen_tasks {
	uint64_t task[8];
	char site[8];
	uint32_t n;
};

static int see_tasks(void *ctx, const struct cs_stitched *sample)
{
	struct seen_tasks *seen = ctx;

	seen->n = 0;
	for (uint32_t i = 0; i < sample->n; i++) {
		if (sample->parts[i].kind != CS_PART_TASK)
			continue;
		seen->site[seen->n] = (char)sample->parts[i].site.code;
		seen->task[seen->n++] = sample->parts[i].task;
	}
	return 0;
}

/* From here on the samples are seen, not written. */
static void watch(struct made_stitch *made, struct seen_tasks *seen)
{
	cs_stitch_free(made->stitch);
	assert_int_equal(cs_stitch_new(see_tasks, seen, &made->stitch), 0);
	made_code(made, 'L', CS_CODE_LOOP | CS_CODE_ASYNCIO);
	made_code(made, 'a', CS_CODE_ASYNCIO);
}

static void test_numbers_of_tasks(void **state)
{
	struct seen_tasks seen = {0};
	struct made_stitch *made = *state;
	uint64_t a, b;

	watch(made, &seen);
	a_creates(made, B, 5);
	MADE_STACK(made, .frames = "rLz", .task = B, .name = "A", .ts_ns = 6);
	assert_int_equal(seen.n, 2);
	a = seen.task[0];
	b = seen.task[1];
	assert_int_not_equal(a, b);
	assert_int_equal((a | b) >> 48, 0);
	/* again, suspended, and running alone: the same two */
	MADE_TASK(made, .task = B, .name = "A", .frames = "z", .ts_ns = 9);
	MADE_PASS(made, 10, 1, B);
	assert_int_equal(seen.task[0], a);
	assert_int_equal(seen.task[1], b);
	MADE_STACK(made, .frames = "rLx", .task = A, .name = "A", .ts_ns = 11);
	assert_int_equal(seen.task[0], a);
	/* another coroutine at the same address, and another birth, are other tasks */
	MADE_STACK(made, .frames = "rLx", .task = A, .name = "A", .coro = 0x7777, .ts_ns = 12);
	assert_int_not_equal(seen.task[0], a);
	a_creates(made, B, 13);
	MADE_STACK(made, .frames = "rLz", .task = B, .name = "A", .ts_ns = 14);
	assert_int_not_equal(seen.task[1], b);
}

/* Where a task was created is the creator's own frame, not asyncio's. */
static void test_creation_site(void **state)
{
	struct seen_tasks seen = {0};
	struct made_stitch *made = *state;

	watch(made, &seen);
	a_created_what_c_awaits(made);
	MADE_PASS(made, 10, 0, B, C);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.site[0], 0);
	assert_int_equal(seen.site[1], 'x');
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, made_setup, made_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_below_the_creator),
		TEST(test_one_sum),
		TEST(test_unknown_creator),
		TEST(test_finished_creator),
		TEST(test_running),
		TEST(test_threads_have_no_suspended_tasks),
		TEST(test_same),
		TEST(test_long_chain),
		TEST(test_numbers_of_tasks),
		TEST(test_creation_site),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
