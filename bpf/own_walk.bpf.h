/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The walk of the thread that a program runs in: a CPU tick interrupts it, or the scheduler has just brought it back. It stands still
 * meanwhile, so every read is coherent; reads do not fault. Everything is weak: the programs that include this share one scratch
 * a CPU, which its `busy` guards, and one set of verified steps.
 */
#pragma once

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "core_compat.bpf.h"
#include "maps.bpf.h"

#define CS_READ(task, dst, size, src) bpf_probe_read_user(dst, size, (const void *)(src))
#define CS_TOLD_TSTATE(w)             told_tstate((w)->tgid, (w)->thread_pointer)
#define CS_WANT_GIL                   config.want_gil
#define CS_TAKE_TRACERS(w)            take_tracers(&(w)->tracers, (w)->tgid)
#define CS_NOW_NS()                   bpf_ktime_get_ns()
#define CS_MEET_CODE(w, task)         own_meet_code(0)
#define CS_FIND_KEY(w)                own_find_key(0)
#define CS_CHECK_CODE(w, task, code)  own_check_code(0, code)
#define CS_MATCH_TASK(w, index)       own_match_task(0, index)
#define CS_FINISH_FRAMES(w)           own_finish(0)
int own_meet_code(__u32 slot);
int own_find_key(__u32 slot);
int own_check_code(__u32 slot, __u64 code);
int own_match_task(__u32 slot, __u32 index);
int own_finish(__u32 slot);

#define CS_UNWIND_READ(dst, size, src) bpf_probe_read_user(dst, size, (const void *)(src))
#define CS_UNWIND_PROC(c)              bpf_map_lookup_elem(&native_procs, &(c)->tgid)
#define CS_UNWIND_TABLE(place)         bpf_map_lookup_elem(&native_files, &(place))
#define CS_UNWIND_WORD(table, i)       native_word_of(table, i)
#define CS_UNWIND_LOCATE(c)            own_native_locate(0)
#define CS_UNWIND_LEARN(c)             own_native_learn(0)
#define CS_UNWIND_FILL(s, at)          own_native_fill(0, at)
int own_native_locate(__u32 slot);
int own_native_learn(__u32 slot);
int own_native_fill(__u32 slot, __u64 at);
#include "native_maps.bpf.h"

static __always_inline const __u64 *native_word_of(void *table, __u32 i)
{
	return bpf_map_lookup_elem(table, &i);
}

#include "emit.bpf.h"
#include "native_unwind.bpf.h"

int own_published_step(__u32 slot);
/* A call costs more than to look at an attribute. */
#define CS_PUBLISHED_BATCH 4
#define CS_REPEAT_PUBLISHED(w) \
	CS_REPEAT(CS_PUBLISHED_ATTRS / CS_PUBLISHED_BATCH, own_published_step(0))
#include "py_context.bpf.h"
#include "py_frames.bpf.h"
#include "py_task.bpf.h"
#include "py_thread.bpf.h"

struct own_state {
	__u64 busy;
	struct cs_walk walk;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct own_state);
} own_scratch __weak SEC(".maps");

/* Thread -> PyThreadState, per CPU so that an interrupt may write it. A hit is checked by one read. */
struct tstate_slot {
	__u64 pid_tgid;
	__u64 tstate;
	__u64 none_until_ns; /* a thread found to be no Python thread is not searched for again until then */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CS_TSTATE_CACHE);
	__type(key, __u32);
	__type(value, struct tstate_slot);
} own_tstates __weak SEC(".maps");

#define NO_TSTATE_NS 100000000ull

static __always_inline struct own_state *own_state(__u32 slot)
{
	return bpf_map_lookup_elem(&own_scratch, &slot);
}

/*
 * Steps as global functions of scalars: verified once, called in plain loops, of which the longest is one, too: else each way to it
 * would be another walk through it.
 */
__noinline __weak int own_find_key(__u32 slot)
{
	struct own_state *s = own_state(slot);

	return s ? (int)py_dict_scan(&s->walk) : -1;
}

__noinline __weak int own_span_step(__u32 slot)
{
	struct own_state *s = own_state(slot);

	return s ? py_span_step(&s->walk, NULL) : 1;
}

#define CS_REPEAT_SPAN(w, task, slot) CS_REPEAT(CS_SPAN_STEPS, own_span_step(slot))

