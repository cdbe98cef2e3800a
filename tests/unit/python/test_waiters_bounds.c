/* SPDX-License-Identifier: Apache-2.0 */
/* From a task up to those that wait for it: what ends the search, is told of that, and what a reading costs. */
#include "core/cleanup.h"
#include "made_waits.h"
#include "test.h"

/* What it takes to see that a callback is one that was followed before. */
#define IDENTIFY_WORDS 4

static void too_many_waiters_are_cut(void **state)
{
	for (unsigned int ncallbacks = 1; ncallbacks <= 2; ncallbacks++) {
		struct made_waits waits;

		made_waits_begin(&waits, 11);
		made_done_callback(&waits.calls, waits.task, made_gather(&waits, waits.future));
		for (unsigned int i = 1; i < CS_MAX_LINKS; i++)
			made_waiter(&waits.calls, waits.future);
		made_look(&waits, waits.task);
		assert_int_equal(waits.n, CS_MAX_LINKS);
		assert_false(waits.cut);
		if (ncallbacks == 2) {
			uint64_t other = made_future(&waits.calls);

			made_waiter(&waits.calls, other);
			made_done_callback(&waits.calls, waits.task, made_gather(&waits, other));
		} else {
			made_waiter(&waits.calls, waits.future);
		}
		made_reading(&waits);
		made_look(&waits, waits.task);
		assert_int_equal(waits.n, CS_MAX_LINKS);
		assert_true(waits.cut);
		made_waits_end(&waits);
	}
}

static void long_lists_are_cut(void **state)
{
	const struct cs_py_offsets *off;
	struct made_waits waits;
	uint64_t waiter;

	made_waits_begin(&waits, 14);
	off = &waits.made.interp.info.off;
	for (int i = 0; i < 64; i++)
		made_done_callback(&waits.calls, waits.task,
				   made_object(&waits.made, waits.made.type_none, 32));
	made_done_callback(&waits.calls, waits.task, made_gather(&waits, waits.future));
	made_look(&waits, waits.task);
	assert_int_equal(waits.n, 1);
	assert_false(waits.cut);
	/* one more is not looked at */
	waiter = made_future(&waits.calls);
	made_waiter(&waits.calls, waiter);
	made_done_callback(&waits.calls, waits.task, made_gather(&waits, waiter));
	made_look(&waits, waits.task);
	assert_int_equal(waits.n, 1);
	assert_true(waits.cut);
	/* a length that cannot be true */
	made_look_through(&waits, made_gather(&waits, waiter));
	assert_int_equal(
		cs_mem_read_u64(waits.made.ctx.mem, waits.task + off->future_callbacks, &waiter),
		0);
	made_put(&waits.made, waiter, off->object_var_size, ~0ull);
	made_look(&waits, waits.task);
	assert_true(waits.cut);
	made_waits_end(&waits);
}

/* Futures above one another: each is a callback and a future. */
static uint64_t tower(struct made_waits *waits, unsigned int height, uint64_t future)
{
	while (height--) {
		uint64_t below = made_future(&waits->calls);

		made_done_callback(&waits->calls, below, made_wait(waits, future));
		future = below;
	}
	return made_wait(waits, future);
}

static void long_ways_are_cut(void **state)
{
	for (unsigned int height = 0; height < 40; height++) {
		struct made_waits waits;

		made_waits_begin(&waits, 10);
		made_look_through(&waits, tower(&waits, height, waits.future));
		/* real ones have three */
		if (height <= 4) {
			assert_int_equal(waits.n, 1);
			assert_false(waits.cut);
		} else if (height > 5) {
			assert_int_equal(waits.n, 0);
			assert_true(waits.cut);
		}
		made_waits_end(&waits);
	}
}

