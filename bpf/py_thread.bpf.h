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

/* Is this the thread's state? One read: 1 yes, 0 no or unreadable. */
static __always_inline int py_thread_check(struct cs_walk *w, struct task_struct *task,
					   __u64 tstate)
{
	__u64 id = 0;

	if (!tstate || CS_READ(task, &id, sizeof(id), tstate + w->off.tstate_thread_id))
		return 0;
	return id == w->thread_pointer;
}

/* Begin the search. Returns 0, or 1 if there is nothing to search. */
static __always_inline int py_thread_first(struct cs_walk *w, struct task_struct *task)
{
	w->tstate = 0;
	w->interp = 0;
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
		if (py_thread_check(w, task, w->tstate))
			return 1;
		if (CS_READ(task, &next, sizeof(next), w->tstate + w->off.tstate_next)) {
			w->tstate = 0;
			return 1;
		}
		w->tstate = next;
		return 0;
	}
	if (!w->interp || CS_READ(task, &next, sizeof(next), w->interp + w->off.interp_next) ||
	    !next) {
		w->interp = 0;
		return 1;
	}
	w->interp = next;
	if (CS_READ(task, &w->tstate, sizeof(w->tstate), next + w->off.interp_threads_head)) {
		w->tstate = 0;
		return 1;
	}
	return 0;
}

/* The newest frame of w->tstate into w->frame (0: the thread runs no Python code). 0 or an error. */
static __always_inline int py_thread_frame(struct cs_walk *w, struct task_struct *task)
{
	__u64 at = w->tstate + w->off.tstate_frame;

	w->frame = 0;
	if (CS_READ(task, &w->frame, sizeof(w->frame), at))
		goto unreadable;
	if (w->traits.frame_via_cframe && w->frame) {
		at = w->frame + w->off.cframe_current_frame;
		if (CS_READ(task, &w->frame, sizeof(w->frame), at))
			goto unreadable;
	}
	return 0;
unreadable:
	w->frame = 0;
	return -1;
}
