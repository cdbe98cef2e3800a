// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The wall clock for threads off the CPU: a sleepable task iterator that user space reads once an interval.
 * A thread whose context-switch counters have not moved since its last stack has not run: that is counted up and told
 * now and then by one small record (sleepers.bpf.h), and its stack is not read again. A thread that ran while it was
 * being read is counted as torn, not reported. Threads on a CPU are the CPU clock's.
 *
 * A thread that waits for a CPU is special: the visit itself wakes the collector and so decides who waits, and a weight
 * of a whole turn would be biased (measured: two burners on two busy CPUs, 1.2 to 1.3 times the clock). It weighs what
 * the scheduler says it has waited since it was last seen, so that waiting and CPU ticks add up to the clock.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "core_compat.bpf.h"
#include "maps.bpf.h"

#define CS_READ(task, dst, size, src) \
	bpf_copy_from_user_task(dst, size, (const void *)(src), task, 0)
#define CS_TOLD_TSTATE(w)     told_tstate((w)->tgid, (w)->thread_pointer)
#define CS_WANT_GIL           config.want_gil
#define CS_TAKE_TRACERS(w)    take_tracers(&(w)->tracers, (w)->tgid)
#define CS_NOW_NS()           bpf_ktime_get_ns()
#define CS_MEET_CODE(w, task) meet_code(w, task)
#define CS_FIND_KEY(w)        wall_find_key(0)
#define CS_MATCH_TASK(w, i)   wall_match_task(0, i)
#define CS_FINISH_FRAMES(w)   wall_finish(0)
int wall_find_key(__u32 slot);
int wall_match_task(__u32 slot, __u32 index);
int wall_finish(__u32 slot);
struct cs_walk;
static int meet_code(struct cs_walk *w, struct task_struct *task);

#include "emit.bpf.h"
#include "py_context.bpf.h"
#include "py_frames.bpf.h"
#include "py_task.bpf.h"
#include "py_thread.bpf.h"
#include "sleepers.bpf.h"

#include "off_reason.bpf.h"
#include "off_table.bpf.h"

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";

/* One reader at a time (user space holds the iterators), so one scratch, not one a CPU: it may sleep. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cs_walk);
} wall_scratch SEC(".maps");

/* Time that each thread of the coming pass stands for; set by user space before it reads. 0: tell what is held, and visit nobody. */
__u64 wall_weight_ns;
/* How long visits that find nothing new are held. */
__u64 wall_hold_ns;
/* PF_EXITING of include/linux/sched.h: its entry is gone, or about to be. */
#define EXITING 0x4

/*
 * A global function cannot take the other task, and inlined steps are too many paths; bpf_loop is there wherever
 * bpf_copy_from_user_task is (5.17, 5.18), and verifies a step once.
 */
struct wall_step {
	struct cs_walk *w;
	struct task_struct *task;
};

static __noinline int meet_code(struct cs_walk *w, struct task_struct *task)
{
	return emit_code_seen(w, py_code_describe(w, task)) != 0;
}

/* These look at the scratch alone, so they may be global: verified once. */
__noinline int wall_find_key(__u32 slot)
{
	struct cs_walk *w = bpf_map_lookup_elem(&wall_scratch, &slot);

	return w ? (int)py_dict_scan(w) : -1;
}

__noinline int wall_match_task(__u32 slot, __u32 index)
{
	struct cs_walk *w = bpf_map_lookup_elem(&wall_scratch, &slot);

	if (w)
		py_frame_match_task(w, index);
	return 0;
}

__noinline int wall_finish(__u32 slot)
{
	struct cs_walk *w = bpf_map_lookup_elem(&wall_scratch, &slot);

	if (w)
		py_frames_finish(w);
	return 0;
}

static long span_step(__u64 i, struct wall_step *step)
{
	return py_span_step(step->w, step->task);
}

#define CS_REPEAT_SPAN(w, task, slot) WALL_REPEAT(CS_SPAN_STEPS, span_step, w, task)

static long thread_step(__u64 i, struct wall_step *step)
{
	return py_thread_step(step->w, step->task);
}

static long task_step(__u64 i, struct wall_step *step)
{
	return py_task_step(step->w, step->task, i);
}

static long frame_step(__u64 i, struct wall_step *step)
{
	return py_frame_step(step->w, step->task);
}

static long work_step(__u64 i, struct wall_step *step)
{
	return py_work_step(step->w, step->task);
}

#define WALL_REPEAT(n, fn, walk_, task_)                             \
	do {                                                         \
		struct wall_step step = {.w = walk_, .task = task_}; \
		bpf_loop(n, fn, &step, 0);                           \
	} while (0)

