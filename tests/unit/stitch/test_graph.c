/* SPDX-License-Identifier: Apache-2.0 */
/* The graph by itself: lineages end, ghosts are let go, nothing leaks (the sanitizers watch). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "stitch/graph.h"

#define TEXT(str)                    \
	{                            \
		str, sizeof(str) - 1 \
	}

static int setup(void **state)
{
	struct cs_graph *graph;
	int err = cs_graph_new(&graph);

	*state = graph;
	return err;
}

static int teardown(void **state)
{
	cs_graph_free(*state);
	return 0;
}

static struct cs_task *run(struct cs_graph *graph, uint64_t addr)
{
	const struct cs_event_running running = {
		.task = addr, .coro = addr + 1, .name = TEXT("task")};

	return cs_graph_running(graph, &running, 1);
}

static void create(struct cs_graph *graph, uint64_t ts_ns, uint64_t addr, uint64_t creator)
{
	const struct cs_event_running running = {.task = creator, .coro = creator + 1};
	const struct cs_py_frame frame = {.code = 1};

	assert_int_equal(cs_graph_created(graph, ts_ns, addr, &running, &frame, 1), 0);
}

static void update(struct cs_graph *graph, uint64_t addr, uint64_t waiter)
{
	const struct cs_py_frame frames[] = {{.code = 1}, {.code = 2}};
	const struct cs_event_task event = {.task = addr,
					    .coro = addr + 1,
					    .waiter = waiter,
					    .state = CS_TASK_WAITING,
					    .name = TEXT("task"),
					    .leaf = TEXT("leaf"),
					    .frames = frames,
					    .nframes = 2};

	assert_int_equal(cs_graph_update(graph, 100, &event, 1), 0);
}

static uint32_t lineage(struct cs_graph *graph, uint64_t addr, struct cs_task **out, uint32_t max,
			bool *ret_cut)
{
	struct cs_task *task = cs_graph_find(graph, addr);

	assert_non_null(task);
	return cs_graph_lineage(graph, task, out, max, ret_cut);
}

static void test_links(void **state)
{
	const uint64_t alive[] = {1, 2, 3};
	struct cs_graph *graph = *state;
	enum cs_link link;

	create(graph, 1, 2, 1);
	update(graph, 3, 2);
	assert_ptr_equal(cs_graph_parent(cs_graph_find(graph, 2), &link), cs_graph_find(graph, 1));
	assert_int_equal(link, CS_LINK_CREATED);
	assert_null(cs_graph_parent(cs_graph_find(graph, 1), &link));
	assert_int_equal(link, CS_LINK_NONE);
	cs_graph_pass(graph, 100, alive, 3, true);
	assert_ptr_equal(cs_graph_parent(cs_graph_find(graph, 2), &link), cs_graph_find(graph, 3));
	assert_int_equal(link, CS_LINK_AWAIT);
	assert_false(cs_graph_find(graph, 3)->is_leaf);
	assert_true(cs_graph_find(graph, 2)->is_leaf);
}

/* An awaiter that the next pass no longer lists awaits nothing; what it awaited is a leaf's parent no more. */
static void test_awaiter_ends(void **state)
{
	const uint64_t both[] = {1, 2}, two[] = {2};
	struct cs_graph *graph = *state;
	enum cs_link link;

	update(graph, 1, 2);
	update(graph, 2, 0);
	cs_graph_pass(graph, 100, both, 2, true);
	assert_int_equal(cs_graph_find(graph, 2)->nawaiters, 1);
	cs_graph_pass(graph, 101, two, 1, true);
	assert_null(cs_graph_parent(cs_graph_find(graph, 2), &link));
	assert_int_equal(cs_graph_find(graph, 2)->nawaiters, 0);

	/* its waiter is gone and another task is where it was: not the one it awaited */
	update(graph, 1, 2);
	cs_graph_pass(graph, 102, both, 2, true);
	create(graph, 103, 2, 9);
	assert_ptr_equal(cs_graph_parent(cs_graph_find(graph, 2), &link), cs_graph_find(graph, 9));
	assert_int_equal(link, CS_LINK_CREATED);
}

