/* SPDX-License-Identifier: Apache-2.0 */
/* For whom a worker thread works: from the frame of _WorkItem.run to the task that waits, and whatever goes astray on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "made_work.h"
#include "walk_host.h"

/* Code objects of callbacks that complete another future. */
#define GATHER  0x6d00ull
#define WAIT    0x6d10ull
#define SHIELD  0x6d20ull
#define RELEASE 0x6d30ull

/* Two frames of the thread's own, that of _WorkItem.run, and three of the job. */
struct fixture {
	struct made_python *py;
	struct cs_walk *w;
	struct made_work work;
	uint64_t tstate, frame; /* that of _WorkItem.run */
};

/* Frames above `previous`, the newest of the thread. */
static void put_on_top(struct fixture *f, uint64_t previous, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		previous = made_frame(f->py, previous, 0x8000 + 8ull * i, 0, 0);
	made_set_frame(f->py, f->tstate, previous);
}

static struct fixture setup(int minor)
{
	struct fixture f = {.py = made_python(minor), .w = calloc(1, sizeof(*f.w))};

	assert_non_null(f.w);
	f.tstate = made_tstate(f.py, f.py->interp, MADE_THREAD_POINTER);
	f.work = made_work(f.py, made_str(f.py, "fetch", 5, 1, true));
	f.frame = made_work_frame(f.py, made_frames(f.py, 2, 0x5000), f.work.item);
	put_on_top(&f, f.frame, 3);
	return f;
}

static void teardown(struct fixture *f)
{
	made_free(f->py);
	free(f->w);
}

#define _cleanup_fixture_ _cleanup_(teardown)

/* Walk, expect all frames whoever waits, and the task that waits or none. */
static void walk_and_expect(struct fixture *f, uint64_t task)
{
	const struct cs_running_task *waiter = &f->w->origin.waiter;

	walk_thread(f->w, f->py, 0);
	assert_int_equal(f->w->ev.status, CS_STATUS_COMPLETE);
	assert_int_equal(f->w->ev.nframes, 6);
	assert_int_equal(f->w->ev.running.task, 0);
	assert_int_equal(waiter->task, task);
	if (!task)
		return;
	assert_int_equal(waiter->coro, f->work.coro);
	assert_int_equal(waiter->root_frame, 3);
	assert_int_equal(f->w->frames[3].code, MADE_RUN_CODE);
	assert_int_equal(waiter->name_kind, CS_NAME_LATIN1);
	assert_int_equal(waiter->name_bytes, 5);
	assert_memory_equal(waiter->name, "fetch", 5);
}

static void test_found(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);

		walk_and_expect(&f, f.work.task);
		assert_int_equal(f.w->work_item, f.work.item);
		/* a walk of a thread that works for nobody has nothing of the last one */
		put_on_top(&f, 0, 6);
		walk_and_expect(&f, 0);
		assert_int_equal(f.w->work_item, 0);
	}
}

/* Nobody has used an executor yet: a frame without a code object is not taken for one of its. */
static void test_not_known(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);

		f.py->info.work = (struct cs_work){0};
		made_frame_at(f.py, f.frame, 0, 0, 0, 0);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->work_item, 0);
		assert_int_equal(f.w->origin.waiter.task, 0);
	}
}

static void test_other_callback(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		struct cs_work *work = &f.py->info.work;

		work->chain_code += 8;
		walk_and_expect(&f, 0);
		assert_int_equal(f.w->work_item, f.work.item); /* it is counted as unknown */
		work->chain_code -= 8;
		work->cell--;
		walk_and_expect(&f, 0);
		work->cell++;
		walk_and_expect(&f, f.work.task);
		work->nsteps--;
		walk_and_expect(&f, 0);
	}
}

/* The cell has a future which another task waits for, or nobody. */
static void test_other_future(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		const struct cs_py_offsets *off = &f.py->info.off;
		const uint64_t on = f.work.task + off->task_fut_waiter;

		made_put_u64(f.py, on, f.work.future + 8);
		walk_and_expect(&f, 0);
		made_put_u64(f.py, on, 0); /* it has been woken up */
		walk_and_expect(&f, 0);
		made_put_u64(f.py, on, f.work.future);
		walk_and_expect(&f, f.work.task);
		made_put_u64(f.py, f.work.future + off->future_callbacks, 0);
		walk_and_expect(&f, 0);
		made_put_u64(f.py, f.work.cell + off->cell_value, 0);
		made_put_u64(f.py, on, 0);
		walk_and_expect(&f, 0);
	}
}

