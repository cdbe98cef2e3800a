/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The span that a thread publishes for readers outside: of programs in any language, and of a Python whose tracer's own objects cannot be read.
 *
 * A thread-local variable, `otel_thread_ctx_v1`, points to a record of 28 bytes and some attributes: { number of the key, length, bytes }, the last of
 * a key counts. The thread writes them without locks, since whoever reads has it stand still, and takes the flag `valid` away meanwhile. Source: OTEP
 * 4947 of the OpenTelemetry specification. Where the variable is, user space has found out (userspace/proc/tls.h): at a distance
 * from the thread pointer, or in a block that the thread's vector of blocks (glibc's DTV) leads to, if the thread has touched it at all.
 */
#pragma once

#include <coroscope/proc_info.h>
#include <coroscope/tracer.h>

#include "walk.bpf.h"

#define PUBLISHED_HEAD 28

/* Behind the head in the window; the rest of that is never reached. */
#define PUBLISHED_BYTE(w, at) ((w)->window[(at) & (CS_FRAME_WINDOW - 1)])

/* glibc's dtv_t, of x86-64: the first has the vector's generation, the one before it how many follow. */
struct published_block {
	__u64 at; /* all bits set: the thread has none yet */
	__u64 more;
};

/* Where the thread has the variable; 0: it has none. Returns 0, or -1 if that cannot be read. */
static __always_inline int published_address(struct cs_walk *w, struct task_struct *task,
					     const struct cs_published_at *where, __u64 *ret)
{
	__u64 vector = 0, module = where->module;
	struct published_block head[2] = {}, block = {};

	*ret = w->thread_pointer + where->at;
	if (!module)
		return 0;
	if (CS_READ(task, &vector, sizeof(vector), w->thread_pointer + 8) ||
	    CS_READ(task, head, sizeof(head), vector - sizeof(*head)))
		return -1;
	/* the thread has not touched it since it was loaded: it publishes nothing */
	if (module > head[0].at || head[1].at < where->generation) {
		*ret = 0;
		return 0;
	}
	if (CS_READ(task, &block, sizeof(block), vector + module * sizeof(block)))
		return -1;
	*ret = block.at && block.at != ~0ull ? block.at + where->at : 0;
	return 0;
}

static __always_inline __u64 published_u64(const struct cs_walk *w, __u32 at)
{
	return __builtin_bswap64(*(const __u64 *)(w->window + (at & (CS_FRAME_WINDOW - 8))));
}

/* 16 hexadecimal digits. 0 if they are none. */
static __always_inline __u64 published_hex(const struct cs_walk *w, __u32 at)
{
	__u64 value = 0;

	for (__u32 i = 0; i < 16; i++) {
		__u32 c = PUBLISHED_BYTE(w, at + i);
		__u32 digit = c - '0', letter = (c | 0x20) - 'a';

		if (digit > 9 && letter > 5)
			return 0;
		value = value << 4 | (digit > 9 ? letter + 10 : digit);
	}
	return value;
}

/* Look at an attribute. Returns 0 to go on, 1 at the end. */
static __always_inline int published_step(struct cs_walk *w)
{
	__u32 at = w->published_at, end = w->published_end, bytes;

	if (at + 2 > end)
		return 1;
	bytes = PUBLISHED_BYTE(w, at + 1);
	w->published_at = at + 2 + bytes;
	if (w->published_at > end) {
		w->published_root = 0;
		return 1;
	}
	if (PUBLISHED_BYTE(w, at) == w->published_key)
		w->published_root = bytes == 16 ? published_hex(w, at + 2) : 0;
	return 0;
}

#ifndef CS_REPEAT_PUBLISHED
#define CS_REPEAT_PUBLISHED(w) CS_REPEAT(CS_PUBLISHED_ATTRS, published_step(w))
#endif

/* The local root that attributes of so many bytes behind the record tell, 0 if none does. Keeps the record's head in the window. */
static __always_inline __u64 published_root(struct cs_walk *w, struct task_struct *task,
					    const struct cs_published_at *where, __u64 record,
					    __u64 bytes)
{
	w->published_root = 0;
	if (!where->root_key || !bytes)
		return 0;
	w->published_key = where->root_key - 1;
	w->published_at = PUBLISHED_HEAD + 4;
	asm volatile("" : "+r"(bytes));
	if (bytes > CS_PUBLISHED_BYTES)
		return 0;
	w->published_end = w->published_at + bytes;
	if (CS_READ(task, w->window + PUBLISHED_HEAD + 4, bytes, record + PUBLISHED_HEAD))
		return 0;
	CS_REPEAT_PUBLISHED(w);
	/* what was not looked at might tell another */
	return w->published_at == w->published_end ? w->published_root : 0;
}

/* Put the record in the window into w->span. */
static __always_inline void published_take(struct cs_walk *w, struct task_struct *task,
					   const struct cs_published_at *where, __u64 record,
					   __u32 bytes)
{
	struct cs_active_span *span = &w->span.span;

	__builtin_memset(span, 0, sizeof(*span));
	span->trace_hi = published_u64(w, 0);
	span->trace_lo = published_u64(w, 8);
	span->span_id = published_u64(w, 16);
	span->kind = where->kind;
	span->flags = CS_SPANF_PUBLISHED;
	span->root_id = published_root(w, task, where, record, bytes);
	if (span->root_id)
		span->flags |= CS_SPANF_ROOT;
}

/*
 * Read what the thread with w->thread_pointer publishes into w->span, whose id stays 0 if that is nothing; w->span_failed says that it
 * is something that cannot be read. Uses the window.
 */
static __always_inline void published_read(struct cs_walk *w, struct task_struct *task,
					   const struct cs_published_at *where)
{
	__u64 address = 0, record = 0;
	__u32 bytes;

	w->span.span.span_id = 0;
	if (published_address(w, task, where, &address) ||
	    (address && CS_READ(task, &record, sizeof(record), address)) ||
	    (record && CS_READ(task, w->window, PUBLISHED_HEAD, record))) {
		w->span_failed = 1;
		return;
	}
	w->window_bytes = 0;
	/* the flag is another value than 1 while the record is written */
	if (!record || w->window[24] != 1)
		return;
	bytes = *(const __u16 *)(w->window + 26);
	if (bytes > CS_PUBLISHED_BYTES || !published_u64(w, 16) ||
	    !(published_u64(w, 0) | published_u64(w, 8))) {
		w->span_failed = 1;
		return;
	}
	published_take(w, task, where, record, bytes);
}

/* Is what the process's threads publish to be read? Where the tracer's own objects are, they alone count. */
static __always_inline bool published_wanted(const struct cs_proc_info *info)
{
	return (info->flags & (CS_PROC_PUBLISHES | CS_PROC_TRACED | CS_PROC_STALE)) ==
	       CS_PROC_PUBLISHES;
}
