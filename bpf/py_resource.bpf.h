/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a local root that answers requests is about: its endpoint. A root's text is read and told when it is met first, when it is another object, and
 * now and then, as a framework may change it until the request has ended; else a sample of it costs one comparison.
 */
#pragma once

#include "py_span.bpf.h"

/* After 2^27 ns, 0.13 s, it is told again. */
#define PY_RESOURCE_AGAIN 27

/* "web", as the first word of a type's text. */
#define PY_TYPE_WEB 0x626577ull

static __always_inline bool py_resource_is_web(const struct cs_active_span *span)
{
	return span->kind == CS_TRACER_OTEL ||
	       (span->type_bytes == 3 && *(const __u64 *)span->type == PY_TYPE_WEB);
}

/* Is the resource of the span's local root to be read? It then counts as told. */
static __always_inline bool py_resource_wanted(struct cs_walk *w)
{
	const struct cs_active_span *span = &w->span.span;
	__u64 digest, *told;

	if (!w->span_resource_at || !span->root_id || !py_resource_is_web(span))
		return false;
	digest = (span->root_id ^ w->span_resource_at * 0x9e3779b97f4a7c15ull) +
		 (CS_NOW_NS() >> PY_RESOURCE_AGAIN);
	told = &w->roots_told[span->root_id & (CS_ROOTS_TOLD - 1)];
	if (*told == digest)
		return false;
	*told = digest;
	return true;
}

/* ddtrace 2 keeps it in a list of one: the object in there, 0 if this is none. */
static __always_inline __u64 py_resource_unbox(struct cs_walk *w, const struct cs_tracers *t,
					       struct task_struct *task, __u64 obj)
{
	__u64 type = 0, size = 0, items = 0, item = 0;

	if (!t->list_type || CS_READ(task, &type, sizeof(type), obj + w->off.object_type) ||
	    type != t->list_type ||
	    CS_READ(task, &size, sizeof(size), obj + w->off.object_var_size) || !size ||
	    CS_READ(task, &items, sizeof(items), obj + w->off.list_items) ||
	    CS_READ(task, &item, sizeof(item), items))
		return 0;
	return item;
}

/* Have the resource in w->resource; what cannot be read is not told. Returns 1 at the end: a list takes another step. */
static __always_inline int py_resource_read(struct cs_walk *w, const struct cs_tracers *t,
					    struct task_struct *task)
{
	struct cs_ev_resource *resource = &w->resource;
	__s64 length = py_text_read(w, t, task, w->span_resource_at, (__u64 *)resource->text,
				    CS_RESOURCE_BYTES / 8);

	if (length < 0) {
		w->span_resource_at = py_resource_unbox(w, t, task, w->span_resource_at);
		return !w->span_resource_at;
	}
	resource->bytes = py_text_bytes(length, CS_RESOURCE_BYTES);
	resource->cut = length > CS_RESOURCE_BYTES;
	resource->pad = 0;
	resource->root_id = w->span.span.root_id;
	resource->trace_lo = w->span.span.trace_lo;
	return 1;
}