__noinline __weak int own_thread_step(__u32 slot)
{
	struct own_state *s = own_state(slot);

	return s ? py_thread_step(&s->walk, NULL) : 1;
}

__noinline __weak int own_task_step(__u32 i)
{
	struct own_state *s = own_state(0);

	return s ? py_task_step(&s->walk, NULL, i) : 1;
}

__noinline __weak int own_frame_step(__u32 slot)
{
	struct own_state *s = own_state(slot);

	if (!s)
		return 1;
	for (__u32 i = 0; i < CS_FRAME_BATCH; i++)
		if (py_frame_step(&s->walk, NULL))
			return 1;
	return 0;
}

__noinline __weak int own_frames(__u32 slot)
{
	CS_REPEAT(CS_FRAME_STEPS / CS_FRAME_BATCH, own_frame_step(slot));
	return 0;
}

__noinline __weak int own_work_step(__u32 slot)
{
	struct own_state *s = own_state(slot);

	return s ? py_work_step(&s->walk, NULL) : 1;
}

__noinline __weak int own_check_code(__u32 slot, __u64 code)
{
	struct own_state *s = own_state(slot);

	return s ? (int)py_code_check(&s->walk, NULL, code) : CS_CODE_NOT_CHECKED;
}

__noinline __weak int own_match_task(__u32 slot, __u32 index)
{
	struct own_state *s = own_state(slot);

	if (s)
		py_frame_match_task(&s->walk, index);
	return 0;
}

__noinline __weak int own_finish(__u32 slot)
{
	struct own_state *s = own_state(slot);

	if (s)
		py_frames_finish(&s->walk);
	return 0;
}

__noinline __weak int own_meet_code(__u32 slot)
{
	struct own_state *s = own_state(slot);

	return s ? emit_code_seen(&s->walk, py_code_describe(&s->walk, NULL)) != 0 : 1;
}

#define CS_REPEAT_THREAD(w, task, slot) CS_REPEAT(CS_THREAD_STEPS, own_thread_step(slot))
#define CS_REPEAT_TASK(w, task, slot)   CS_REPEAT(CS_MAX_CURRENT_TASKS, own_task_step(i))
#define CS_REPEAT_FRAME(w, task, slot)  own_frames(slot)
#define CS_REPEAT_WORK(w, task, slot)   CS_REPEAT(CS_WORK_LOOKS, own_work_step(slot))
#include "py_stack.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cs_native);
} own_native_scratch __weak SEC(".maps");

/* Guarded by own_state.busy. */
static __always_inline struct cs_native *own_native_state(__u32 slot)
{
	return bpf_map_lookup_elem(&own_native_scratch, &slot);
}

__noinline __weak int own_native_locate(__u32 slot)
{
	struct cs_native *s = own_native_state(slot);

	return s ? native_locate(&s->code) : CS_STATUS_NATIVE_NOT_YET;
}

__noinline __weak int own_native_learn(__u32 slot)
{
	struct cs_native *s = own_native_state(slot);

	return s ? (int)native_learn(&s->code) : 0;
}

__noinline __weak int own_native_fill(__u32 slot, __u64 at)
{
	struct cs_native *s = own_native_state(slot);

	return s ? native_fill(s, at) : -1;
}

/* Frames in one call, as CS_FRAME_BATCH. */
#define CS_NATIVE_BATCH 8

__noinline __weak int own_native_step(__u32 slot)
{
	struct cs_native *s = own_native_state(slot);

	if (!s)
		return 1;
	for (__u32 i = 0; i < CS_NATIVE_BATCH; i++)
		if (native_step(s))
			return 1;
	return 0;
}

/* Push the record. 0 or an error. */
static __always_inline long emit_native(struct cs_native *s, __u64 pid_tgid)
{
	__u64 n = s->ev.n;

	asm volatile("" : "+r"(n)); /* as in emit_stack */
	if (n > CS_MAX_NATIVE_FRAMES)
		return -1;
	s->ev.hdr.kind = CS_EV_NATIVE;
	s->ev.hdr.pid = pid_tgid >> 32;
	s->ev.hdr.tid = (__u32)pid_tgid;
	s->ev.hdr.size = sizeof(s->ev) + n * 8;
	return bpf_ringbuf_output(&ring, &s->ev, sizeof(s->ev) + n * 8, BPF_RB_NO_WAKEUP);
}

