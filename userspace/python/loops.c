/* SPDX-License-Identifier: Apache-2.0 */
/* From event loops to the threads that run them. */
#include "python/loops.h"

#include <coroscope/limits.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proc/threads.h"
#include "python/threads.h"

/* Up to 3.10 the threading module is asked for a thread; that walks a dict. It counts as much as so many thread states. */
#define ASKING_COSTS 4096
/* ... and a look into a thread's own dict so many. */
#define DICT_COSTS   64

void cs_loops_init(struct cs_loops *loops, pid_t pid)
{
	*loops = (struct cs_loops){0};
	loops->namespaced = cs_threads_nested(pid);
}

void cs_loops_begin(struct cs_loops *loops)
{
	for (size_t i = 0; i < loops->n; i++)
		loops->items[i].met = false;
	loops->complete = true;
	loops->left = CS_MAX_THREADS;
}

/* The two ids of a thread, as its state has them; the kernel's is 0 where only the threading module knows it (up to 3.10). */
static int read_ids(const struct cs_pyobj_ctx *ctx, uint64_t tstate, uint64_t *ret_thread_id,
		    uint64_t *ret_native)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	int err = cs_mem_read_u64(ctx->mem, tstate + off->tstate_thread_id, ret_thread_id);

	*ret_native = 0;
	if (err || !off->tstate_native_thread_id)
		return err;
	return cs_mem_read_u64(ctx->mem, tstate + off->tstate_native_thread_id, ret_native);
}

/*
 * The loop that a thread runs: a field of its state from 3.13 on; before, in the thread's own dict, up to 3.11 in a
 * PyRunningLoopHolder (Modules/_asynciomodule.c, set_running_loop). -ENOENT: none.
 */
static int running_loop(const struct cs_pyobj_ctx *ctx, uint64_t tstate, uint64_t *ret)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint64_t dict;
	int err;

	if (off->tstate_running_loop)
		return cs_mem_read_u64(ctx->mem, tstate + off->tstate_running_loop, ret);
	err = cs_mem_read_u64(ctx->mem, tstate + off->tstate_dict, &dict);
	if (err || !dict)
		return err ? err : -ENOENT;
	err = cs_pyobj_dict_get(ctx, dict, "__asyncio_running_event_loop__", ret);
	if (err || !off->loop_holder_loop)
		return err;
	return cs_mem_read_u64(ctx->mem, *ret + off->loop_holder_loop, ret);
}

/* Does the thread with this state and id run the loop? */
static bool runs(struct cs_loops *loops, const struct cs_pyobj_ctx *ctx, uint64_t tstate,
		 uint64_t thread_id, struct cs_loop *loop)
{
	uint64_t running;

	if (!loop->foreign)
		return thread_id == (uint64_t)loop->thread_id;
	loops->left -= DICT_COSTS;
	if (running_loop(ctx, tstate, &running) || running != loop->addr)
		return false;
	loop->thread_id = (int64_t)thread_id;
	return true;
}

/* Find the state of the thread that runs the loop, in one interpreter. */
static int find_tstate_in(struct cs_loops *loops, const struct cs_pyobj_ctx *ctx,
			  uint64_t interpreter, struct cs_loop *loop)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint64_t tstate, thread_id, native;
	int err = cs_mem_read_u64(ctx->mem, interpreter + off->interp_threads_head, &tstate);

	while (!err && tstate && loops->left-- > 0) {
		err = read_ids(ctx, tstate, &thread_id, &native);
		if (!err && native <= INT32_MAX && runs(loops, ctx, tstate, thread_id, loop)) {
			loop->tstate = tstate;
			if (!off->tstate_native_thread_id)
				loops->left -= ASKING_COSTS;
			if (!off->tstate_native_thread_id &&
			    cs_py_thread_native(ctx, thread_id, &native))
				return -ENOENT;
			loop->native = (uint32_t)native;
			return 0;
		}
		if (!err)
			err = cs_mem_read_u64(ctx->mem, tstate + off->tstate_next, &tstate);
	}
	return err ? err : -ENOENT;
}

static int find_tstate(struct cs_loops *loops, const struct cs_pyobj_ctx *ctx, struct cs_loop *loop)
{
	uint64_t interpreter;
	int err = cs_mem_read_u64(ctx->mem, ctx->interp->info.interpreters_head, &interpreter);

	for (int i = 0; i < CS_MAX_INTERPRETERS && !err && interpreter; i++) {
		if (!find_tstate_in(loops, ctx, interpreter, loop))
			return 0;
		err = cs_mem_read_u64(ctx->mem, interpreter + ctx->interp->info.off.interp_next,
				      &interpreter);
	}
	return err ? err : -ENOENT;
}