/* Not far and not long, but wide: a future with many callbacks, each of which holds several objects. */
static void too_many_objects_are_cut(void **state)
{
	for (unsigned int ncallbacks = 30; ncallbacks <= 60; ncallbacks += 30) {
		struct made_waits waits;
		uint64_t outer, object;

		made_waits_begin(&waits, 13);
		outer = made_future(&waits.calls);
		object = made_user_object(&waits, "close", made_future(&waits.calls));
		for (unsigned int i = 0; i < ncallbacks; i++)
			made_done_callback(
				&waits.calls, outer,
				MADE_FUNCTION(&waits.calls, "app", "f",
					      .cells = {object, object, object, object}));
		made_done_callback(&waits.calls, outer, made_gather(&waits, waits.future));
		made_look_through(&waits, made_gather(&waits, outer));
		assert_int_equal(waits.n, ncallbacks == 30);
		assert_int_equal(waits.cut, ncallbacks == 60);
		made_waits_end(&waits);
	}
}

static void what_cannot_be_read_is_told(void **state)
{
	static const uint64_t nowhere[] = {0x1000, ~0ull - 64};
	struct made_waits waits;

	for (size_t i = 0; i < ARRAY_SIZE(nowhere) * 8; i++) {
		const struct cs_py_offsets *off;
		uint64_t function, bad = nowhere[i / 8];

		made_waits_begin(&waits, 13);
		off = &waits.made.interp.info.off;
		function = made_wait(&waits, waits.future);
		made_done_callback(&waits.calls, waits.task, function);
		switch (i % 8) {
		case 0:
			made_put(&waits.made, waits.task, off->future_callback0, bad);
			break;
		case 1:
			made_put(&waits.made, waits.task, off->future_callbacks, bad);
			break;
		case 2:
			made_put(&waits.made, waits.future, off->future_callback0, bad);
			break;
		case 3:
			made_put(&waits.made, waits.future, off->future_callbacks, bad);
			break;
		case 4:
			made_put(&waits.made, function, off->function_closure, bad);
			break;
		case 5:
			made_put(&waits.made, function, off->function_code, bad);
			break;
		case 6:
			made_put(&waits.made, function, off->object_type, bad);
			break;
		case 7:
			made_put(&waits.made, waits.waiter, off->object_type, bad);
			break;
		}
		made_look(&waits, waits.task);
		/* what can be read nevertheless is true */
		assert_int_equal(waits.n, i % 8 == 1 || i % 8 == 3 || i % 8 == 5);
		if (waits.n)
			assert_int_equal(waits.links[0].waiter, waits.waiter);
		if (!waits.cut)
			print_error("case %zu\n", i);
		assert_true(waits.cut);
		made_waits_end(&waits);
	}
}

/* The items of a list are elsewhere: one that is just growing. */
static void unreadable_items_are_told(void **state)
{
	const struct cs_py_offsets *off;
	struct made_waits waits;
	uint64_t list;

	made_waits_begin(&waits, 9);
	off = &waits.made.interp.info.off;
	made_done_callback(&waits.calls, waits.task, made_gather(&waits, waits.future));
	made_done_callback(&waits.calls, waits.task, made_future(&waits.calls));
	assert_int_equal(
		cs_mem_read_u64(waits.made.ctx.mem, waits.task + off->future_callbacks, &list), 0);
	made_put(&waits.made, list, off->list_items, 0x1000);
	made_look(&waits, waits.task);
	assert_int_equal(waits.n, 1);
	assert_true(waits.cut);
	made_waits_end(&waits);
}

/* An object whose attributes cannot be read, or are too many to be looked at. */
static void attributes_that_are_not_seen_are_told(void **state)
{
	uint64_t keys[300], group, function, dict;
	const struct cs_py_offsets *off;
	struct made_waits waits;

	made_waits_begin(&waits, 8);
	off = &waits.made.interp.info.off;
	function = MADE_FUNCTION(&waits.calls, "asyncio.taskgroups", "TaskGroup._on_task_done",
				 .names = {"_on_completed_fut"});
	group = made_instance_of(&waits.made, made_class(&waits.made, "TaskGroup", 0, 0), NULL,
				 NULL, 0);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		keys[i] = made_int(&waits.made, (int64_t)i);
	keys[ARRAY_SIZE(keys) - 1] = made_name(&waits.made, "_on_completed_fut");
	dict = made_dict_of(&waits.made, keys, keys, ARRAY_SIZE(keys));
	made_put(&waits.made, group, 16, dict);
	made_look_through(&waits, made_method(&waits.calls, function, group));
	assert_int_equal(waits.n, 0);
	assert_true(waits.cut);
	made_reading(&waits);
	made_put(&waits.made, dict, off->dict_keys, 0x1000);
	made_look(&waits, waits.task);
	assert_int_equal(waits.n, 0);
	assert_true(waits.cut);
	made_waits_end(&waits);
}

