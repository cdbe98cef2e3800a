/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The span that is active in a Context, ids and all, in the same breath as the stack: a moment later its memory is another span's.
 *
 * PyThreadState.context leads to a HAMT (Python/hamt.c: a trie that never changes, five bits of the key's hash a level), it to the value of
 * the tracer's ContextVar, and that, perhaps over spans that have ended, to a span. What a value is, its type says (map
 * `tracers`): of a type that is not in there nothing is read. A text, an id or a root that cannot be read is
 * left out; without the span's id there is no span.
 */
#pragma once

#include "py_attr.bpf.h"
#include "py_dict.bpf.h"
#include "py_number.bpf.h"
#include "py_str.bpf.h"
#include "walk.bpf.h"

#define CS_HAMT_BITS 5
#define CS_HAMT_MASK 31
#define CS_NO_CLASS  (~0u)

/* The last: the entries of one propagated context's meta. */
#define CS_SPAN_STEPS (CS_MAX_TRACER_VARS * (1 + CS_HAMT_LEVELS + CS_SPAN_HOPS) + CS_DICT_ENTRIES)

/* What ddtrace's Context says of its local root in its meta (PROFILING_*_KEY of ddtrace 4.11 and later), as words to compare. */
#define CS_META_KEY_WORDS 4
#define CS_META_ROOT_LEN  32
#define CS_META_TYPE_LEN  23
static const union {
	char text[8 * CS_META_KEY_WORDS];
	__u64 words[CS_META_KEY_WORDS];
} py_meta_root = {.text = "_dd.profiling.local_root_span_id"},
  py_meta_type = {.text = "_dd.profiling.span_type"};

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

/* Have w->span_at be the root of w->context's variables. Returns 0, or 1 if it cannot be read. */
static __always_inline int py_context_root(struct cs_walk *w, struct task_struct *task)
{
	if (CS_READ(task, &w->span_at, sizeof(w->span_at), w->context + w->off.context_vars) ||
	    CS_READ(task, &w->span_at, sizeof(w->span_at), w->span_at + w->off.hamt_root))
		return py_span_fail(w);
	return 0;
}

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

/* Ids have 64 bits and are not 0. */
static __always_inline int py_span_id(struct cs_walk *w, const struct cs_tracers *t,
				      struct task_struct *task, __u64 obj, __u64 *ret)
{
	__u64 hi = 0, lo = 0;

	if (py_long_read(w, task, obj, t->long_type, &hi, &lo) || hi)
		return 1;
	*ret = lo;
	return 0;
}

static __always_inline void py_span_trace(struct cs_walk *w, const struct cs_tracers *t,
					  struct task_struct *task, __u64 obj)
{
	struct cs_active_span *span = &w->span.span;

	if (py_long_read(w, task, obj, t->long_type, &span->trace_hi, &span->trace_lo))
		span->trace_hi = span->trace_lo = 0;
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
	struct py_str str = {};
	__u64 bytes;

	if (!obj || obj == t->none)
		return;
	if (py_span_str(w, t, task, obj, &str)) {
		span->flags |= CS_SPANF_TYPE_UNREADABLE;
		return;
	}
	bytes = str.length;
	asm volatile("" : "+r"(bytes));
	if (bytes > CS_SPAN_TYPE_BYTES) {
		bytes = CS_SPAN_TYPE_BYTES;
		span->flags |= CS_SPANF_TYPE_CUT;
	}
	if (CS_READ(task, span->type, bytes, str.data)) {
		span->flags |= CS_SPANF_TYPE_UNREADABLE;
		return;
	}
	span->type_bytes = bytes;
}

/* The local root of the span in the window, and its type. */
static __always_inline void py_span_root(struct cs_walk *w, const struct cs_tracers *t,
					 struct task_struct *task, __u64 id, __u64 root,
					 __u64 span_type)
{
	struct cs_active_span *span = &w->span.span;
	const struct cs_span_class *class;
	__u64 type = 0;

	if (root == w->span_at || root == t->none) {
		span->root_id = id;
		span->flags |= CS_SPANF_ROOT;
		py_span_type(w, t, task, span_type);
		return;
	}
	if (!root || CS_READ(task, &type, sizeof(type), root + w->off.object_type) ||
	    py_span_classify(w, t, type))
		return;
	class = py_span_class(w, t);
	if (class->kind != CS_CLASS_DD_SPAN || py_span_fetch(w, task, root, class->bytes))
		return;
	span_type = py_span_field(w, class->span_type);
	if (py_span_id(w, t, task, py_span_field(w, class->span_id), &span->root_id))
		return;
	span->flags |= CS_SPANF_ROOT;
	py_span_type(w, t, task, span_type);
}