/* What the loop says now. Returns 0 with *ret 0 if it does not run. */
static int read_thread_id(const struct cs_pyobj_ctx *ctx, uint64_t slot, int64_t *ret)
{
	uint64_t value;
	int err = cs_mem_read_u64(ctx->mem, slot, &value);

	*ret = 0;
	if (err || !cs_pyobj_has_flag(ctx, value, CS_PYTYPE_LONG))
		return err;
	return cs_pyobj_long(ctx, value, ret);
}

/*
 * Is what was found in an earlier pass still so? The slot may meanwhile belong to another object: then it
 * would have to point to the same integer by chance, and a thread of that id would have to exist.
 */
static bool still_holds(const struct cs_pyobj_ctx *ctx, const struct cs_loop *loop)
{
	uint64_t id, native, running;
	int64_t thread_id = loop->thread_id;

	if (!loop->tstate || read_ids(ctx, loop->tstate, &id, &native))
		return false;
	if (loop->foreign ? running_loop(ctx, loop->tstate, &running) || running != loop->addr
			  : read_thread_id(ctx, loop->slot, &thread_id))
		return false;
	if (!ctx->interp->info.off.tstate_native_thread_id)
		native = loop->native;
	return thread_id == loop->thread_id && id == (uint64_t)thread_id && native == loop->native;
}

/* Returns 0 when the loop's thread was found or the loop does not run. */
static int resolve(struct cs_loops *loops, const struct cs_pyobj_ctx *ctx, struct cs_loop *loop)
{
	int err;

	*loop = (struct cs_loop){.addr = loop->addr, .met = true};
	err = cs_pyobj_attr_slot(ctx, loop->addr, "_thread_id", &loop->slot);
	/* that of uvloop is no BaseEventLoop, but its thread knows that it runs it */
	loop->foreign = err == -ENOENT;
	if (!loop->foreign && (err || (err = read_thread_id(ctx, loop->slot, &loop->thread_id))))
		return err;
	if (!loop->foreign && !loop->thread_id)
		return 0;
	err = find_tstate(loops, ctx, loop);
	if (err == -ENOENT && loop->foreign && loops->left > 0)
		return 0;
	if (err)
		return err;
	loop->tid = loops->namespaced ? (uint32_t)cs_thread_outer(ctx->interp->pid, loop->native)
				      : loop->native;
	return loop->tid ? 0 : -ENOENT;
}

static struct cs_loop *find_loop(struct cs_loops *loops, uint64_t addr)
{
	for (size_t i = 0; i < loops->n; i++) {
		if (loops->items[i].addr == addr)
			return &loops->items[i];
	}
	return NULL;
}

/* Room for one more loop, if need be that of one that was not met in this pass. */
static struct cs_loop *new_loop(struct cs_loops *loops)
{
	if (loops->n < CS_LOOPS_MAX)
		return &loops->items[loops->n++];
	for (size_t i = 0; i < loops->n; i++) {
		if (!loops->items[i].met)
			return &loops->items[i];
	}
	return NULL;
}

void cs_loops_add(struct cs_loops *loops, const struct cs_pyobj_ctx *ctx, uint64_t addr)
{
	struct cs_loop *loop = find_loop(loops, addr);

	if (loop && loop->met)
		return;
	if (!loop) {
		loop = new_loop(loops);
		if (!loop) {
			loops->complete = false;
			return;
		}
		*loop = (struct cs_loop){.addr = addr};
	}
	loop->met = true;
	if (!still_holds(ctx, loop) && resolve(loops, ctx, loop))
		loops->complete = false;
}

uint32_t cs_loops_tid(const struct cs_loops *loops, uint64_t addr)
{
	for (size_t i = 0; i < loops->n; i++) {
		if (loops->items[i].addr == addr && loops->items[i].met)
			return loops->items[i].tid;
	}
	return 0;
}

size_t cs_loops_tids(const struct cs_loops *loops, uint32_t tids[CS_LOOPS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < loops->n && loops->complete; i++) {
		if (loops->items[i].met && loops->items[i].tid)
			tids[n++] = loops->items[i].tid;
	}
	return n;
}