/* The same callback of another task, in the same reading: nothing is read again. */
static void a_callback_that_tasks_share_is_followed_once(void **state)
{
	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		uint64_t function, other;
		struct made_waits waits;
		unsigned int left;

		made_waits_begin(&waits, minor);
		function = made_gather(&waits, waits.future);
		other = made_new_task(&waits);
		made_done_callback(&waits.calls, other, function);
		made_look_through(&waits, function);
		assert_int_equal(waits.n, 1);
		left = waits.waiters.left;
		made_look(&waits, other);
		assert_int_equal(waits.n, 1);
		assert_int_equal(waits.links[0].waiter, waits.waiter);
		assert_int_equal(waits.links[0].how, CS_WAIT_GATHER);
		assert_in_range(left - waits.waiters.left, 0, IDENTIFY_WORDS);
		/* the next reading begins anew */
		made_wait_ended(&waits, waits.future);
		made_reading(&waits);
		made_look(&waits, other);
		assert_int_equal(waits.n, 0);
		made_waits_end(&waits);
	}
}

/* A group's bound method is made anew for each task; what it is bound to tells them apart. */
static void a_method_is_known_by_what_it_is_bound_to(void **state)
{
	const struct cs_py_offsets *off;
	uint64_t method, function, self, others[2];
	struct made_waits waits;
	unsigned int left;

	made_waits_begin(&waits, 12);
	off = &waits.made.interp.info.off;
	method = made_task_group(&waits, waits.future);
	assert_int_equal(
		cs_mem_read_u64(waits.made.ctx.mem, method + off->method_function, &function), 0);
	assert_int_equal(cs_mem_read_u64(waits.made.ctx.mem, method + off->method_self, &self), 0);
	for (int i = 0; i < 2; i++)
		others[i] = made_new_task(&waits);
	made_done_callback(&waits.calls, others[0], made_method(&waits.calls, function, self));
	self = made_user_object(&waits, "x", made_future(&waits.calls));
	made_done_callback(&waits.calls, others[1], made_method(&waits.calls, function, self));
	made_look_through(&waits, method);
	assert_int_equal(waits.n, 1);
	left = waits.waiters.left;
	made_look(&waits, others[0]);
	assert_int_equal(waits.n, 1);
	assert_int_equal(waits.links[0].waiter, waits.waiter);
	assert_in_range(left - waits.waiters.left, 0, IDENTIFY_WORDS);
	made_look(&waits, others[1]);
	assert_int_equal(waits.n, 0);
	assert_true(waits.waiters.left < left - 2 * IDENTIFY_WORDS);
	made_waits_end(&waits);
}

/* More than are remembered: none is taken for another. */
static void methods_of_many_objects_are_told_apart(void **state)
{
	static const char *const attr = "future";
	uint64_t tasks[3 * CS_WAITERS_KNOWN], waiters[ARRAY_SIZE(tasks)], class, function;
	struct made_waits waits;

	made_waits_begin(&waits, 9);
	class = made_class(&waits.made, "Job", 0, 0);
	function = MADE_FUNCTION(&waits.calls, "app", "Job.done", .names = {attr});
	for (size_t i = 0; i < ARRAY_SIZE(tasks); i++) {
		uint64_t future = made_future(&waits.calls);

		waiters[i] = made_waiter(&waits.calls, future);
		tasks[i] = made_new_task(&waits);
		made_done_callback(
			&waits.calls, tasks[i],
			made_method(&waits.calls, function,
				    made_instance_of(&waits.made, class, &attr, &future, 1)));
	}
	for (size_t i = 0; i < ARRAY_SIZE(tasks); i++) {
		made_look(&waits, tasks[i]);
		assert_int_equal(waits.n, 1);
		assert_int_equal(waits.links[0].waiter, waiters[i]);
	}
	made_waits_end(&waits);
}