/*
 * ddtrace's Span. One that has ended gives way to its parent, or, without one, to the context it came with if that was made
 * to be taken up again: _update_active() of ddtrace/_trace/provider.py.
 */
static __always_inline int py_span_dd(struct cs_walk *w, const struct cs_tracers *t,
				      struct task_struct *task)
{
	const struct cs_span_class *class = py_span_class(w, t);
	__u64 ended, parent, root, trace, type, id = 0;

	if (py_span_fetch(w, task, w->span_at, class->bytes))
		return py_span_fail(w);
	ended = py_span_field(w, class->ended);
	if (!ended)
		return py_span_fail(w); /* only just being made */
	if (ended != t->none) {
		parent = py_span_field(w, class->parent);
		w->span_gives_way = parent == t->none;
		w->span_at = parent == t->none ? py_span_field(w, class->parent_context) : parent;
		w->span.span.nended++;
		return 0;
	}
	root = py_span_field(w, class->root);
	trace = py_span_field(w, class->trace_id);
	type = py_span_field(w, class->span_type);
	if (py_span_id(w, t, task, py_span_field(w, class->span_id), &id))
		return py_span_fail(w);
	py_span_trace(w, t, task, trace);
	py_span_root(w, t, task, id, root, type);
	w->span.span.span_id = id;
	return 1;
}

/* Is the text of so many bytes one of the two keys? */
static __always_inline bool py_meta_is(const __u64 *text, const __u64 *key)
{
	__u64 differs = 0;

	for (__u32 i = 0; i < CS_META_KEY_WORDS; i++)
		differs |= text[i] ^ key[i];
	return !differs;
}

/* An entry of a Context's meta: is it one that tells of the local root? */
static __always_inline void py_meta_entry(struct cs_walk *w, const struct cs_tracers *t,
					  struct task_struct *task, __u64 key, __u64 value)
{
	__u64 text[CS_META_KEY_WORDS] = {};
	struct py_str str = {};

	if (!key || !value || py_span_str(w, t, task, key, &str))
		return;
	if (str.length == CS_META_ROOT_LEN) {
		if (!CS_READ(task, text, CS_META_ROOT_LEN, str.data) &&
		    py_meta_is(text, py_meta_root.words))
			w->meta_root = value;
	} else if (str.length == CS_META_TYPE_LEN) {
		if (!CS_READ(task, text, CS_META_TYPE_LEN, str.data) &&
		    py_meta_is(text, py_meta_type.words))
			w->meta_type = value;
	}
}

/* An id as 16 lower-case hexadecimal digits. Returns 0 if it is none. */
static __always_inline __u64 py_meta_hex(struct cs_walk *w, const struct cs_tracers *t,
					 struct task_struct *task, __u64 obj)
{
	struct py_str str = {};
	__u8 digits[16] = {};
	__u64 number = 0;

	if (py_span_str(w, t, task, obj, &str) || str.length != sizeof(digits) ||
	    CS_READ(task, digits, sizeof(digits), str.data))
		return 0;
	for (__u32 i = 0; i < sizeof(digits); i++) {
		__u8 c = digits[i];
		bool letter = c >= 'a' && c <= 'f';

		if (!letter && (c < '0' || c > '9'))
			return 0;
		number = number << 4 | (letter ? c - 'a' + 10 : c - '0');
	}
	return number;
}

/* Begin with a Context's meta. Until it tells of the local root the span counts as its own, which is ddtrace's rule as well. */
static __always_inline void py_meta_begin(struct cs_walk *w, struct task_struct *task, __u64 meta)
{
	__u64 keys = 0;

	w->meta_root = 0;
	w->meta_type = 0;
	w->meta_entry = 0;
	if (CS_READ(task, &keys, sizeof(keys), meta + w->off.dict_keys) ||
	    py_dict_load(w, task, keys))
		return;
	w->meta_entries = w->dict.nentries;
}

/* Look at one entry of the meta, and after the last one at what was found. Returns 1 at the end. */
static __always_inline int py_meta_step(struct cs_walk *w, const struct cs_tracers *t,
					struct task_struct *task)
{
	struct cs_active_span *span = &w->span.span;
	__u32 i = w->meta_entry++;
	__u64 root;

	if (i < w->meta_entries) {
		py_meta_entry(w, t, task, py_dict_entry(w, i, 0), py_dict_entry(w, i, 8));
		return 0;
	}
	root = py_meta_hex(w, t, task, w->meta_root);
	if (root) {
		span->root_id = root;
		span->flags ^= CS_SPANF_ROOT | CS_SPANF_ROOT_DERIVED;
	}
	py_span_type(w, t, task, w->meta_type);
	return 1;
}

