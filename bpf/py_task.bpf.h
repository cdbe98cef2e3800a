/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The asyncio task that the thread is running, in the same breath as its stack.
 *
 * asyncio keeps a dict {event loop: current task}, or a field of the thread state. These are the candidates; the one whose coroutine's
 * frame lies on this stack is the thread's task, which makes the answer check itself: a stale or foreign
 * entry matches no frame. A task of the C module has fields, one that is written in Python attributes. Candidates are collected before the frames are walked, matched while passing.
 * The task's name is read here too: a task may be gone, and its memory another's, a millisecond later.
 */
#pragma once

#include "py_attr.bpf.h"
#include "py_dict.bpf.h"
#include "py_str.bpf.h"
#include "walk.bpf.h"

/* Py_TPFLAGS_HEAPTYPE, Py_TPFLAGS_LONG_SUBCLASS and Py_TPFLAGS_UNICODE_SUBCLASS of Include/object.h */
#define CS_TPFLAGS_HEAP    (1ull << 9)
#define CS_TPFLAGS_LONG    (1ull << 24)
#define CS_TPFLAGS_UNICODE (1ull << 28)

/* How many classes a program derives from asyncio's, one from the other. */
#define CS_MAX_TASK_BASES 4

/* Which of asyncio's types a type is, or derives from: types.in_c, types.in_python, or 0. */
static __always_inline __u64 py_task_base(struct cs_walk *w, struct task_struct *task, __u64 type)
{
	for (__u32 i = 0; i < CS_MAX_TASK_BASES && type; i++) {
		if (type == w->types.in_c || type == w->types.in_python)
			return type;
		if (CS_READ(task, &type, sizeof(type), type + w->off.type_base))
			return 0;
	}
	return 0;
}

/* Tell in w->at where a task in Python whose type is this keeps what is asked of it. */
static __always_inline void py_task_attrs(struct cs_walk *w, struct task_struct *task, __u64 addr,
					  __u64 type)
{
	bool known = !py_attrs_load(w, task, addr, type);

	w->at.coro = known ? py_attr_at(w, w->types.coro_key) : 0;
	w->at.name = known ? py_attr_at(w, w->types.name_key) : 0;
	w->at.waiter = known ? py_attr_at(w, w->types.waiter_key) : 0;
}

/* The same of any task of asyncio's; all 0 if it is none. Overwrites the window. */
static __always_inline void py_task_open(struct cs_walk *w, struct task_struct *task, __u64 addr)
{
	__u64 type = 0, base;

	w->at.coro = w->at.name = w->at.waiter = 0;
	if (CS_READ(task, &type, sizeof(type), addr + w->off.object_type))
		return;
	base = py_task_base(w, task, type);
	if (base && base == w->types.in_python) {
		py_task_attrs(w, task, addr, type);
	} else if (base) {
		w->at.coro = addr + w->off.task_coro;
		w->at.name = addr + w->off.task_name;
		w->at.waiter = addr + w->off.task_fut_waiter;
	}
}

/*
 * The coroutine of a task, 0 if it cannot be read, and where its name is. One read for those of the C module, which are nearly all; the
 * window is free until the first frame is read.
 */
static __always_inline __u64 py_task_coro(struct cs_walk *w, struct task_struct *task, __u64 addr,
					  bool maybe_python, __u64 *name_at)
{
	__u32 at = w->off.task_coro - w->off.object_type, size = at + 8;
	__u64 coro = 0, type = 0;

	*name_at = addr + w->off.task_name;
	if (size > CS_TASK_CHUNK)
		size = CS_TASK_CHUNK;
	if (!CS_READ(task, w->window, size, addr + w->off.object_type)) {
		type = *(const __u64 *)w->window;
		coro = *(const __u64 *)(w->window + (at & (CS_FRAME_WINDOW - 8)));
	} else if (!maybe_python || !w->types.in_python ||
		   CS_READ(task, &type, sizeof(type), addr + w->off.object_type)) {
		return 0;
	}
	if (!maybe_python || !w->types.in_python || type == w->types.in_c ||
	    py_task_base(w, task, type) != w->types.in_python)
		return coro;
	py_task_attrs(w, task, addr, type);
	*name_at = w->at.name;
	if (!w->at.coro || CS_READ(task, &coro, sizeof(coro), w->at.coro))
		return 0;
	return coro;
}

/* Add a task whose root frame may lie on this stack. maybe_python: it is not certain to be one of the C module. */
static __always_inline void py_task_candidate(struct cs_walk *w, struct task_struct *task,
					      __u64 value, bool maybe_python)
{
	__u32 n = w->ncandidates & (CS_MAX_CURRENT_TASKS - 1);
	__u64 name_at, coro = py_task_coro(w, task, value, maybe_python, &name_at), frame;

	if (!coro)
		return;
	frame = coro + w->off.gen_iframe;
	if (w->traits.frame_is_object &&
	    (CS_READ(task, &frame, sizeof(frame), coro + w->off.gen_frame) || !frame))
		return;
	w->candidate_task[n] = value;
	w->candidate_coro[n] = coro;
	w->candidate_frame[n] = frame;
	w->candidate_name_at[n] = name_at;
	w->ncandidates = n + 1;
}

