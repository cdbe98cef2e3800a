/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The variables of a Context: a HAMT (Python/hamt.c), a trie that never changes, five bits of the key's hash a level. One call goes down one
 * level; what stands in the way, or cannot be read, ends the search for a span, and is noted in the walk.
 */
#pragma once

#include <coroscope/tracer.h>

#include "walk.bpf.h"

#define CS_HAMT_BITS 5
#define CS_HAMT_MASK 31

/* The way ends here, and not at a span. */
static __always_inline int py_span_fail(struct cs_walk *w)
{
	w->span_failed = 1;
	return 1;
}

/* ... because of an object of this type. */
static __always_inline int py_span_stranger(struct cs_walk *w, __u64 type)
{
	w->met_type = type;
	w->met_object = w->span_at;
	return py_span_fail(w);
}

/* The part of a HAMT's node that is read, from ob_type on. */
struct py_hamt_node {
	__u64 type, size;
	__u32 bitmap, pad;
};

/* The value of the variable among pairs of keys whose hashes are equal. */
static __always_inline int py_hamt_collision(struct cs_walk *w, struct task_struct *task, __u64 var,
					     __u64 size)
{
	__u64 at = w->span_at + w->off.object_var_size + 16, pair[2] = {};

	w->span_at = 0;
	for (__u32 i = 0; i < CS_HAMT_COLLISIONS; i++) {
		if (2ull * i >= size)
			return 1;
		if (CS_READ(task, pair, sizeof(pair), at + sizeof(pair) * i))
			return py_span_fail(w);
		if (pair[0] == var) {
			w->span_at = pair[1];
			return 1;
		}
	}
	return py_span_fail(w);
}

/* A node of up to 16 pairs: key and value, or none and the next node. */
static __always_inline int py_hamt_bitmap(struct cs_walk *w, struct task_struct *task, __u64 var,
					  __u32 bitmap, __u32 bit)
{
	__u64 at = w->span_at + w->off.object_var_size + 16, pair[2] = {};

	w->span_at = 0;
	if (!(bitmap & bit))
		return 1;
	at += sizeof(pair) * (__u32)__builtin_popcount(bitmap & (bit - 1));
	if (CS_READ(task, pair, sizeof(pair), at))
		return py_span_fail(w);
	if (pair[0] && pair[0] != var)
		return 1;
	w->span_at = pair[1];
	return pair[0] != 0;
}

/* One level down from the node at w->span_at. Returns 0, or 1 at the end: w->span_at is the value, 0 for none. */
static __always_inline int py_hamt_step(struct cs_walk *w, const struct cs_tracers *t,
					struct task_struct *task, const struct cs_tracer_var *var,
					__u32 level)
{
	__u32 index = (var->hash >> (CS_HAMT_BITS * level & CS_HAMT_MASK)) & CS_HAMT_MASK;
	__u64 at = w->span_at + w->off.object_type;
	struct py_hamt_node node = {};

	if (!w->span_at)
		return 1;
	if (CS_READ(task, &node, sizeof(node), at))
		return py_span_fail(w);
	if (node.type && node.type == t->hamt_collision)
		return py_hamt_collision(w, task, var->var, node.size);
	if (CS_HAMT_BITS * level > CS_HAMT_MASK)
		return py_span_fail(w);
	if (node.type && node.type == t->hamt_bitmap)
		return py_hamt_bitmap(w, task, var->var, node.bitmap, 1u << index);
	if (!node.type || node.type != t->hamt_array)
		return py_span_stranger(w, node.type);
	if (CS_READ(task, &w->span_at, sizeof(w->span_at), at + 8 + 8ull * index))
		return py_span_fail(w);
	return 0;
}
