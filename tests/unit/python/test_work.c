/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel side is told of executors' jobs, the way to an attribute, and whether something was imported; of every layout. */
#include "python/work.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "made_code.h"
#include "test.h"

#define DICT_AT 16 /* where instances of made_class keep their dict, up to 3.10 */

static const char *const item_names[] = {"fn", "future"};
static const char *const future_names[] = {"_condition", "_state", "_done_callbacks"};

/* The modules of a program that has used an executor. */
struct world {
	struct made made;
	uint64_t item_class, future_class;
	uint64_t run, chain,
		callback; /* two functions, and a code object among the second one's constants */
	uint64_t modules;
	struct cs_work work;
	uint64_t item_type;
};

/*
 * An instance of a class whose instances share their keys (also up to 3.10, where made_instance_of makes each a dict of
 * its own).
 */
static uint64_t made_shared(struct made *made, uint64_t class, const char *const *names,
			    const uint64_t *values, size_t n)
{
	const struct cs_py_offsets *off = &made->interp.info.off;
	uint64_t obj, dict, keys, array;

	if (made->interp.info.traits.attrs_at != CS_ATTRS_DICT)
		return made_instance_of(made, class, names, values, n);
	keys = made_keys(made, names, NULL, n, true);
	made_put(made, class, off->heaptype_cached_keys, keys);
	dict = made_object(made, made->type_dict, 64);
	array = made_bytes(made, 8 * n);
	made_put(made, dict, off->dict_keys, keys);
	made_put(made, dict, off->dict_values, array);
	for (size_t i = 0; i < n; i++)
		made_put(made, array, 8 * (uint32_t)i, values[i]);
	obj = made_object(made, class, 32);
	made_put(made, obj, DICT_AT, dict);
	return obj;
}

/* Where the steps lead to from an object. */
static uint64_t follow(struct made *made, uint64_t at, const int32_t *steps, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(
			cs_mem_read_u64(made->ctx.mem, at + (uint64_t)(int64_t)steps[i], &at), 0);
	return at;
}

static uint64_t made_module(struct made *made, const char *const *names, const uint64_t *values,
			    size_t n)
{
	uint64_t module = made_object(made, made_type(made, "module", 0, 0, 0), 64);

	made_put(made, module, made->interp.info.off.module_dict,
		 made_namespace(made, names, values, n));
	return module;
}

static uint64_t made_function_of(struct made *made, uint64_t code)
{
	uint64_t function = made_object(made, made_type(made, "function", 0, 0, 0), 160);

	made_put(made, function, made->interp.info.off.function_code, code);
	return function;
}

/* _chain_future, with these constants. */
static void set_consts(struct world *world, const uint64_t *consts, size_t n)
{
	const struct cs_py_offsets *off = &world->made.interp.info.off;
	uint64_t code;

	assert_int_equal(
		cs_mem_read_u64(world->made.ctx.mem, world->chain + off->function_code, &code), 0);
	made_put(&world->made, code, off->code_consts, made_tuple(&world->made, consts, n));
}

/* tasks: the module asyncio.tasks, or 0. */
static void make_modules(struct world *world, uint64_t tasks)
{
	static const char *const module_names[] = {"sys", "concurrent.futures._base",
						   "asyncio.futures", "concurrent.futures.thread",
						   "asyncio.tasks"};
	static const char *const class_names[] = {"_WorkItem", "Future", "_chain_future"};
	struct made *made = &world->made;
	const uint64_t modules[] = {
		made->type_none,
		made_module(made, class_names + 1, &world->future_class, 1),
		made_module(made, class_names + 2, &world->chain, 1),
		made_module(made, class_names, &world->item_class, 1),
		tasks,
	};

	world->modules = made_namespace(made, module_names, modules, ARRAY_SIZE(modules));
}

