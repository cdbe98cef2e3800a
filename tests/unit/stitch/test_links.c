/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks that wait for others in other ways than by an await: who stands above whom, and whose time is shown where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "unit/stitch/made_events.h"

enum { A = 0x10, B = 0x20, C = 0x30, D = 0x40, FUTURE = 0x900 };

#define GATHER(task)                                    \
	{                                               \
		.waiter = (task), .how = CS_WAIT_GATHER \
	}
#define PROBABLE(task)                                                             \
	{                                                                          \
		.waiter = (task), .how = CS_WAIT_OTHER, .flags = CS_LINKF_PROBABLE \
	}

/* The thread's loop is known: its tasks hang above r L. */
static struct made_stitch *base(void **state)
{
	struct made_stitch *made = *state;

	made_code(made, 'L', CS_CODE_LOOP | CS_CODE_ASYNCIO);
	MADE_STACK(made, .frames = "rLs", .origin = CS_ORIGIN_WALL);
	made_expect(made, "r L s\n");
	return made;
}

static struct cs_task *task_at(struct made_stitch *made, uint64_t addr)
{
	struct cs_task *task = cs_graph_find(cs_stitch_graph(made->stitch, MADE_PID), addr);

	assert_non_null(task);
	return task;
}

static void expect_parent(struct made_stitch *made, uint64_t task, uint64_t parent,
			  enum cs_link expected)
{
	enum cs_link link;

	assert_ptr_equal(cs_graph_parent(task_at(made, task), &link), task_at(made, parent));
	assert_int_equal(link, expected);
}

static void test_gather(void **state)
{
	struct made_stitch *made = base(state);

	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .waiter = FUTURE);
	MADE_TASK(made, .task = B, .name = "B", .frames = "y", .links = {GATHER(A)});
	MADE_TASK(made, .task = C, .name = "C", .frames = "z", .links = {GATHER(A)});
	MADE_PASS(made, 10, 0, A, B, C);
	made_expect(made, "r L <A> x <B> y\nr L <A> x <C> z\n");
	expect_parent(made, B, A, CS_LINK_STRONG);
	assert_int_equal(task_at(made, B)->how, CS_WAIT_GATHER);
	assert_false(task_at(made, B)->probable);
	assert_false(task_at(made, A)->is_leaf);
	assert_true(task_at(made, B)->is_leaf);
	/* it is done with B */
	MADE_TASK(made, .task = B, .name = "B", .frames = "y");
	MADE_PASS(made, 20, 0, A, B, C);
	made_expect(made, "r L <B> y\nr L <A> x <C> z\n");
	assert_int_equal(task_at(made, B)->nawaiters, 0);
}

/* B changed while it was read: what it did is not told, but who waits for it and whom it made is. */
static void test_one_that_changed(void **state)
{
	struct made_stitch *made = base(state);

	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .waiter = FUTURE);
	MADE_TASK(made, .task = B, .name = "B", .frames = "y", .links = {GATHER(A)});
	MADE_STACK(made, .frames = "rLy", .task = B, .name = "B", .subject = C, .ts_ns = 5);
	MADE_TASK(made, .task = C, .name = "C", .frames = "z", .ts_ns = 6);
	MADE_TASK(made, .task = B, .name = "B", .state = CS_TASK_RUNNING, .flags = CS_TASKF_MOVED,
		  .links = {GATHER(A)}, .ts_ns = 6);
	MADE_PASS(made, 10, 0, A, B, C);
	/* the time of A is its own, as nothing is known of B's */
	made_expect(made, "r L <A> x\nr L <A> x <B> y <C+> z\n");
	expect_parent(made, B, A, CS_LINK_STRONG);
}

static void test_probable_is_marked(void **state)
{
	struct made_stitch *made = base(state);

	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .waiter = FUTURE);
	MADE_TASK(made, .task = B, .name = "B", .frames = "y", .links = {PROBABLE(A)});
	MADE_PASS(made, 10, 0, A, B);
	made_expect(made, "r L <A> x <B~> y\n");
	expect_parent(made, B, A, CS_LINK_STRONG);
	assert_true(task_at(made, B)->probable);
}

