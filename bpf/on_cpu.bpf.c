// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The CPU clock: a perf event per CPU interrupts whatever runs and takes its Python and kernel stack, in the
 * interrupted thread, so every read is of a thread that stands still. Every tick ends as a record or in
 * an account (see status.h).
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "core_compat.bpf.h"
#include "maps.bpf.h"

#define CS_READ(task, dst, size, src) bpf_probe_read_user(dst, size, (const void *)(src))
#define CS_TOLD_TSTATE(w)             told_tstate((w)->tgid, (w)->thread_pointer)
#define CS_WANT_GIL                   config.want_gil
#define CS_TRACERS(w)                 known_tracers((w)->tgid)
#define CS_MEET_CODE(w, task)         on_cpu_meet_code(0)
#define CS_FIND_KEY(w)                on_cpu_find_key(0)
int on_cpu_meet_code(__u32 slot);
int on_cpu_find_key(__u32 slot);

#define CS_UNWIND_READ(dst, size, src) bpf_probe_read_user(dst, size, (const void *)(src))
#define CS_UNWIND_PROC(s)              bpf_map_lookup_elem(&native_procs, &(s)->tgid)
#define CS_UNWIND_TABLE(file)          bpf_map_lookup_elem(&native_files, &(file))
#define CS_UNWIND_WORD(table, i)       native_word_of(table, i)
#include "native_maps.bpf.h"

static __always_inline const __u64 *native_word_of(void *table, __u32 i)
{
	return bpf_map_lookup_elem(table, &i);
}

#include "emit.bpf.h"
#include "native_unwind.bpf.h"
#include "py_context.bpf.h"
#include "py_frames.bpf.h"
#include "py_task.bpf.h"
#include "py_thread.bpf.h"

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";

/* CPU time between two ticks of one CPU, and so the weight of a sample. Changes only while the clock stands still. */
__u64 tick_ns;

struct on_cpu_state {
	__u64 busy;
	struct cs_walk walk;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct on_cpu_state);
} on_cpu_scratch SEC(".maps");

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
} on_cpu_tstates SEC(".maps");

#define NO_TSTATE_NS 100000000ull

static __always_inline struct on_cpu_state *on_cpu_state(__u32 slot)
{
	return bpf_map_lookup_elem(&on_cpu_scratch, &slot);
}

/* Steps as global functions of one scalar: verified once, called in plain loops, of which the longest is one, too: else each way to it would be another walk through it. */
__noinline int on_cpu_find_key(__u32 slot)
{
	struct on_cpu_state *s = on_cpu_state(slot);

	return s ? (int)py_dict_scan(&s->walk) : -1;
}

__noinline int on_cpu_span_step(__u32 slot)
{
	struct on_cpu_state *s = on_cpu_state(slot);

	return s ? py_span_step(&s->walk, NULL) : 1;
}

#define CS_REPEAT_SPAN(w, task, slot) CS_REPEAT(CS_SPAN_STEPS, on_cpu_span_step(slot))

__noinline int on_cpu_thread_step(__u32 slot)
{
	struct on_cpu_state *s = on_cpu_state(slot);

	return s ? py_thread_step(&s->walk, NULL) : 1;
}

__noinline int on_cpu_task_step(__u32 i)
{
	struct on_cpu_state *s = on_cpu_state(0);

	return s ? py_task_step(&s->walk, NULL, i) : 1;
}

__noinline int on_cpu_frame_step(__u32 slot)
{
	struct on_cpu_state *s = on_cpu_state(slot);

	if (!s)
		return 1;
	for (__u32 i = 0; i < CS_FRAME_BATCH; i++)
		if (py_frame_step(&s->walk, NULL))
			return 1;
	return 0;
}

__noinline int on_cpu_frames(__u32 slot)
{
	CS_REPEAT(CS_FRAME_STEPS / CS_FRAME_BATCH, on_cpu_frame_step(slot));
	return 0;
}

__noinline int on_cpu_work_step(__u32 slot)
{
	struct on_cpu_state *s = on_cpu_state(slot);

	return s ? py_work_step(&s->walk, NULL) : 1;
}

__noinline int on_cpu_meet_code(__u32 slot)
{
	struct on_cpu_state *s = on_cpu_state(slot);

	return s ? emit_code_seen(&s->walk, py_code_describe(&s->walk, NULL)) != 0 : 1;
}

#define CS_REPEAT_THREAD(w, task, slot) CS_REPEAT(CS_THREAD_STEPS, on_cpu_thread_step(slot))
#define CS_REPEAT_TASK(w, task, slot)   CS_REPEAT(CS_MAX_CURRENT_TASKS, on_cpu_task_step(i))
#define CS_REPEAT_FRAME(w, task, slot)  on_cpu_frames(slot)
#define CS_REPEAT_WORK(w, task, slot)   CS_REPEAT(CS_WORK_LOOKS, on_cpu_work_step(slot))
#include "py_stack.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cs_native);
} on_cpu_native_scratch SEC(".maps");