/*
 * Put something between the job's future and the task: a callback of this code (0: a partial of wait_for's), whose closure has the
 * task's future in that cell of n.
 */
static uint64_t put_between(struct fixture *f, uint64_t code, uint64_t n, uint64_t index)
{
	struct made_python *py = f->py;
	const struct cs_py_offsets *off = &py->info.off;
	uint64_t future = made_alloc(py, off->future_callbacks + 8), callback = made_alloc(py, 160);
	uint64_t cell = made_alloc(py, off->cell_value + 8), function = made_alloc(py, 160);

	made_put_u64(py, future + off->future_callback0, f->work.callable);
	made_put_u64(py, f->work.task + off->task_fut_waiter, future);
	made_put_u64(py, f->work.future + off->future_callbacks,
		     made_list(py, made_tuple(py, 2, 0, callback)));
	made_put_u64(py, cell + off->cell_value, future);
	if (code) {
		made_put_u64(py, callback + off->function_code, code);
		made_put_u64(py, callback + off->function_closure, made_tuple(py, n, index, cell));
		return future;
	}
	made_put_u64(py, function + off->function_code, RELEASE);
	made_put_u64(py, callback + off->object_type + 8, function);
	made_put_u64(py, callback + off->object_type + 16, made_tuple(py, n, 0, future));
	return future;
}

/* gather, wait of 3.13 and 3.14, shield, wait_for. */
static void test_ways(void **state)
{
	static const struct {
		uint64_t code, n, index;
	} ways[] = {{GATHER, 5, 3}, {WAIT, 4, 3}, {WAIT, 5, 4}, {SHIELD, 1, 0}, {0, 1, 0}};

	for (size_t i = 0; i < ARRAY_SIZE(made_minors) * ARRAY_SIZE(ways); i++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[i / ARRAY_SIZE(ways)]);
		const struct cs_py_offsets *off = &f.py->info.off;
		uint64_t code = ways[i % ARRAY_SIZE(ways)].code, future;

		f.py->info.work.ways[0] = (struct cs_work_way){.code = GATHER, .cell = 3};
		f.py->info.work.ways[1] = (struct cs_work_way){.code = WAIT, .from_end = 1};
		f.py->info.work.ways[2] = (struct cs_work_way){.code = SHIELD};
		f.py->info.work.release_code = RELEASE;
		future = put_between(&f, code, ways[i % ARRAY_SIZE(ways)].n,
				     ways[i % ARRAY_SIZE(ways)].index);
		walk_and_expect(&f, f.work.task);
		/* shield's own callback comes before the task's */
		made_put_u64(f.py, future + off->future_callback0, made_alloc(f.py, 160));
		made_put_u64(f.py, future + off->future_callbacks,
			     made_list(f.py, made_tuple(f.py, 2, 0, f.work.callable)));
		walk_and_expect(&f, f.work.task);
		/* the task waits for something else by now */
		made_put_u64(f.py, f.work.task + off->task_fut_waiter, f.work.future);
		walk_and_expect(&f, 0);
		made_put_u64(f.py, f.work.task + off->task_fut_waiter, future);
		f.py->info.work.ways[0].cell--;
		f.py->info.work.ways[1].from_end++;
		f.py->info.work.ways[2].cell++;
		f.py->info.work.release_code--;
		walk_and_expect(&f, 0);
	}
}

/* Futures that lead to each other. */
static void test_way_in_a_circle(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		const struct cs_py_offsets *off = &f.py->info.off;
		uint64_t function = made_alloc(f.py, 160), cell = made_alloc(f.py, 64), future;

		f.py->info.work.ways[0] = (struct cs_work_way){.code = SHIELD};
		future = put_between(&f, SHIELD, 1, 0);
		made_put_u64(f.py, cell + off->cell_value, future);
		made_put_u64(f.py, function + off->function_code, SHIELD);
		made_put_u64(f.py, function + off->function_closure, made_tuple(f.py, 1, 0, cell));
		made_put_u64(f.py, future + off->future_callback0, function);
		walk_and_expect(&f, 0);
		assert_in_range(f.py->reads, 1, 300);
	}
}

/* Whoever has what a task has where a task has it is none, unless its type, or what that one derives from, is asyncio's. */
static void test_no_task(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		uint64_t derived = made_type_of(f.py, f.py->info.types.in_c);
		const uint64_t type = f.work.task + f.py->info.off.object_type;

		made_put_u64(f.py, type, made_type_of(f.py, 0));
		walk_and_expect(&f, 0);
		made_put_u64(f.py, type, derived);
		walk_and_expect(&f, f.work.task);
		derived = made_type_of(f.py, made_type_of(f.py, derived));
		made_put_u64(f.py, type, derived);
		walk_and_expect(&f, f.work.task);
		made_put_u64(f.py, type, made_type_of(f.py, derived));
		walk_and_expect(&f, 0);
		made_put_u64(f.py, type, MADE_NOWHERE);
		walk_and_expect(&f, 0);
	}
}

