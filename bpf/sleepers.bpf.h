/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the wall clock remembers of each thread that it has met: when its stack was taken, and the visits since that found nothing new. These are
 * held here and told together, since user space puts a stack together anew for each record: as soon as the thread has run, before it
 * ends or becomes another program, and else when they stand for as long as user space wants to wait. They are counted when they are told.
 */
#pragma once

#include "emit.bpf.h"

/* More are not held, however little time they stand for: their number is sixteen bits of a record. */
#define SAME_MAX_VISITS 1024
/* So often the stack of a thread that has a job is taken again until a task is found that waits for it: nobody need wait. */
#define VAIN_LOOKS      16

struct sleeper {
	__u64 task; /* its address: an exec by another thread than the first hands tid and start time over to that one */
	__u64 switches;
	__u64 start_time; /* a thread id may be another thread's by now */
	__u64 generation; /* of the process's description when its stack was taken */
	__u64 run_delay;  /* waited for a CPU, up to the last visit that weighed it */
	__u64 tstate;
	__u64 held_visits, held_ns, held_at_ns; /* how many, their weight, the time of the last */
	__u64 for_task; /* its stack hangs below a task, which may be over when it runs again: nothing is held */
	/*
	 * How often it was looked in vain for the task that waits for its job; 0: there is no job, or the task is known. A job may have begun, and sleep,
	 * before the one who handed it over waits for it.
	 */
	__u64 vain_looks;
};

/* A thread's entry goes when the thread does. Those for which there is no room have their stack taken at each visit. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CS_MAX_SLEEPERS);
	__type(key, __u32);
	__type(value, struct sleeper);
} sleepers SEC(".maps");

/* Would its stack, and what of it can be told, be the same as last time? */
static __always_inline bool sleeper_is_same(const struct sleeper *last, const struct sleeper *now)
{
	return last->switches == now->switches && last->generation == now->generation;
}

/* ... and is all told that there is? */
static __always_inline bool sleeper_is_known(const struct sleeper *last, const struct sleeper *now)
{
	return sleeper_is_same(last, now) && (!last->vain_looks || last->vain_looks >= VAIN_LOOKS);
}

/* Tell what is held of a thread. */
static __always_inline void sleeper_tell(struct sleeper *it, __u32 tgid, __u32 tid)
{
	/* the thread may be ending while it is visited: one of the two tells */
	__u64 visits = __sync_lock_test_and_set(&it->held_visits, 0);
	struct cs_ev_same same = {
		.hdr.size = sizeof(same),
		.hdr.kind = CS_EV_SAME,
		.hdr.flags = visits,
		.hdr.ts_ns = it->held_at_ns,
		.hdr.pid = tgid,
		.hdr.tid = tid,
		.weight_ns = it->held_ns,
	};

	if (!visits)
		return;
	it->held_ns = 0;
	count_n_both(tgid, CS_COUNTER_WALL_THREADS,
		     bpf_ringbuf_output(&ring, &same, sizeof(same), BPF_RB_NO_WAKEUP)
			     ? CS_COUNTER_WALL_RING_FULL
			     : CS_COUNTER_WALL_SAME,
		     visits);
}

/*
 * A visit of so much weight has found nothing new. What is held may stand for up to wait_ns: nearly all that sleep are event loops and idle threads,
 * whose stacks are their own.
 */
static __always_inline void sleeper_hold(struct sleeper *it, __u32 tgid, __u32 tid, __u64 now_ns,
					 __u64 weight_ns, __u64 wait_ns)
{
	it->held_at_ns = now_ns;
	it->held_ns += weight_ns;
	it->held_visits++;
	if (it->for_task || it->held_ns >= wait_ns || it->held_visits >= SAME_MAX_VISITS)
		sleeper_tell(it, tgid, tid);
}

/* The thread of this id is no more, or no more what it was. */
static __always_inline void sleeper_end(__u32 tgid, __u32 tid)
{
	struct sleeper *it = bpf_map_lookup_elem(&sleepers, &tid);

	if (!it)
		return;
	sleeper_tell(it, tgid, tid);
	bpf_map_delete_elem(&sleepers, &tid);
}
