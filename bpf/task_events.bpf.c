// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who creates whom: a uprobe on the C Task.__init__. CPython records no creator, so the only moment to learn it
 * is this one: the new task's address, and the stack and running task of the thread that makes it. Addresses
 * are reused; the record's time tells one user of an address from the next.
 *
 * A uprobe program can be preempted by another thread's probe on the same CPU, and 5.10 has no atomic exchange
 * to lock with. So each CPU has a few scratches, and each use signs one with its thread's id: whoever finds
 * another signature at the end has shared it, drops its record (counted), and clears the signature so that the
 * other user drops too.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "core_compat.bpf.h"
#include "maps.bpf.h"

#define CS_READ(task, dst, size, src) bpf_probe_read_user(dst, size, (const void *)(src))
#define CS_TOLD_TSTATE(w)             told_tstate((w)->tgid, (w)->thread_pointer)
#define CS_MEET_CODE(w, task)         task_events_meet_code((w)->slot)
#define CS_FIND_KEY(w)                task_events_find_key((w)->slot)
#define CS_CHECK_CODE(w, task, code)  task_events_check_code((w)->slot, code)
#define CS_MATCH_TASK(w, index)       task_events_match_task((w)->slot, index)
#define CS_FINISH_FRAMES(w)           task_events_finish((w)->slot)
int task_events_meet_code(__u32 slot);
int task_events_find_key(__u32 slot);
int task_events_check_code(__u32 slot, __u64 code);
int task_events_match_task(__u32 slot, __u32 index);
int task_events_finish(__u32 slot);

#include "emit.bpf.h"
#include "py_frames.bpf.h"
#include "py_task.bpf.h"
#include "py_thread.bpf.h"

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";

#define SLOTS 4

struct task_events_state {
	volatile __u64 owner;  /* pid_tgid of the thread that uses it; 0: free */
	__u64 tstate_pid_tgid; /* the thread of the last creation here, and its state */
	__u64 tstate;
	__u64 mm, since_ns; /* of the description of its process that the walk has */
	__u32 generation;
	struct cs_walk walk;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct task_events_state);
} task_events_scratch SEC(".maps");

static __always_inline struct task_events_state *state_at(__u32 slot)
{
	return bpf_map_lookup_elem(&task_events_scratch, &slot);
}

__noinline int task_events_thread_step(__u32 slot)
{
	struct task_events_state *s = state_at(slot);

	return s ? py_thread_step(&s->walk, NULL) : 1;
}

__noinline int task_events_find_key(__u32 slot)
{
	struct task_events_state *s = state_at(slot);

	return s ? (int)py_dict_scan(&s->walk) : -1;
}

__noinline int task_events_task_step(__u32 slot_and_i)
{
	struct task_events_state *s = state_at(slot_and_i % SLOTS);

	return s ? py_task_step(&s->walk, NULL, slot_and_i / SLOTS) : 1;
}

__noinline int task_events_frame_step(__u32 slot)
{
	struct task_events_state *s = state_at(slot);

	if (!s)
		return 1;
	for (__u32 i = 0; i < CS_FRAME_BATCH; i++)
		if (py_frame_step(&s->walk, NULL))
			return 1;
	return 0;
}

__noinline int task_events_frames(__u32 slot)
{
	CS_REPEAT(CS_FRAME_STEPS / CS_FRAME_BATCH, task_events_frame_step(slot));
	return 0;
}

__noinline int task_events_check_code(__u32 slot, __u64 code)
{
	struct task_events_state *s = state_at(slot);

	return s ? (int)py_code_check(&s->walk, NULL, code) : CS_CODE_NOT_CHECKED;
}

__noinline int task_events_match_task(__u32 slot, __u32 index)
{
	struct task_events_state *s = state_at(slot);

	if (s)
		py_frame_match_task(&s->walk, index);
	return 0;
}