static void test_each_read_fails(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		unsigned int last, needed = made_work_reads(f.py), lost = 0;

		/* the way to the task is what is read last, but for one word of its name */
		made_put_u64(f.py, f.work.task + f.py->info.off.task_name, 0);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->origin.waiter.task, f.work.task);
		last = f.py->reads;
		for (unsigned int i = 1; i <= last; i++) {
			f.py->fail_at = i;
			walk_thread(f.w, f.py, 0);
			if (f.w->origin.waiter.task)
				assert_int_equal(f.w->origin.waiter.task, f.work.task);
			else
				lost += i >= last - needed;
		}
		/* one read only tells that the callback is none of gather's and the like */
		assert_int_equal(lost, needed - 1);
		assert_int_equal(f.w->origin.waiter.task, f.work.task);
		assert_int_equal(f.w->origin.waiter.name_kind, CS_NAME_NONE);
	}
}

/* The item itself cannot be read: nothing is known, not even that there is one. */
static void test_unreadable_item(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(13);
	uint64_t frame = made_frame(f.py, made_frames(f.py, 2, 0x5000), MADE_RUN_CODE, 0, 0);

	put_on_top(&f, frame, 3);
	walk_and_expect(&f, 0);
	assert_int_equal(f.w->work_item, 0);
}

/* A job that runs an event loop works for its own tasks. */
static void test_runs_a_task(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		uint64_t coro = made_coro(f.py, f.frame, 0x7100);
		uint64_t task = made_task(f.py, coro, 0);

		put_on_top(&f, made_coro_frame(f.py, coro), 1);
		made_run_task(f.py, f.tstate, task);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.status, CS_STATUS_COMPLETE);
		assert_int_equal(f.w->ev.running.task, task);
		assert_int_equal(f.w->origin.waiter.task, 0);
		/* another thread's task does not hinder */
		made_run_task(f.py, f.tstate, made_task(f.py, made_coro(f.py, 0, 0x7200), 0));
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->origin.waiter.task, f.work.task);
	}
}

/* A job that carries out another one on the spot. */
static void test_innermost(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		struct made_work inner = made_work(f.py, 0);
		uint64_t frame = made_frame(f.py, f.frame, 0x8000, 0, 0);

		put_on_top(&f, made_work_frame(f.py, frame, inner.item), 1);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.nframes, 6);
		assert_int_equal(f.w->origin.waiter.task, inner.task);
		assert_int_equal(f.w->origin.waiter.coro, inner.coro);
		assert_int_equal(f.w->origin.waiter.root_frame, 1);
	}
}

/* All frames kept before that one are the job's: those before the gap if it was left out itself. */
static void test_deep(void **state)
{
	static const struct {
		unsigned int above, below, root;
	} cases[] = {
		{0, 1000, 0},     {100, 1000, 100}, {191, 1000, 191}, {192, 1000, 192},
		{193, 1000, 192}, {600, 1000, 192}, {1000, 63, 192},  {1000, 20, 235},
		{1000, 1, 254},   {190, 10, 190},   {254, 1, 254},
	};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		_cleanup_fixture_ struct fixture f = setup(i % 2 ? 8 : 13);
		unsigned int above = cases[i / 2].above, below = cases[i / 2].below;
		uint32_t root = cases[i / 2].root;
		uint64_t previous = made_frames(f.py, below, 0x5000);

		put_on_top(&f, made_work_frame(f.py, previous, f.work.item), above);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.status,
				 above + below > 255 ? CS_STATUS_CUT : CS_STATUS_COMPLETE);
		assert_int_equal(f.w->origin.waiter.task, f.work.task);
		assert_int_equal(f.w->origin.waiter.root_frame, root);
		if (root != CS_LEAF_FRAMES || below == CS_ROOT_FRAMES - 1)
			assert_int_equal(f.w->frames[root].code, MADE_RUN_CODE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_not_known),
		cmocka_unit_test(test_other_callback),
		cmocka_unit_test(test_other_future),
		cmocka_unit_test(test_no_task),
		cmocka_unit_test(test_each_read_fails),
		cmocka_unit_test(test_unreadable_item),
		cmocka_unit_test(test_runs_a_task),
		cmocka_unit_test(test_innermost),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_way_in_a_circle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