#define CS_REPEAT_THREAD(w, task, slot) WALL_REPEAT(CS_THREAD_STEPS, thread_step, w, task)
#define CS_REPEAT_TASK(w, task, slot)   WALL_REPEAT(CS_MAX_CURRENT_TASKS, task_step, w, task)
#define CS_REPEAT_FRAME(w, task, slot)  WALL_REPEAT(CS_FRAME_STEPS, frame_step, w, task)
#define CS_REPEAT_WORK(w, task, slot)   WALL_REPEAT(CS_WORK_LOOKS, work_step, w, task)

static long published_step_of(__u64 i, struct wall_step *step);
#define CS_REPEAT_PUBLISHED(w) WALL_REPEAT(CS_PUBLISHED_ATTRS, published_step_of, w, NULL)
#include "py_stack.bpf.h"

static long published_step_of(__u64 i, struct wall_step *step)
{
	return published_step(step->w);
}

/* What the thread publishes; w holds its stack. */
static __always_inline void wall_published(struct task_struct *task,
					   const struct cs_proc_info *info, struct cs_walk *w)
{
	if (!info || !published_wanted(info))
		return;
	w->tgid = task->tgid;
	w->thread_pointer = core_thread_pointer(task);
	published_read(w, task, &info->published);
	judge_published(w, &info->published);
}

/* The stack of a thread that is off the CPU, put together but not pushed. Returns bytes of its kernel frames; see emit_stack. */
static __always_inline long walk_thread(struct task_struct *task, const struct cs_proc_info *info,
					struct cs_walk *w, __u64 known, __u64 weight_ns)
{
	walk_record(w, CS_EV_STACK, weight_ns);
	/* The thread was so now: this program sleeps and is preempted, so the record may be emitted much later. */
	w->ev.hdr.ts_ns = bpf_ktime_get_ns();
	w->ev.hdr.flags = CS_ORIGIN_WALL;
	bpf_probe_read_kernel(w->ev.comm, sizeof(w->ev.comm), task->comm);
	if (info) {
		walk_begin(w, info, task->tgid, info->since_ns ? bpf_ktime_get_ns() : 0);
		w->thread_pointer = core_thread_pointer(task);
		py_stack_thread(w, task, 0, known);
		py_stack_walk(w, task, 0);
		py_stack_span(w, task, 0);
	}
	return bpf_get_task_stack(task, emit_kernel_room(w), sizeof(w->kernel), 0);
}

static __always_inline void visit(struct task_struct *task, const struct cs_proc_info *info,
				  struct cs_walk *w, struct sleeper *now, __u64 known,
				  __u64 weight_ns)
{
	__u64 pid_tgid = (__u64)task->tgid << 32 | (__u32)task->pid;
	__u32 tid = task->pid;
	long kernel = walk_thread(task, info, w, known, weight_ns);

	wall_published(task, info, w);
	if (task->on_cpu || core_switches(task) != now->switches) {
		count(task->tgid, CS_COUNTER_WALL_TORN);
		return;
	}
	if (emit_stack(w, pid_tgid, kernel)) {
		count(task->tgid, CS_COUNTER_WALL_RING_FULL);
		return;
	}
	/* Only what was delivered may be referred to as "the same". */
	count(task->tgid, CS_COUNTER_WALL_SAMPLES);
	now->tstate = w->tstate;
	now->for_task = w->ev.running.task || w->origin.waiter.task;
	now->vain_looks = w->work_item && !w->origin.waiter.task ? now->vain_looks + 1 : 0;
	bpf_map_update_elem(&sleepers, &tid, now, BPF_ANY);
}

/* What this visit stands for; 0: nothing, the thread is on a CPU or was until now. */
static __always_inline __u64 weigh(struct task_struct *task, const struct sleeper *last,
				   struct sleeper *now)
{
	__u32 tid = task->pid;

	if (task->on_cpu)
		return 0;
	if (!core_is_runnable(task))
		return config.no_idle ? 0 : wall_weight_ns;
	if (last)
		return now->run_delay - last->run_delay;
	/* seen for the first time: count its waiting from here; no stack is known */
	now->switches = ~0ull;
	bpf_map_update_elem(&sleepers, &tid, now, BPF_ANY);
	return 0;
}

