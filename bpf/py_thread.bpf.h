/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a thread to its PyThreadState, and from there to its newest frame.
 *
 * The thread pointer is compared with PyThreadState.thread_id along the interpreters' lists. The "attached"
 * thread-local slot is not used: it is NULL while the GIL is released, and profilers that rely on it lose
 * every idle event loop and all C code that runs without the GIL.
 */
#pragma once

#include "walk.bpf.h"

/* A word of the thread state just read, at a masked offset: user space validated it, the verifier is shown it. */
static __always_inline __u64 tstate_u64(const struct cs_walk *w, __u32 offset)
{
	return *(const __u64 *)(w->window + (offset & (CS_TSTATE_CHUNK - 8)));
}

/* Read a thread state, and with it its frame, its context and what it handles. 0 or an error. */
static __always_inline long py_thread_read(struct cs_walk *w, struct task_struct *task,
					   __u64 tstate)
{
	__u64 size = w->tstate_size;
	long err;

	if (size > CS_TSTATE_CHUNK)
		size = CS_TSTATE_CHUNK;
	err = CS_READ(task, w->window, size, tstate);
	if (!err)
		w->frame = tstate_u64(w, w->off.tstate_frame);
	if (!err)
		w->exc_info = tstate_u64(w, w->off.tstate_exc_info);
	if (!err)
		w->context = tstate_u64(w, w->off.tstate_context);
	return err;
}

/* Is the state just read the thread's? */
static __always_inline bool py_thread_is_mine(const struct cs_walk *w)
{
	return tstate_u64(w, w->off.tstate_thread_id) == w->thread_pointer;
}

/* Is this the thread's state? 1 yes, 0 no or unreadable. */
static __always_inline int py_thread_check(struct cs_walk *w, struct task_struct *task,
					   __u64 tstate)
{
	return tstate && !py_thread_read(w, task, tstate) && py_thread_is_mine(w);
}

/* Begin the search. Returns 0, or 1 if there is nothing to search. */
static __always_inline int py_thread_first(struct cs_walk *w, struct task_struct *task)
{
	w->tstate = 0;
	w->mine = 0;
	w->interp = 0;
	/* An interpreter that is just starting has no states yet, but will have. */
	if (CS_READ(task, &w->interp, sizeof(w->interp), w->interpreters_head) || !w->interp)
		return 1;
	if (CS_READ(task, &w->tstate, sizeof(w->tstate), w->interp + w->off.interp_threads_head)) {
		w->tstate = 0;
		return 1;
	}
	return 0;
}

/* One step of the search: 0 go on, 1 stop (w->tstate is the answer, 0 for none). */
static __always_inline int py_thread_step(struct cs_walk *w, struct task_struct *task)
{
	__u64 next = 0;

	if (w->tstate) {
		if (py_thread_read(w, task, w->tstate)) {
			w->tstate = 0;
			return 1;
		}
		if (py_thread_is_mine(w)) {
			if (!w->traits.states_keep_creator)
				return 1;
			/* the main interpreter comes last */
			w->mine = w->tstate;
			w->tstate = 0;
			return 0;
		}
		w->tstate = tstate_u64(w, w->off.tstate_next);
		return 0;
	}
	if (CS_READ(task, &next, sizeof(next), w->interp + w->off.interp_next))
		return 1;
	if (!next) {
		w->tstate = w->mine;
		w->searched = 1;
		return 1;
	}
	w->interp = next;
	if (CS_READ(task, &w->tstate, sizeof(w->tstate), next + w->off.interp_threads_head)) {
		w->tstate = 0;
		return 1;
	}
	return 0;
}

/* Which step of its event loop is the thread in whose state was just read? See struct cs_step. */
static __always_inline void py_thread_context(struct cs_walk *w)
{
	__u32 ver = w->off.tstate_context_ver ? tstate_u64(w, w->off.tstate_context_ver) : 0;

	if (w->ev.hdr.kind == CS_EV_TASK_CREATED)
		w->ev.creator.context_ver = ver;
	else
		w->ev.step.context_ver = ver;
}

/* Does the thread whose state was just read hold its interpreter's lock? Says nothing where there is none. */
static __always_inline void py_thread_gil(struct cs_walk *w, struct task_struct *task)
{
	__u64 gil = w->gil, holder = 0;
	__u32 locked = 0;

	if (!gil && (!w->off.interp_gil ||
		     CS_READ(task, &gil, sizeof(gil),
			     tstate_u64(w, w->off.tstate_interp) + w->off.interp_gil)))
		return;
	if (!gil || CS_READ(task, &holder, sizeof(holder), gil + w->off.gil_last_holder) ||
	    CS_READ(task, &locked, sizeof(locked), gil + w->off.gil_locked))
		return;
	w->ev.gil = locked && holder == w->tstate ? CS_GIL_HELD : CS_GIL_NOT_HELD;
}

/* From what py_thread_check left in w->frame to the newest frame (0: the thread runs no Python code). 0 or an error. */
static __always_inline int py_thread_frame(struct cs_walk *w, struct task_struct *task)
{
	__u64 cframe = w->frame;

	if (!w->traits.frame_via_cframe || !cframe)
		return 0;
	w->frame = 0;
	return CS_READ(task, &w->frame, sizeof(w->frame), cframe + w->off.cframe_current_frame) ? -1
												: 0;
}
