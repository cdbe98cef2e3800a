/* SPDX-License-Identifier: Apache-2.0 */
/* Threads as the threading module knows them. */
#include "python/threads.h"

#include <coroscope/limits.h>
#include <errno.h>
#include <string.h>

struct each {
	const struct cs_pyobj_ctx *ctx;
	int (*fn)(void *arg, const struct cs_py_thread *thread);
	void *arg;
};

static int visit(void *arg, uint64_t key, uint64_t value)
{
	struct cs_py_thread thread = {0};
	struct each *each = arg;
	int64_t number;
	uint64_t obj;

	if (cs_pyobj_long(each->ctx, key, &number))
		return 0;
	thread.ident = (uint64_t)number;
	if (!cs_pyobj_attr(each->ctx, value, "_native_id", &obj) &&
	    !cs_pyobj_long(each->ctx, obj, &number) && number > 0)
		thread.native = (uint64_t)number;
	if (!cs_pyobj_attr(each->ctx, value, "_name", &obj) &&
	    cs_pyobj_str(each->ctx, obj, thread.name, sizeof(thread.name), NULL, NULL))
		thread.name[0] = '\0';
	return each->fn(each->arg, &thread);
}

static int each_in(struct each *each, uint64_t interpreter)
{
	const struct cs_py_offsets *off = &each->ctx->interp->info.off;
	uint64_t modules, module, dict, active;
	int err;

	if ((err = cs_mem_read_u64(each->ctx->mem, interpreter + off->interp_modules, &modules)) ||
	    (err = cs_pyobj_dict_get(each->ctx, modules, "threading", &module)) ||
	    (err = cs_mem_read_u64(each->ctx->mem, module + off->module_dict, &dict)) ||
	    (err = cs_pyobj_dict_get(each->ctx, dict, "_active", &active)))
		return err;
	return cs_pyobj_dict_each(each->ctx, active, visit, each);
}

int cs_py_threads_each(const struct cs_pyobj_ctx *ctx,
		       int (*fn)(void *arg, const struct cs_py_thread *thread), void *arg)
{
	struct each each = {ctx, fn, arg};
	uint64_t at;
	int err = cs_mem_read_u64(ctx->mem, ctx->interp->info.interpreters_head, &at);
	int result = err ? err : -ENOENT;

	for (int i = 0; !err && at && i < CS_MAX_INTERPRETERS; i++) {
		err = each_in(&each, at);
		if (err > 0)
			return err;
		if (!err)
			result = 0;
		err = cs_mem_read_u64(ctx->mem, at + ctx->interp->info.off.interp_next, &at);
	}
	return result;
}

static int tstates_in(const struct cs_pyobj_ctx *ctx, uint64_t interpreter, int *left,
		      int (*fn)(void *arg, uint64_t thread_id, uint64_t tstate), void *arg)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint64_t tstate, thread_id;
	int err = cs_mem_read_u64(ctx->mem, interpreter + off->interp_threads_head, &tstate);

	while (!err && tstate && --*left > 0) {
		err = cs_mem_read_u64(ctx->mem, tstate + off->tstate_thread_id, &thread_id);
		if (!err)
			err = fn(arg, thread_id, tstate);
		if (!err)
			err = cs_mem_read_u64(ctx->mem, tstate + off->tstate_next, &tstate);
	}
	return err;
}

int cs_py_tstates_each(const struct cs_pyobj_ctx *ctx,
		       int (*fn)(void *arg, uint64_t thread_id, uint64_t tstate), void *arg)
{
	int left = CS_MAX_THREADS, err;
	uint64_t at;

	err = cs_mem_read_u64(ctx->mem, ctx->interp->info.interpreters_head, &at);
	for (int i = 0; !err && at && i < CS_MAX_INTERPRETERS; i++) {
		err = tstates_in(ctx, at, &left, fn, arg);
		if (!err)
			err = cs_mem_read_u64(ctx->mem, at + ctx->interp->info.off.interp_next,
					      &at);
	}
	return err;
}

struct wanted {
	uint64_t ident, native;
};

static int compare(void *arg, const struct cs_py_thread *thread)
{
	struct wanted *wanted = arg;

	if (thread->ident != wanted->ident)
		return 0;
	wanted->native = thread->native;
	return 1;
}

int cs_py_thread_native(const struct cs_pyobj_ctx *ctx, uint64_t ident, uint64_t *ret)
{
	struct wanted wanted = {.ident = ident};

	if (cs_py_threads_each(ctx, compare, &wanted) != 1 || !wanted.native)
		return -ENOENT;
	*ret = wanted.native;
	return 0;
}
