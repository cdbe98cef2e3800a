/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The head of a str: where its characters are, and how many bytes each takes. */
#pragma once

#include "walk.bpf.h"

struct py_str {
	__u64 data, length; /* in characters */
	__u32 kind; /* 1, 2 or 4 bytes a character: CS_NAME_LATIN1, CS_NAME_UCS2, CS_NAME_UCS4 */
};

/* Returns 0, or 1 if it cannot be read or is no str that keeps its characters behind its head. */
static __always_inline int py_str_open(struct cs_walk *w, struct task_struct *task, __u64 obj,
				       struct py_str *ret)
{
	__u32 state = 0;

	if (CS_READ(task, &state, sizeof(state), obj + w->off.unicode_state) ||
	    CS_READ(task, &ret->length, sizeof(ret->length), obj + w->off.unicode_length))
		return 1;
	/* kind 3 bits, compact, ascii; how many bits of interning lie below them differs */
	state >>= (w->traits.unicode_kind_shift & 31);
	ret->kind = state & 7;
	ret->data = obj + ((state & 16) ? w->off.unicode_ascii_data : w->off.unicode_compact_data);
	return !(state & 8) || (ret->kind != 1 && ret->kind != 2 && ret->kind != 4);
}
