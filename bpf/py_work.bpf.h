/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For whom a thread works: run_in_executor, to_thread and wrap_future hand a job to a thread of concurrent.futures, and a task waits.
 *
 * The frame of _WorkItem.run, met while the stack is walked, has the item as its first local. The item's future has a callback of
 * asyncio's, whose closure has asyncio's future, which wakes the task up. User space says where these are (struct cs_work). The end
 * is checked: it is a task, and suspended on exactly that future; whatever went astray on the way ends in no
 * link. All of it is read in one breath, while the thread's frame keeps the item alive: a moment later its memory is another job's.
 */
#pragma once

#include "py_task.bpf.h"
#include "walk.bpf.h"

/* The n-th frame, just read, is that of _WorkItem.run. The newest counts. */
static __always_inline void py_work_meet(struct cs_walk *w, struct task_struct *task, __u32 n)
{
	__u64 item = 0;

	if (w->work_item || !w->work.run_code ||
	    CS_READ(task, &item, sizeof(item), w->frame + w->off.frame_localsplus))
		return;
	w->work_item = item & w->code_mask;
	w->work_index = n;
}

/* The callback of asyncio's on the future of the item. 0: none, or none that can be read. */
static __always_inline __u64 py_work_callback(struct cs_walk *w, struct task_struct *task)
{
	__u64 at = w->work_item, code = 0;

	for (__u32 i = 0; i < CS_WORK_STEPS; i++) {
		if (i >= w->work.nsteps)
			break;
		if (CS_READ(task, &at, sizeof(at), at + (__u64)(__s64)w->work.steps[i]))
			return 0;
	}
	if (CS_READ(task, &code, sizeof(code), at + w->off.function_code) ||
	    code != w->work.chain_code)
		return 0;
	return at;
}

/* The future of asyncio's that is completed with the item. 0: none. */
static __always_inline __u64 py_work_future(struct cs_walk *w, struct task_struct *task)
{
	__u64 callback = py_work_callback(w, task), cells = 0, cell = 0, future = 0;

	if (!callback || CS_READ(task, &cells, sizeof(cells), callback + w->off.function_closure) ||
	    CS_READ(task, &cell, sizeof(cell), cells + w->off.tuple_items + 8ull * w->work.cell) ||
	    CS_READ(task, &future, sizeof(future), cell + w->off.cell_value))
		return 0;
	return future;
}

/* Is it one of asyncio's tasks, or of a class derived from it, suspended on this future? */
static __always_inline bool py_work_waits(struct cs_walk *w, struct task_struct *task, __u64 waiter,
					  __u64 future)
{
	__u64 type = 0, on = 0;

	if (CS_READ(task, &type, sizeof(type), waiter + w->off.object_type))
		return false;
	if (type != w->work.task_type &&
	    (CS_READ(task, &type, sizeof(type), type + w->off.type_base) ||
	     type != w->work.task_type))
		return false;
	return !CS_READ(task, &on, sizeof(on), waiter + w->off.task_fut_waiter) && on == future;
}

/*
 * The task that the first callback of the future wakes up which is not asyncio's own: _chain_future puts one there before anybody can
 * await it, so it is the first of those behind the first, a list of tuples.
 */
static __always_inline __u64 py_work_waiter(struct cs_walk *w, struct task_struct *task,
					    __u64 future)
{
	__u32 holder = w->off.wakeup_task ? w->off.wakeup_task : w->off.cfunction_self;
	__u64 at = 0;

	if (CS_READ(task, &at, sizeof(at), future + w->off.future_callbacks) || !at ||
	    CS_READ(task, &at, sizeof(at), at + w->off.list_items) ||
	    CS_READ(task, &at, sizeof(at), at) ||
	    CS_READ(task, &at, sizeof(at), at + w->off.tuple_items) ||
	    CS_READ(task, &at, sizeof(at), at + holder))
		return 0;
	return at;
}

/* Fill w->origin. Call after the frames. */
static __always_inline void py_work_origin(struct cs_walk *w, struct task_struct *task)
{
	__u64 future, waiter, coro = 0;

	if (!w->work_item || w->ev.running.task)
		return;
	future = py_work_future(w, task);
	waiter = future ? py_work_waiter(w, task, future) : 0;
	if (!waiter || !py_work_waits(w, task, waiter, future) ||
	    CS_READ(task, &coro, sizeof(coro), waiter + w->off.task_coro))
		return;
	w->origin.waiter.task = waiter;
	w->origin.waiter.coro = coro;
	py_task_name(w, task, &w->origin.waiter);
}
