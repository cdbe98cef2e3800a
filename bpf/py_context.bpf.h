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

#include "py_resource.bpf.h"
#include "py_span_change.bpf.h"
#include "py_span_dd.bpf.h"
#include "py_span_otel.bpf.h"
#include "py_span_told.bpf.h"

/*
 * Each variable has the root of its tree, the levels, the objects on the way to its span, that one's local root, its numbers, and its end; one
 * has the entries of a Context's meta, and what follows from them, and a resource, or texts.
 */
#define CS_SPAN_STEPS                                                                         \
	(CS_MAX_TRACER_VARS * (1 + CS_HAMT_LEVELS + CS_SPAN_HOPS + 1 + CS_SPAN_NUMBERS + 1) + \
	 CS_DICT_ENTRIES + 4)

/* Have w->span_at be the root of w->context's variables. Returns 0, or 1 if it cannot be read. */
static __always_inline int py_context_root(struct cs_walk *w, struct task_struct *task)
{
	if (CS_READ(task, &w->span_at, sizeof(w->span_at), w->context + w->off.context_vars) ||
	    CS_READ(task, &w->span_at, sizeof(w->span_at), w->span_at + w->off.hamt_root))
		return py_span_fail(w);
	return 0;
}

/* The type of the object at w->span_at, and with it what of it will be needed; at the end of mapped memory there may be less. */
static __always_inline long py_span_type_of(struct cs_walk *w, struct task_struct *task, __u64 *ret)
{
	__u64 bytes = w->span_bytes;

	w->window_bytes = 0;
	if (CS_TELLS_CHANGES && bytes) {
		asm volatile("" : "+r"(bytes));
		if (bytes > CS_SPAN_CHUNK)
			bytes = CS_SPAN_CHUNK;
		if (!CS_READ(task, w->window, bytes, w->span_at)) {
			w->window_at = w->span_at;
			w->window_bytes = bytes;
			*ret = py_span_field(w, w->off.object_type);
			return 0;
		}
	}
	return CS_READ(task, ret, sizeof(*ret), w->span_at + w->off.object_type);
}

/* Look at the object at w->span_at. Returns 0 to go on with the one that is there then, or 1 at the end. */
static __always_inline int py_span_hop(struct cs_walk *w, const struct cs_tracers *t,
				       struct task_struct *task)
{
	__u64 type = 0;

	if (!w->span_at || w->span_at == t->none)
		return 1;
	if (py_span_type_of(w, task, &type))
		return py_span_fail(w);
	if (py_span_classify(w, t, type))
		return w->span_next == PY_SPAN_ROOT ? 1 : py_span_stranger(w, type);
	if (w->span_next == PY_SPAN_ROOT)
		return py_span_root(w, t, task);
	if (w->span_next == PY_SPAN_CONTEXT)
		return py_context_of_span(w, t, task);
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

/* Begin with a tracer's variable. */
static __always_inline void py_span_reset(struct cs_walk *w, __u8 kind)
{
	struct cs_active_span *span = &w->span.span;

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
	__builtin_memset(span->type, 0, sizeof(span->type));
	__builtin_memset(w->span_numbers, 0, sizeof(w->span_numbers));
	w->span_todo = 0;
	w->span_type_at = 0;
	w->span_resource_at = 0;
	w->span_service_at = 0;
	w->span_error_at = 0;
	w->span_is_server = 0;
	w->span_outcome = CS_SPAN_NOT_TOLD;
	w->lesson = CS_LESSON_NONE;
	w->span_gives_way = 0;
	w->span_is_root = 0;
	w->span_found = 0;
	w->span_known = 0;
	w->span_root_at = 0;
}

/* The way ends here: read what was found, or turn to the variable of the next tracer. Returns 1 at the end of the search. */
static __always_inline int py_span_stop(struct cs_walk *w)
{
	if (walk_span_search(w) && !w->span_found)
		return 1;
	py_span_numbers_begin(w);
	w->span_next = !w->span_found ? PY_SPAN_TREE : w->span_todo ? PY_SPAN_NUMBER : PY_SPAN_END;
	w->span_var += !w->span_found;
	w->span_stage = 0;
	return 0;
}

/* The root of the tree, then a node of each level. */
static __always_inline int py_span_tree(struct cs_walk *w, const struct cs_tracers *t,
					struct task_struct *task, const struct cs_tracer_var *var)
{
	__u32 stage = w->span_stage++;

