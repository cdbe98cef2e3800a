/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second reading of a block of tasks, during whose first something ran: what is not the same in both is dropped.
 *
 * The way to a task that waits leads through objects that come and go without any task being changed: a queue's getters are one thing now and another
 * a moment later, and where one of them was, there may be the future of a task that has nothing to do with it. So the way is gone once
 * more, in memory read anew, between the two readings of the task at its end. If that has waited for the same future all the while, and the way
 * led to it in between, it was no other future's address.
 */
#include <coroscope/limits.h>
#include <errno.h>
#include <string.h>

#include "python/digest.h"
#include "python/walk_private.h"

/* Does the way still lead from a task to the same ones? walk->waiters reads what is so now. */
static bool links_are_same(struct cs_walk *walk, const struct cs_walk_task *task)
{
	const struct cs_waited waited = {task->addr, task->callback0, task->callbacks};
	struct cs_task_link links[CS_MAX_LINKS];
	bool cut;

	return cs_waiters_find(&walk->waiters, &waited, links, &cut) == task->nlinks &&
	       !memcmp(links, walk->links + task->link_at, task->nlinks * sizeof(*links));
}

/* Look again for those that wait for tasks first to end. */
static void check_links(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx, size_t first,
			size_t end)
{
	const struct cs_pyobj_ctx now = {ctx->interp, walk->again};

	cs_mem_renew(walk->again);
	cs_mem_fetch(walk->again);
	cs_waiters_forget(&walk->waiters);
	walk->waiters.ctx = &now;
	for (size_t i = first; i < end; i++) {
		struct cs_walk_task *task = &walk->tasks[i];

		if (!task->state || !task->nlinks || links_are_same(walk, task))
			continue;
		task->state = 0;
		walk->ndropped++;
	}
	cs_waiters_forget(&walk->waiters);
	walk->waiters.ctx = ctx;
}

/* Ask for all that tasks first to end were read from, past what is cached. */
static void want_again(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx, size_t first,
		       size_t end)
{
	uint32_t size = ctx->interp->info.off.task_size;

	cs_mem_forget(walk->again);
	for (size_t i = first; i < end; i++) {
		const struct cs_walk_task *task = &walk->tasks[i];
		uint32_t at = task->first;

		if (!task->state)
			continue;
		cs_mem_want(walk->again, task->addr, size);
		for (; at != CS_WALK_NO_FRAME; at = walk->frames[at].next)
			cs_coro_want(ctx, walk->again, walk->frames[at].coro,
				     &walk->frames[at].place);
		for (uint32_t k = 0; k < task->nlinks; k++)
			cs_mem_want(walk->again, walk->links[task->link_at + k].waiter, size);
	}
	cs_mem_fetch(walk->again);
}

/* Does a task, which was read, have the same fields the second time? */
static bool is_same_own(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
			const struct cs_asyncio *asyncio, const struct cs_walk_task *task)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	const struct cs_pyobj_ctx again = {ctx->interp, walk->again};
	struct cs_walk_task now = {.addr = task->addr};

	if (!task->in_python) /* but for references, which come and go */
		return cs_mem_same(ctx->mem, walk->again, task->addr + off->object_type,
				   off->task_size - off->object_type);
	cs_walk_read_own(walk, &again, asyncio, &now);
	return now.state && now.in_python && now.attrs == task->attrs;
}

/* The same of one that waits for another: nothing but its own fields matters. Many tasks may be waited for by one. */
static bool is_same_waiter(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
			   const struct cs_asyncio *asyncio, uint64_t addr)
{
	struct cs_walk_task task = {.addr = addr};

	if (walk->waiter != addr) {
		cs_walk_read_own(walk, ctx, asyncio, &task);
		walk->waiter = addr;
		walk->waiter_same = task.state && is_same_own(walk, ctx, asyncio, &task);
	}
	return walk->waiter_same;
}

static bool waiters_are_same(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
			     const struct cs_asyncio *asyncio, const struct cs_walk_task *task)
{
	for (uint32_t k = 0; k < task->nlinks; k++) {
		if (!is_same_waiter(walk, ctx, asyncio, walk->links[task->link_at + k].waiter))
			return false;
	}
	return true;
}

/*
 * Is all that this task was read from as it was? Then it has not run in between, so that the names and objects that it and its coroutines
 * refer to were theirs all the time. A task that waits for it is read before the way to it and after: it has waited for the same all the while.
 */
static bool is_same(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		    const struct cs_asyncio *asyncio, const struct cs_walk_task *task)
{
	/* what attributes say lies in more memory than was asked for */
	if ((!walk->all_same || task->in_python) && !is_same_own(walk, ctx, asyncio, task))
		return false;
	for (uint32_t at = task->first; at != CS_WALK_NO_FRAME && !walk->all_same;
	     at = walk->frames[at].next) {
		if (!cs_coro_same(ctx, walk->again, walk->frames[at].coro, &walk->frames[at].place))
			return false;
	}
	return waiters_are_same(walk, ctx, asyncio, task);
}

/*
 * It has changed, and may have gone on and come back often. But if it is the same task, with the same callbacks, then who waits for it is as
 * certain as if it had not. What it did itself is lost.
 */
static bool has_moved(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		      const struct cs_asyncio *asyncio, const struct cs_walk_task *task)
{
	const struct cs_pyobj_ctx again = {ctx->interp, walk->again};
	struct cs_walk_task now = {.addr = task->addr};

	cs_walk_read_own(walk, &again, asyncio, &now);
	return now.state && now.state != CS_TASK_DONE && now.coro == task->coro &&
	       now.name == task->name && now.loop == task->loop &&
	       now.callback0 == task->callback0 && now.callbacks == task->callbacks &&
	       waiters_are_same(walk, ctx, asyncio, task);
}

static void keep_links(const struct cs_walk *walk, struct cs_walk_task *task)
{
	task->state = CS_TASK_RUNNING;
	task->flags = CS_TASKF_MOVED | (task->flags & CS_TASKF_WAITERS_CUT);
	task->waiter = 0;
	task->nframes = 0;
	task->leaf_len = 0;
	task->digest = cs_digest(cs_digest_word(task->coro, task->loop),
				 walk->links + task->link_at, task->nlinks * sizeof(*walk->links));
}

int cs_walk_check(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		  const struct cs_asyncio *asyncio, size_t first, size_t end)
{
	uint32_t ndropped;
	int err = 0;

	if (!walk->again)
		err = cs_mem_new_beside(ctx->mem, &walk->again);
	if (err)
		return err;
	check_links(walk, ctx, first, end);
	ndropped = walk->ndropped;
	want_again(walk, ctx, first, end);
	walk->waiter = 0;
	walk->all_same = cs_mem_same_pages(walk->again, ctx->mem);
	for (size_t i = first; i < end; i++) {
		struct cs_walk_task *task = &walk->tasks[i];

		if (!task->state || is_same(walk, ctx, asyncio, task))
			continue;
		if (has_moved(walk, ctx, asyncio, task)) {
			keep_links(walk, task);
			walk->nmoved++;
		} else {
			task->state = 0;
			ndropped++;
		}
	}
	walk->ndropped = ndropped;
	return 0;
}
