/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For whom a thread works: run_in_executor, to_thread and wrap_future hand a job to a thread of concurrent.futures, and a task waits.
 *
 * The frame of _WorkItem.run, met while the stack is walked, has the item as its first local. The item's future has a callback of
 * asyncio's, whose closure has asyncio's future, which wakes the task up, or completes the future of a gather, wait, shield or
 * wait_for that does. User space says where these are (struct cs_work). The end is checked: it is a task, and suspended on exactly the
 * last future; whatever went astray on the way ends in no link. All of it is read in one breath, while the thread's frame keeps the item alive: a moment later its memory is another job's.
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

/* Does this task wait for this future? Then w->at says where it keeps the rest. */
static __always_inline bool py_work_waits(struct cs_walk *w, struct task_struct *task, __u64 waiter,
					  __u64 future)
{
	__u64 on = 0;

	py_task_open(w, task, waiter);
	return w->at.waiter && !CS_READ(task, &on, sizeof(on), w->at.waiter) && on == future;
}

/* The list of a future's callbacks, a field or an attribute; how many are in no list is *before. 0: none. */
static __always_inline __u64 py_work_callbacks(struct cs_walk *w, struct task_struct *task,
					       __u64 future, __u32 *before)
{
	__u64 at = future + w->off.future_callbacks, type = 0;

	*before = 1;
	if (!w->types.in_c && w->types.callbacks_key) {
		*before = 0;
		if (CS_READ(task, &type, sizeof(type), future + w->off.object_type) ||
		    py_attrs_load(w, task, future, type))
			return 0;
		at = py_attr_at(w, w->types.callbacks_key);
	}
	return !at || CS_READ(task, &at, sizeof(at), at) ? 0 : at;
}

/* The n-th callback of a future: one of the C module has a field for the first, the others are tuples in a list. 0: none. */
static __always_inline __u64 py_work_callback_at(struct cs_walk *w, struct task_struct *task,
						 __u64 future, __u32 n)
{
	__u32 before;
	__u64 at = 0;

	if (!n && w->types.in_c)
		return CS_READ(task, &at, sizeof(at), future + w->off.future_callback0) ? 0 : at;
	at = py_work_callbacks(w, task, future, &before);
	if (!at || n < before || CS_READ(task, &at, sizeof(at), at + w->off.list_items) ||
	    CS_READ(task, &at, sizeof(at), at + 8ull * (n - before)) ||
	    CS_READ(task, &at, sizeof(at), at + w->off.tuple_items))
		return 0;
	return at;
}

/* What the cell of a closure holds that a way names. */
static __always_inline __u64 py_work_cell(struct cs_walk *w, struct task_struct *task,
					  __u64 function, const struct cs_work_way *way)
{
	__u64 cells = 0, index = way->cell, at = 0;

	if (CS_READ(task, &cells, sizeof(cells), function + w->off.function_closure))
		return 0;
	if (way->from_end && CS_READ(task, &index, sizeof(index), cells + w->off.object_var_size))
		return 0;
	index -= way->from_end;
	if (CS_READ(task, &at, sizeof(at), cells + w->off.tuple_items + 8 * index) ||
	    CS_READ(task, &at, sizeof(at), at + w->off.cell_value))
		return 0;
	return at;
}

/* The future that a callback of gather, wait, shield or wait_for completes; 0: it is none of these. */
static __always_inline __u64 py_work_next(struct cs_walk *w, struct task_struct *task,
					  __u64 callback)
{
	__u64 code = 0, function = 0, at = 0;

	if (CS_READ(task, &code, sizeof(code), callback + w->off.function_code))
		return 0;
	for (__u32 i = 0; i < CS_WORK_WAYS; i++) {
		if (code && w->work.ways[i].code == code)
			return py_work_cell(w, task, callback, &w->work.ways[i]);
	}
	/* functools.partial: behind its head the function, then the arguments */
	if (!w->work.release_code ||
	    CS_READ(task, &function, sizeof(function), callback + w->off.object_type + 8) ||
	    CS_READ(task, &code, sizeof(code), function + w->off.function_code) ||
	    code != w->work.release_code ||
	    CS_READ(task, &at, sizeof(at), callback + w->off.object_type + 16) ||
	    CS_READ(task, &at, sizeof(at), at + w->off.tuple_items))
		return 0;
	return at;
}

/* Does a callback of w->work_future wake up a task that waits for it? Then that is the origin. */
static __always_inline bool py_work_wakes(struct cs_walk *w, struct task_struct *task,
					  __u64 callback)
{
	__u32 holder = w->off.wakeup_task ? w->off.wakeup_task : w->off.cfunction_self;
	__u64 waiter = 0, coro = 0;

	for (__u32 i = 0; i < 2; i++) {
		/* a task that is written in Python has a method for it */
		__u32 at = i ? w->off.method_self : holder;

		if (i && at == holder)
			break;
		if (CS_READ(task, &waiter, sizeof(waiter), callback + at) ||
		    !py_work_waits(w, task, waiter, w->work_future) ||
		    CS_READ(task, &coro, sizeof(coro), w->at.coro))
			continue;
		w->origin.waiter.task = waiter;
		w->origin.waiter.coro = coro;
		w->origin_name_at = w->at.name;
		return true;
	}
	return false;
}

/*
 * One step from asyncio's future up to the task that waits, through gather and the like: look at one callback of w->work_future.
 * Returns 1 at the end of the way.
 */
static __always_inline int py_work_step(struct cs_walk *w, struct task_struct *task)
{
	__u64 callback = py_work_callback_at(w, task, w->work_future, w->work_n), next;

	if (!callback)
		return 1;
	next = py_work_next(w, task, callback);
	if (next) {
		w->work_future = next;
		w->work_n = 0;
		return 0;
	}
	return py_work_wakes(w, task, callback) || ++w->work_n > CS_WORK_CALLBACKS;
}

/*
 * Is there a way to look for? Call after the frames. Of the first future the callbacks behind the first are looked at, which
 * _chain_future has put there before anybody could await it.
 */
static __always_inline bool py_work_begin(struct cs_walk *w, struct task_struct *task)
{
	if (!w->work_item || w->ev.running.task)
		return false;
	w->work_future = py_work_future(w, task);
	w->work_n = 1;
	return w->work_future != 0;
}
