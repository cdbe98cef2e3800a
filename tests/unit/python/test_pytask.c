/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks and futures that are written in Python: their attributes, what they are, and the ways that lead through them. */
#include "python/pytask.h"

#include <errno.h>
#include <stdio.h>

#include "core/cleanup.h"
#include "made_waits.h"
#include "test.h"

/* Classes of one interpreter. */
struct world {
	struct made_waits waits;
	uint64_t task_class, future_class, subclass;
};

static void world_begin(struct world *world, int minor)
{
	made_waits_begin(&world->waits, minor);
	world->task_class = made_class_of(&world->waits.calls, "Task", "asyncio.tasks");
	world->future_class = made_class_of(&world->waits.calls, "Future", "asyncio.futures");
	world->subclass = made_class(&world->waits.made, "Own", 0, world->task_class);
}

static void world_end(struct world *world)
{
	made_waits_end(&world->waits);
}

static void attributes_are_read(void **state)
{
	const struct made_python_task truth = {.coro = 0x1000,
					       .waiter = 0x2000,
					       .loop = 0x3000,
					       .name = 0x4000,
					       .callbacks = 0x5000};

	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		struct cs_pytask first, again, other;
		struct world world;
		uint64_t task;

		world_begin(&world, minor);
		task = made_python_task(&world.waits.calls, world.subclass, &truth);
		assert_int_equal(
			cs_pytask_read(&world.waits.keys, &world.waits.made.ctx, task, &first), 0);
		assert_int_equal(first.coro, truth.coro);
		assert_int_equal(first.waiter, truth.waiter);
		assert_int_equal(first.loop, truth.loop);
		assert_int_equal(first.name, truth.name);
		assert_int_equal(first.callbacks, truth.callbacks);
		assert_int_equal(first.state, 0);
		/* now the names are known by address */
		assert_int_equal(
			cs_pytask_read(&world.waits.keys, &world.waits.made.ctx, task, &again), 0);
		assert_memory_equal(&first, &again, sizeof(first));
		task = made_python_task(
			&world.waits.calls, world.task_class,
			&(struct made_python_task){.coro = 0x1000, .state = 0x6000});
		assert_int_equal(
			cs_pytask_read(&world.waits.keys, &world.waits.made.ctx, task, &other), 0);
		assert_int_equal(other.state, 0x6000);
		assert_int_equal(other.waiter, 0);
		assert_true(other.digest != first.digest);
		world_end(&world);
	}
}

static void what_has_too_many_attributes_is_none(void **state)
{
	char texts[65][16];
	const char *names[ARRAY_SIZE(texts)];
	uint64_t values[ARRAY_SIZE(texts)];
	struct cs_pytask found = {.coro = 1};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		snprintf(texts[i], sizeof(texts[i]), "a%zu", i);
		names[i] = texts[i];
		values[i] = 0x1000;
	}
	for (size_t n = 64; n <= 65; n++) {
		struct world world;
		uint64_t task;
		int err;

		world_begin(&world, 12);
		task = made_instance_of(&world.waits.made, world.task_class, names, values, n);
		err = cs_pytask_read(&world.waits.keys, &world.waits.made.ctx, task, &found);
		assert_int_equal(err, n <= 64 ? 0 : -E2BIG);
		assert_int_equal(found.coro, 0);
		world_end(&world);
	}
}

static void a_reading_ends(void **state)
{
	struct cs_pytask found;
	struct world world;
	uint64_t task;
	int err = 0;

	world_begin(&world, 13);
	task = made_python_task(&world.waits.calls, world.task_class,
				&(struct made_python_task){.coro = 0x1000});
	world.waits.keys.left = 3;
	for (int i = 0; i < 2 && !err; i++)
		err = cs_pytask_read(&world.waits.keys, &world.waits.made.ctx, task, &found);
	assert_int_equal(err, -E2BIG);
	assert_int_equal(cs_pytask_read(&world.waits.keys, &world.waits.made.ctx, 0x30, &found),
			 -EFAULT);
	world_end(&world);
}

static unsigned int what(struct world *world, uint64_t type)
{
	return cs_types_look_up(&world->waits.types, &world->waits.made.ctx, &world->waits.asyncio,
				type)
		->what;
}

static void types_are_told_by_class_and_module(void **state)
{
	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		struct world world;

		world_begin(&world, minor);
		assert_int_equal(what(&world, world.task_class),
				 CS_TYPE_TASK | CS_TYPE_FUTURE | CS_TYPE_IN_PYTHON);
		assert_int_equal(what(&world, world.subclass),
				 CS_TYPE_TASK | CS_TYPE_FUTURE | CS_TYPE_IN_PYTHON);
		assert_int_equal(what(&world, world.future_class),
				 CS_TYPE_FUTURE | CS_TYPE_IN_PYTHON);
		assert_int_equal(what(&world, world.waits.made.type_task),
				 CS_TYPE_TASK | CS_TYPE_FUTURE);
		assert_int_equal(what(&world, made_class_of(&world.waits.calls, "Task", "app")),
				 CS_TYPE_INSTANCE);
		assert_int_equal(
			what(&world, made_class_of(&world.waits.calls, "Future", "asyncio.tasks")),
			CS_TYPE_INSTANCE);
		world_end(&world);
	}
}

