/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Interpreter frames, newest first. A frame that belongs to a generator or coroutine tells whose it is by its address (it
 * is embedded in it, or, where frames are objects, known to it): that is how the root frame of the running task is
 * recognised while passing by (see py_task.bpf.h).
 *
 * The interpreter's own stack grows upwards without gaps, so what lies below a frame is the frames that called it: one read
 * serves several. Where frames are objects (trait frame_is_object) each takes a read of its own.
 *
 * Of a deep stack the newest CS_LEAF_FRAMES are kept and the oldest; those take turns in the rest of the record and are put
 * in order at the end.
 */
#pragma once

#include "py_code.bpf.h"
#include "py_work.bpf.h"
#include "walk.bpf.h"

/* The smallest page of all architectures. */
#define CS_FRAME_PAGE      4096
/* To a task's root there are few frames that lie one below the other: asyncio's create_task and the like. */
#define CS_CREATION_WINDOW 384
/* Copies of a code object's bytecode that are believed in: one a thread. */
#define CS_MAX_TLBC        65536

#ifndef CS_FINISH_FRAMES
#define CS_FINISH_FRAMES(w) py_frames_finish(w)
#endif
#ifndef CS_MATCH_TASK
#define CS_MATCH_TASK(w, index) py_frame_match_task(w, index)
#endif

/* Is the frame that of one of the candidates? Then that task runs, and the frame is its root's. */
static __always_inline void py_frame_match_task(struct cs_walk *w, __u32 index)
{
	__u32 i;

	for (i = 0; i < CS_MAX_CURRENT_TASKS; i++) {
		if (i >= w->ncandidates)
			break;
		if (w->candidate_frame[i] != w->frame)
			continue;
		w->ev.running.task = w->candidate_task[i];
		w->ev.running.coro = w->candidate_coro[i];
		w->name_at = w->candidate_name_at[i];
		w->root_index = index;
		break;
	}
}