/* Find the dict's entries. Returns 0, or 1 if there is nothing to look at. */
static __always_inline int py_task_first(struct cs_walk *w, struct task_struct *task)
{
	__u64 keys = 0, dict = w->current_tasks, running = 0;

	if (w->off.tstate_running_task) {
		/* the thread says itself what it runs */
		if (!CS_READ(task, &running, sizeof(running),
			     w->tstate + w->off.tstate_running_task) &&
		    running) {
			py_task_candidate(w, task, running, false);
			return 1;
		}
		/* of those that are written in Python it does not know */
	}
	if (!dict || CS_READ(task, &keys, sizeof(keys), dict + w->off.dict_keys) ||
	    py_dict_open(w, task, keys) || w->dict.entry_bytes != PY_DICT_ENTRY)
		return 1;
	w->entries = w->dict.entries;
	w->nentries =
		w->dict.nentries > CS_MAX_CURRENT_TASKS ? CS_MAX_CURRENT_TASKS : w->dict.nentries;
	return 0;
}

/* Look at one entry. Returns 0, or 1 when there are no more. */
static __always_inline int py_task_step(struct cs_walk *w, struct task_struct *task, __u32 i)
{
	__u64 value = 0;

	if (i >= w->nentries || w->ncandidates >= CS_MAX_CURRENT_TASKS)
		return 1;
	if (!CS_READ(task, &value, sizeof(value), w->entries + (__u64)i * PY_DICT_ENTRY + 16) &&
	    value)
		py_task_candidate(w, task, value, true);
	return 0;
}

/* The flags of a type, 0 if they cannot be read. Those of CPython's own types stay as they are. */
static __always_inline __u64 py_type_flags(struct cs_walk *w, struct task_struct *task, __u64 type)
{
	__u64 flags = 0;

	if (type == w->flags_type && w->flags_salt == w->met_salt)
		return w->flags;
	if (CS_READ(task, &flags, sizeof(flags), type + w->off.type_flags))
		return 0;
	if (!(flags & CS_TPFLAGS_HEAP)) {
		w->flags_type = type;
		w->flags_salt = w->met_salt;
		w->flags = flags;
	}
	return flags;
}

/* The int whose head was read. */
static __always_inline void py_name_number(const struct cs_walk *w, struct cs_running_task *out)
{
	__u64 tag = walk_head_u64(w, w->off.long_tag), value;

	if (w->traits.long_tag_shift > 0)
		tag >>= (w->traits.long_tag_shift & 63);
	if (tag > 2)
		return;
	/* 30 bits a digit, PyLong_SHIFT of every 64-bit build */
	value = tag > 0 ? walk_head_u32(w, w->off.long_digits) : 0;
	if (tag > 1)
		value |= (__u64)walk_head_u32(w, w->off.long_digits + 4) << 30;
	*(__u64 *)out->name = value;
	out->name_bytes = sizeof(value);
	out->name_kind = CS_NAME_NUMBER;
}

/* The str whose head was read. */
static __always_inline void py_name_str(struct cs_walk *w, struct task_struct *task, __u64 obj,
					struct cs_running_task *out)
{
	struct py_str str = {};
	__u64 bytes;

	if (py_str_from_head(w, obj, &str))
		return;
	if (str.length > CS_TASK_NAME_BYTES / str.kind) {
		str.length = CS_TASK_NAME_BYTES / str.kind;
		out->name_cut = 1;
	}
	bytes = str.length * str.kind;
	asm volatile("" : "+r"(bytes)); /* 5.10 knows no bound of half a register, */
	if (bytes > CS_TASK_NAME_BYTES)
		return;
	asm volatile(
		""
		: "+r"(bytes)); /* and 6.1 none of what went to the stack before it was compared */
	if (CS_READ(task, out->name, bytes, str.data))
		return;
	out->name_bytes = bytes;
	out->name_kind = str.kind;
}

/* Read the name of the task that out tells of, if any, whose address stands there. Leaves CS_NAME_NONE on failure. */
static __always_inline void py_task_name(struct cs_walk *w, struct task_struct *task, __u64 name_at,
					 struct cs_running_task *out)
{
	__u64 obj = 0, flags;
	bool whole;

	out->name_kind = CS_NAME_NONE;
	out->name_cut = 0;
	out->name_bytes = 0;
	if (!out->task || !name_at || CS_READ(task, &obj, sizeof(obj), name_at) || !obj)
		return;
	/* an int is shorter than a str's head, and may end where the memory does */
	whole = !py_head_read(w, task, obj, w->str_head);
	if (!whole && py_head_read(w, task, obj, w->long_head))
		return;
	flags = py_type_flags(w, task, walk_head_u64(w, w->off.object_type));
	if (flags & CS_TPFLAGS_LONG)
		py_name_number(w, out);
	else if (whole && flags & CS_TPFLAGS_UNICODE)
		py_name_str(w, task, obj, out);
}