/* A future in Python, and one more callback of it. */
static uint64_t made_future_in_python(struct world *world, uint64_t *ret_list)
{
	const uint64_t none[] = {0};

	*ret_list = made_list(&world->waits.made, none, 1);
	made_put(&world->waits.made, *ret_list, world->waits.made.interp.info.off.object_var_size,
		 0);
	return made_python_task(&world->waits.calls, world->future_class,
				&(struct made_python_task){.callbacks = *ret_list});
}

static void put_callback(struct world *world, uint64_t list, uint64_t callback)
{
	const struct cs_py_offsets *off = &world->waits.made.interp.info.off;
	const uint64_t pair[] = {callback, world->future_class};
	uint64_t items;

	assert_int_equal(cs_mem_read_u64(world->waits.made.ctx.mem, list + off->list_items, &items),
			 0);
	made_put(&world->waits.made, items, 0, made_tuple(&world->waits.made, pair, 2));
	made_put(&world->waits.made, list, off->object_var_size, 1);
}

/* A task in Python that is suspended on this future; *ret_wakeup: what wakes it up. */
static uint64_t made_waiter_in_python(struct world *world, uint64_t future, uint64_t *ret_wakeup)
{
	uint64_t task = made_python_task(&world->waits.calls, world->subclass,
					 &(struct made_python_task){.waiter = future});

	*ret_wakeup = made_method(
		&world->waits.calls,
		MADE_FUNCTION(&world->waits.calls, "asyncio.tasks", "Task.__wakeup"), task);
	return task;
}

static void check_one_link(const struct world *world, uint64_t waiter, uint8_t how, bool probable)
{
	assert_int_equal(world->waits.n, 1);
	assert_false(world->waits.cut);
	assert_int_equal(world->waits.links[0].waiter, waiter);
	assert_int_equal(world->waits.links[0].how, how);
	assert_int_equal(world->waits.links[0].flags, probable ? CS_LINKF_PROBABLE : 0);
}

static void a_task_in_python_waits_for_a_future_of_either_kind(void **state)
{
	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		uint64_t outer, waiter, wakeup, list;
		struct world world;

		world_begin(&world, minor);
		outer = made_future(&world.waits.calls);
		waiter = made_waiter_in_python(&world, outer, &wakeup);
		made_done_callback(&world.waits.calls, outer, wakeup);
		made_look_through(&world.waits, made_gather(&world.waits, outer));
		check_one_link(&world, waiter, CS_WAIT_GATHER, false);
		world_end(&world);

		world_begin(&world, minor);
		outer = made_future_in_python(&world, &list);
		waiter = made_waiter_in_python(&world, outer, &wakeup);
		put_callback(&world, list, wakeup);
		made_look_through(&world.waits, made_gather(&world.waits, outer));
		check_one_link(&world, waiter, CS_WAIT_GATHER, false);
		world_end(&world);
	}
}

static void a_task_of_c_waits_for_a_future_in_python(void **state)
{
	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		uint64_t outer, waiter, list, function;
		struct world world;

		world_begin(&world, minor);
		outer = made_future_in_python(&world, &list);
		waiter = made_new_task(&world.waits);
		made_put(&world.waits.made, waiter,
			 world.waits.made.interp.info.off.task_fut_waiter, outer);
		put_callback(&world, list, made_wakeup(&world.waits.calls, waiter));
		function =
			MADE_FUNCTION(&world.waits.calls, "asyncio.futures", "Future.set_result");
		made_look_through(&world.waits, made_method(&world.waits.calls, function, outer));
		check_one_link(&world, waiter, CS_WAIT_OTHER, true);
		world_end(&world);
	}
}

static void who_waits_for_something_else_is_no_waiter(void **state)
{
	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		uint64_t waiter, wakeup, function;
		struct world world;

		/* woken up by the outer future, it waits for another one */
		world_begin(&world, minor);
		waiter = made_waiter_in_python(&world, made_future(&world.waits.calls), &wakeup);
		made_done_callback(&world.waits.calls, world.waits.future, wakeup);
		made_put(&world.waits.made, world.waits.waiter,
			 world.waits.made.interp.info.off.task_fut_waiter, waiter);
		made_look_through(&world.waits, made_gather(&world.waits, world.waits.future));
		assert_int_equal(world.waits.n, 0);
		/* a task that a callback holds is there to be cancelled */
		function = MADE_FUNCTION(&world.waits.calls, "asyncio.tasks",
					 "gather.<locals>._done_callback", .cells = {waiter});
		made_look_through(&world.waits, function);
		assert_int_equal(world.waits.n, 0);
		assert_false(world.waits.cut);
		world_end(&world);
	}
}

/* `await task` of either kind is told by the waiter itself. */
static void an_await_is_no_link(void **state)
{
	struct made_waits *waits;
	struct world world;
	uint64_t wakeup;

	world_begin(&world, 13);
	waits = &world.waits;
	made_waiter_in_python(&world, waits->task, &wakeup);
	made_look_through(waits, wakeup);
	assert_int_equal(waits->n, 0);
	assert_false(waits->cut);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_are_read),
		cmocka_unit_test(what_has_too_many_attributes_is_none),
		cmocka_unit_test(a_reading_ends),
		cmocka_unit_test(types_are_told_by_class_and_module),
		cmocka_unit_test(a_task_in_python_waits_for_a_future_of_either_kind),
		cmocka_unit_test(a_task_of_c_waits_for_a_future_in_python),
		cmocka_unit_test(who_waits_for_something_else_is_no_waiter),
		cmocka_unit_test(an_await_is_no_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
