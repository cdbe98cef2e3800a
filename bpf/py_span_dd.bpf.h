/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ddtrace's spans, and its Contexts: spans of another thread or process. Fields are references in slots, or of a Rust object, where what is
 * no reference is a number in place (enum cs_rust_fields).
 */
#pragma once

#include "py_dict.bpf.h"
#include "py_span_told.bpf.h"

/* An Option<u128> of Rust: what says if there is one, and 16 bytes on the number itself. */
#define CS_RUST_TAG 16u

/* What ddtrace's Context says of its local root in its meta (PROFILING_*_KEY of ddtrace 4.11 and later), as words to compare. */
#define CS_META_KEY_WORDS 4
#define CS_META_ROOT_LEN  32
#define CS_META_TYPE_LEN  23
static const union {
	char text[8 * CS_META_KEY_WORDS];
	__u64 words[CS_META_KEY_WORDS];
} py_meta_root = {.text = "_dd.profiling.local_root_span_id"},
  py_meta_type = {.text = "_dd.profiling.span_type"};

/* The id in the object in the window. */
static __always_inline void py_span_take_id(struct cs_walk *w, const struct cs_span_class *class,
					    enum py_span_number which)
{
	__u64 field = py_span_field(w, class->span_id);

	if (class->rust & CS_RUST_ID)
		w->span_numbers[which].lo = field;
	else
		w->span_numbers[which].at = field;
}

/* The id of the trace in the object in the window, which it is told of where it has one. */
static __always_inline void py_span_take_trace(struct cs_walk *w, const struct cs_span_class *class)
{
	struct cs_span_number *trace = &w->span_numbers[PY_SPAN_TRACE];

	if (!(class->rust & CS_RUST_TRACE)) {
		trace->at = py_span_field(w, class->trace_id);
	} else if (!(class->rust & CS_RUST_TAGGED) ||
		   py_span_field(w, class->trace_id - CS_RUST_TAG) == 1) {
		trace->lo = py_span_field(w, class->trace_id);
		trace->hi = py_span_field(w, class->trace_id + 8u);
	}
}

/* The type of a local root of this class. Where it is no slot, None is a reference as well. */
static __always_inline void py_span_take_type(struct cs_walk *w, const struct cs_span_class *class)
{
	w->span_type_at = py_span_field(w, class->span_type);
	if (!walk_span_search(w))
		w->span_resource_at = py_span_field(w, class->resource);
	if (class->rust && !w->span_type_at)
		w->span.span.flags |= CS_SPANF_TYPE_UNREADABLE;
}

/* The object in the window is the local root. */
static __always_inline void py_span_take_root(struct cs_walk *w, const struct cs_span_class *class)
{
	w->span.span.flags |= CS_SPANF_ROOT;
	py_span_take_type(w, class);
}

/* How a Rust object says that it has ended. */
static __always_inline __u8 py_rust_outcome(const struct cs_walk *w,
					    const struct cs_span_class *class)
{
	__u32 error = *(const __u32 *)(w->window + (class->error & (CS_SPAN_CHUNK - 4)));

	if (!w->span_ended || error > 1)
		return CS_SPAN_NOT_TOLD;
	return error ? CS_SPAN_ERROR : CS_SPAN_OK;
}

/* What is told of a span that begins or ends. */
static __always_inline void py_span_take_change(struct cs_walk *w, const struct cs_tracers *t,
						const struct cs_span_class *class)
{
	struct cs_span_number *duration = &w->span_numbers[PY_SPAN_DURATION];

	if (w->span_ended)
		w->span.span.flags |= CS_SPANF_ENDED;
	if (w->span_ended && class->rust & CS_RUST_ENDED_TAG)
		duration->lo = py_span_field(w, class->ended + 8u);
	else if (w->span_ended && class->rust & CS_RUST_ENDED_MINUS)
		duration->lo = py_span_field(w, class->ended);
	else if (w->span_ended)
		duration->at = py_span_field(w, class->ended);
	if (walk_span_search(w) == CS_SPAN_SEARCH_BEGUN)
		w->span_numbers[PY_SPAN_START].at = py_span_field(w, class->start);
	if (class->rust & CS_RUST_ERROR)
		w->span_outcome = py_rust_outcome(w, class);
	else
		w->span_error_at = py_span_field(w, class->error);
	if (class->rust & CS_RUST_LESSONS)
		w->lesson = w->span_ended ? CS_LESSON_ENDED : CS_LESSON_BEGUN;
	w->lesson_is_sure = class->rust & CS_RUST_ERROR;
	w->lessons.type = class->type;
	w->lessons.object = w->span_at;
	w->lessons.nwords = class->bytes / 8;
	w->span_parent_at = py_span_field(w, class->parent_id);
	if (w->span_parent_at == t->none)
		w->span_parent_at = 0;
	w->span_numbers[PY_SPAN_PARENT_ID].at = w->span_parent_at;
	w->span_trace_at = class->rust & CS_RUST_TRACE ? 0 : py_span_field(w, class->trace_id);
	w->span_object = w->span_at;
	w->span_resource_at = py_span_field(w, class->resource);
	w->span_service_at = py_span_field(w, class->service);
}

