/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The only way into the ring buffer. No sample wakes the reader: it drains on a timer, because a wake-up
 * from an interrupt costs some 7 us in a virtual machine, more than the sample itself. Only an object that is gone in a moment, and from which it
 * learns, is told at once.
 */
#pragma once

#include "maps.bpf.h"
#include "walk.bpf.h"

/* Push for whom the thread works. What is lost here is a link, which the stack is shown without. */
static __always_inline void emit_origin(struct cs_walk *w)
{
	w->origin.hdr = w->ev.hdr;
	w->origin.hdr.size = sizeof(w->origin);
	w->origin.hdr.kind = CS_EV_ORIGIN;
	w->origin.hdr.flags = 0;
	count(w->tgid, bpf_ringbuf_output(&ring, &w->origin, sizeof(w->origin), BPF_RB_NO_WAKEUP)
			       ? CS_COUNTER_ORIGINS_RING_FULL
			       : CS_COUNTER_ORIGINS);
}

/* Push what the span's local root is about. What is lost is told again. */
static __always_inline void emit_resource(struct cs_walk *w)
{
	w->resource.hdr = w->ev.hdr;
	w->resource.hdr.size = sizeof(w->resource);
	w->resource.hdr.kind = CS_EV_RESOURCE;
	w->resource.hdr.flags = 0;
	bpf_ringbuf_output(&ring, &w->resource, sizeof(w->resource), BPF_RB_NO_WAKEUP);
}

/* Push what stood in the way of a span, or what user space wants to see more of. What is lost is met again. */
static __always_inline void emit_met(const struct cs_walk *w, const struct cs_ev_hdr *hdr)
{
	struct cs_ev_type_met met = {.hdr = *hdr, .type = w->met_type, .object = w->met_object};

	met.hdr.size = sizeof(met);
	met.hdr.kind = CS_EV_TYPE_MET;
	met.hdr.flags = 0;
	bpf_ringbuf_output(&ring, &met, sizeof(met),
			   w->met_wake ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

/* Push what is in w->lessons. What is lost is told again. */
static __always_inline void emit_lesson(struct cs_walk *w)
{
	w->lessons.hdr = w->change.hdr;
	w->lessons.hdr.size = sizeof(w->lessons);
	w->lessons.hdr.kind = CS_EV_SPAN_LESSON;
	w->lessons.hdr.flags = w->lesson;
	bpf_ringbuf_output(&ring, &w->lessons, sizeof(w->lessons), BPF_RB_NO_WAKEUP);
}

/* Push the span that is active, or what stood in its way. */
static __always_inline void emit_span(struct cs_walk *w)
{
	if (w->span.span.span_id) {
		w->span.hdr = w->ev.hdr;
		w->span.hdr.size = sizeof(w->span);
		w->span.hdr.kind = CS_EV_SPAN;
		w->span.hdr.flags = 0;
		count(w->tgid,
		      bpf_ringbuf_output(&ring, &w->span, sizeof(w->span), BPF_RB_NO_WAKEUP)
			      ? CS_COUNTER_SPANS_RING_FULL
			      : CS_COUNTER_SPANS);
	} else {
		count(w->tgid, CS_COUNTER_SPANS_UNREADABLE);
	}
	if (w->met_type)
		emit_met(w, &w->ev.hdr);
}

/* Account for what published_read() has read, and drop what may not be true. */
static __always_inline void judge_published(struct cs_walk *w, const struct cs_published_at *where)
{
	if (!w->span.span.span_id)
		return;
	count(w->tgid, where->doubted ? CS_COUNTER_SPANS_DOUBTED : CS_COUNTER_SPANS_PUBLISHED);
	if (where->doubted)
		w->span.span.span_id = 0;
}

/* Push the walk's record with `nkernel_bytes` of kernel addresses behind its frames. 0 or an error. */
static __always_inline long emit_stack(struct cs_walk *w, __u64 pid_tgid, long nkernel_bytes)
{
	__u64 n = w->ev.nframes, size;

	if (nkernel_bytes < 0)
		nkernel_bytes = 0;
	w->ev.nkernel = (__u64)nkernel_bytes / 8;
	if (!w->ev.hdr.ts_ns)
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
	if (w->origin.waiter.task)
		emit_origin(w);
	else if (w->work_item)
		count(w->tgid, CS_COUNTER_ORIGINS_UNKNOWN);
	if (w->span.span.span_id || w->span_failed)
		emit_span(w);
	if (w->resource.root_id)
		emit_resource(w);
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

/* Push the code object that py_code_describe has put into w->seen, with so many bytes of text. 0 or an error. */
static __always_inline long emit_code_seen(struct cs_walk *w, __u64 text)
{
	__u64 size = sizeof(w->seen) + text;
	long err;

	w->seen.hdr.kind = CS_EV_CODE_SEEN;
	w->seen.hdr.flags = 0;
	w->seen.hdr.ts_ns = bpf_ktime_get_ns();
	w->seen.hdr.pid = w->tgid;
	w->seen.hdr.tid = 0;
	asm volatile("" : "+r"(size));
	if (size > sizeof(w->seen) + sizeof(w->seen_text))
		return -1;
	w->seen.hdr.size = size;
	err = bpf_ringbuf_output(&ring, &w->seen, size, BPF_RB_NO_WAKEUP);
	count(w->tgid, err ? CS_COUNTER_CODES_RING_FULL : CS_COUNTER_CODES_AT_SIGHT);
	return err;
}

/*
 * Fill a record's header and push it. `flags`: BPF_RB_NO_WAKEUP, or BPF_RB_FORCE_WAKEUP where the reader must act at once and
 * the event is rare.
 */
static __always_inline void emit_event(struct cs_ev_hdr *hdr, __u32 size, __u16 kind,
				       __u64 pid_tgid, __u64 flags)
{
	hdr->size = size;
	hdr->kind = kind;
	hdr->ts_ns = bpf_ktime_get_ns();
	hdr->pid = pid_tgid >> 32;
	hdr->tid = (__u32)pid_tgid;
	if (bpf_ringbuf_output(&ring, hdr, size, flags))
		count(hdr->pid, CS_COUNTER_PROC_EVENTS_RING_FULL);
}