/* ddtrace's Context: a span of another thread or process. One without a span id is none. */
static __always_inline int py_span_dd_context(struct cs_walk *w, const struct cs_tracers *t,
					      struct task_struct *task)
{
	const struct cs_span_class *class = py_span_class(w, t);
	__u64 trace, meta, ref, id = 0;

	if (py_span_fetch(w, task, w->span_at, class->bytes))
		return py_span_fail(w);
	if (w->span_gives_way && py_span_field(w, class->reactivate) != t->true_)
		return 1;
	trace = py_span_field(w, class->trace_id);
	meta = py_span_field(w, class->meta);
	ref = py_span_field(w, class->span_id);
	if (ref == t->none)
		return 1;
	if (py_span_id(w, t, task, ref, &id))
		return py_span_fail(w);
	py_span_trace(w, t, task, trace);
	w->span.span.flags |= CS_SPANF_PROPAGATED | CS_SPANF_ROOT_DERIVED;
	w->span.span.root_id = id;
	w->span.span.span_id = id;
	py_meta_begin(w, task, meta);
	return !w->meta_entries;
}

/* OpenTelemetry's Context, a dict: go on with its current span. */
static __always_inline int py_span_otel_context(struct cs_walk *w, const struct cs_tracers *t,
						struct task_struct *task)
{
	__u64 keys = 0;
	__u32 i;

	if (CS_READ(task, &keys, sizeof(keys), w->span_at + w->off.dict_keys) ||
	    py_dict_load(w, task, keys))
		return py_span_fail(w);
	i = py_dict_find(w, t->otel_key);
	w->span_at = i == CS_NO_INDEX ? 0 : py_dict_entry(w, i, 8);
	return 0;
}

/* The attributes of a span that has names of its own, in a dict. */
static __always_inline int py_span_own_attrs(struct cs_walk *w, const struct cs_tracers *t,
					     struct task_struct *task)
{
	if (py_dict_load(w, task, w->dict.keys))
		return 1;
	for (__u32 a = 0; a < CS_OTEL_ATTR_MAX_; a++) {
		__u32 i = py_dict_find(w, t->otel_names[a]);

		if (i != CS_NO_INDEX)
			w->span_attrs[a] = py_dict_entry(w, i, 8);
	}
	return 0;
}

/* Have the attributes of OpenTelemetry's span at w->span_at in w->span_attrs. Returns 0, or 1 if they cannot be read. */
static __always_inline int py_span_attrs(struct cs_walk *w, const struct cs_tracers *t,
					 struct task_struct *task,
					 const struct cs_span_class *class)
{
	__u32 a;

	for (a = 0; a < CS_OTEL_ATTR_MAX_; a++)
		w->span_attrs[a] = 0;
	if (py_attrs_find(w, task, w->span_at, class->attrs_at))
		return 1;
	if (w->dict.at) {
		if (py_attrs_in_dict(w, task))
			return 1;
		if (!w->dict.values)
			return py_span_own_attrs(w, t, task);
		if (w->dict.keys != class->keys)
			return 1;
	}
	if (py_span_fetch(w, task, w->dict.values, class->bytes))
		return 1;
	for (a = 0; a < CS_OTEL_ATTR_MAX_; a++)
		if (class->attr[a])
			w->span_attrs[a] =
				*(const __u64 *)(w->window + ((8u * (class->attr[a] - 1)) &
							      (CS_SPAN_CHUNK - 8)));
	return 0;
}

/* OpenTelemetry's SpanContext, a tuple of trace id, span id, is remote, ... Returns 0, or 1 if it is none. */
static __always_inline int py_otel_id(struct cs_walk *w, const struct cs_tracers *t,
				      struct task_struct *task, __u64 obj, __u64 items[3])
{
	__u64 type = 0;

	return !obj || CS_READ(task, &type, sizeof(type), obj + w->off.object_type) ||
	       type != t->otel_id_type ||
	       CS_READ(task, items, 3 * sizeof(*items), obj + w->off.tuple_items);
}

/*
 * The local root of OpenTelemetry's span is not kept: it is the span itself if its parent is none, or in another process. For
 * others the parent's id is told.
 */
static __always_inline void py_otel_root(struct cs_walk *w, const struct cs_tracers *t,
					 struct task_struct *task, __u64 id, __u64 remote)
{
	struct cs_active_span *span = &w->span.span;
	__u64 parent = w->span_attrs[CS_OTEL_PARENT], items[3] = {};