/* An await before a certain wait before a probable one, however old the waiters are. */
static void test_order_of_waiters(void **state)
{
	static const struct cs_task_link links[] = {PROBABLE(A), GATHER(B)};
	struct made_stitch *made = base(state);

	for (unsigned int turned = 0; turned < 2; turned++) {
		made_event(made, CS_EV_EXIT);
		MADE_TASK(made, .task = A, .name = "A", .frames = "x", .waiter = FUTURE);
		MADE_TASK(made, .task = B, .name = "B", .frames = "y", .waiter = FUTURE);
		MADE_TASK(made, .task = C, .name = "C", .frames = "z", .waiter = D);
		MADE_TASK(made, .task = D, .name = "D", .frames = "w",
			  .links = {links[turned], links[!turned]});
		MADE_PASS(made, 10, 0, A, B, C, D);
		made_expect(made, "[not seen] <C> z <D*3> w\n");
		expect_parent(made, D, C, CS_LINK_AWAIT);
		MADE_PASS(made, 20, 0, A, B, D);
		made_expect(made, "[not seen] <B> y <D*2> w\n");
		expect_parent(made, D, B, CS_LINK_STRONG);
		MADE_PASS(made, 30, 0, A, D);
		made_expect(made, "[not seen] <A> x <D~> w\n");
		assert_int_equal(task_at(made, D)->nawaiters, 1);
	}
}

/* Of equals the oldest comes first; one that was there before the capture is older than all. */
static void test_oldest_of_equals(void **state)
{
	struct made_stitch *made = base(state);

	MADE_STACK(made, .frames = "rLx", .subject = A, .ts_ns = 6);
	MADE_STACK(made, .frames = "rLx", .subject = B, .ts_ns = 5);
	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .ts_ns = 9);
	MADE_TASK(made, .task = B, .name = "B", .frames = "y", .ts_ns = 9);
	MADE_TASK(made, .task = D, .name = "D", .frames = "w", .ts_ns = 9,
		  .links = {GATHER(A), GATHER(B)});
	MADE_PASS(made, 10, 0, A, B, D);
	made_expect(made, "r L <B> y <D*2> w\n");
	MADE_TASK(made, .task = C, .name = "C", .frames = "z", .ts_ns = 19);
	MADE_TASK(made, .task = D, .name = "D", .frames = "w", .ts_ns = 19,
		  .links = {GATHER(A), GATHER(B), GATHER(C)});
	MADE_PASS(made, 20, 0, A, B, C, D);
	made_expect(made, "r L <C> z <D*3> w\n");
}

/* A waiter that the pass does not list has ended: who made the task stands above it, as if there had been no link. */
static void test_waiter_that_is_gone(void **state)
{
	struct made_stitch *made = base(state);

	MADE_STACK(made, .frames = "rLx", .task = A, .root_frame = 0, .name = "A", .subject = D,
		   .ts_ns = 5);
	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .ts_ns = 9);
	MADE_TASK(made, .task = B, .name = "B", .frames = "y", .ts_ns = 9);
	MADE_TASK(made, .task = D, .name = "D", .frames = "w", .ts_ns = 9,
		  .links = {GATHER(B), GATHER(0x5555)});
	MADE_PASS(made, 10, 0, A, B, D);
	made_expect(made, "r L <A> x\nr L <B> y <D> w\n");
	expect_parent(made, D, B, CS_LINK_STRONG);
	MADE_PASS(made, 20, 0, A, D);
	made_expect(made, "r L <A> x\nr L <A> x <D+> w\n");
	expect_parent(made, D, A, CS_LINK_CREATED);
	assert_int_equal(task_at(made, D)->nawaiters, 0);
}

/* By memory that lies. */
static void test_waits_for_itself(void **state)
{
	struct made_stitch *made = base(state);

	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .links = {GATHER(A)});
	MADE_PASS(made, 10, 0, A);
	made_expect(made, "r L <A> x\n");
	assert_int_equal(task_at(made, A)->nawaiters, 0);
}