/* Guarded by on_cpu_state.busy. */
static __always_inline struct cs_native *on_cpu_native_state(__u32 slot)
{
	return bpf_map_lookup_elem(&on_cpu_native_scratch, &slot);
}

__noinline int on_cpu_native_rule(__u32 slot)
{
	struct cs_native *s = on_cpu_native_state(slot);

	return s ? native_rule(s) : 0;
}

__noinline int on_cpu_native_step(__u32 slot)
{
	__u32 info = on_cpu_native_rule(slot);
	struct cs_native *s = on_cpu_native_state(slot);

	return s ? native_step(s, info) : 1;
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

/* The native frames of the interrupted thread, as a record before its stack's. */
static __always_inline void walk_native(struct bpf_perf_event_data *ctx, struct cs_walk *w,
					__u64 pid_tgid, bool user)
{
	struct cs_native *s = on_cpu_native_state(0);
	const struct pt_regs___kernel *regs;

	if (!s)
		return;
	if (user) {
		native_begin(s, pid_tgid >> 32, PT_REGS_IP(&ctx->regs), PT_REGS_SP(&ctx->regs),
			     PT_REGS_FP(&ctx->regs));
	} else {
		regs = core_user_regs();
		native_begin(s, pid_tgid >> 32, BPF_CORE_READ(regs, ip), BPF_CORE_READ(regs, sp),
			     BPF_CORE_READ(regs, bp));
	}
	for (__u32 i = 0; i <= CS_MAX_NATIVE_FRAMES; i++)
		if (on_cpu_native_step(0))
			break;
	__builtin_memcpy(s->ev.entries, w->runs, sizeof(s->ev.entries));
	s->ev.hdr.ts_ns = w->ev.hdr.ts_ns = bpf_ktime_get_ns();
	count(pid_tgid >> 32, emit_native(s, pid_tgid)             ? CS_COUNTER_NATIVE_RING_FULL
			      : s->ev.status == CS_STATUS_COMPLETE ? CS_COUNTER_NATIVE_STACKS
								   : CS_COUNTER_NATIVE_INCOMPLETE);
}

static __always_inline void walk_python(struct cs_walk *w, __u64 pid_tgid)
{
	__u32 index = (__u32)pid_tgid & (CS_TSTATE_CACHE - 1);
	struct tstate_slot *slot = bpf_map_lookup_elem(&on_cpu_tstates, &index);
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

static __always_inline void take_sample(struct bpf_perf_event_data *ctx, struct cs_walk *w,
					const struct cs_proc_info *info, __u64 pid_tgid)
{
	bool user = core_user_mode(&ctx->regs);
	long kernel = 0;

	walk_record(w, CS_EV_STACK, tick_ns);
	w->ev.hdr.flags = CS_ORIGIN_CPU;
	bpf_get_current_comm(w->ev.comm, sizeof(w->ev.comm));
	if (user)
		w->ev.user_ip = PT_REGS_IP(&ctx->regs);
	else
		bpf_get_stack(ctx, &w->ev.user_ip, sizeof(w->ev.user_ip), BPF_F_USER_STACK);
	if (info && (info->flags & CS_PROC_PYTHON) && !(info->flags & CS_PROC_STALE)) {
		walk_begin(w, info, pid_tgid >> 32, info->since_ns ? bpf_ktime_get_ns() : 0);
		walk_python(w, pid_tgid);
	} else if (info && (info->flags & CS_PROC_UNSUPPORTED)) {
		w->ev.status = CS_STATUS_UNSUPPORTED;
	}
	if (config.native && w->ev.user_ip)
		walk_native(ctx, w, pid_tgid, user);
	if (!user)
		kernel = bpf_get_stack(ctx, emit_kernel_room(w), sizeof(w->kernel), 0);
	if (emit_stack(w, pid_tgid, kernel))
		count(pid_tgid >> 32, CS_COUNTER_RING_FULL);
	else
		count(pid_tgid >> 32, CS_COUNTER_SAMPLES);
}

SEC("perf_event")
int on_cpu(struct bpf_perf_event_data *ctx)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tgid = pid_tgid >> 32;
	struct cs_proc_info *info;
	struct on_cpu_state *s = on_cpu_state(0);

	if (!s)
		return 0;
	count(0, CS_COUNTER_TICKS);
	if (!(__u32)pid_tgid) {
		count(0, CS_COUNTER_IDLE);
		return 0;
	}
	info = bpf_map_lookup_elem(&procs, &tgid);
	if (!info && !config.all_processes) {
		count(0, CS_COUNTER_OTHER);
		return 0;
	}
	if (s->busy) {
		count(tgid, CS_COUNTER_NESTED);
		return 0;
	}
	s->busy = 1;
	take_sample(ctx, &s->walk, info, pid_tgid);
	s->busy = 0;
	return 0;
}
