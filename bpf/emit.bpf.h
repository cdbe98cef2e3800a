/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The only way into the ring buffer. Nothing wakes the reader: it drains on a timer, because a wake-up
 * from an interrupt costs some 7 us in a virtual machine, more than the sample itself.
 */
#pragma once

#include "maps.bpf.h"
#include "walk.bpf.h"

/* Push the walk's record with `nkernel_bytes` of kernel addresses behind its frames. 0 or an error. */
static __always_inline long emit_stack(struct cs_walk *w, __u64 pid_tgid, long nkernel_bytes)
{
	__u64 n = w->ev.nframes, size;

	if (nkernel_bytes < 0)
		nkernel_bytes = 0;
	w->ev.nkernel = (__u64)nkernel_bytes / 8;
	w->ev.hdr.ts_ns = bpf_ktime_get_ns();
	w->ev.hdr.pid = pid_tgid >> 32;
	w->ev.hdr.tid = (__u32)pid_tgid;
	if (n > CS_MAX_PY_FRAMES)
		n = CS_MAX_PY_FRAMES;
	size = sizeof(struct cs_ev_stack) + n * sizeof(struct cs_py_frame) + w->ev.nkernel * 8;
	asm volatile(
		""
		: "+r"(size)); /* keep the clamp below a 64-bit comparison the verifier follows */
	if (size > sizeof(struct cs_ev_stack) + sizeof(w->frames) + sizeof(w->kernel))
		return -1;
	w->ev.hdr.size = size;
	return bpf_ringbuf_output(&ring, &w->ev, size, BPF_RB_NO_WAKEUP);
}

/* Where the kernel frames go: right behind the last Python frame. */
static __always_inline void *emit_kernel_room(struct cs_walk *w)
{
	__u64 n = w->ev.nframes;

	asm volatile("" : "+r"(n));
	if (n > CS_MAX_PY_FRAMES)
		n = CS_MAX_PY_FRAMES;
	return (void *)w->frames + n * sizeof(struct cs_py_frame);
}

static __always_inline void emit_header(__u16 kind, __u64 pid_tgid)
{
	struct cs_ev_hdr hdr = {
		.size = sizeof(hdr),
		.kind = kind,
		.ts_ns = bpf_ktime_get_ns(),
		.pid = pid_tgid >> 32,
		.tid = (__u32)pid_tgid,
	};

	if (bpf_ringbuf_output(&ring, &hdr, sizeof(hdr), BPF_RB_NO_WAKEUP))
		count(hdr.pid, CS_COUNTER_PROC_EVENTS_RING_FULL);
}
