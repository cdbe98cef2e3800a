/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who ended a block: noted as the thread is woken, in the waker's context, and pushed with its stack. How long the block has
 * lasted tells already whether it will be shown, so the wakers of others cost two lookups.
 */
#pragma once

#include "off_table.bpf.h"
#include "walk.bpf.h"

/*
 * The thread is about to be woken, by the one that runs or by what interrupts it: which, user space tells by the stack. The woken thread's lock keeps
 * other wakers out.
 */
static __always_inline void waker_note(void *ctx, __u32 tid)
{
	__u64 by = bpf_get_current_pid_tgid();
	struct cs_off_set *set = off_set(tid);
	struct cs_off_slot *slot = off_find(set, tid);
	struct off_waker *waker;
	long bytes;

	if (!tid || !slot || !slot->since_ns ||
	    !off_is_shown(slot, bpf_ktime_get_ns() - slot->since_ns))
		return;
	waker = off_waker(set, tid);
	if (!waker)
		return;
	waker->since_ns = slot->since_ns;
	waker->ev.hdr.flags = CS_WAKER_NOT_TOLD;
	waker->ev.by_pid = by >> 32;
	waker->ev.by_tid = by;
	core_current_comm(waker->ev.comm);
	bytes = bpf_get_stack(ctx, waker->kernel, sizeof(waker->kernel), 0);
	waker->ev.n = bytes > 0 ? (__u64)bytes / 8 : 0;
}

/* Push who ended the block that began then, of which w holds the stack, if that was seen. */
static __always_inline void waker_emit(struct cs_walk *w, __u64 pid_tgid, __u64 since_ns)
{
	__u32 tid = pid_tgid;
	struct cs_off_set *set = off_set(tid);
	struct off_waker *waker = set ? off_waker(set, tid) : NULL;
	__u64 n;

	if (!waker || waker->since_ns != since_ns)
		return;
	n = waker->ev.n;
	asm volatile("" : "+r"(n)); /* as in emit_stack */
	if (n > CS_MAX_WAKER_FRAMES)
		return;
	if (!w->ev.hdr.ts_ns)
		w->ev.hdr.ts_ns = bpf_ktime_get_ns();
	waker->ev.hdr.size = sizeof(waker->ev) + n * 8;
	waker->ev.hdr.kind = CS_EV_WAKER;
	waker->ev.hdr.ts_ns = w->ev.hdr.ts_ns;
	waker->ev.hdr.pid = pid_tgid >> 32;
	waker->ev.hdr.tid = tid;
	count(pid_tgid >> 32,
	      bpf_ringbuf_output(&ring, &waker->ev, sizeof(waker->ev) + n * 8, BPF_RB_NO_WAKEUP)
		      ? CS_COUNTER_WAKERS_RING_FULL
		      : CS_COUNTER_WAKERS);
}