/* What was cut short is so for all that share it. */
static void what_is_known_remembers_that_it_was_cut(void **state)
{
	uint64_t function, other;
	struct made_waits waits;

	made_waits_begin(&waits, 13);
	function = tower(&waits, 20, waits.future);
	other = made_new_task(&waits);
	made_done_callback(&waits.calls, other, function);
	made_look_through(&waits, function);
	assert_true(waits.cut);
	made_look(&waits, other);
	assert_int_equal(waits.n, 0);
	assert_true(waits.cut);
	made_waits_end(&waits);
}

static void a_reading_has_a_budget(void **state)
{
	struct made_waits waits;
	unsigned int whole;
	uint64_t tasks[2];

	made_waits_begin(&waits, 13);
	/* no two tasks share a partial */
	for (int i = 0; i < 2; i++) {
		tasks[i] = made_new_task(&waits);
		made_done_callback(&waits.calls, tasks[i], made_wait_for(&waits, waits.future));
	}
	whole = waits.waiters.left;
	made_look(&waits, tasks[0]);
	assert_int_equal(waits.n, 1);
	/* all tasks that are read may have such a way */
	assert_true((whole - waits.waiters.left) * 4ull * CS_PASS_TASKS < whole);
	waits.waiters.left = whole - waits.waiters.left;
	made_look(&waits, tasks[1]);
	assert_int_equal(waits.n, 1);
	assert_false(waits.cut);
	assert_int_equal(waits.waiters.left, 0);
	made_look(&waits, tasks[0]);
	assert_int_equal(waits.n, 0);
	assert_true(waits.cut);
	made_waits_end(&waits);
}

/* Objects whose classes have more methods and bases than anybody has patience for. */
static void a_forged_class_costs_its_budget(void **state)
{
	uint64_t keys[256], objects[4], class = 0;
	struct made_waits waits;
	unsigned int left;

	made_waits_begin(&waits, 13);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		keys[i] = made_int(&waits.made, (int64_t)i);
	for (int i = 0; i < 8; i++)
		class = made_class(&waits.made, "C",
				   made_dict_of(&waits.made, keys, keys, ARRAY_SIZE(keys)), class);
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		objects[i] =
			made_instance_of(&waits.made, class, (const char *const[]){"x"}, keys, 1);
	left = waits.waiters.left;
	made_look_through(&waits,
			  MADE_FUNCTION(&waits.calls, "app", "f",
					.cells = {objects[0], objects[1], objects[2], objects[3]}));
	assert_true(left - waits.waiters.left > ARRAY_SIZE(objects) * 8 * ARRAY_SIZE(keys));
	assert_false(waits.cut);
	made_waits_end(&waits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(too_many_waiters_are_cut),
		cmocka_unit_test(long_lists_are_cut),
		cmocka_unit_test(long_ways_are_cut),
		cmocka_unit_test(too_many_objects_are_cut),
		cmocka_unit_test(what_cannot_be_read_is_told),
		cmocka_unit_test(unreadable_items_are_told),
		cmocka_unit_test(attributes_that_are_not_seen_are_told),
		cmocka_unit_test(a_callback_that_tasks_share_is_followed_once),
		cmocka_unit_test(a_method_is_known_by_what_it_is_bound_to),
		cmocka_unit_test(methods_of_many_objects_are_told_apart),
		cmocka_unit_test(what_is_known_remembers_that_it_was_cut),
		cmocka_unit_test(a_reading_has_a_budget),
		cmocka_unit_test(a_forged_class_costs_its_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