/* The native frames from these registers on, as a record before the stack's. Returns the account that it belongs to. */
static __always_inline enum cs_counter walk_native(struct cs_walk *w, __u64 pid_tgid, __u64 ip,
						   __u64 sp, __u64 fp)
{
	struct cs_native *s = own_native_state(0);

	if (!s)
		return CS_COUNTER_NATIVE_INCOMPLETE;
	native_begin(s, pid_tgid >> 32, ip, sp, fp);
	for (__u32 i = 0; i <= CS_MAX_NATIVE_FRAMES / CS_NATIVE_BATCH; i++)
		if (own_native_step(0))
			break;
	__builtin_memcpy(s->ev.entries, w->runs, sizeof(s->ev.entries));
	s->ev.hdr.ts_ns = w->ev.hdr.ts_ns = bpf_ktime_get_ns();
	if (emit_native(s, pid_tgid))
		return CS_COUNTER_NATIVE_RING_FULL;
	return s->ev.status == CS_STATUS_COMPLETE ? CS_COUNTER_NATIVE_STACKS
						  : CS_COUNTER_NATIVE_INCOMPLETE;
}

/* ... from where the thread entered the kernel. */
static __always_inline enum cs_counter walk_native_below(struct cs_walk *w, __u64 pid_tgid)
{
	const struct pt_regs___kernel *regs = core_user_regs();

	return walk_native(w, pid_tgid, BPF_CORE_READ(regs, ip), BPF_CORE_READ(regs, sp),
			   BPF_CORE_READ(regs, bp));
}

static __always_inline void walk_python(struct cs_walk *w, __u64 pid_tgid)
{
	__u32 index = (__u32)pid_tgid & (CS_TSTATE_CACHE - 1);
	struct tstate_slot *slot = bpf_map_lookup_elem(&own_tstates, &index);
	__u64 known = 0;
	bool mine;

	if (!slot)
		return;
	w->thread_pointer = core_current_thread_pointer();
	mine = slot->pid_tgid == pid_tgid;
	if (mine)
		known = slot->tstate;
	/* Not searched for again yet: the thread may get a state later, so the time limit is not renewed either. */
	if (!mine || known || bpf_ktime_get_ns() >= slot->none_until_ns) {
		py_stack_thread(w, NULL, 0, known);
		slot->pid_tgid = pid_tgid;
		slot->tstate = w->tstate;
		/* A search that did not see every thread proves nothing, nor does one in an interpreter that is just starting. */
		if (!w->tstate)
			slot->none_until_ns =
				w->searched && !w->young ? bpf_ktime_get_ns() + NO_TSTATE_NS : 0;
	}
	py_stack_walk(w, NULL, 0);
	py_stack_span(w, NULL, 0);
}

__noinline __weak int own_published_step(__u32 slot)
{
	struct own_state *s = own_state(slot);

	if (!s)
		return 1;
	for (__u32 i = 0; i < CS_PUBLISHED_BATCH; i++)
		if (published_step(&s->walk))
			return 1;
	return 0;
}

/* What the running thread publishes. The scratch's walk is of its process. */
__noinline __weak int own_published(__u32 slot)
{
	struct own_state *s = own_state(slot);
	const struct cs_proc_info *info = s ? bpf_map_lookup_elem(&procs, &s->walk.tgid) : NULL;

	if (!info)
		return 0;
	s->walk.thread_pointer = core_current_thread_pointer();
	published_read(&s->walk, NULL, &info->published);
	judge_published(&s->walk, &info->published);
	return 0;
}

/* The Python frames and the span of the running thread, as far as its process is known. Needs walk_record. */
static __always_inline void own_walk(struct cs_walk *w, const struct cs_proc_info *info,
				     __u64 pid_tgid)
{
	if (!info)
		return;
	if ((info->flags & CS_PROC_PYTHON) && !(info->flags & CS_PROC_STALE)) {
		walk_begin(w, info, pid_tgid >> 32, info->since_ns ? bpf_ktime_get_ns() : 0);
		walk_python(w, pid_tgid);
	} else if (info->flags & CS_PROC_UNSUPPORTED) {
		w->ev.status = CS_STATUS_UNSUPPORTED;
	}
	if (published_wanted(info)) {
		w->tgid = pid_tgid >> 32;
		own_published(0);
	}
}
