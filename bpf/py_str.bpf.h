/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The head of a str: where its characters are, and how many bytes each takes. */
#pragma once

#include "walk.bpf.h"

struct py_str {
	__u64 data, length; /* in characters */
	__u32 kind; /* 1, 2 or 4 bytes a character: CS_NAME_LATIN1, CS_NAME_UCS2, CS_NAME_UCS4 */
};

/* Read as much of an object as w->str_head or w->long_head says. 0 or an error. */
static __always_inline long py_head_read(struct cs_walk *w, struct task_struct *task, __u64 obj,
					 __u64 size)
{
	asm volatile(
		""
		: "+r"(size)); /* a bound of the whole register: older verifiers know no other */
	if (size > CS_HEAD_CHUNK)
		size = CS_HEAD_CHUNK;
	return CS_READ(task, w->head, size, obj);
}

/* The str whose head was read. Returns 0, or 1 if it does not keep its characters behind its head. */
static __always_inline int py_str_from_head(const struct cs_walk *w, __u64 obj, struct py_str *ret)
{
	__u32 state = walk_head_u32(w, w->off.unicode_state);

	ret->length = walk_head_u64(w, w->off.unicode_length);
	/* kind 3 bits, compact, ascii; how many bits of interning lie below them differs */
	state >>= (w->traits.unicode_kind_shift & 31);
	ret->kind = state & 7;
	ret->data = obj + ((state & 16) ? w->off.unicode_ascii_data : w->off.unicode_compact_data);
	return !(state & 8) || (ret->kind != 1 && ret->kind != 2 && ret->kind != 4);
}

/* The same of one that was not read yet; 1 also if it cannot be. */
static __always_inline int py_str_open(struct cs_walk *w, struct task_struct *task, __u64 obj,
				       struct py_str *ret)
{
	return py_head_read(w, task, obj, w->str_head) || py_str_from_head(w, obj, ret);
}
