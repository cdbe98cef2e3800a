/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way from a work item to asyncio's callback on its future: _WorkItem.future, Future._done_callbacks, its first entry. The callback
 * is _chain_future.<locals>._call_set_state, which asyncio puts there before anyone else can. From asyncio's future a task may be
 * woken up directly, or through the futures of gather and the like.
 */
#include "python/work.h"

#include <errno.h>

#include "core/cleanup.h"

/*
 * Where _call_set_state's closure has `destination`: the compiler sorts free variables by name (_set_state, dest_loop, destination,
 * source_loop), since 3.8 and before.
 */
#define DESTINATION_CELL 2

/* Constants of _chain_future: it has fewer than ten. */
#define MAX_CONSTS 64

/* A class that a module has, and its dict. */
static int find_class(const struct cs_pyobj_ctx *ctx, uint64_t modules, const char *module,
		      const char *name, struct cs_pytype *ret, uint64_t *ret_dict)
{
	uint64_t dict, type;
	int err;

	if ((err = cs_pyobj_module_dict(ctx, modules, module, &dict)) ||
	    (err = cs_pyobj_dict_get(ctx, dict, name, &type)) ||
	    (err = cs_pytype_read(ctx, type, ret)))
		return err;
	return cs_mem_read_u64(ctx->mem, type + ctx->interp->info.off.type_dict, ret_dict);
}

static int function_code(const struct cs_pyobj_ctx *ctx, uint64_t dict, const char *name,
			 uint64_t *ret)
{
	uint64_t function;
	int err = cs_pyobj_dict_get(ctx, dict, name, &function);

	return err ? err
		   : cs_mem_read_u64(ctx->mem, function + ctx->interp->info.off.function_code, ret);
}

/* The code object of this name among the constants of another. */
static int inner_code(const struct cs_pyobj_ctx *ctx, uint64_t code, const char *name,
		      uint64_t *ret)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint64_t consts, n, at, text;
	struct cs_pytype type;
	int err;

	if ((err = cs_mem_read_u64(ctx->mem, code + off->code_consts, &consts)) ||
	    (err = cs_mem_read_u64(ctx->mem, consts + off->object_var_size, &n)))
		return err;
	for (uint64_t i = 0; i < n && i < MAX_CONSTS; i++) {
		if ((err = cs_mem_read_u64(ctx->mem, consts + off->tuple_items + 8 * i, &at)))
			return err;
		if (!cs_pyobj_type(ctx, at, &type) && !(type.flags & CS_PYTYPE_HEAP) &&
		    type.basicsize > off->code_name &&
		    !cs_mem_read_u64(ctx->mem, at + off->code_name, &text) &&
		    cs_pyobj_str_equals(ctx, text, name)) {
			*ret = at;
			return 0;
		}
	}
	return -ENOENT;
}

static int add_attr(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type, const char *name,
		    struct cs_work *work)
{
	int n = cs_pytype_attr_steps(ctx, type, name, work->steps + work->nsteps);

	if (n < 0)
		return n;
	work->nsteps += (uint32_t)n;
	return 0;
}

_Static_assert(2 * CS_ATTR_STEPS + 2 <= CS_WORK_STEPS, "two attributes and a list");

/*
 * gather, wait and shield put a function of their own on each future, and wait_for up to 3.11 a partial. The compiler sorts free
 * variables by name: (children, nfinished, nfuts, outer, return_exceptions); (counter, [cur_task,] return_when, timeout_handle, waiter);
 * (outer). What is not there is not used.
 */
static void find_ways(const struct cs_pyobj_ctx *ctx, uint64_t tasks, struct cs_work *work)
{
	static const struct {
		const char *function, *callback;
		struct cs_work_way way;
	} known[] = {
		{"gather", "_done_callback", {.cell = 3}},
		{"_wait", "_on_completion", {.from_end = 1}},
		{"shield", "_inner_done_callback", {.cell = 0}},
		{"_gather", "_done_callback", {.cell = 3}}, /* late 3.9 (3.9.18) */
	};
	uint32_t n = 0;
	uint64_t code;

	for (size_t i = 0; i < ARRAY_SIZE(known) && n < CS_WORK_WAYS; i++) {
		if (function_code(ctx, tasks, known[i].function, &code) ||
		    inner_code(ctx, code, known[i].callback, &code))
			continue;
		work->ways[n] = known[i].way;
		work->ways[n++].code = code;
	}
	/* from 3.12 on nothing of asyncio's uses it any longer */
	if (!function_code(ctx, tasks, "_release_waiter", &code))
		work->release_code = code;
}

int cs_work_find(const struct cs_pyobj_ctx *ctx, uint64_t modules, struct cs_work *ret,
		 uint64_t *ret_item_type)
{
	struct cs_work work = {.cell = DESTINATION_CELL};
	uint64_t item_dict, future_dict, futures, tasks, run, chain, callback;
	struct cs_pytype item, future;
	int err;

	*ret_item_type = 0;
	err = find_class(ctx, modules, "concurrent.futures.thread", "_WorkItem", &item, &item_dict);
	if (err)
		return err;
	*ret_item_type = item.addr;
	if ((err = find_class(ctx, modules, "concurrent.futures._base", "Future", &future,
			      &future_dict)) ||
	    (err = cs_pyobj_module_dict(ctx, modules, "asyncio.futures", &futures)) ||
	    (err = function_code(ctx, item_dict, "run", &run)) ||
	    (err = function_code(ctx, futures, "_chain_future", &chain)) ||
	    (err = inner_code(ctx, chain, "_call_set_state", &callback)) ||
	    (err = add_attr(ctx, &item, "future", &work)) ||
	    (err = add_attr(ctx, &future, "_done_callbacks", &work)))
		return err;
	if (!cs_pyobj_module_dict(ctx, modules, "asyncio.tasks", &tasks))
		find_ways(ctx, tasks, &work);
	work.run_code = run;
	work.chain_code = callback;
	work.steps[work.nsteps++] = (int32_t)ctx->interp->info.off.list_items;
	work.steps[work.nsteps++] = 0;
	*ret = work;
	return 0;
}
