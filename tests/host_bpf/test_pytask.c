/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks that are written in Python: the running one, and the one that a worker thread works for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "made_work.h"
#include "walk_host.h"

/* Two frames, and that of a coroutine, the newest. */
struct fixture {
	struct made_python *py;
	struct cs_walk *w;
	uint64_t tstate, coro, name;
};

static struct fixture setup(int minor)
{
	struct fixture f = {.py = made_python(minor), .w = calloc(1, sizeof(*f.w))};

	assert_non_null(f.w);
	f.tstate = made_tstate(f.py, f.py->interp, MADE_THREAD_POINTER);
	f.coro = made_coro(f.py, made_frames(f.py, 2, 0x5000), 0x5002);
	f.name = made_str(f.py, "fetch", 5, 1, true);
	made_set_frame(f.py, f.tstate, made_coro_frame(f.py, f.coro));
	f.py->info.types = (struct cs_task_types){
		.in_c = made_type_of(f.py, 0),
		.in_python = made_type_of(f.py, 0),
		.coro_key = MADE_CORO_KEY,
		.name_key = MADE_NAME_KEY,
		.waiter_key = MADE_WAITER_KEY,
	};
	return f;
}

static void teardown(struct fixture *f)
{
	made_free(f->py);
	free(f->w);
}

#define _cleanup_fixture_ _cleanup_(teardown)

static void expect_running(struct fixture *f, uint64_t task)
{
	const struct cs_running_task *running = &f->w->ev.running;

	walk_thread(f->w, f->py, 0);
	assert_int_equal(f->w->ev.status, CS_STATUS_COMPLETE);
	assert_int_equal(f->w->ev.nframes, 3);
	assert_int_equal(running->task, task);
	assert_int_equal(running->coro, task ? f->coro : 0);
	if (!task)
		return;
	assert_int_equal(running->root_frame, 0);
	assert_int_equal(running->name_kind, CS_NAME_LATIN1);
	assert_memory_equal(running->name, "fetch", 5);
}

/* No thread state tells of it, also where it does of those of the C module. */
static void test_running(void **state)
{
	for (size_t m = 0; m < 2 * ARRAY_SIZE(made_minors) - 2; m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m / 2]);
		uint64_t task = made_python_task(f.py, f.coro, f.name, 0, m % 2);
		uint64_t other =
			made_python_task(f.py, made_coro(f.py, 0, 0x7000), f.name, 0, m % 2);

		made_current_tasks(f.py, (const uint64_t[]){other, task}, 2);
		expect_running(&f, task);
		made_current_tasks(f.py, &other, 1);
		expect_running(&f, 0);
	}
}

/* Where the C module's tasks have their coroutine, one in Python has anything. */
static void test_what_looks_like_the_other_kind(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors) - 1; m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		uint64_t task = made_task(f.py, f.coro, f.name);
		uint64_t type = task + f.py->info.off.object_type;

		made_current_tasks(f.py, &task, 1);
		made_put_u64(f.py, type, f.py->info.types.in_c);
		expect_running(&f, task);
		made_put_u64(f.py, type, made_type_of(f.py, f.py->info.types.in_c));
		expect_running(&f, task);
		made_put_u64(f.py, type, made_type_of(f.py, f.py->info.types.in_python));
		expect_running(&f, 0);
	}
}

static void test_names_are_not_known(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(13);
	uint64_t task = made_python_task(f.py, f.coro, f.name, 0, false);

	made_current_tasks(f.py, &task, 1);
	f.py->info.types.coro_key++;
	expect_running(&f, 0);
	f.py->info.types.coro_key--;
	f.py->info.types.name_key++;
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.running.task, task);
	assert_int_equal(f.w->ev.running.name_kind, CS_NAME_NONE);
	f.py->info.types.in_python = 0;
	expect_running(&f, 0);
}

static void test_each_read_fails(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors) - 1; m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		uint64_t task = made_python_task(f.py, f.coro, f.name, 0, false);
		unsigned int last, lost = 0;

		made_current_tasks(f.py, &task, 1);
		expect_running(&f, task);
		last = f.py->reads;
		for (unsigned int i = 1; i <= last; i++) {
			f.py->fail_at = i;
			walk_thread(f.w, f.py, 0);
			if (f.w->ev.running.task)
				assert_int_equal(f.w->ev.running.task, task);
			else
				lost++;
		}
		assert_in_range(lost, 5, last - 5);
	}
}

/* A worker thread's job, for which a task in Python waits: its method is called where a task of C has an object for it. */
static void test_origin(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		const struct cs_py_offsets *off = &f.py->info.off;
		struct made_work work = made_work(f.py, 0);
		uint64_t task = made_python_task(f.py, f.coro, f.name, work.future, false);
		uint64_t method = made_alloc(f.py, off->method_self + 8);

		made_put_u64(f.py, method + off->method_self, task);
		made_put_u64(f.py, work.future + off->future_callbacks,
			     made_list(f.py, made_tuple(f.py, 2, 0, method)));
		made_set_frame(f.py, f.tstate,
			       made_work_frame(f.py, made_frames(f.py, 2, 0x5000), work.item));
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->origin.waiter.task, task);
		assert_int_equal(f.w->origin.waiter.coro, f.coro);
		assert_memory_equal(f.w->origin.waiter.name, "fetch", 5);
		/* it waits for something else */
		task = made_python_task(f.py, f.coro, f.name, work.future + 8, false);
		made_put_u64(f.py, method + off->method_self, task);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->origin.waiter.task, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_running),
		cmocka_unit_test(test_what_looks_like_the_other_kind),
		cmocka_unit_test(test_names_are_not_known),
		cmocka_unit_test(test_each_read_fails),
		cmocka_unit_test(test_origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