	if (!stage) {
		py_span_reset(w, var->kind);
		w->met_wake = t->wake;
		return py_context_root(w, task) ? py_span_stop(w) : 0;
	}
	if (py_hamt_step(w, t, task, var, stage - 1)) {
		w->span_next = PY_SPAN_OBJECT;
		w->span_stage = 0;
	} else if (stage >= CS_HAMT_LEVELS) {
		py_span_fail(w);
	}
	return w->span_failed ? py_span_stop(w) : 0;
}

/* An object, of so many at most. */
static __always_inline int py_span_object(struct cs_walk *w, const struct cs_tracers *t,
					  struct task_struct *task)
{
	__u32 stage = w->span_stage++;

	if (stage >= CS_SPAN_HOPS)
		py_span_fail(w);
	else if (!py_span_hop(w, t, task))
		return 0;
	return py_span_stop(w);
}

/* All that was found is read. Without an id it is no span, and that of the next tracer is asked for. */
static __always_inline int py_span_end(struct cs_walk *w, const struct cs_tracers *t,
				       struct task_struct *task)
{
	if (walk_span_search(w) && py_told_mistaken(w)) {
		py_span_reset(w, w->span.span.kind);
		w->span_anew = 1;
		w->span_at = w->span_object;
		w->span_next = PY_SPAN_OBJECT;
		return 0;
	}
	/* of one that changes only its own type is told, if it is a root */
	if (walk_span_search(w) && !w->span_is_root) {
		w->span_type_at = 0;
		w->span.span.flags &= (__u8)~CS_SPANF_TYPE_UNREADABLE;
	}
	if (py_span_finish(w, t, task)) {
		if (walk_span_search(w)) {
			w->span_next = PY_SPAN_TEXT;
			py_change_begin(w, t, task);
			if (walk_span_search(w) == CS_SPAN_SEARCH_BEGUN)
				py_told_keep(w);
			return !w->span_resource_at && !w->span_service_at;
		}
		w->span_next = PY_SPAN_RESOURCE;
		return !py_resource_wanted(w);
	}
	/* OpenTelemetry has an invalid one */
	if (w->span.span.kind == CS_TRACER_DDTRACE)
		py_span_fail(w);
	w->span_found = 0;
	return py_span_stop(w);
}

/*
 * One step of the search in w->context, of CS_SPAN_STEPS at most, beginning with w->span_var, w->span_stage and w->span_next of 0. Returns 0 to
 * go on, 1 to stop: w->span has the span, or an id of 0. Of several tracers the first that has a span tells it. Uses the
 * window.
 */
static __always_inline int py_span_step(struct cs_walk *w, struct task_struct *task)
{
	const struct cs_tracers *t = &w->tracers;
	__u32 i = w->span_var;

	if (i >= t->nvars || i >= CS_MAX_TRACER_VARS)
		return 1;
	switch (w->span_next) {
	case PY_SPAN_TREE:
		return py_span_tree(w, t, task, &t->vars[i]);
	case PY_SPAN_META:
		return py_meta_step(w, t, task) ? py_span_stop(w) : 0;
	case PY_SPAN_NUMBER:
		py_span_number_step(w, t, task);
		if (!w->span_todo)
			w->span_next = PY_SPAN_END;
		return 0;
	case PY_SPAN_END:
		return py_span_end(w, t, task);
	case PY_SPAN_RESOURCE:
		return py_resource_read(w, t, task);
	case PY_SPAN_TEXT:
		return !CS_TELLS_CHANGES || py_change_text(w, t, task);
	default:
		return py_span_object(w, t, task);
	}
}