/* The span at w->span_at is the local root of the one that is found. */
static __always_inline int py_span_root(struct cs_walk *w, const struct cs_tracers *t,
					struct task_struct *task)
{
	const struct cs_span_class *class = py_span_class(w, t);

	if (class->kind != CS_CLASS_DD_SPAN || py_span_fetch(w, task, w->span_at, class->bytes))
		return 1;
	py_span_take_id(w, class, PY_SPAN_ROOT_ID);
	w->span_root_at = w->span_root;
	py_span_take_root(w, class);
	return 1;
}

/* User space wants to see more of these. */
static __always_inline void py_span_teach(struct cs_walk *w, const struct cs_span_class *class)
{
	if (class->rust & CS_RUST_LEARNING) {
		w->met_type = class->type;
		w->met_object = w->span_at;
		w->met_wake = class->rust & CS_RUST_AWAITED;
	}
}

/* A span's end: 0 as long as it lasts, 1 if it has ended, 2 if it is only just being made. */
static __always_inline __u32 py_span_ended(const struct cs_walk *w, const struct cs_tracers *t,
					   const struct cs_span_class *class)
{
	__u64 ended = py_span_field(w, class->ended);

	if (class->rust & CS_RUST_ENDED_TAG)
		return ended > 1 ? 2 : (__u32)ended;
	if (class->rust & CS_RUST_ENDED_MINUS)
		return ended != ~0ull;
	return ended ? ended != t->none : 2;
}

/* A reference to another object of the tracer's in the one in the window; 0: not known. */
static __always_inline __u64 py_span_ref(const struct cs_walk *w, const struct cs_tracers *t,
					 const struct cs_span_class *class, __u32 offset)
{
	__u64 ref = py_span_field(w, offset);

	return ref || !offset || !class->rust ? ref : t->none;
}

/* Go on with what an ended span gives way to. */
static __always_inline int py_span_above(struct cs_walk *w, const struct cs_tracers *t,
					 const struct cs_span_class *class)
{
	__u64 parent = py_span_ref(w, t, class, class->parent);

	w->span_gives_way = parent == t->none;
	w->span_at = parent == t->none ? py_span_ref(w, t, class, class->parent_context) : parent;
	w->span.span.nended++;
	/* where its fields are is not known yet */
	if (class->rust && !w->span_at)
		return py_span_fail(w);
	return 0;
}

/* The span at w->span_at goes on: one that begins in its place may be below it. */
static __always_inline void py_span_is_above(struct cs_walk *w, const struct cs_tracers *t,
					     const struct cs_span_class *class)
{
	w->above_at = w->span_at;
	w->above_digest = py_span_digest(w, py_span_field(w, class->span_id),
					 py_span_field(w, class->trace_id));
	w->above_id = class->rust & CS_RUST_ID ? py_span_field(w, class->span_id) : 0;
	w->above_trace_at = class->rust & CS_RUST_TRACE ? 0 : py_span_field(w, class->trace_id);
	w->above_root_at = py_span_ref(w, t, class, class->root);
}

/* A span begins whose parent, by its reference and its id, was active: what was told of that one? */
static __always_inline bool py_span_trust_above(struct cs_walk *w, const struct cs_tracers *t,
						const struct cs_span_class *class)
{
	if (w->span_anew || !w->above_at ||
	    py_span_ref(w, t, class, class->parent) != w->above_at ||
	    !py_told_find(w, w->above_at, w->above_digest))
		return false;
	if (w->above_id)
		return w->above_id == w->told.span_id;
	w->span_known = w->span_parent_at != 0;
	return w->span_known;
}

