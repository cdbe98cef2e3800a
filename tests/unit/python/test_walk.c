/* SPDX-License-Identifier: Apache-2.0 */
/* Readings of tasks in a process that goes on between the first reading of a block and the second. */
#include "python/walk.h"

#include "core/cleanup.h"
#include "made_calls.h"
#include "made_tasks.h"
#include "test.h"

/* A task that another waits for through a future, which is in the closure of a callback. */
struct going_on {
	struct world world;
	struct made_calls calls;
	uint64_t task, function, waiter, future, cell;
	struct cs_walk walk;
	/* what the process writes between the readings */
	uint64_t at, word;
};

static uint64_t word_at(uint64_t addr)
{
	return *(const uint64_t *)(uintptr_t)addr;
}

static const struct cs_py_offsets *offsets(const struct going_on *going_on)
{
	return &going_on->world.made.interp.info.off;
}

static void begin(struct going_on *it, int minor)
{
	struct made *made = &it->world.made;
	uint64_t closure;

	*it = (struct going_on){0};
	world_begin(&it->world, minor);
	made_calls_begin(&it->calls, made);
	it->future = made_future(&it->calls);
	it->waiter = made_waiter(&it->calls, it->future);
	it->task = made_task(&it->world, made_suspended(&it->world, made_leaf(&it->world)),
			     made_int(made, 1), 0);
	it->function = MADE_FUNCTION(&it->calls, "asyncio.tasks", "gather.<locals>._done_callback",
				     .cells = {it->future});
	made_done_callback(&it->calls, it->task, it->function);
	closure = word_at(it->function + offsets(it)->function_closure);
	it->cell = word_at(closure + offsets(it)->tuple_items) + offsets(it)->cell_value;
	world_watch(&it->world, &it->task, 1, 8);
}

static void end(struct going_on *it)
{
	cs_walk_free(&it->walk);
	world_end(&it->world);
}

static bool rests(void *arg)
{
	(void)arg;
	return true;
}

/* Asked between the first reading and the second: the process runs now. */
static bool go_on(void *arg)
{
	const struct going_on *it = arg;

	if (it->at)
		*(uint64_t *)(uintptr_t)it->at = it->word;
	return false;
}

/* Read while this word changes (at 0: none). Returns the task as it was read. */
static const struct cs_walk_task *read_while(struct going_on *it, uint64_t at, uint64_t word)
{
	struct cs_share share;
	const struct cs_walk_plan plan = {
		.share = &share, .twice = true, .quiet = go_on, .rests = rests, .arg = it};

	it->at = at;
	it->word = word;
	cs_share_init(&share, 100);
	assert_int_equal(cs_walk_read(&it->walk, &it->world.made.ctx, &it->world.asyncio, &plan),
			 0);
	assert_int_equal(it->walk.ntasks, 1);
	return &it->walk.tasks[0];
}

static void expect_link(const struct going_on *it)
{
	assert_int_equal(it->walk.tasks[0].nlinks, 1);
	assert_int_equal(it->walk.links[it->walk.tasks[0].link_at].waiter, it->waiter);
}

static void what_stays_is_told(void **state)
{
	for (int minor = 11; minor <= 13; minor++) {
		struct going_on it;

		begin(&it, minor);
		assert_int_equal(read_while(&it, 0, 0)->state, CS_TASK_READY);
		assert_int_equal(it.walk.tasks[0].nframes, 1);
		assert_int_equal(it.walk.ndropped + it.walk.nmoved, 0);
		expect_link(&it);
		end(&it);
	}
}

/*
 * The future was read as one that the callback knows. By then it was another's: where it had been, a task has put the one that it waits
 * for itself, and has not changed since.
 */
static void a_way_that_is_gone(void **state)
{
	struct going_on it;

	begin(&it, 12);
	assert_int_equal(read_while(&it, it.cell, made_future(&it.calls))->state, 0);
	assert_int_equal(it.walk.ndropped, 1);
	end(&it);
}

static void a_waiter_that_changes(void **state)
{
	struct going_on it;

	begin(&it, 12);
	assert_int_equal(read_while(&it, it.waiter + offsets(&it)->task_fut_waiter, 0)->state, 0);
	assert_int_equal(it.walk.ndropped, 1);
	end(&it);
}

/* The task has run, but has the same callbacks still: what it does is not known, who waits for it is. */
static void a_task_that_changes(void **state)
{
	const struct cs_walk_task *task;
	struct going_on it;

	for (int minor = 11; minor <= 13; minor++) {
		begin(&it, minor);
		task = read_while(&it, it.task + offsets(&it)->task_fut_waiter,
				  made_future(&it.calls));
		assert_int_equal(task->state, CS_TASK_RUNNING);
		assert_int_equal(task->flags, CS_TASKF_MOVED);
		assert_int_equal(task->nframes, 0);
		assert_int_equal(it.walk.ndropped, 0);
		assert_int_equal(it.walk.nmoved, 1);
		expect_link(&it);
		end(&it);
	}
}

static void a_task_that_is_another(void **state)
{
	struct going_on it;

	begin(&it, 12);
	assert_int_equal(
		read_while(&it, it.task + offsets(&it)->task_name, made_int(&it.world.made, 2))
			->state,
		0);
	end(&it);
	begin(&it, 12);
	assert_int_equal(read_while(&it, it.task + offsets(&it)->future_callback0, 0)->state, 0);
	assert_int_equal(it.walk.ndropped, 1);
	end(&it);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_stays_is_told),     cmocka_unit_test(a_way_that_is_gone),
		cmocka_unit_test(a_waiter_that_changes),  cmocka_unit_test(a_task_that_changes),
		cmocka_unit_test(a_task_that_is_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