/* Read up to `below` bytes below w->frame, and the frame. 0 or an error. */
static __always_inline long py_frame_read(struct cs_walk *w, struct task_struct *task, __u64 below)
{
	__u64 size = w->chunk_size;

	if (w->to_root && below > CS_CREATION_WINDOW)
		below = CS_CREATION_WINDOW;
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
 * the frame alone would not; and only a frame just below the last ones lies on a stack, not in a generator. Who creates a task is asyncio's
 * own function: that one, too.
 */
static __always_inline long py_frame_fetch(struct cs_walk *w, struct task_struct *task)
{
	__u64 at = w->frame - w->window_at;
	bool below;

	if (at < CS_FRAME_WINDOW && at + w->chunk_size <= w->window_bytes) {
		w->chunk_at = at;
		return 0;
	}
	below = w->window_bytes ? w->window_at - w->frame < CS_FRAME_WINDOW : w->to_root;
	if (below && !w->traits.frame_is_object &&
	    !py_frame_read(w, task, w->frame & (CS_FRAME_PAGE - 8)))
		return 0;
	return py_frame_read(w, task, 0);
}

/* Is the frame in the window one of Python code? Notes whether it belongs to a generator. */
static __always_inline bool py_frame_is_python(struct cs_walk *w)
{
	__u8 owner = w->window[(w->chunk_at + w->off.frame_owner) & (CS_FRAME_WINDOW - 1)];

	if (w->unusual && w->traits.frame_is_object) {
		w->in_generator = walk_chunk_u64(w, w->off.frame_gen) != 0;
		return true;
	}
	w->in_generator = owner == w->traits.owner_generator;
	return owner < w->traits.owner_skip;
}

/*
 * Where the bytecode begins that the frame runs; 0 if it cannot be read. A free-threaded interpreter gives each thread a copy of its
 * own, listed in a _PyCodeArray: its length, then the addresses. Number 0 is the code object's.
 */
static __always_inline __u64 py_frame_bytecode(struct cs_walk *w, struct task_struct *task,
					       __u64 code)
{
	__u64 copies = 0, at = 0;
	__u32 index;

	if (!w->off.code_tlbc || !w->off.frame_tlbc_index)
		return code + w->off.code_instructions;
	index = walk_chunk_u32(w, w->off.frame_tlbc_index);
	if (!index)
		return code + w->off.code_instructions;
	if (index >= CS_MAX_TLBC ||
	    CS_READ(task, &copies, sizeof(copies), code + w->off.code_tlbc) ||
	    CS_READ(task, &at, sizeof(at), copies + 8 + 8ull * index))
		return 0;
	return at;
}

static __always_inline __s32 py_frame_lasti(struct cs_walk *w, struct task_struct *task, __u64 code)
{
	__u64 begin;

	if (!w->unusual)
		return walk_chunk_u64(w, w->off.frame_instr_ptr) -
		       (code + w->off.code_instructions);
	if (w->traits.lasti_kind == CS_LASTI_BYTES)
		return walk_chunk_u32(w, w->off.frame_instr_ptr);
	if (w->traits.lasti_kind == CS_LASTI_UNITS)
		return 2 * walk_chunk_u32(w, w->off.frame_instr_ptr);
	begin = py_frame_bytecode(w, task, code);
	return begin ? (__s32)(walk_chunk_u64(w, w->off.frame_instr_ptr) - begin) : -1;
}

/* Where the n-th frame from the newest goes. */
static __always_inline __u32 py_frame_place(__u32 n)
{
	return n < CS_LEAF_FRAMES ? n
				  : CS_LEAF_FRAMES + ((n - CS_LEAF_FRAMES) & (CS_ROOT_FRAMES - 1));
}

/* The frame in the window has called the task's root frame: note its first local, see struct cs_step. */
static __always_inline void py_frame_caller(struct cs_walk *w, struct task_struct *task)
{
	__u64 first = 0;

	if (!CS_READ(task, &first, sizeof(first), w->frame + w->off.frame_localsplus))
		w->ev.step.caller = first >> 4; /* objects lie 16 bytes apart */
}

/* Take the frame in the window as the n-th. */
static __always_inline void py_frame_record(struct cs_walk *w, struct task_struct *task, __u32 n)
{
	struct cs_py_frame *out = &w->frames[py_frame_place(n) & (CS_MAX_PY_FRAMES - 1)];
	__u64 code = walk_chunk_u64(w, w->off.frame_executable) & w->code_mask;

	out->code = code;
	out->lasti = py_frame_lasti(w, task, code);
	out->check = py_code_meet(w, task, code);
	if (w->ev.running.task && n == w->root_index + 1)
		py_frame_caller(w, task);
	if (w->in_generator)
		CS_MATCH_TASK(w, n);
	if (code == w->work.run_code && !w->to_root)
		py_work_meet(w, task, n);
	w->nseen = n + 1;
}

/* Has the n-th frame been passed before? One frame is remembered to compare with, another one ever less often. */
static __always_inline bool py_frame_cycles(struct cs_walk *w, __u32 n)
{
	if (w->frame == w->cycle_frame)
		return true;
	if (!(n & (n - 1)))
		w->cycle_frame = w->frame;
	return false;
}

/*
 * Did native code call the last frame taken? Where C code has frames of its own, the next one is such a frame.
 * Where it has not, a frame says so itself in the byte before its owner (is_entry). Frames that are objects all are: each
 * Python call is a call of the interpreter's loop. Only such a frame can be the oldest: of one that has just been pushed the way to its caller
 * may not be written yet (the compiler orders these two stores as it likes).
 */
static __always_inline void py_frame_entry(struct cs_walk *w, bool python)
{
	__u32 last = w->nseen - 1;
	bool entry = !python;

	if (w->traits.frame_is_object)
		entry = python;
	else if (w->traits.owner_skip == 255)
		entry = python &&
			w->window[(w->chunk_at + w->off.frame_owner - 1) & (CS_FRAME_WINDOW - 1)];
	w->needs_caller = python && !entry;
	if (entry && last < CS_MAX_PY_FRAMES)
		w->runs[last / 64 & (CS_MAX_PY_FRAMES / 64 - 1)] |= 1ull << (last & 63);
}

/*
 * The newest frame's caller is known once it executes its first instruction. Before, the frame may be the current one already while the way to
 * its caller is still that of the frame that lay here before it (of a generator's callee: a frame further out). Frames
 * that are objects are made with it. -1 is a position that could not be read.
 */
static __always_inline bool py_frame_just_pushed(const struct cs_walk *w, __u32 n)
{
	return !n && w->frames[0].lasti < -1 && !w->traits.frame_is_object;
}

/* One step: 0 go on, 1 stop with w->ev.status set. */
static __always_inline int py_frame_step(struct cs_walk *w, struct task_struct *task)
{
	__u32 n = w->nseen;
	bool python;

	if (!w->frame) {
		/* A generator runs on top of its caller: without one it was just being entered or left. */
		w->ev.status =
			w->in_generator || w->needs_caller ? CS_STATUS_TORN : CS_STATUS_COMPLETE;
		return 1;
	}
	if (n >= CS_MAX_PY_FRAMES && py_frame_cycles(w, n)) {
		w->ev.status = CS_STATUS_TRUNCATED;
		return 1;
	}
	if (py_frame_fetch(w, task)) {
		w->ev.status = CS_STATUS_UNREADABLE_FRAME;
		return 1;
	}
	python = py_frame_is_python(w);
	if (python)
		py_frame_record(w, task, n);
	if (python && py_frame_just_pushed(w, n)) {
		w->ev.status = CS_STATUS_TORN;
		return 1;
	}
	py_frame_entry(w, python);
	if (w->to_root && w->ev.running.task) {
		w->ev.status = CS_STATUS_COMPLETE;
		return 1;
	}
	w->frame = walk_chunk_u64(w, w->off.frame_previous);
	return 0;
}

/* The task's root frame among the frames kept. If it was left out, the last one before the gap stands for it. */
static __always_inline __u32 py_frame_root(__u32 index, __u32 nskipped)
{
	if (index < CS_LEAF_FRAMES)
		return index;
	return index - CS_LEAF_FRAMES < nskipped ? CS_LEAF_FRAMES - 1 : index - nskipped;
}

/* After the last step: bring the oldest frames into order and say what was left out. */
static __always_inline void py_frames_finish(struct cs_walk *w)
{
	__u32 n = w->nseen, nskipped = 0, i;

	if (n > CS_MAX_PY_FRAMES) {
		nskipped = n - CS_MAX_PY_FRAMES;
		for (i = 0; i < CS_ROOT_FRAMES; i++)
			w->root[i] = w->frames[CS_LEAF_FRAMES +
					       ((n - CS_LEAF_FRAMES + i) & (CS_ROOT_FRAMES - 1))];
		__builtin_memcpy(w->frames + CS_LEAF_FRAMES, w->root, sizeof(w->root));
		if (w->ev.status == CS_STATUS_COMPLETE)
			w->ev.status = CS_STATUS_CUT;
		n = CS_MAX_PY_FRAMES;
	}
	w->ev.nframes = n;
	w->ev.nskipped = nskipped > 65535 ? 65535 : nskipped;
	if (w->ev.running.task)
		w->ev.running.root_frame = py_frame_root(w->root_index, nskipped);
	if (w->work_item)
		w->origin.waiter.root_frame =
			w->work_index ? py_frame_root(w->work_index - 1, nskipped) + 1 : 0;
}
