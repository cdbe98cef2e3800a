/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up spans of both tracers, Contexts of contextvars with the HAMTs in them, and the list that says how to read them. */
#pragma once

#include <coroscope/tracer.h>

#include "made_python.h"

#define MADE_DD_VAR    0x7d00ull /* the tracers' ContextVars */
#define MADE_OTEL_VAR  0x7e00ull
/* 3, 21 and 10 on the levels of a HAMT; then 0. */
#define MADE_DD_HASH   (3u | 21u << 5 | 10u << 10)
#define MADE_OTEL_HASH 9u

struct made_spans {
	struct made_python *py;
	struct cs_tracers list;
	uint64_t tstate;
	uint64_t otel_status; /* of spans that are made: at first the one that all have */
};

/* A thread that runs nothing, and the list with everything in it. */
void made_spans(struct made_spans *m, struct made_python *py);

uint64_t made_long(struct made_spans *m, uint64_t hi, uint64_t lo);
uint64_t made_text(struct made_spans *m, const char *text);
/* A list with one item, or of none if that is 0. */
uint64_t made_box(struct made_spans *m, uint64_t item);

/* A node with one pair; key 0: value is the next node. The others tell how it is met on that level. */
uint64_t made_bitmap(struct made_spans *m, uint32_t hash, unsigned int level, uint64_t key,
		     uint64_t value);
uint64_t made_array(struct made_spans *m, uint32_t hash, unsigned int level, uint64_t child);
uint64_t made_collision(struct made_spans *m, uint64_t other, uint64_t key, uint64_t value);
/* Make a Context with this HAMT the thread's. */
void made_context(struct made_spans *m, uint64_t root);
/* ... in which one of the tracers' variables has this value. */
void made_activate(struct made_spans *m, enum cs_tracer_kind kind, uint64_t value);

/* ddtrace's Span: root 0: its own; parent 0: none; context: it came with, 0: none. */
struct made_dd {
	uint64_t id, root, parent, context;
	bool ended;
	const char *type;
	uint64_t resource, service, error; /* objects; 0: None; of a Rust object the error itself */
	uint64_t parent_id;                /* 0: MADE_PARENT */
	uint64_t trace_of; /* a span whose trace id it shares, as an object; 0: none */
};
#define MADE_DURATION 1000 /* of those that have ended */
#define MADE_START    0x1234567890abcdefull
#define MADE_PARENT   0x77ull
uint64_t made_dd_span(struct made_spans *m, const struct made_dd *span);
/* It ends; or is another one with its ids in the same places. */
void made_dd_end(struct made_spans *m, uint64_t span, bool native);
void made_dd_rename(struct made_spans *m, uint64_t span, uint64_t id, uint64_t trace_lo);
/* The same as a Rust object, and a Context that is one; numbers of their classes in the list. */
#define MADE_NATIVE         6
#define MADE_NATIVE_CONTEXT 7
#define MADE_NATIVE_ERROR   100 /* where that has its error */
uint64_t made_dd_rust(struct made_spans *m, const struct made_dd *span);
uint64_t made_dd_rust_context(struct made_spans *m, uint64_t id, const char *root);
/* ddtrace's Context; id 0: None; root: of its meta, NULL: none. */
uint64_t made_dd_context(struct made_spans *m, uint64_t id, const char *root, const char *type,
			 bool reactivate);

/* OpenTelemetry's SpanContext, its span (parent 0: None), one that records nothing, and the Context that has it. */
uint64_t made_otel_id(struct made_spans *m, uint64_t hi, uint64_t lo, uint64_t id, bool remote);
uint64_t made_otel_span(struct made_spans *m, uint64_t id, uint64_t parent, bool ended,
			bool own_dict);
/* ... that answers a request, and has this name. */
uint64_t made_otel_server(struct made_spans *m, uint64_t id, const char *name, bool own_dict);
uint64_t made_otel_empty(struct made_spans *m, uint64_t id);
/* A Status with this member of StatusCode; number of its class in the list. */
#define MADE_STATUS 8
uint64_t made_otel_status(struct made_spans *m, uint64_t code, bool own_dict);
uint64_t made_otel_context(struct made_spans *m, uint64_t span);

/* An exception whose class has so many in its __mro__, one of them Exception, if exception_at is less. */
uint64_t made_exception(struct made_spans *m, unsigned int nbases, unsigned int exception_at);
/* A call with these locals, above `previous` (older), which may be 0. A generator's becomes the one whose exceptions the thread handles. */
uint64_t made_call(struct made_spans *m, uint64_t previous, uint64_t code, const uint64_t *locals,
		   unsigned int n, bool generator);
/* Have the thread handle that one, where it does now; 0: none. */
void made_handle(struct made_spans *m, uint64_t exception);