SEC("iter.s/task")
int wall(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct cs_proc_info *info;
	struct sleeper *last;
	struct cs_walk *w;
	struct sleeper now = {};
	__u32 zero = 0, tgid, tid;
	__u64 weight_ns, now_ns = bpf_ktime_get_ns();

	if (!task)
		return 0;
	tgid = task->tgid;
	tid = task->pid;
	if (!wall_weight_ns) {
		last = bpf_map_lookup_elem(&sleepers, &tid);
		if (last)
			sleeper_tell(last, tgid, tid);
		return 0;
	}
	now.switches = core_switches(task);
	now.task = (__u64)task;
	now.start_time = task->start_time;
	now.run_delay = core_run_delay(task);
	info = bpf_map_lookup_elem(&procs, &tgid);
	if (!info || !(info->flags & CS_PROC_PYTHON) || (info->flags & CS_PROC_STALE) ||
	    task->flags & EXITING)
		return 0;
	now.generation = info->generation;
	last = bpf_map_lookup_elem(&sleepers, &tid);
	if (last && (last->start_time != now.start_time || last->task != now.task))
		last = NULL;
	weight_ns = weigh(task, last, &now);
	/* who holds the GIL changes while a thread stands still */
	if (!config.want_gil && weight_ns && last && sleeper_is_known(last, &now)) {
		last->run_delay = now.run_delay;
		sleeper_hold(last, tgid, tid, now_ns, weight_ns, wall_hold_ns);
		return 0;
	}
	if (last)
		sleeper_tell(last, tgid, tid);
	if (last && sleeper_is_same(last, &now))
		now.vain_looks = last->vain_looks;
	if (!weight_ns) {
		count_both(tgid, CS_COUNTER_WALL_THREADS,
			   config.no_idle && !task->on_cpu ? CS_COUNTER_WALL_IDLE
							   : CS_COUNTER_WALL_RUNNING);
		return 0;
	}
	count(tgid, CS_COUNTER_WALL_THREADS);
	w = bpf_map_lookup_elem(&wall_scratch, &zero);
	if (w)
		visit(task, info, w, &now, last ? last->tstate : 0, weight_ns);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(wall_exit, struct task_struct *task)
{
	sleeper_end(task->tgid, task->pid);
	return 0;
}

/* A thread that is not its process's first takes that one's id with an exec, whose end was told. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(wall_exec, struct task_struct *task, int old_tid)
{
	sleeper_end(task->tgid, old_tid);
	return 0;
}

/* Put together the stack of a thread whose block still lasts. Returns as walk_thread. */
static __always_inline long walk_open(struct task_struct *task, const struct cs_proc_info *info,
				      struct cs_walk *w, const struct cs_off_slot *block,
				      __u64 lasted_ns)
{
	const struct pt_regs___kernel *regs = (const void *)bpf_task_pt_regs(task);
	const struct cs_proc_info *row = info;
	long kernel;

	if (info && (!(info->flags & CS_PROC_PYTHON) || (info->flags & CS_PROC_STALE)))
		info = NULL;
	kernel = walk_thread(task, info, w, 0, 0);
	wall_published(task, row, w);
	w->ev.user_ip = BPF_CORE_READ(regs, ip);
	off_describe(w, block, off_reason(w, task, block, regs), lasted_ns);
	w->ev.hdr.flags |= CS_STACKF_STILL;
	return kernel;
}

/*
 * Read once, as an off-CPU capture ends: what still lasts counts up to now. A thread that comes back meanwhile tells of it itself
 * (off_cpu.bpf.c).
 */
SEC("iter.s/task")
int off_open(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	__u64 switches, lasted_ns, now_ns = bpf_ktime_get_ns();
	struct cs_off_slot *slot, block;
	__u32 zero = 0, tgid, tid;
	struct cs_walk *w;
	long kernel = 0;

	if (!task)
		return 0;
	tgid = task->tgid;
	tid = task->pid;
	switches = core_switches(task);
	slot = tid ? off_find(off_set(tid), tid) : NULL;
	w = bpf_map_lookup_elem(&wall_scratch, &zero);
	if (!w || !slot || task->on_cpu)
		return 0;
	block = *slot;
	if (!block.since_ns || block.since_ns >= now_ns)
		return 0;
	lasted_ns = now_ns - block.since_ns;
	if (off_is_shown(&block, lasted_ns))
		kernel = walk_open(task, bpf_map_lookup_elem(&procs, &tgid), w, &block, lasted_ns);
	if (task->on_cpu || core_switches(task) != switches || slot->since_ns != block.since_ns)
		return 0;
	slot->since_ns = 0;
	count(tgid, CS_COUNTER_OFF_OPEN);
	w->ev.weight_ns = off_weigh(&block, tgid, lasted_ns, now_ns);
	if (w->ev.weight_ns)
		count(tgid, emit_stack(w, (__u64)tgid << 32 | tid, kernel)
				    ? CS_COUNTER_OFF_RING_FULL
				    : CS_COUNTER_OFF_SAMPLES);
	return 0;
}