/* The same without the instances: nothing knows their attributes. */
static void begin_unused(struct world *world, int minor)
{
	static const char *const run_name[] = {"run"};
	struct made *made = &world->made;

	*world = (struct world){0};
	made_begin(made, minor);
	made_put(made, made->type_code, made->interp.info.off.type_basicsize, 256);
	world->run = made_function_of(made, made_code(made, "run", "thread.py"));
	world->chain = made_function_of(made, made_code(made, "_chain_future", "futures.py"));
	world->callback = made_code(made, "_call_set_state", "futures.py");
	world->item_class =
		made_class(made, "_WorkItem", made_namespace(made, run_name, &world->run, 1), 0);
	world->future_class = made_class(made, "Future", made_namespace(made, NULL, NULL, 0), 0);
	set_consts(world,
		   (const uint64_t[]){made->type_none,
				      made_code(made, "_call_check_cancel", "futures.py"),
				      made_str(made, "_call_set_state"), world->callback},
		   4);
	make_modules(world, 0);
}

/* Instances as a program has them. Returns the work item; *ret_list: its future's callbacks. */
static uint64_t use(struct world *world, uint64_t *ret_list)
{
	struct made *made = &world->made;
	const uint64_t callbacks[] = {made_str(made, "the first"), made_str(made, "the second")};
	uint64_t list = made_list(made, callbacks, 2), future;

	future = made_shared(made, world->future_class, future_names,
			     (const uint64_t[]){made->type_none, made->type_none, list}, 3);
	*ret_list = list;
	return made_shared(made, world->item_class, item_names,
			   (const uint64_t[]){made->type_none, future}, 2);
}

static int find(struct world *world)
{
	return cs_work_find(&world->made.ctx, world->modules, &world->work, &world->item_type);
}

static void expect_error(struct world *world, int err)
{
	static const struct cs_work none;

	world->work = none;
	assert_int_equal(find(world), err);
	assert_memory_equal(&world->work, &none, sizeof(none));
}

static void found(void **state)
{
	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		const struct cs_py_offsets *off;
		uint64_t item, list, run, items;
		struct world world;

		begin_unused(&world, minor);
		off = &world.made.interp.info.off;
		item = use(&world, &list);
		assert_int_equal(find(&world), 0);
		assert_int_equal(
			cs_mem_read_u64(world.made.ctx.mem, world.run + off->function_code, &run),
			0);
		assert_int_equal(world.work.run_code, run);
		assert_int_equal(world.work.chain_code, world.callback);
		/* _set_state, dest_loop, destination, source_loop */
		assert_int_equal(world.work.cell, 2);
		assert_in_range(world.work.nsteps, 4, CS_WORK_STEPS);
		items = follow(&world.made, list, (const int32_t[]){(int32_t)off->list_items}, 1);
		assert_int_equal(follow(&world.made, item, world.work.steps, world.work.nsteps - 1),
				 items);
		assert_int_equal(follow(&world.made, item, world.work.steps, world.work.nsteps),
				 follow(&world.made, items, (const int32_t[]){0}, 1));
		made_end(&world.made);
	}
}

/* How asyncio's own functions put callbacks on a future, as far as they are there; late 3.9 has gather's elsewhere. */
static void ways_are_found(void **state)
{
	static const char *const functions[] = {"_gather", "_wait", "_release_waiter"};
	static const char *const callbacks[] = {"_done_callback", "_on_completion", NULL};

	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		uint64_t values[3], codes[3], inner[2], list, tasks;
		struct world world;

		begin_unused(&world, minor);
		use(&world, &list);
		for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
			codes[i] = made_code(&world.made, functions[i], "tasks.py");
			values[i] = made_function_of(&world.made, codes[i]);
			if (callbacks[i]) {
				inner[i] = made_code(&world.made, callbacks[i], "tasks.py");
				made_put(&world.made, codes[i],
					 world.made.interp.info.off.code_consts,
					 made_tuple(&world.made, &inner[i], 1));
			}
		}
		tasks = made_module(&world.made, functions, values, ARRAY_SIZE(functions));
		assert_int_equal(find(&world), 0);
		assert_int_equal(world.work.ways[0].code, 0); /* there is no such module yet */
		make_modules(&world, tasks);
		assert_int_equal(find(&world), 0);
		assert_int_equal(world.work.release_code, codes[2]);
		assert_int_equal(world.work.ways[0].code, inner[1]);
		assert_int_equal(world.work.ways[0].from_end, 1);
		assert_int_equal(world.work.ways[1].code, inner[0]);
		assert_int_equal(world.work.ways[1].cell, 3);
		assert_int_equal(world.work.ways[1].from_end, 0);
		assert_int_equal(world.work.ways[2].code, 0);
		made_end(&world.made);
	}
}

