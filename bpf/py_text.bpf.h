/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A short text of a span: an exact str of one byte a character. Nearly all are ASCII, whose characters lie right behind the object's head:
 * they are read together with it, which is one read instead of three. Uses the window.
 */
#pragma once

#include <coroscope/tracer.h>

#include "py_str.bpf.h"

static __always_inline __u64 py_text_word(const struct cs_walk *w, __u32 offset)
{
	return *(const __u64 *)(w->window + (offset & (CS_SPAN_CHUNK - 8)));
}

static __always_inline __u32 py_text_half(const struct cs_walk *w, __u32 offset)
{
	return *(const __u32 *)(w->window + (offset & (CS_SPAN_CHUNK - 4)));
}

/* Have the object's head in the window, and if possible so many bytes behind it. Returns how many, or -1: it cannot be read. */
static __always_inline __s64 py_text_fetch(struct cs_walk *w, struct task_struct *task, __u64 obj,
					   __u32 behind)
{
	__u64 head = w->off.unicode_ascii_data, whole = head + behind;

	asm volatile("" : "+r"(whole));
	if (whole > CS_SPAN_CHUNK)
		whole = CS_SPAN_CHUNK;
	if (!CS_READ(task, w->window, whole, obj))
		return behind;
	/* the end of mapped memory may lie right behind a short one */
	asm volatile("" : "+r"(head));
	if (head > CS_SPAN_CHUNK)
		head = CS_SPAN_CHUNK;
	return CS_READ(task, w->window, head, obj) ? -1 : 0;
}

/* Characters that a text of this length has in a field of so many bytes. */
static __always_inline __u8 py_text_bytes(__s64 length, __u32 max)
{
	return length < 0 ? 0 : length > max ? max : length;
}

/*
 * The first characters in nwords words at dst, zeroes behind them. Returns the length of the whole, or -1: it is no such text, or cannot be
 * read, and dst is as it was.
 */
static __always_inline __s64 py_text_read(struct cs_walk *w, const struct cs_tracers *t,
					  struct task_struct *task, __u64 obj, __u64 *dst,
					  const __u32 nwords)
{
	__u32 at = w->off.unicode_ascii_data, state;
	__s64 behind = obj ? py_text_fetch(w, task, obj, 8 * nwords) : -1, length;

	if (behind < 0 || py_text_word(w, w->off.object_type) != t->str_type)
		return -1;
	length = (__s64)py_text_word(w, w->off.unicode_length);
	/* kind 3 bits, compact, ascii: see py_str_from_head */
	state = py_text_half(w, w->off.unicode_state) >> (w->traits.unicode_kind_shift & 31);
	if ((state & 15) != 9 || length < 0)
		return -1;
	if (!behind || !(state & 16)) {
		__u64 bytes = length, from = obj + (state & 16 ? at : w->off.unicode_compact_data);

		at = 0;
		asm volatile("" : "+r"(bytes));
		if (bytes > 8 * nwords)
			bytes = 8 * nwords;
		if (CS_READ(task, w->window, bytes, from))
			return -1;
	}
	for (__u32 i = 0; i < nwords; i++) {
		__s64 left = length - 8 * i;
		__u64 word = left > 0 ? py_text_word(w, at + 8 * i) : 0;

		dst[i] = left > 0 && left < 8 ? word & ((1ull << 8 * left) - 1) : word;
	}
	return length;
}
