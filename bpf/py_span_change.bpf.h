/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A span that begins or ends, told when a tracer sets its ContextVar: what is known of it then, with texts that a sample has no use for.
 */
#pragma once

#include "py_resource.bpf.h"
#include "py_span.bpf.h"

/* How did it end? ddtrace's error is 0 or 1, and True in some programs. */
static __always_inline __u8 py_change_outcome(const struct cs_walk *w, const struct cs_tracers *t,
					      struct task_struct *task)
{
	__u64 at = w->span_error_at;
	struct {
		__u64 type, tag;
	} head = {};

	if (walk_span_search(w) != CS_SPAN_SEARCH_ENDED || !at)
		return w->span_outcome;
	if (at == t->true_)
		return CS_SPAN_ERROR;
	if (CS_READ(task, &head, sizeof(head), at + w->off.object_type) ||
	    head.type != t->long_type)
		return CS_SPAN_NOT_TOLD;
	return py_long_ndigits(w, head.tag) ? CS_SPAN_ERROR : CS_SPAN_OK;
}

/* Its ids, root and type are known: what else? */
static __always_inline void py_change_begin(struct cs_walk *w, const struct cs_tracers *t,
					    struct task_struct *task)
{
	struct cs_ev_span_change *change = &w->change;

	change->hdr.flags = walk_span_search(w);
	change->span = w->span.span;
	change->duration_ns = py_span_number(w, PY_SPAN_DURATION);
	change->start_ns = py_span_number(w, PY_SPAN_START);
	change->outcome = py_change_outcome(w, t, task);
	change->flags = w->span_is_server ? CS_SPAN_SERVER : 0;
	change->resource_bytes = 0;
	change->service_bytes = 0;
	__builtin_memset(change->service, 0, CS_SERVICE_BYTES);
	change->pad = 0;
	w->span_text = 0;
	/* it will be told at the end; until then the root's stands for it */
	if (change->hdr.flags == CS_SPAN_BEGUN && !w->span_is_root)
		w->span_service_at = 0;
}

/* One of its texts: its resource, then its service, both read in one way. Returns 1 after the last. */
static __always_inline int py_change_text(struct cs_walk *w, const struct cs_tracers *t,
					  struct task_struct *task)
{
	struct cs_ev_span_change *change = &w->change;
	bool service = w->span_text;
	__u64 obj = service ? w->span_service_at : w->span_resource_at;
	__u64 *text = (__u64 *)w->resource.text;
	__s64 length = py_text_read(w, t, task, obj, text, CS_RESOURCE_BYTES / 8);

	if (length < 0 && !service && obj && obj != t->none) {
		w->span_resource_at = py_resource_unbox(w, t, task, obj);
		if (w->span_resource_at)
			return 0;
	}
	w->span_text++;
	if (service) {
		change->service_bytes = py_text_bytes(length, CS_SERVICE_BYTES);
		change->flags |= length > CS_SERVICE_BYTES ? CS_SPAN_SERVICE_CUT : 0;
		__builtin_memcpy(change->service, text, CS_SERVICE_BYTES);
	} else {
		change->resource_bytes = py_text_bytes(length, CS_RESOURCE_BYTES);
		change->flags |= length > CS_RESOURCE_BYTES ? CS_SPAN_RESOURCE_CUT : 0;
		__builtin_memcpy(change->resource, text, CS_RESOURCE_BYTES);
	}
	return service || !w->span_service_at;
}