	if (!parent) {
		/* it records nothing: all that is known is where it comes from */
		if (remote != t->true_)
			return;
		span->flags |= CS_SPANF_PROPAGATED | CS_SPANF_ROOT_DERIVED;
		span->root_id = id;
		return;
	}
	if (parent != t->none && py_otel_id(w, t, task, parent, items))
		return;
	if (parent == t->none || items[2] == t->true_) {
		span->flags |= CS_SPANF_ROOT;
		span->root_id = id;
	} else {
		py_span_id(w, t, task, items[1], &span->parent_id);
	}
}

/* OpenTelemetry's span, which stays active when it has ended until its Context is left. */
static __always_inline int py_span_otel(struct cs_walk *w, const struct cs_tracers *t,
					struct task_struct *task)
{
	const struct cs_span_class *class = py_span_class(w, t);
	__u64 items[3] = {}, end, id = 0;

	if (py_span_attrs(w, t, task, class) ||
	    py_otel_id(w, t, task, w->span_attrs[CS_OTEL_CONTEXT], items))
		return py_span_fail(w);
	/* the invalid span, whose ids are 0, is no failure */
	if (py_span_id(w, t, task, items[1], &id))
		return 1;
	py_span_trace(w, t, task, items[0]);
	end = w->span_attrs[CS_OTEL_END_TIME];
	if (end && end != t->none)
		w->span.span.flags |= CS_SPANF_ENDED;
	py_otel_root(w, t, task, id, items[2]);
	w->span.span.span_id = id;
	return 1;
}

/* Look at the object at w->span_at. Returns 0 to go on with the one that is there then, or 1 at the end. */
static __always_inline int py_span_hop(struct cs_walk *w, const struct cs_tracers *t,
				       struct task_struct *task)
{
	__u64 type = 0;

	if (!w->span_at || w->span_at == t->none)
		return 1;
	if (CS_READ(task, &type, sizeof(type), w->span_at + w->off.object_type))
		return py_span_fail(w);
	if (py_span_classify(w, t, type))
		return py_span_stranger(w, type);
	switch (py_span_class(w, t)->kind) {
	case CS_CLASS_DD_SPAN:
		return py_span_dd(w, t, task);
	case CS_CLASS_DD_CONTEXT:
		return py_span_dd_context(w, t, task);
	case CS_CLASS_OTEL_CONTEXT:
		return py_span_otel_context(w, t, task);
	case CS_CLASS_OTEL_SPAN:
		return py_span_otel(w, t, task);
	default:
		return 1;
	}
}

static __always_inline void py_span_reset(struct cs_active_span *span, __u8 kind)
{
	span->span_id = 0;
	span->root_id = 0;
	span->parent_id = 0;
	span->trace_hi = 0;
	span->trace_lo = 0;
	span->kind = kind;
	span->flags = 0;
	span->type_bytes = 0;
	span->nended = 0;
	span->pad = 0;
	for (__u32 i = 0; i < CS_SPAN_TYPE_BYTES; i++)
		span->type[i] = 0;
}

/* Turn to the variable of the next tracer. */
static __always_inline int py_span_next(struct cs_walk *w)
{
	w->span_var++;
	w->span_stage = 0;
	return 0;
}

/*
 * One step of the search in w->context, of CS_SPAN_STEPS at most, beginning with w->span_var and w->span_stage of 0: of each tracer's
 * variable the root of the tree that it is in, then a node of each level, then an object on the way from its value to the
 * span. Returns 0 to go on, 1 to stop: w->span has the span, or an id of 0. Of several tracers the first that has a span
 * tells it. Uses the window.
 */
static __always_inline int py_span_step(struct cs_walk *w, struct task_struct *task)
{
	const struct cs_tracers *t = CS_TRACERS(w);
	__u32 i = w->span_var, stage = w->span_stage++;

	if (!t || i >= t->nvars || i >= CS_MAX_TRACER_VARS)
		return 1;
	if (w->meta_entries)
		return py_meta_step(w, t, task);
	if (!stage) {
		py_span_reset(&w->span.span, t->vars[i].kind);
		w->span_gives_way = 0;
		return py_context_root(w, task) ? py_span_next(w) : 0;
	}
	if (stage <= CS_HAMT_LEVELS) {
		if (py_hamt_step(w, t, task, &t->vars[i], stage - 1))
			w->span_stage = CS_HAMT_LEVELS + 1;
		else if (stage == CS_HAMT_LEVELS)
			py_span_fail(w);
		return w->span_failed ? py_span_next(w) : 0;
	}
	if (py_span_hop(w, t, task))
		return w->span.span.span_id ? 1 : py_span_next(w);
	if (stage < CS_HAMT_LEVELS + CS_SPAN_HOPS)
		return 0;
	w->span_failed = 1;
	return py_span_next(w);
}