/* Take what was told from w->told, which is of the span at hand or of the one above it. Returns whether its root is known. */
static __always_inline bool py_span_take_told(struct cs_walk *w, bool above)
{
	const struct cs_span_told *told = &w->told;
	struct cs_span_number *numbers = w->span_numbers;
	bool root = told->root_at && told->root_at == w->span_root &&
		    (!above || w->above_root_at == w->span_root);

	if (w->span_trace_at && w->span_trace_at == told->trace_at &&
	    (!above || w->above_trace_at == w->span_trace_at)) {
		numbers[PY_SPAN_TRACE].at = 0;
		numbers[PY_SPAN_TRACE].hi = told->trace_hi;
		numbers[PY_SPAN_TRACE].lo = told->trace_lo;
	}
	if (!above && w->span_parent_at && w->span_parent_at == told->parent_at) {
		numbers[PY_SPAN_PARENT_ID].at = 0;
		numbers[PY_SPAN_PARENT_ID].lo = told->parent_id;
	}
	numbers[PY_SPAN_ROOT_ID].lo = root ? told->root_id : 0;
	if (above && w->span_root == w->above_at) {
		numbers[PY_SPAN_ROOT_ID].lo = told->span_id;
		root = true;
	}
	if (root) {
		w->span.span.flags |= CS_SPANF_ROOT;
		w->span_root_at = w->span_root;
	}
	return root;
}

/* Was it told who the root of the span in the window is? */
static __always_inline bool py_span_root_told(struct cs_walk *w, const struct cs_tracers *t,
					      const struct cs_span_class *class)
{
	if (walk_span_search(w) == CS_SPAN_SEARCH_BEGUN)
		return py_span_trust_above(w, t, class) && py_span_take_told(w, true);
	if (walk_span_search(w) != CS_SPAN_SEARCH_ENDED || !w->span_known)
		return false;
	return py_span_take_told(w, false);
}

/*
 * ddtrace's Span. One that has ended gives way to its parent, or, without one, to the context it came with if that was made
 * to be taken up again: _update_active() of ddtrace/_trace/provider.py.
 *
 * One without a local root but itself may have come with a Context that another thread has made, and which tells the root there (ddtrace's futures
 * from 4.3 on). Until that has been read, or as long as it is not known where it is, the root is not known.
 */
static __always_inline int py_span_dd(struct cs_walk *w, const struct cs_tracers *t,
				      struct task_struct *task)
{
	const struct cs_span_class *class = py_span_class(w, t);
	__u64 context;

	if (py_span_fetch(w, task, w->span_at, class->bytes))
		return py_span_fail(w);
	py_span_teach(w, class);
	w->span_ended = py_span_ended(w, t, class);
	if (w->span_ended > 1)
		return py_span_fail(w);
	if (walk_span_search(w) == CS_SPAN_SEARCH_ENDED && !w->span_ended) {
		py_span_is_above(w, t, class);
		return 1;
	}
	if (w->span_ended && walk_span_search(w) != CS_SPAN_SEARCH_ENDED)
		return py_span_above(w, t, class);
	if (py_span_is_told(w, py_span_field(w, class->span_id), py_span_field(w, class->trace_id)))
		return 1;
	if (walk_span_search(w))
		py_span_take_change(w, t, class);
	w->span_found = 1;
	py_span_take_id(w, class, PY_SPAN_ID);
	py_span_take_trace(w, class);
	w->span_root = py_span_ref(w, t, class, class->root);
	if (!w->span_root ||
	    (class->root_too && py_span_ref(w, t, class, class->root_too) != w->span_root) ||
	    (class->root_three && py_span_ref(w, t, class, class->root_three) != w->span_root))
		return 1;
	if (walk_span_search(w) && py_span_root_told(w, t, class))
		return 1;
	if (w->span_root != w->span_at && w->span_root != t->none) {
		w->span_next = PY_SPAN_ROOT;
		w->span_at = w->span_root;
		return 0;
	}
	w->span_is_root = 1;
	py_span_take_root(w, class);
	context = py_span_ref(w, t, class, class->parent_context);
	if (context == t->none || (!context && !class->rust))
		return 1;
	w->span.span.flags &= (__u8)~CS_SPANF_ROOT;
	w->span_next = PY_SPAN_CONTEXT;
	w->span_at = context;
	return !context;
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

/* All of a Context's meta was read: what does it tell of the local root? */
static __always_inline void py_meta_told(struct cs_walk *w, __u64 root)
{
	struct cs_active_span *span = &w->span.span;
	bool propagated = span->flags & CS_SPANF_PROPAGATED;

	w->span_numbers[PY_SPAN_ROOT_ID].lo = root;
	w->span_is_root = !root;
	if (propagated || root) {
		w->span_type_at = w->meta_type;
		if (!walk_span_search(w))
			w->span_resource_at = 0;
	}
	span->flags &= (__u8) ~(CS_SPANF_ROOT | CS_SPANF_ROOT_DERIVED);
	span->flags |=
		!root && (propagated || w->meta_root) ? CS_SPANF_ROOT_DERIVED : CS_SPANF_ROOT;
}

/* Look at one entry of the meta, and after the last one at what was found. Returns 1 at the end. */
static __always_inline int py_meta_step(struct cs_walk *w, const struct cs_tracers *t,
					struct task_struct *task)
{
	__u32 i = w->meta_entry++;

