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
	const uint64_t *ident; /* of the only one that matters; NULL: all do */
	int left;              /* entries still to be looked at, of all interpreters together */
};

static int visit(void *arg, uint64_t key, uint64_t value)
{
	struct cs_py_thread thread = {0};
	struct each *each = arg;
	int64_t number;
	uint64_t obj;

	if (each->left-- <= 0)
		return -E2BIG;
	if (cs_pyobj_long(each->ctx, key, &number))
		return 0;
	thread.ident = (uint64_t)number;
	if (each->ident && thread.ident != *each->ident)
		return 0;
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
	uint64_t modules, dict, active;
	int err;

	if ((err = cs_mem_read_u64(each->ctx->mem, interpreter + off->interp_modules, &modules)) ||
	    (err = cs_pyobj_module_dict(each->ctx, modules, "threading", &dict)) ||
	    (err = cs_pyobj_dict_get(each->ctx, dict, "_active", &active)))
		return err;
	return cs_pyobj_dict_each(each->ctx, active, visit, each);
}

/* The newest interpreter is listed first. The main one is asked first: what another one calls a thread that it did not begin is no name of it. */
static int each_thread(struct each *each)
{
	const struct cs_pyobj_ctx *ctx = each->ctx;
	uint64_t interpreters[CS_MAX_INTERPRETERS], at;
	int err = cs_mem_read_u64(ctx->mem, ctx->interp->info.interpreters_head, &at);
	int result = err ? err : -ENOENT;
	size_t n = 0;

	while (!err && at && n < CS_MAX_INTERPRETERS) {
		interpreters[n++] = at;
		err = cs_mem_read_u64(ctx->mem, at + ctx->interp->info.off.interp_next, &at);
	}
	while (n) {
		err = each_in(each, interpreters[--n]);
		if (err > 0)
			return err;
		if (!err)
			result = 0;
	}
	return result;
}

int cs_py_threads_each(const struct cs_pyobj_ctx *ctx,
		       int (*fn)(void *arg, const struct cs_py_thread *thread), void *arg)
{
	struct each each = {.ctx = ctx, .fn = fn, .arg = arg, .left = CS_MAX_THREADS};

	return each_thread(&each);
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

static int take_native(void *arg, const struct cs_py_thread *thread)
{
	uint64_t *native = arg;

	*native = thread->native;
	return 1;
}

int cs_py_thread_native(const struct cs_pyobj_ctx *ctx, uint64_t ident, uint64_t *ret)
{
	uint64_t native = 0;
	struct each each = {.ctx = ctx,
			    .fn = take_native,
			    .arg = &native,
			    .ident = &ident,
			    .left = CS_MAX_THREADS};

	if (each_thread(&each) != 1 || !native)
		return -ENOENT;
	*ret = native;
	return 0;
}
