/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What was told of a span that began and has not ended: its end, and spans below it, need not read again what stays as it is.
 *
 * A span is looked up by where it and its ids lie, which another one may have after it: what was told is believed once the id, read anew, is the same.
 * Of its other fields each is believed only as long as it refers to the same object, which the span has kept alive since.
 */
#pragma once

#include "py_span.bpf.h"

/* A program that tells when spans begin defines it: the place of the span that lies there, or NULL. */
#ifndef CS_SPAN_PLACE
#define CS_SPAN_PLACE(w, at) NULL
#endif

/* Programs write a place side by side. */
static __always_inline __u64 py_told_check(const struct cs_span_told *told)
{
	const __u64 words[] = {told->trace_at, told->root_at,   told->parent_at, told->span_id,
			       told->root_id,  told->parent_id, told->trace_hi,  told->trace_lo};
	__u64 check = told->digest;

	for (__u32 i = 0; i < sizeof(words) / sizeof(*words); i++)
		check = (check ^ words[i]) * CS_SPAN_MIX;
	return check | 1;
}

/* Have what was told of the span that lies there, with this digest, in w->told. Returns false if that is nothing. */
static __always_inline bool py_told_find(struct cs_walk *w, __u64 at, __u64 digest)
{
	const struct cs_span_told *told = CS_SPAN_PLACE(w, at);

	if (!told || told->digest != digest)
		return false;
	w->told = *told;
	return w->told.digest == digest && w->told.check == py_told_check(&w->told);
}

/* The span at hand begins: keep what is told of it. */
static __always_inline void py_told_keep(const struct cs_walk *w)
{
	struct cs_span_told *told = CS_SPAN_PLACE(w, w->span_object);
	const struct cs_active_span *span = &w->span.span;

	if (!told)
		return;
	told->check = 0;
	told->digest = w->span_digest;
	told->trace_at = w->span_trace_at;
	told->root_at = w->span_root_at;
	told->parent_at = w->span_parent_at;
	told->span_id = span->span_id;
	told->root_id = span->flags & CS_SPANF_ROOT ? span->root_id : 0;
	told->parent_id = span->parent_id;
	told->trace_hi = span->trace_hi;
	told->trace_lo = span->trace_lo;
	told->check = py_told_check(told);
}

/* Where it and its ids lie, or these themselves; not 0. Siblings lie at like distances, and so do their ids: each step must mix all bits. */
static __always_inline __u64 py_span_digest(const struct cs_walk *w, __u64 id, __u64 trace)
{
	__u64 digest = w->span_at * CS_SPAN_MIX;

	digest = ((digest ^ digest >> 32) + id) * CS_SPAN_MIX;
	digest = ((digest ^ digest >> 32) + trace) * CS_SPAN_MIX;
	return (digest ^ w->tgid) | 1;
}

/* Was another span told of? The id of the span at hand, or of the one above it, which has been read by now, says so. */
static __always_inline bool py_told_mistaken(const struct cs_walk *w)
{
	bool begins = walk_span_search(w) == CS_SPAN_SEARCH_BEGUN;

	return w->span_known &&
	       w->told.span_id != py_span_number(w, begins ? PY_SPAN_PARENT_ID : PY_SPAN_ID);
}

/*
 * Is nothing to be told of the span at w->span_at? One that goes on becomes active again whenever one below it ends, which should cost little: so it is known by
 * where it and its ids lie (of a Rust object: by these themselves), and that is forgotten when it ends.
 */
static __always_inline bool py_span_is_told(struct cs_walk *w, __u64 id, __u64 trace)
{
	struct cs_span_told *told;
	__u64 digest;

	if (!walk_span_search(w))
		return false;
	digest = py_span_digest(w, id, trace);
	told = CS_SPAN_PLACE(w, w->span_at);
	w->span_digest = digest;
	if (!told || w->span_anew)
		return false;
	if (walk_span_search(w) == CS_SPAN_SEARCH_BEGUN) {
		if (told->digest == digest)
			return true;
		told->digest = digest;
		told->check = 0;
		return false;
	}
	w->span_known = py_told_find(w, w->span_at, digest);
	if (told->digest == digest)
		told->digest = 0;
	return false;
}
