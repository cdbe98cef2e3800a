/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The whole walk of one thread: its state, its running task's candidates, its frames, the task's name.
 *
 * How a step is repeated is the program's business (see walk.bpf.h): it may define CS_REPEAT_THREAD,
 * CS_REPEAT_TASK, CS_REPEAT_FRAME, CS_REPEAT_WORK and CS_REPEAT_PUBLISHED before it includes this file. A step returns 1 to stop.
 */
#pragma once

#include "py_context.bpf.h"
#include "py_frames.bpf.h"
#include "py_task.bpf.h"
#include "py_thread.bpf.h"

#ifndef CS_REPEAT_THREAD
#define CS_REPEAT_THREAD(w, task, slot) CS_REPEAT(CS_THREAD_STEPS, py_thread_step(w, task))
#define CS_REPEAT_TASK(w, task, slot)   CS_REPEAT(CS_MAX_CURRENT_TASKS, py_task_step(w, task, i))
#define CS_REPEAT_FRAME(w, task, slot)  CS_REPEAT(CS_FRAME_STEPS, py_frame_step(w, task))
#define CS_REPEAT_WORK(w, task, slot)   CS_REPEAT(CS_WORK_LOOKS, py_work_step(w, task))
#endif

/* Find w->tstate for w->thread_pointer. `known` is what it was last time, or 0: checked by one read. */
static __always_inline void py_stack_thread(struct cs_walk *w, struct task_struct *task, __u32 slot,
					    __u64 known)
{
	if (py_thread_check(w, task, known)) {
		w->tstate = known;
		return;
	}
	known = CS_TOLD_TSTATE(w);
	if (py_thread_check(w, task, known)) {
		w->tstate = known;
		return;
	}
	if (py_thread_first(w, task))
		return;
	CS_REPEAT_THREAD(w, task, slot);
	if (!w->tstate)
		w->tstate = w->mine;
	/* The search may have run out of steps at a state that is not the thread's. */
	if (!py_thread_check(w, task, w->tstate))
		w->tstate = 0;
}

/* Walk the stack of w->tstate into the record. Needs walk_begin, walk_record and py_stack_thread. */
static __always_inline void py_stack_walk(struct cs_walk *w, struct task_struct *task, __u32 slot)
{
	w->slot = slot;
	w->ev.tstate = w->tstate;
	if (!w->tstate) {
		w->ev.status = CS_STATUS_NO_TSTATE;
		return;
	}
	py_thread_context(w);
	if (CS_WANT_GIL)
		py_thread_gil(w, task);
	if (py_thread_frame(w, task)) {
		w->ev.status = CS_STATUS_UNREADABLE_TSTATE;
		return;
	}
	if (w->frame && !py_task_first(w, task))
		CS_REPEAT_TASK(w, task, slot);
	/* Overwritten by the step that ends the walk; it stays if the steps run out: a cycle. */
	w->ev.status = CS_STATUS_TRUNCATED;
	CS_REPEAT_FRAME(w, task, slot);
	CS_FINISH_FRAMES(w);
	if (py_work_begin(w, task))
		CS_REPEAT_WORK(w, task, slot);
	py_task_name(w, task, w->origin_name_at, &w->origin.waiter);
	py_task_name(w, task, w->name_at, &w->ev.running);
}

/*
 * Is the task that created last in this thread still in the same step? Then it creates again, since no other task runs before a context is left. (A
 * thread may have got a new state that counts from the beginning: so the task is looked at.)
 */
static __always_inline bool py_stack_same_creator(struct cs_walk *w, struct task_struct *task)
{
	__u64 coro = 0;

	return w->creator_ver && w->creator_ver == w->ev.creator.context_ver &&
	       !CS_READ(task, &coro, sizeof(coro), w->candidate_task[0] + w->off.task_coro) &&
	       coro == w->candidate_coro[0];
}

/* The task found is the one that creates: remember it, and its name. */
static __always_inline void py_stack_name_creator(struct cs_walk *w, struct task_struct *task)
{
	py_task_name(w, task, w->name_at, &w->ev.running);
	w->creator_name_kind = w->ev.running.name_kind;
	w->creator_name_cut = w->ev.running.name_cut;
	w->creator_name_bytes = w->ev.running.name_bytes;
	w->candidate_task[0] = w->ev.running.task;
	w->candidate_coro[0] = w->ev.running.coro;
	w->candidate_frame[0] = w->frame;
	w->ncandidates = 1;
}

/*
 * As py_stack_walk, but only the task that w->tstate runs, and the frames down to its root. again: the last walk in w was of the same thread's
 * creation, too: in one step a task often makes several.
 */
static __always_inline void py_stack_creator(struct cs_walk *w, struct task_struct *task,
					     __u32 slot, bool again)
{
	bool same;

	w->slot = slot;
	w->to_root = 1;
	w->ev.tstate = w->tstate;
	if (!w->tstate) {
		w->ev.status = CS_STATUS_NO_TSTATE;
		w->creator_ver = 0;
		return;
	}
	py_thread_context(w);
	same = again && py_stack_same_creator(w, task);
	w->creator_ver = 0;
	if (py_thread_frame(w, task)) {
		w->ev.status = CS_STATUS_UNREADABLE_TSTATE;
		return;
	}
	if (!same) {
		w->ncandidates = 0;
		if (w->frame && !py_task_first(w, task))
			CS_REPEAT_TASK(w, task, slot);
	}
	if (!w->ncandidates) {
		w->ev.status = CS_STATUS_COMPLETE;
		return;
	}
	w->ev.status = CS_STATUS_TRUNCATED;
	CS_REPEAT_FRAME(w, task, slot);
	CS_FINISH_FRAMES(w);
	if (!w->ev.running.task)
		return;
	if (!same)
		py_stack_name_creator(w, task);
	w->ev.running.name_kind = w->creator_name_kind;
	w->ev.running.name_cut = w->creator_name_cut;
	w->ev.running.name_bytes = w->creator_name_bytes;
	w->creator_ver = w->ev.creator.context_ver;
}

/* What a thread tells itself, in a Python or not; here for all that read stacks. */
#include "published_span.bpf.h"

#ifndef CS_REPEAT_SPAN
#define CS_REPEAT_SPAN(w, task, slot) CS_REPEAT(CS_SPAN_STEPS, py_span_step(w, task))
#endif

/* Read the span that is active in w->context. Uses the window; a program may define CS_REPEAT_SPAN. */
static __always_inline void py_span_find(struct cs_walk *w, struct task_struct *task, __u32 slot)
{
	if (CS_TAKE_TRACERS(w))
		return;
	w->span_var = 0;
	w->span_stage = 0;
	w->span_next = PY_SPAN_TREE;
	CS_REPEAT_SPAN(w, task, slot);
}

/* The same of the thread's Context. Call after py_stack_walk. */
static __always_inline void py_stack_span(struct cs_walk *w, struct task_struct *task, __u32 slot)
{
	if (w->traced && w->tstate && w->context)
		py_span_find(w, task, slot);
}