/* No job was ever submitted: the classes are there, but no instance has shown where it keeps its attributes. */
static void not_used(void **state)
{
	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		struct world world;
		uint64_t list;

		begin_unused(&world, minor);
		expect_error(&world, -ENOENT);
		made_put(&world.made, world.item_class,
			 world.made.interp.info.off.heaptype_cached_keys,
			 made_keys(&world.made, item_names, NULL, 1, false));
		expect_error(&world, -ENOENT); /* one that has no future yet */
		use(&world, &list);
		assert_int_equal(find(&world), 0);
		made_end(&world.made);
	}
}

/* Only a code object of that name among the first constants will do. */
static void no_callback(void **state)
{
	struct world world;
	uint64_t list, other, many[65], types[2]; /* of Python's own, and too small */

	begin_unused(&world, 12);
	use(&world, &list);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		types[i] = made_type(&world.made, "code", i ? 0 : CS_PYTYPE_HEAP, 0, i ? 32 : 256);
		other = made_object(&world.made, types[i], 256);
		made_put(&world.made, other, world.made.interp.info.off.code_name,
			 made_name(&world.made, "_call_set_state"));
		set_consts(&world, &other, 1);
		expect_error(&world, -ENOENT);
	}
	set_consts(&world, NULL, 0);
	expect_error(&world, -ENOENT);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = world.made.type_none;
	many[63] = world.callback;
	set_consts(&world, many, ARRAY_SIZE(many));
	assert_int_equal(find(&world), 0);
	many[63] = many[0];
	many[64] = world.callback;
	set_consts(&world, many, ARRAY_SIZE(many));
	expect_error(&world, -ENOENT);
	made_end(&world.made);
}

static void not_imported(void **state)
{
	static const char *const names[] = {"sys"};
	struct world world;
	uint64_t list;

	begin_unused(&world, 13);
	use(&world, &list);
	world.modules = made_namespace(&world.made, names, &world.made.type_none, 1);
	expect_error(&world, -ENOENT);
	world.modules = world.made.type_none; /* no dict */
	expect_error(&world, -EINVAL);
	made_end(&world.made);
}

static int steps_of(struct made *made, uint64_t class, const char *name, int32_t *steps)
{
	struct cs_pytype type;

	assert_int_equal(cs_pytype_read(&made->ctx, class, &type), 0);
	return cs_pytype_attr_steps(&made->ctx, &type, name, steps);
}

static void attributes(void **state)
{
	static const int expected[] = {[CS_ATTRS_DICT] = 3,
				       [CS_ATTRS_VALUES_BEFORE] = 2,
				       [CS_ATTRS_TAGGED_BEFORE] = 2,
				       [CS_ATTRS_INLINE] = 1};

	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		uint64_t class, obj, values[3], value;
		int32_t steps[CS_ATTR_STEPS];
		struct made made;
		int n;

		made_begin(&made, minor);
		class = made_class(&made, "C", 0, 0);
		for (size_t i = 0; i < ARRAY_SIZE(values); i++)
			values[i] = made_int(&made, (int64_t)i);
		obj = made_shared(&made, class, future_names, values, ARRAY_SIZE(values));
		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			n = steps_of(&made, class, future_names[i], steps);
			assert_int_equal(n, expected[made.interp.info.traits.attrs_at]);
			assert_int_equal(follow(&made, obj, steps, (size_t)n), values[i]);
			/* the same as by looking at the instance */
			assert_int_equal(cs_pyobj_attr(&made.ctx, obj, future_names[i], &value), 0);
			assert_int_equal(value, values[i]);
		}
		made_end(&made);
	}
}