static void test_cycles_end(void **state)
{
	const uint64_t alive[] = {1, 2, 3};
	struct cs_graph *graph = *state;
	struct cs_task *out[10];
	bool cut = false;

	update(graph, 1, 2);
	update(graph, 2, 3);
	update(graph, 3, 1);
	cs_graph_pass(graph, 100, alive, 3, true);
	assert_int_equal(lineage(graph, 1, out, 10, &cut), 3);
	assert_true(cut);
	assert_int_equal(out[0]->addr, 1);
	assert_int_equal(out[1]->addr, 3);
	assert_int_equal(out[2]->addr, 2);
	/* created by a task that waits for it, directly and through another: no cycle, two kinds of link */
	create(graph, 200, 4, 1);
	assert_int_equal(lineage(graph, 4, out, 10, &cut), 4);
	assert_true(cut);
}

static void test_lineage_bound(void **state)
{
	struct cs_graph *graph = *state;
	struct cs_task *out[5] = {0};
	bool cut = false;

	for (uint64_t i = 1; i < 5; i++)
		create(graph, i, i + 1, i);
	assert_int_equal(lineage(graph, 5, out, 5, &cut), 5);
	assert_false(cut);
	assert_int_equal(lineage(graph, 5, out, 4, &cut), 4);
	assert_true(cut);
}

/* A program in which each task makes the next and ends: what is kept of the dead does not grow. */
static void test_ghosts_are_bounded(void **state)
{
	struct cs_graph *graph = *state;
	struct cs_task *out[1000];
	uint32_t n = 0;
	bool cut;

	for (uint64_t i = 1; i < 1000; i++) {
		const uint64_t alive[] = {i + 1};

		create(graph, i, i + 1, i);
		cs_graph_pass(graph, i, alive, 1, true);
		assert_null(cs_graph_find(graph, i));
		n = lineage(graph, i + 1, out, 1000, &cut);
		assert_false(cut);
	}
	assert_in_range(n, 3, 20);
	for (uint32_t i = 1; i < n; i++)
		assert_true(out[i]->finished);
}

/* The same at one address again and again, as CPython's free lists make it. */
static void test_one_address(void **state)
{
	struct cs_graph *graph = *state;
	struct cs_task *out[1000];
	bool cut;

	for (uint64_t i = 0; i < 1000; i++)
		create(graph, i, 7 + i % 2, 8 - i % 2);
	assert_in_range(lineage(graph, 8, out, 1000, &cut), 2, 20);
	assert_false(cut);
}

/* Its creation was not seen, and all but its name is as it was: who waited for the other one does not wait for it. */
static void test_another_name(void **state)
{
	const uint64_t both[] = {1, 2};
	struct cs_event_running running = {.task = 2, .coro = 3, .name = TEXT("task")};
	struct cs_graph *graph = *state;
	enum cs_link link;

	update(graph, 1, 2);
	update(graph, 2, 0);
	cs_graph_pass(graph, 100, both, 2, true);
	assert_ptr_equal(cs_graph_parent(cs_graph_running(graph, &running, 1), &link),
			 cs_graph_find(graph, 1));
	running.name = (struct cs_text)TEXT("another");
	assert_null(cs_graph_parent(cs_graph_running(graph, &running, 1), &link));
	assert_int_equal(cs_graph_find(graph, 2)->nawaiters, 0);

	/* one that was seen to be created is given another name by the program */
	create(graph, 101, 2, 9);
	update(graph, 2, 0);
	cs_graph_pass(graph, 102, both, 2, true);
	assert_ptr_equal(cs_graph_parent(cs_graph_running(graph, &running, 1), &link),
			 cs_graph_find(graph, 1));
}

static struct cs_task *named(struct cs_graph *graph, uint64_t addr, const char *name)
{
	const struct cs_event_running running = {
		.task = addr, .coro = addr + 1, .name = {name, strlen(name)}};

	return cs_graph_running(graph, &running, 1);
}

/* While creations are missed an address may have another task: only asyncio's own names tell that one is still the same. */
static void test_missed_creations(void **state)
{
	struct cs_graph *graph = *state;
	enum cs_link link;

	create(graph, 1, 2, 1);
	named(graph, 2, "Task-7");
	create(graph, 1, 4, 1);
	named(graph, 4, "fetch");
	create(graph, 1, 6, 1); /* not seen yet */
	create(graph, 1, 8, 1);
	named(graph, 8, "Task-9");
	cs_graph_creations(graph, false);
	assert_ptr_equal(cs_graph_parent(named(graph, 2, "Task-7"), &link),
			 cs_graph_find(graph, 1));
	assert_int_equal(link, CS_LINK_CREATED);
	assert_null(cs_graph_parent(named(graph, 4, "fetch"), &link));
	assert_null(cs_graph_parent(named(graph, 6, "Task-8"), &link));
	assert_null(cs_graph_parent(named(graph, 8, "Task-10"), &link));
	/* at the end of its rest the probe tells some that it is said to miss: of these nothing tells that they are the same */
	create(graph, 2, 10, 1);
	assert_null(cs_graph_parent(named(graph, 10, "Task-11"), &link));
	cs_graph_creations(graph, true);
	create(graph, 3, 12, 1);
	assert_ptr_equal(cs_graph_parent(named(graph, 12, "late"), &link), cs_graph_find(graph, 1));
	/* the one from before the rest */
	assert_ptr_equal(cs_graph_parent(named(graph, 2, "Task-7"), &link),
			 cs_graph_find(graph, 1));
	assert_null(cs_graph_parent(named(graph, 2, "Task-13"), &link));
}

