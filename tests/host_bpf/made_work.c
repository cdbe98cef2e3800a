/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up jobs of worker threads, of every way in which versions keep instances' attributes. */
#include "made_work.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "core/cleanup.h"

#define BASICSIZE     32 /* of the instances made here */
#define DICT_AT       16 /* up to 3.10: where they keep their dict */
#define VALUES_HEADER 8  /* from 3.13 on: before inline values */
#define BEFORE        64 /* more than any instance has in front of it */
#define CELLS         4
#define CELL          2

static void add_step(struct made_python *py, int64_t step)
{
	struct cs_work *work = &py->info.work;

	assert_in_range(work->nsteps, 0, CS_WORK_STEPS - 1);
	work->steps[work->nsteps++] = (int32_t)step;
}

/* An instance whose attribute number `index` is this value; the way to it is added to the steps. */
static uint64_t made_instance(struct made_python *py, uint32_t index, uint64_t value)
{
	const struct cs_py_offsets *off = &py->info.off;
	int before = py->info.traits.managed_dict_before;
	uint64_t values_at = 8ull * index, values, dict;
	uint64_t obj = made_alloc(py, BEFORE + BASICSIZE + VALUES_HEADER + values_at + 8) + BEFORE;

	if (py->info.traits.attrs_at == CS_ATTRS_INLINE) {
		made_put_u64(py, obj + BASICSIZE + VALUES_HEADER + values_at, value);
		add_step(py, (int64_t)(BASICSIZE + VALUES_HEADER + values_at));
		return obj;
	}
	values = made_alloc(py, values_at + 8);
	made_put_u64(py, values + values_at, value);
	if (py->info.traits.attrs_at == CS_ATTRS_VALUES_BEFORE) {
		made_put_u64(py, obj - (uint64_t)before - 8, values);
		add_step(py, -before - 8);
		add_step(py, (int64_t)values_at);
	} else if (py->info.traits.attrs_at == CS_ATTRS_TAGGED_BEFORE) {
		made_put_u64(py, obj - (uint64_t)before, values - 1);
		add_step(py, -before);
		add_step(py, (int64_t)values_at + 1);
	} else {
		dict = made_alloc(py, off->dict_values + 8);
		made_put_u64(py, dict + off->dict_values, values);
		made_put_u64(py, obj + DICT_AT, dict);
		add_step(py, DICT_AT);
		add_step(py, off->dict_values);
		add_step(py, (int64_t)values_at);
	}
	return obj;
}

uint64_t made_list(struct made_python *py, uint64_t value)
{
	uint64_t list = made_alloc(py, py->info.off.list_items + 8), items = made_alloc(py, 8);

	made_put_u64(py, items, value);
	made_put_u64(py, list + py->info.off.object_var_size, 1);
	made_put_u64(py, list + py->info.off.list_items, items);
	return list;
}

uint64_t made_tuple(struct made_python *py, uint64_t n, uint64_t index, uint64_t value)
{
	uint64_t tuple = made_alloc(py, py->info.off.tuple_items + 8 * n);

	made_put_u64(py, tuple + py->info.off.object_var_size, n);
	made_put_u64(py, tuple + py->info.off.tuple_items + 8 * index, value);
	return tuple;
}

uint64_t made_type_of(struct made_python *py, uint64_t base)
{
	uint64_t type = made_alloc(py, py->info.off.heaptype_cached_keys + 8);

	made_put_u64(py, type + py->info.off.type_base, base);
	return type;
}

/* asyncio's future, and the task that is suspended on it. */
static void make_waiter(struct made_python *py, struct made_work *work, uint64_t name)
{
	const struct cs_py_offsets *off = &py->info.off;
	uint32_t holder = off->wakeup_task ? off->wakeup_task : off->cfunction_self;

	work->coro = made_coro(py, 0, 0x7000);
	work->task = made_task(py, work->coro, name);
	work->future = made_alloc(py, off->future_callbacks + 8);
	work->callable = made_alloc(py, holder + 8);
	made_put_u64(py, work->callable + holder, work->task);
	made_put_u64(py, work->task + off->object_type, py->info.types.in_c);
	made_put_u64(py, work->task + off->task_fut_waiter, work->future);
	made_put_u64(py, work->future + off->future_callbacks,
		     made_list(py, made_tuple(py, 2, 0, work->callable)));
}

/* The work item whose future has these callbacks. It is made last, but its step comes first. */
static uint64_t made_item(struct made_python *py, uint64_t callbacks)
{
	uint64_t future = made_instance(py, 3, callbacks), item;
	struct cs_work from_future = py->info.work;

	py->info.work.nsteps = 0;
	item = made_instance(py, 1, future);
	for (uint32_t i = 0; i < from_future.nsteps; i++)
		add_step(py, from_future.steps[i]);
	return item;
}

