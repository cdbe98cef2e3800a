// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Blocked time: how long threads are off the CPU, where and why. When a thread leaves its CPU only the moment and the scheduler's
 * verdict are noted. Its stack is taken when it comes back, as it stood still meanwhile: by then it is known how long it took, so
 * that short blocks cost next to nothing and those to show can be chosen by their length (off_rate.bpf.h).
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "own_walk.bpf.h"

#include "off_reason.bpf.h"
#include "off_table.bpf.h"
#include "off_waker.bpf.h"

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";

/* Threads of the kernel wait for work most of the time: nobody's business. */
static __always_inline bool off_wanted(__u32 tgid, struct task_struct *task)
{
	if (config.all_processes)
		return BPF_CORE_READ(task, mm);
	return bpf_map_lookup_elem(&procs, &tgid);
}

/*
 * The first argument is whether the thread was preempted; where the others are differs between kernels, but the thread that leaves
 * is the running one. Preempted on its way to sleep, it has a state, but will go on running.
 */
SEC("raw_tp/sched_switch")
int off_out(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tgid = pid_tgid >> 32, tid = pid_tgid, state;
	struct cs_off_set *set = off_set(tid);
	struct cs_off_slot *slot;

	if (!tid)
		return 0;
	slot = off_find(set, tid);
	if (!slot && !off_wanted(tgid, (void *)bpf_get_current_task()))
		return 0;
	state = core_current_state();
	if (state & WAIT_DEAD) {
		if (slot)
			slot->tid = 0;
		return 0;
	}
	if (!slot)
		slot = off_find(set, 0);
	if (slot)
		off_begin_block(slot, tid, ctx->args[0] ? 0 : state, bpf_ktime_get_ns());
	else
		count(tgid, CS_COUNTER_OFF_FULL);
	return 0;
}

SEC("raw_tp/sched_waking")
int off_woken(struct bpf_raw_tracepoint_args *ctx)
{
	waker_note(ctx, BPF_CORE_READ((struct task_struct *)ctx->args[0], pid));
	return 0;
}

/* block: a copy of the thread's slot as it was. */
static __always_inline void take_block(void *ctx, struct cs_walk *w,
				       const struct cs_off_slot *block, __u64 pid_tgid,
				       __u64 lasted_ns, __u64 weight_ns)
{
	const struct pt_regs___kernel *regs = core_user_regs();
	__u32 tgid = pid_tgid >> 32;
	enum cs_wait_reason reason;
	long kernel;

	walk_record(w, CS_EV_STACK, weight_ns);
	core_current_comm(w->ev.comm);
	w->ev.user_ip = BPF_CORE_READ(regs, ip);
	own_walk(w, bpf_map_lookup_elem(&procs, &tgid), pid_tgid);
	reason = off_reason(w, (void *)bpf_get_current_task(), block, regs);
	off_describe(w, block, reason, lasted_ns);
	if (config.native && w->ev.user_ip)
		count(tgid, walk_native_below(w, pid_tgid));
	if (config.off_wakers)
		waker_emit(w, pid_tgid, block->since_ns);
	kernel = bpf_get_stack(ctx, emit_kernel_room(w), sizeof(w->kernel), 0);
	count(tgid,
	      emit_stack(w, pid_tgid, kernel) ? CS_COUNTER_OFF_RING_FULL : CS_COUNTER_OFF_SAMPLES);
}

/* A thread has come back to a CPU; this is called in its own context. */
static __always_inline int off_in(void *ctx)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid(), now_ns, lasted_ns, weight_ns;
	__u32 tid = pid_tgid;
	struct cs_off_slot *slot = off_find(off_set(tid), tid);
	struct cs_off_slot block;
	struct own_state *s;

	if (!tid || !slot || !slot->since_ns)
		return 0;
	now_ns = bpf_ktime_get_ns();
	block = *slot;
	lasted_ns = now_ns - block.since_ns;
	slot->since_ns = 0;
	weight_ns = off_weigh(&block, pid_tgid >> 32, lasted_ns, now_ns);
	s = weight_ns ? own_state(0) : NULL;
	if (!s)
		return 0;
	if (s->busy) {
		count(pid_tgid >> 32, CS_COUNTER_OFF_NESTED);
		return 0;
	}
	s->busy = 1;
	take_block(ctx, &s->walk, &block, pid_tgid, lasted_ns, weight_ns);
	s->busy = 0;
	return 0;
}

/* At the end of __schedule(), behind the switch and without its locks; since 6.15. */
SEC("raw_tp/sched_exit_tp")
int off_in_exit(struct bpf_raw_tracepoint_args *ctx)
{
	return off_in(ctx);
}

/* On older kernels: the function that ends a switch, whatever the compiler calls it; user space attaches it. */
SEC("kprobe")
int off_in_finish(struct pt_regs *ctx)
{
	return off_in(ctx);
}

/* Read once, as the capture begins: who is off the CPU already counts from now on. */
SEC("iter/task")
int off_begin(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct cs_off_slot *slot;
	struct cs_off_set *set;
	__u32 tgid, tid;

	if (!task)
		return 0;
	tgid = task->tgid;
	tid = task->pid;
	if (!tid || task->on_cpu || !off_wanted(tgid, task))
		return 0;
	set = off_set(tid);
	if (off_find(set, tid))
		return 0;
	slot = off_find(set, 0);
	if (!slot) {
		count(tgid, CS_COUNTER_OFF_FULL);
		return 0;
	}
	off_begin_block(slot, tid, core_state(task), bpf_ktime_get_ns());
	slot->before = 1;
	return 0;
}