	if (i < w->meta_entries) {
		py_meta_entry(w, t, task, py_dict_entry(w, i, 0), py_dict_entry(w, i, 8));
		return 0;
	}
	py_meta_told(w, py_meta_hex(w, t, task, w->meta_root));
	return 1;
}

/* Is there an id in the Rust object in the window? None: no; 0: what says so is neither. */
static __always_inline __u64 py_rust_tag(const struct cs_walk *w, const struct cs_tracers *t,
					 const struct cs_span_class *class)
{
	__u64 tag = py_span_field(w, class->span_id - CS_RUST_TAG);

	if (!tag)
		return t->none;
	return tag == 1 && !py_span_field(w, class->span_id + 8u);
}

/* Go on with a Context's meta, which may be None. Returns 1 if it cannot be read. */
static __always_inline int py_meta_open(struct cs_walk *w, const struct cs_tracers *t,
					struct task_struct *task, __u64 meta)
{
	__u64 keys = 0;

	w->meta_root = 0;
	w->meta_type = 0;
	w->meta_entry = 0;
	w->meta_entries = 0;
	if (meta != t->none) {
		if (CS_READ(task, &keys, sizeof(keys), meta + w->off.dict_keys) ||
		    py_dict_load(w, task, keys))
			return 1;
		w->meta_entries = w->dict.nentries;
	}
	w->span_next = PY_SPAN_META;
	return 0;
}

/* The Context that the span came with is in w->span_at. */
static __always_inline int py_context_of_span(struct cs_walk *w, const struct cs_tracers *t,
					      struct task_struct *task)
{
	const struct cs_span_class *class = py_span_class(w, t);
	__u64 meta;

	if (class->kind != CS_CLASS_DD_CONTEXT || py_span_fetch(w, task, w->span_at, class->bytes))
		return py_span_fail(w);
	py_span_teach(w, class);
	meta = py_span_field(w, class->meta);
	return !meta || py_meta_open(w, t, task, meta);
}

/* ddtrace's Context: a span of another thread or process. One without a span id is none. */
static __always_inline int py_span_dd_context(struct cs_walk *w, const struct cs_tracers *t,
					      struct task_struct *task)
{
	const struct cs_span_class *class = py_span_class(w, t);
	__u64 meta, ref;

	/* it neither begins nor ends here */
	if (walk_span_search(w))
		return 1;
	if (py_span_fetch(w, task, w->span_at, class->bytes))
		return py_span_fail(w);
	py_span_teach(w, class);
	if (w->span_gives_way && py_span_field(w, class->reactivate) != t->true_)
		/* whether it is to be taken up again, a Rust object does not tell */
		return class->rust ? py_span_fail(w) : 1;
	ref = class->rust & CS_RUST_TAGGED ? py_rust_tag(w, t, class)
					   : py_span_field(w, class->span_id);
	if (ref == t->none)
		return 1;
	if (!ref)
		return py_span_fail(w);
	meta = py_span_field(w, class->meta);
	w->span_found = 1;
	py_span_take_id(w, class, PY_SPAN_ID);
	py_span_take_trace(w, class);
	w->span.span.flags |= CS_SPANF_PROPAGATED;
	/* without its meta its root is not known; until that tells of one, the span counts as its own, which is ddtrace's rule as well */
	if (!meta)
		return 1;
	w->span.span.flags |= CS_SPANF_ROOT_DERIVED;
	w->span_is_root = 1;
	return py_meta_open(w, t, task, meta);
}