/* A awaits B, which waits for A in another way: shown once, marked, not lost. */
static void test_circle(void **state)
{
	struct made_stitch *made = base(state);

	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .waiter = B, .links = {GATHER(B)});
	MADE_TASK(made, .task = B, .name = "B", .frames = "y", .waiter = FUTURE);
	MADE_PASS(made, 10, 0, A, B);
	made_expect(made, "r L [cut] <B> y <A> x\n");
	/* a leaf hangs on it: nothing else needs to be shown */
	MADE_TASK(made, .task = C, .name = "C", .frames = "z", .links = {PROBABLE(B)});
	MADE_PASS(made, 20, 0, A, B, C);
	made_expect(made, "r L [cut] <A> x <B> y <C~> z\n");
}

struct waits {
	struct cs_wait items[8];
	int n, stop_at;
};

static int add_wait(void *ctx, const struct cs_wait *wait)
{
	struct waits *waits = ctx;

	assert_true(waits->n < 8);
	waits->items[waits->n++] = *wait;
	return waits->n == waits->stop_at ? 42 : 0;
}

static const struct cs_wait *find_wait(const struct waits *waits, uint64_t waiter, uint64_t awaited)
{
	for (int i = 0; i < waits->n; i++) {
		if (waits->items[i].waiter->addr == waiter &&
		    waits->items[i].awaited->addr == awaited)
			return &waits->items[i];
	}
	fail_msg("no such wait");
	return NULL;
}

static void test_each_wait(void **state)
{
	struct waits waits = {.n = 0}, some = {.stop_at = 2};
	struct made_stitch *made = base(state);
	const struct cs_graph *graph;

	MADE_TASK(made, .task = A, .name = "A", .frames = "x", .waiter = D);
	MADE_TASK(made, .task = B, .name = "B", .frames = "y", .waiter = FUTURE);
	/* to itself, and by one that the pass does not list */
	MADE_TASK(made, .task = C, .name = "C", .frames = "z", .waiter = C,
		  .links = {GATHER(C), GATHER(0x50), GATHER(B)});
	MADE_TASK(made, .task = D, .name = "D", .frames = "w",
		  .links = {PROBABLE(B), {.waiter = C, .how = CS_WAIT_TASK_GROUP}});
	MADE_TASK(made, .task = 0x50, .name = "E", .frames = "w", .waiter = D,
		  .links = {GATHER(A)});
	MADE_PASS(made, 10, 1, A, B, C, D);
	graph = cs_stitch_graph(made->stitch, MADE_PID);
	assert_int_equal(cs_graph_each_wait(graph, add_wait, &waits), 0);
	assert_int_equal(waits.n, 4);
	assert_int_equal(find_wait(&waits, A, D)->how, CS_WAIT_AWAIT);
	assert_false(find_wait(&waits, A, D)->probable);
	assert_int_equal(find_wait(&waits, B, C)->how, CS_WAIT_GATHER);
	assert_int_equal(find_wait(&waits, B, D)->how, CS_WAIT_OTHER);
	assert_true(find_wait(&waits, B, D)->probable);
	assert_int_equal(find_wait(&waits, C, D)->how, CS_WAIT_TASK_GROUP);
	assert_false(find_wait(&waits, C, D)->probable);
	assert_int_equal(cs_graph_each_wait(graph, add_wait, &some), 42);
	assert_int_equal(some.n, 2);
}

static void test_texts(void **state)
{
	assert_string_equal(cs_wait_how_text(CS_WAIT_AWAIT), "await");
	assert_string_equal(cs_wait_how_text(CS_WAIT_TASK_GROUP), "TaskGroup");
	assert_string_equal(cs_wait_how_text(CS_WAIT_OTHER), "callback");
	assert_string_equal(cs_wait_how_text(0), "callback");
	assert_string_equal(cs_wait_how_text(1000), "callback");
	for (int a = CS_WAIT_AWAIT; a <= CS_WAIT_OTHER; a++) {
		for (int b = CS_WAIT_AWAIT; b < a; b++)
			assert_string_not_equal(cs_wait_how_text(a), cs_wait_how_text(b));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, made_setup, made_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_gather),
		TEST(test_one_that_changed),
		TEST(test_probable_is_marked),
		TEST(test_order_of_waiters),
		TEST(test_oldest_of_equals),
		TEST(test_waiter_that_is_gone),
		TEST(test_waits_for_itself),
		TEST(test_circle),
		TEST(test_each_wait),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
