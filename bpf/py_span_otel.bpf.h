/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* OpenTelemetry's spans, whose fields are attributes of an instance, and its Context, a dict. */
#pragma once

#include "py_attr.bpf.h"
#include "py_dict.bpf.h"
#include "py_span_told.bpf.h"

/* OpenTelemetry's Context, a dict: go on with its current span. */
static __always_inline int py_span_otel_context(struct cs_walk *w, const struct cs_tracers *t,
						struct task_struct *task)
{
	__u64 keys = 0;
	__u32 i;

	if (py_span_fetch(w, task, w->span_at, w->off.dict_keys + 8))
		return py_span_fail(w);
	keys = py_span_field(w, w->off.dict_keys);
	w->window_bytes = 0;
	if (py_dict_load_small(w, task, keys))
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
	__u32 at;

	if (!obj || py_span_fetch(w, task, obj, w->off.tuple_items + 3 * sizeof(*items)) ||
	    py_span_field(w, w->off.object_type) != t->otel_id_type)
		return 1;
	/* not the one above: what the bound of the fetch says of that one drives 6.18's verifier into a branch that is none, with a warning in the log */
	asm volatile("" ::: "memory");
	at = w->off.tuple_items;
	for (__u32 i = 0; i < 3; i++)
		items[i] = py_span_field(w, at + 8 * i);
	return 0;
}

/*
 * The local root of OpenTelemetry's span is not kept: it is the span itself if its parent is none, or in another process. For
 * others the parent's id is told.
 */
static __always_inline void py_otel_root(struct cs_walk *w, const struct cs_tracers *t,
					 struct task_struct *task, __u64 remote)
{
	struct cs_active_span *span = &w->span.span;
	__u64 parent = w->span_attrs[CS_OTEL_PARENT], items[3] = {};

	if (!parent) {
		/* it records nothing: all that is known is where it comes from */
		if (remote == t->true_) {
			span->flags |= CS_SPANF_PROPAGATED | CS_SPANF_ROOT_DERIVED;
			w->span_is_root = 1;
		}
		return;
	}
	if (parent != t->none && py_otel_id(w, t, task, parent, items))
		return;
	if (parent == t->none || items[2] == t->true_) {
		span->flags |= CS_SPANF_ROOT;
		w->span_is_root = 1;
		if (!walk_span_search(w) && t->otel_server &&
		    w->span_attrs[CS_OTEL_KIND] == t->otel_server)
			w->span_resource_at = w->span_attrs[CS_OTEL_NAME];
	} else {
		w->span_numbers[PY_SPAN_PARENT_ID].at = items[1];
	}
}

/* Take what was told when its scope began. Returns whether its root, or its parent, is known by that. */
static __always_inline bool py_otel_take_told(struct cs_walk *w)
{
	const struct cs_span_told *told = &w->told;

	w->span_root_at = w->span_attrs[CS_OTEL_PARENT];
	if (!w->span_known)
		return false;
	if (w->span_trace_at == told->trace_at) {
		w->span_numbers[PY_SPAN_TRACE].at = 0;
		w->span_numbers[PY_SPAN_TRACE].hi = told->trace_hi;
		w->span_numbers[PY_SPAN_TRACE].lo = told->trace_lo;
	}
	if (!told->root_at || told->root_at != w->span_root_at)
		return false;
	w->span_numbers[PY_SPAN_PARENT_ID].lo = told->parent_id;
	w->span_is_root = told->root_id && told->root_id == told->span_id;
	if (w->span_is_root)
		w->span.span.flags |= CS_SPANF_ROOT;
	return true;
}

/* OpenTelemetry's span, which stays active when it has ended until its Context is left. The invalid one, whose ids are 0, is no failure. */
static __always_inline int py_span_otel(struct cs_walk *w, const struct cs_tracers *t,
					struct task_struct *task)
{
	const struct cs_span_class *class = py_span_class(w, t);
	__u64 items[3] = {}, end;

	w->window_bytes = 0;
	if (py_span_attrs(w, t, task, class) ||
	    py_otel_id(w, t, task, w->span_attrs[CS_OTEL_CONTEXT], items))
		return py_span_fail(w);
	if (py_span_is_told(w, items[1], items[0]))
		return 1;
	if (walk_span_search(w)) {
		w->span_object = w->span_at;
		w->span_trace_at = items[0];
		w->span_parent_at = 0;
		if (walk_span_search(w) == CS_SPAN_SEARCH_BEGUN)
			w->span_numbers[PY_SPAN_START].at = w->span_attrs[CS_OTEL_START];
		w->span_resource_at = w->span_attrs[CS_OTEL_NAME];
		w->span_is_server = t->otel_server && w->span_attrs[CS_OTEL_KIND] == t->otel_server;
	}
	w->span_found = 1;
	w->span_numbers[PY_SPAN_ID].at = items[1];
	w->span_numbers[PY_SPAN_TRACE].at = items[0];
	end = w->span_attrs[CS_OTEL_END_TIME];
	if (end && end != t->none)
		w->span.span.flags |= CS_SPANF_ENDED;
	if (!walk_span_search(w) || !py_otel_take_told(w))
		py_otel_root(w, t, task, items[2]);
	return 1;
}
