/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Interpreter frames, newest first. The interpreter's own stack grows upwards without gaps, so what lies below a frame
 * is the frames that called it: one read serves several. A frame that belongs to a generator or coroutine is
 * embedded in it, so its address tells whose it is: that is how the root frame of the running task is
 * recognised while passing by (see py_task.bpf.h).
 */
#pragma once

#include <coroscope/code_check.h>

#include "walk.bpf.h"

/* The smallest page of all architectures. */
#define CS_FRAME_PAGE 4096

static __always_inline void py_frame_match_task(struct cs_walk *w, __u32 index)
{
	__u32 i;

	for (i = 0; i < CS_MAX_CURRENT_TASKS; i++) {
		if (i >= w->ncandidates)
			break;
		if (w->candidate_frame[i] != w->frame)
			continue;
		w->ev.running.task = w->candidate_task[i];
		w->ev.running.coro = w->frame - w->off.gen_iframe;
		w->ev.running.root_frame = index;
		break;
	}
}

/*
 * A code object's check value the first time it is met together with these globals (an object that takes over freed memory
 * usually comes from another module): four reads then, none afterwards. CS_CODE_NOT_CHECKED if it was met before, or could
 * not be read.
 */
static __always_inline __u32 py_frame_check(struct cs_walk *w, struct task_struct *task, __u64 code)
{
	__u64 globals = walk_chunk_u64(w, w->off.frame_globals), line = 0, qualname = 0, name = 0,
	      hash = 0;
	__u64 key = (code ^ (globals << 17 | globals >> 47) ^ w->met_salt) | 1;
	__u64 *slot = &w->met[(key * 0x9e3779b97f4a7c15ull >> 48) & (CS_MET_CODES - 1)];

	if (*slot == key)
		return CS_CODE_NOT_CHECKED;
	if (CS_READ(task, &line, sizeof(line), code + w->off.code_firstlineno) ||
	    CS_READ(task, &qualname, sizeof(qualname), code + w->off.code_qualname) ||
	    CS_READ(task, &name, sizeof(name), code + w->off.code_name) ||
	    CS_READ(task, &hash, sizeof(hash), name + w->off.unicode_hash))
		return CS_CODE_NOT_CHECKED;
	*slot = key;
	return cs_code_check(line, qualname, hash);
}

/* Read up to `below` bytes below w->frame, and the frame. 0 or an error. */
static __always_inline long py_frame_read(struct cs_walk *w, struct task_struct *task, __u64 below)
{
	__u64 size = w->chunk_size;

	if (below > CS_FRAME_WINDOW - CS_FRAME_CHUNK)
		below = CS_FRAME_WINDOW - CS_FRAME_CHUNK;
	if (size > CS_FRAME_CHUNK)
		size = CS_FRAME_CHUNK;
	w->chunk_at = below;
	w->window_at = w->frame - below;
	w->window_bytes = below + size;
	return CS_READ(task, w->window, below + size, w->window_at);
}

/*
 * Have w->frame in the window. The page it begins in is mapped, so reading down to the page's start misses nothing that
 * the frame alone would not; and only a frame just below the last ones lies on a stack, not in a generator.
 */
static __always_inline long py_frame_fetch(struct cs_walk *w, struct task_struct *task)
{
	__u64 at = w->frame - w->window_at;

	if (at < CS_FRAME_WINDOW && at + w->chunk_size <= w->window_bytes) {
		w->chunk_at = at;
		return 0;
	}
	if (w->window_bytes && w->window_at - w->frame < CS_FRAME_WINDOW &&
	    !py_frame_read(w, task, w->frame & (CS_FRAME_PAGE - 8)))
		return 0;
	return py_frame_read(w, task, 0);
}

/* One step: 0 go on, 1 stop with w->ev.status set. */
static __always_inline int py_frame_step(struct cs_walk *w, struct task_struct *task)
{
	struct cs_py_frame *out;
	__u64 n = w->ev.nframes, code;
	__u8 owner;

	if (!w->frame) {
		/* A generator runs on top of its caller: without one it was just being entered or left. */
		w->ev.status = w->in_generator ? CS_STATUS_TORN : CS_STATUS_COMPLETE;
		return 1;
	}
	if (n >= CS_MAX_PY_FRAMES) {
		w->ev.status = CS_STATUS_TRUNCATED;
		return 1;
	}
	if (py_frame_fetch(w, task)) {
		w->ev.status = CS_STATUS_UNREADABLE_FRAME;
		return 1;
	}
	owner = w->window[(w->chunk_at + w->off.frame_owner) & (CS_FRAME_WINDOW - 1)];
	w->in_generator = owner == w->traits.owner_generator;
	if (owner != w->traits.owner_skip) {
		out = &w->frames[n & (CS_MAX_PY_FRAMES - 1)];
		code = walk_chunk_u64(w, w->off.frame_executable);
		out->code = code;
		out->lasti = walk_chunk_u64(w, w->off.frame_instr_ptr) -
			     (code + w->off.code_instructions);
		out->check = py_frame_check(w, task, code);
		if (owner == w->traits.owner_generator)
			py_frame_match_task(w, n);
		w->ev.nframes = n + 1;
	}
	w->frame = walk_chunk_u64(w, w->off.frame_previous);
	return 0;
}