static void attributes_unknown(void **state)
{
	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		const uint64_t values[] = {1, 2, 3};
		const struct cs_py_offsets *off;
		int32_t steps[CS_ATTR_STEPS];
		struct made made;
		uint64_t class;

		made_begin(&made, minor);
		off = &made.interp.info.off;
		class = made_class(&made, "C", 0, 0);
		assert_int_equal(steps_of(&made, class, "_state", steps), -ENOENT);
		made_shared(&made, class, future_names, values, ARRAY_SIZE(values));
		assert_true(steps_of(&made, class, "_state", steps) > 0);
		assert_int_equal(steps_of(&made, class, "_stat", steps), -ENOENT);
		made_put(&made, class, off->type_basicsize, 1 << 20);
		assert_int_equal(steps_of(&made, class, "_state", steps), -ENOENT);
		made_put(&made, class, off->type_basicsize, 32);
		made_put(&made, class, off->type_flags, 0);
		assert_int_equal(steps_of(&made, class, "_state", steps), -ENOENT);
		made_put(&made, class, off->type_flags, CS_PYTYPE_HEAP);
		assert_true(steps_of(&made, class, "_state", steps) > 0);
		if (made.interp.info.traits.attrs_at == CS_ATTRS_DICT) {
			made_put(&made, class, off->type_dictoffset, 0);
			assert_int_equal(steps_of(&made, class, "_state", steps), -ENOENT);
			/* counted from the end, as those of variable size do */
			made_put(&made, class, off->type_dictoffset, (uint64_t)-8);
			assert_int_equal(steps_of(&made, class, "_state", steps), -ENOENT);
		}
		made_put(&made, class, off->heaptype_cached_keys, 0x10);
		assert_int_equal(steps_of(&made, class, "_state", steps), -EFAULT);
		made_end(&made);
	}
}

static uint64_t made_interp_with(struct made *made, uint64_t modules, uint64_t next)
{
	const struct cs_py_offsets *off = &made->interp.info.off;
	uint32_t last =
		off->interp_modules > off->interp_next ? off->interp_modules : off->interp_next;
	uint64_t interpreter = made_bytes(made, last + 8);

	made_put(made, interpreter, off->interp_modules, modules);
	made_put(made, interpreter, off->interp_next, next);
	return interpreter;
}

/* asyncio has not met an executor yet */
static const struct cs_asyncio nothing;

static uint64_t mark_of(struct made *made)
{
	uint64_t mark, again;

	assert_int_equal(cs_asyncio_mark(&made->interp, &nothing, made->ctx.mem, &mark), 0);
	assert_int_equal(cs_asyncio_mark(&made->interp, &nothing, made->ctx.mem, &again), 0);
	assert_int_equal(mark, again);
	return mark;
}

/* An import adds an entry or makes a new table, in any of the interpreters. */
static void imports(void **state)
{
	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		static const char *const names[] = {"sys", "os", "asyncio"};
		const struct cs_py_offsets *off;
		uint64_t dicts[2], first, head, mark, values[3] = {0}, keys;
		struct made made;

		made_begin(&made, minor);
		off = &made.interp.info.off;
		for (size_t i = 0; i < 2; i++)
			dicts[i] = made_namespace(&made, names, values, 2);
		first = made_interp_with(&made, dicts[0], made_interp_with(&made, dicts[1], 0));
		head = made_bytes(&made, 8);
		made.interp.info.interpreters_head = head;
		made_put(&made, head, 0, first);
		for (size_t i = 0; i < 2; i++) {
			mark = mark_of(&made);
			assert_int_equal(
				cs_mem_read_u64(made.ctx.mem, dicts[i] + off->dict_keys, &keys), 0);
			made_put(&made, keys, off->keys_nentries, 3);
			assert_int_not_equal(mark, mark_of(&made));
			made_put(&made, keys, off->keys_nentries, 2);
			assert_int_equal(mark, mark_of(&made));
			made_put(&made, dicts[i], off->dict_keys,
				 made_keys(&made, names, values, 2, true));
			assert_int_not_equal(mark, mark_of(&made));
		}
		made_put(&made, dicts[1], off->dict_keys, 0x10);
		assert_int_equal(cs_asyncio_mark(&made.interp, &nothing, made.ctx.mem, &mark),
				 -EFAULT);
		/* a list of interpreters without an end */
		made_put(&made, first, off->interp_next, first);
		mark_of(&made);
		made_end(&made);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found),
		cmocka_unit_test(ways_are_found),
		cmocka_unit_test(not_used),
		cmocka_unit_test(no_callback),
		cmocka_unit_test(not_imported),
		cmocka_unit_test(attributes),
		cmocka_unit_test(attributes_unknown),
		cmocka_unit_test(imports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
