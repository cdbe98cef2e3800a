/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The whole walk of one thread: its state, its running task's candidates, its frames, the task's name.
 *
 * How a step is repeated is the program's business (see walk.bpf.h): it may define CS_REPEAT_THREAD,
 * CS_REPEAT_TASK and CS_REPEAT_FRAME before it includes this file. A step returns 1 to stop.
 */
#pragma once

#include "py_frames.bpf.h"
#include "py_task.bpf.h"
#include "py_thread.bpf.h"

#define CS_THREAD_STEPS (CS_MAX_TSTATES + CS_MAX_INTERPRETERS)
/* Entry frames of C code count too: nothing that a program maps as frames may cost more. */
#define CS_FRAME_STEPS  CS_MAX_DEPTH

/* Call step up to n times; i counts. */
#define CS_REPEAT(n, step)                      \
	do {                                    \
		for (__u32 i = 0; i < (n); i++) \
			if (step)               \
				break;          \
	} while (0)

#ifndef CS_REPEAT_THREAD
#define CS_REPEAT_THREAD(w, task, slot) CS_REPEAT(CS_THREAD_STEPS, py_thread_step(w, task))
#define CS_REPEAT_TASK(w, task, slot)   CS_REPEAT(CS_MAX_CURRENT_TASKS, py_task_step(w, task, i))
#define CS_REPEAT_FRAME(w, task, slot)  CS_REPEAT(CS_FRAME_STEPS, py_frame_step(w, task))
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
	if (w->to_root && !w->ncandidates) {
		w->ev.status = CS_STATUS_COMPLETE;
		return;
	}
	/* Overwritten by the step that ends the walk; it stays if the steps run out: a cycle. */
	w->ev.status = CS_STATUS_TRUNCATED;
	CS_REPEAT_FRAME(w, task, slot);
	py_frames_finish(w);
	py_work_origin(w, task);
	py_task_name(w, task, &w->ev.running);
}