__noinline int task_events_finish(__u32 slot)
{
	struct task_events_state *s = state_at(slot);

	if (s)
		py_frames_finish(&s->walk);
	return 0;
}

__noinline int task_events_meet_code(__u32 slot)
{
	struct task_events_state *s = state_at(slot);
	__u64 text;

	if (!s)
		return 1;
	text = py_code_describe(&s->walk, NULL);
	/* Shared with another use: whose name this is nobody knows. */
	if (s->owner != bpf_get_current_pid_tgid())
		return 1;
	return emit_code_seen(&s->walk, text) != 0;
}

#define CS_REPEAT_THREAD(w, task, slot) CS_REPEAT(CS_THREAD_STEPS, task_events_thread_step(slot))
#define CS_REPEAT_TASK(w, task, slot) \
	CS_REPEAT(CS_MAX_CURRENT_TASKS, task_events_task_step(i *SLOTS + (slot)))
#define CS_REPEAT_FRAME(w, task, slot) task_events_frames(slot)
/* of a creation only the running task is asked for */
#define CS_REPEAT_WORK(w, task, slot) \
	do {                          \
	} while (0)
#include "py_stack.bpf.h"

/* Was the last creation in this scratch one of the same thread, and is what is known of its process the same? */
static __always_inline bool is_again(const struct task_events_state *s,
				     const struct cs_proc_info *info, __u64 pid_tgid)
{
	return s->tstate_pid_tgid == pid_tgid && s->generation == info->generation &&
	       s->since_ns == info->since_ns && s->mm == info->mm;
}

static __always_inline void walk_python(struct task_events_state *s, __u32 slot,
					const struct cs_proc_info *info, __u64 pid_tgid)
{
	struct cs_walk *w = &s->walk;
	bool again = is_again(s, info, pid_tgid);

	if (!again) {
		walk_describe(w, info, pid_tgid >> 32);
		s->tstate = 0;
	}
	walk_start(w, info, info->since_ns ? bpf_ktime_get_ns() : 0);
	w->thread_pointer = core_current_thread_pointer();
	py_stack_thread(w, NULL, slot, s->tstate);
	py_stack_creator(w, NULL, slot, again && s->tstate == w->tstate);
	s->tstate_pid_tgid = pid_tgid;
	s->tstate = w->tstate;
	s->generation = info->generation;
	s->since_ns = info->since_ns;
	s->mm = info->mm;
}

static __always_inline void record_creation(struct pt_regs *ctx, struct task_events_state *s,
					    __u32 slot, const struct cs_proc_info *info,
					    __u64 pid_tgid)
{
	s->owner = pid_tgid;
	walk_record(&s->walk, CS_EV_TASK_CREATED, 0);
	s->walk.ev.subject = PT_REGS_PARM1(ctx);
	walk_python(s, slot, info, pid_tgid);
	if (s->owner != pid_tgid) {
		count(pid_tgid >> 32, CS_COUNTER_CREATES_NESTED);
		s->tstate_pid_tgid = 0; /* what it holds is of both */
	} else if (emit_stack(&s->walk, pid_tgid, 0)) {
		count(pid_tgid >> 32, CS_COUNTER_CREATES_RING_FULL);
	} else {
		count(pid_tgid >> 32, CS_COUNTER_CREATES);
	}
	s->owner = 0;
}

SEC("uprobe")
int task_init(struct pt_regs *ctx)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tgid = pid_tgid >> 32, slot;
	struct task_events_state *s;
	struct cs_proc_info *info;

	info = bpf_map_lookup_elem(&procs, &tgid);
	if (!info || !(info->flags & CS_PROC_PYTHON) || (info->flags & CS_PROC_STALE))
		return 0;
	for (slot = 0; slot < SLOTS; slot++) {
		s = state_at(slot);
		if (s && !s->owner) {
			record_creation(ctx, s, slot, info, pid_tgid);
			return 0;
		}
	}
	count(tgid, CS_COUNTER_CREATES_NESTED);
	return 0;
}
