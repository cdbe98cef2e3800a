/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tracers in a process: which are loaded, in which ContextVar each keeps the active span, and how its spans are read. The variables
 * are taken from the tracers' own modules, so that no other variable of the same name is taken for one; what spans look like is
 * learned from their classes as they are in this process, never from a version number.
 *
 * Source: ddtrace/_trace/provider.py, span.py and context.py of ddtrace 2.0 to 4.16; opentelemetry/context, opentelemetry/trace and
 * opentelemetry/sdk/trace of OpenTelemetry 1.x.
 */
#pragma once

#include <coroscope/event.h>
#include <coroscope/tracer.h>
#include <stdbool.h>
#include <stdint.h>

#include "python/objects.h"
#include "python/tracer_rust.h"

#define CS_TRACER_TEXT 96

/* What was recognised of one tracer. */
struct cs_tracer {
	enum cs_tracer_kind kind;
	char version[32];          /* "" if it does not say */
	char lack[CS_TRACER_TEXT]; /* why its spans are not read; "": they are */
	bool learns;               /* what it lacks spans will tell as they are met */
};

struct cs_tracer_list {
	struct cs_tracers row; /* for the kernel side; nvars 0: there is nothing to read */
	struct cs_tracer items[CS_MAX_TRACER_VARS];
	unsigned int n;
	struct cs_rust rust;
};

/* Who reads the span that is active in a Context: the kernel side's own walker, which collect/ runs. */
struct cs_span_source {
	/* Returns whether there is one. */
	bool (*read)(void *arg, struct cs_mem *mem, uint64_t context, struct cs_active_span *ret);
	void *arg;
};

/*
 * Find the tracers of the main interpreter. The list is that of the last time, or zeroes: what was met since (types) is kept as long as it
 * holds. Returns 0, or what cs_mem_read returns; the list is unchanged then.
 */
int cs_tracers_find(const struct cs_pyobj_ctx *ctx, struct cs_tracer_list *list);

/*
 * A type that the list does not know was met on the way to a span: a HAMT's node, a class that had no instance before, one derived from a
 * known one, or none of these; or a Rust object of whose fields not all are known. object: the instance, of which there may be nothing
 * left. Returns whether the list's row has changed.
 */
bool cs_tracers_meet(const struct cs_pyobj_ctx *ctx, struct cs_tracer_list *list, uint64_t type,
		     uint64_t object);

/* A span was shown in the midst of its beginning or its end. Returns whether the list's row has changed. */
bool cs_tracers_learn(const struct cs_pyobj_ctx *ctx, struct cs_tracer_list *list,
		      const struct cs_ev_span_lesson *lesson);

/* Look again at spans whose end is waited for, if there are any (cs_rust_watches). Returns whether the list's row has changed. */
bool cs_tracers_watch(const struct cs_pyobj_ctx *ctx, struct cs_tracer_list *list);

/*
 * How long to wait, on average, before the next of this type is shown to it; and how many of it may be shown at once: of what is gone in a
 * moment it matters when. And whether it is one that the row has already.
 */
uint64_t cs_tracers_pause_ns(const struct cs_tracer_list *list, uint64_t type);
unsigned int cs_tracers_burst(const struct cs_tracer_list *list, uint64_t type);
bool cs_tracers_know(const struct cs_tracer_list *list, uint64_t type);

/* "ddtrace" or "OpenTelemetry". */
const char *cs_tracer_name(enum cs_tracer_kind kind);
