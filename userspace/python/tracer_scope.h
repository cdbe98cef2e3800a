/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By what the end of a span in error is known: the tracers' functions in the midst of which spans end, as the code objects in this process are, and
 * OpenTelemetry's statuses. What is not as expected is left out, and then nothing is told of how spans end.
 *
 * Source: use_span of opentelemetry/trace/__init__.py, Span.set_status of opentelemetry/sdk/trace/__init__.py (1.0 to 1.45), Span.__exit__ of
 * ddtrace/_trace/span.py, _finish_span of ddtrace/_trace/trace_handlers.py.
 */
#pragma once

#include <coroscope/tracer.h>
#include <stdint.h>

#include "python/objects.h"

/* Where to look: addresses of the modules' dicts, 0: not imported. */
struct cs_scope_modules {
	uint64_t builtins;
	uint64_t otel_api;    /* opentelemetry.trace */
	uint64_t otel_sdk;    /* opentelemetry.sdk.trace */
	uint64_t dd_span;     /* ddtrace._trace.span */
	uint64_t dd_handlers; /* ddtrace._trace.trace_handlers */
};

/* Complete the row, which has zeroes for all that is found here. */
void cs_scopes_find(const struct cs_pyobj_ctx *ctx, const struct cs_scope_modules *modules,
		    struct cs_tracers *row);
