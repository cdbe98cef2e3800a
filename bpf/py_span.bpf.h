/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the search for the active span has in common for all tracers: the class of an object, its fields, and what of a span is taken note
 * of on the way, to be read at the end, one thing a step: so the verifier goes through each way to read something once.
 */
#pragma once

#include <coroscope/tracer.h>

#include "py_hamt.bpf.h"
#include "py_number.bpf.h"
#include "py_str.bpf.h"
#include "py_text.bpf.h"
#include "walk.bpf.h"

#define CS_NO_CLASS (~0u)
#define CS_SPAN_MIX 0x9e3779b97f4a7c15ull

/* What the next step looks at. */
enum py_span_next {
	PY_SPAN_TREE = 0, /* the variables of the Context, for a tracer's */
	PY_SPAN_OBJECT,   /* an object on the way from its value to the span */
	PY_SPAN_ROOT,     /* of the span that is found: its local root, another span */
	PY_SPAN_CONTEXT,  /* ... or the Context that it came with, which may tell that */
	PY_SPAN_META,     /* an entry of such a Context's meta, or of a propagated one's */
	PY_SPAN_NUMBER,   /* one of the numbers below */
	PY_SPAN_END,      /* what was taken note of: is it a span? */
	PY_SPAN_RESOURCE, /* of its local root, if that is of interest */
	PY_SPAN_TEXT,     /* one of the texts of a span that begins or ends */
};

/* Have w->span_class be the number of this type's class. Returns 0, or 1 if there is none. */
static __always_inline int py_span_classify(struct cs_walk *w, const struct cs_tracers *t,
					    __u64 type)
{
	w->span_class = CS_NO_CLASS;
	for (__u32 i = 0; i < CS_MAX_SPAN_CLASSES; i++) {
		if (t->classes[i].type == type) {
			w->span_class = i;
			break;
		}
	}
	return !type || w->span_class == CS_NO_CLASS;
}

static __always_inline const struct cs_span_class *py_span_class(const struct cs_walk *w,
								 const struct cs_tracers *t)
{
	return &t->classes[w->span_class & (CS_MAX_SPAN_CLASSES - 1)];
}

/* Have the first bytes of what lies at `at` in the window. */
static __always_inline long py_span_fetch(struct cs_walk *w, struct task_struct *task, __u64 at,
					  __u64 bytes)
{
	/* with its type, and still there */
	if (CS_TELLS_CHANGES && w->window_at == at && w->window_bytes >= bytes)
		return 0;
	w->window_bytes = 0;
	asm volatile("" : "+r"(bytes));
	if (bytes > CS_SPAN_CHUNK)
		bytes = CS_SPAN_CHUNK;
	return CS_READ(task, w->window, bytes, at);
}

/* A reference in the object in the window; 0 if it has no such. */
static __always_inline __u64 py_span_field(const struct cs_walk *w, __u32 offset)
{
	return offset ? *(const __u64 *)(w->window + (offset & (CS_SPAN_CHUNK - 8))) : 0;
}

/*
 * What of a span is a number. Where it is an int, its address is kept and the int read in a step of its own, which the verifier goes
 * through once. 0: not known.
 */
enum py_span_number {
	PY_SPAN_ID,
	PY_SPAN_TRACE,
	PY_SPAN_ROOT_ID,
	PY_SPAN_PARENT_ID,
	PY_SPAN_SAMPLED, /* so many are read of a sample's span; of one that begins or ends also: */
	PY_SPAN_DURATION = PY_SPAN_SAMPLED,
	PY_SPAN_START,
	PY_SPAN_CHANGED,
};

static __always_inline void py_span_number_step(struct cs_walk *w, const struct cs_tracers *t,
						struct task_struct *task)
{
	__u32 bit = w->span_todo & -w->span_todo, i = (__u32)__builtin_popcount(bit - 1);
	struct cs_span_number *number = &w->span_numbers[i & (CS_SPAN_NUMBERS - 1)];

	w->span_todo &= ~bit;
	if (number->at)
		py_long_read(w, task, number->at, t->long_type, &number->hi, &number->lo);
}

/* Which of them are to be read? */
static __always_inline void py_span_numbers_begin(struct cs_walk *w)
{
	w->span_todo = 0;
	for (__u32 i = 0; i < CS_SPAN_NUMBERS; i++)
		w->span_todo |= (__u32) !!w->span_numbers[i].at << i;
}

/* Ids of spans have 64 bits. */
static __always_inline __u64 py_span_number(const struct cs_walk *w, enum py_span_number which)
{
	const struct cs_span_number *number = &w->span_numbers[which];

	return number->hi ? 0 : number->lo;
}

/* The head of an exact str of one byte a character. Returns 0, or 1 if it is none. */
static __always_inline int py_span_str(struct cs_walk *w, const struct cs_tracers *t,
				       struct task_struct *task, __u64 obj, struct py_str *ret)
{
	__u64 type = 0;

	return !obj || CS_READ(task, &type, sizeof(type), obj + w->off.object_type) ||
	       type != t->str_type || py_str_open(w, task, obj, ret) || ret->kind != 1;
}

/* The text of a span's type, which may be None. */
static __always_inline void py_span_type(struct cs_walk *w, const struct cs_tracers *t,
					 struct task_struct *task, __u64 obj)
{
	struct cs_active_span *span = &w->span.span;
	__s64 length;

	if (!obj || obj == t->none)
		return;
	length = py_text_read(w, t, task, obj, (__u64 *)span->type, CS_SPAN_TYPE_BYTES / 8);
	if (length < 0)
		span->flags |= CS_SPANF_TYPE_UNREADABLE;
	else if (length > CS_SPAN_TYPE_BYTES)
		span->flags |= CS_SPANF_TYPE_CUT;
	span->type_bytes = py_text_bytes(length, CS_SPAN_TYPE_BYTES);
}

/* All was taken note of. Returns 1 if it is a span, or 0: it has no id. */
static __always_inline int py_span_finish(struct cs_walk *w, const struct cs_tracers *t,
					  struct task_struct *task)
{
	struct cs_active_span *span = &w->span.span;
	__u64 id = py_span_number(w, PY_SPAN_ID);
	__u64 root = w->span_is_root ? id : py_span_number(w, PY_SPAN_ROOT_ID);

	if (!id)
		return 0;
	span->span_id = id;
	span->trace_hi = w->span_numbers[PY_SPAN_TRACE].hi;
	span->trace_lo = w->span_numbers[PY_SPAN_TRACE].lo;
	span->parent_id = py_span_number(w, PY_SPAN_PARENT_ID);
	if (!root)
		span->flags &=
			(__u8) ~(CS_SPANF_ROOT | CS_SPANF_ROOT_DERIVED | CS_SPANF_TYPE_UNREADABLE);
	if (!(span->flags & (CS_SPANF_ROOT | CS_SPANF_ROOT_DERIVED)))
		return 1;
	span->root_id = root;
	py_span_type(w, t, task, w->span_type_at);
	return 1;
}