static void test_creates_itself(void **state)
{
	struct cs_graph *graph = *state;
	enum cs_link link;

	create(graph, 1, 2, 2);
	assert_null(cs_graph_parent(cs_graph_find(graph, 2), &link));
}

static int count_task(void *ctx, struct cs_task *task)
{
	assert_int_not_equal(task->addr, 3);
	return ++*(int *)ctx == 100 ? 5 : 0;
}

static void test_each(void **state)
{
	const uint64_t alive[] = {1, 2, 77};
	struct cs_graph *graph = *state;
	int n = 0;

	assert_non_null(run(graph, 1));
	assert_non_null(run(graph, 2));
	assert_non_null(run(graph, 3));
	cs_graph_pass(graph, 1, alive, 3, false);
	assert_non_null(cs_graph_find(graph, 3));
	assert_false(cs_graph_alive(graph, cs_graph_find(graph, 3)));
	assert_int_equal(cs_graph_each(graph, count_task, &n), 0);
	assert_int_equal(n, 2);
	n = 99;
	assert_int_equal(cs_graph_each(graph, count_task, &n), 5);
	assert_int_equal(n, 100);
}

/* Linear, or this test would take minutes: one chain of all the tasks that a pass may have, closed into a circle. */
static void test_long_circle(void **state)
{
	static uint64_t tasks[CS_MAX_TASKS];
	struct cs_graph *graph;
	uint32_t leaves = 0;

	assert_int_equal(cs_graph_new(&graph), 0);
	for (uint32_t i = 0; i < CS_MAX_TASKS; i++) {
		const struct cs_event_task task = {
			.task = i + 1,
			.coro = i + 1,
			.waiter = (i + 1) % CS_MAX_TASKS + 1,
			.state = CS_TASK_WAITING,
		};

		tasks[i] = task.task;
		assert_int_equal(cs_graph_update(graph, 1, &task, 0), 0);
	}
	cs_graph_pass(graph, 1, tasks, CS_MAX_TASKS, true);
	for (uint32_t i = 0; i < CS_MAX_TASKS; i++)
		leaves += cs_graph_find(graph, tasks[i])->is_leaf;
	assert_int_equal(leaves, 1);
	assert_true(cs_graph_find(graph, 1)->is_leaf);
	cs_graph_free(graph);
}

/* Where passes fail no task is ever listed: what nobody tells of for a period is gone, whatever was told before. */
static void test_gone_unnoticed(void **state)
{
	const uint64_t alive[] = {3};
	struct cs_graph *graph = *state;

	update(graph, 3, 0);
	create(graph, 1, 2, 1);
	cs_graph_pass(graph, 100, alive, 1, CS_PASS_PARTIAL);
	cs_graph_begin(graph);
	assert_non_null(cs_graph_find(graph, 1));
	assert_non_null(cs_graph_find(graph, 2));
	run(graph, 2); /* in the second period */
	cs_graph_begin(graph);
	assert_null(cs_graph_find(graph, 1));
	assert_non_null(cs_graph_find(graph, 2));
	for (int i = 0; i < 3; i++)
		cs_graph_begin(graph);
	assert_null(cs_graph_find(graph, 2));
	/* the last whole pass lists it, and nothing has happened since: an idle process */
	assert_non_null(cs_graph_find(graph, 3));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_links),          TEST(test_awaiter_ends),
		TEST(test_cycles_end),     TEST(test_long_circle),
		TEST(test_lineage_bound),  TEST(test_ghosts_are_bounded),
		TEST(test_one_address),    TEST(test_missed_creations),

		TEST(test_creates_itself), TEST(test_each),
		TEST(test_gone_unnoticed), TEST(test_another_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