struct made_work made_work(struct made_python *py, uint64_t name)
{
	const struct cs_py_offsets *off = &py->info.off;
	struct made_work work = {0};

	py->info.work = (struct cs_work){
		.run_code = MADE_RUN_CODE,
		.chain_code = MADE_CHAIN_CODE,
		.cell = CELL,
	};
	if (!py->info.types.in_c)
		py->info.types.in_c = made_type_of(py, 0);
	make_waiter(py, &work, name);
	work.cell = made_alloc(py, off->cell_value + 8);
	made_put_u64(py, work.cell + off->cell_value, work.future);
	work.callback = made_alloc(py, 160);
	made_put_u64(py, work.callback + off->function_code, MADE_CHAIN_CODE);
	made_put_u64(py, work.callback + off->function_closure,
		     made_tuple(py, CELLS, CELL, work.cell));
	work.item = made_item(py, made_list(py, work.callback));
	add_step(py, off->list_items);
	add_step(py, 0);
	return work;
}

uint64_t made_python_task(struct made_python *py, uint64_t coro, uint64_t name, uint64_t waiter,
			  bool in_dict)
{
	const uint64_t names[] = {0, MADE_CORO_KEY, MADE_WAITER_KEY, MADE_NAME_KEY};
	const uint64_t values[] = {0, coro, waiter, name};
	const struct cs_py_offsets *off = &py->info.off;
	uint64_t before = (uint64_t)py->info.traits.managed_dict_before, n = ARRAY_SIZE(names);
	uint64_t class = made_type_of(py, py->info.types.in_python), dict = 0, keys, entries, at;
	uint64_t obj = made_alloc(py, BEFORE + BASICSIZE + VALUES_HEADER + 8 * n) + BEFORE;
	bool general = in_dict || py->info.traits.keys_by_size;

	keys = made_alloc(py, off->keys_indices + 8 + n * 24);
	entries = keys + off->keys_indices + 8;
	if (py->info.traits.keys_by_size)
		made_put_u64(py, keys + off->keys_size, 8);
	else
		made_put(py, keys + off->keys_log2_index_bytes, "\3", 1);
	if (!general)
		made_put(py, keys + off->keys_kind, "\1", 1);
	made_put_u64(py, keys + off->keys_nentries, n);
	at = py->info.traits.attrs_at == CS_ATTRS_INLINE ? obj + BASICSIZE + VALUES_HEADER
							 : made_alloc(py, 8 * n);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t entry = entries + i * (general ? 24 : 16) + (general ? 8 : 0);

		made_put_u64(py, entry, names[i]);
		made_put_u64(py, in_dict ? entry + 8 : at + 8 * i, values[i]);
	}
	made_put_u64(py, obj + off->object_type, class);
	if (in_dict || py->info.traits.attrs_at == CS_ATTRS_DICT) {
		dict = made_alloc(py, off->dict_values + 8);
		made_put_u64(py, dict + off->dict_keys, keys);
		made_put_u64(py, dict + off->dict_values, in_dict ? 0 : at);
	}
	if (py->info.traits.attrs_at == CS_ATTRS_DICT) {
		made_put_u64(py, class + off->type_dictoffset, DICT_AT);
		made_put_u64(py, obj + DICT_AT, dict);
	} else if (in_dict) {
		made_put_u64(py, obj - before, dict);
	} else if (py->info.traits.attrs_at == CS_ATTRS_VALUES_BEFORE) {
		made_put_u64(py, obj - before - 8, at);
	} else if (py->info.traits.attrs_at == CS_ATTRS_TAGGED_BEFORE) {
		made_put_u64(py, obj - before, at - 1);
	} else {
		made_put(py, obj + BASICSIZE + 3, "\1", 1);
	}
	made_put_u64(py, class + off->type_flags, 1ull << 2); /* inline values */
	made_put_u64(py, class + off->type_basicsize, BASICSIZE);
	if (!in_dict)
		made_put_u64(py, class + off->heaptype_cached_keys, keys);
	return obj;
}

uint64_t made_work_frame(struct made_python *py, uint64_t previous, uint64_t item)
{
	const struct cs_py_offsets *off = &py->info.off;
	uint64_t at = made_alloc(py, off->frame_localsplus + 8);

	made_frame_at(py, at, previous, MADE_RUN_CODE, 0, 0);
	made_put_u64(py, at + off->frame_localsplus,
		     item | (uint64_t)py->info.traits.executable_mask);
	return at;
}

unsigned int made_work_reads(const struct made_python *py)
{
	/* the code; closure, cell, future; four to the callback, its code; the task; its type, what it waits for, its coroutine */
	return py->info.work.nsteps + 1 + 3 + 4 + 1 + 1 + 3;
}
