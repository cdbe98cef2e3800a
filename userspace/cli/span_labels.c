/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of spans: first what is known with the sample, the rest at the end. */
#include "cli/span_labels.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

/* A trace's id as its label: two halves. */
#define HALF_DIGITS 16

/* The trace's id as a string of the profile, 0 if it is not known; or -ENOMEM. */
static int64_t trace_string(struct cs_profile *profile, const struct cs_event_span *span)
{
	char trace[2 * HALF_DIGITS + 1] = "";

	if (span->trace_hi || span->trace_lo)
		snprintf(trace, sizeof(trace), "%016" PRIx64 "%016" PRIx64, span->trace_hi,
			 span->trace_lo);
	return cs_profile_string(profile, trace, strlen(trace));
}

static int64_t text_string(struct cs_profile *profile, struct cs_text text)
{
	return cs_profile_string(profile, text.str, text.len);
}

int cs_span_labels_fill(struct cs_profile *profile, const struct cs_event_span *span,
			struct cs_labels *labels)
{
	int64_t id, type;

	if (!span)
		return 0;
	id = trace_string(profile, span);
	type = text_string(profile, span->type);
	if (id < 0 || type < 0)
		return -ENOMEM;
	labels->span_id = span->span_id;
	labels->root_span_id = span->root_id;
	labels->trace_id = (uint32_t)id;
	labels->trace_type = (uint32_t)type;
	return 0;
}

/*
 * When it was. How long a span took it says itself, once it has ended; that it has may be noticed late, if it did not end where it was active, and
 * that it has begun, if that was before the capture: the earlier one of the two ways to tell its begin is true. One of OpenTelemetry's ends just after its
 * scope is left.
 */
static void set_times(const struct cs_spans *spans, const struct cs_event *event,
		      struct cs_traced *traced)
{
	const struct cs_event_span_change *change = &event->span_change;
	uint64_t begun_ns =
		cs_spans_begun_ns(spans, event->pid, change->span.span_id, change->span.trace_lo);
	uint64_t duration_ns = change->duration_ns;

	traced->from_ns = begun_ns;
	if (change->change == CS_SPAN_BEGUN)
		return;
	traced->to_ns = event->ts_ns;
	if (!duration_ns || duration_ns > event->ts_ns)
		return;
	if (!begun_ns || event->ts_ns - duration_ns < begun_ns)
		traced->from_ns = event->ts_ns - duration_ns;
	traced->to_ns = traced->from_ns + duration_ns;
}

int cs_span_labels_change(struct cs_profile *profile, const struct cs_spans *spans,
			  const struct cs_event *event)
{
	const struct cs_event_span_change *change = &event->span_change;
	const struct cs_event_span *span = &change->span;
	int64_t trace = trace_string(profile, span), type = text_string(profile, span->type);
	int64_t resource = text_string(profile, change->resource);
	int64_t service = text_string(profile, change->service);
	struct cs_traced traced = {
		.process_id = event->pid,
		.thread_id = event->tid,
		.trace_id = (uint32_t)trace,
		.span_id = span->span_id,
		.root_span_id = cs_spans_root(spans, event->pid, span),
		.parent_span_id = span->parent_id,
		.resource = (uint32_t)resource,
		.service = (uint32_t)service,
		.outcome = (enum cs_outcome)change->outcome,
	};

	if (trace < 0 || type < 0 || resource < 0 || service < 0)
		return -ENOMEM;
	/* another thread's or process's span is only heard of here */
	if (span->flags & CS_SPANF_PROPAGATED)
		return 0;
	/* the type is the local root's; what OpenTelemetry calls a server is ddtrace's "web" */
	if (change->server)
		type = cs_profile_string(profile, "web", 3);
	if (type < 0)
		return -ENOMEM;
	traced.type = span->root_id == span->span_id ? (uint32_t)type : 0;
	set_times(spans, event, &traced);
	return cs_profile_add_traced(profile, &traced);
}

struct completing {
	struct cs_profile *profile;
	struct cs_spans *spans;
};

static int complete(void *ctx, struct cs_labels *labels)
{
	const struct completing *c = ctx;
	uint32_t pid = labels->process_id;
	uint64_t trace_lo = 0;
	const char *endpoint;
	int64_t text;

	if (!labels->span_id)
		return 0;
	if (labels->trace_id)
		trace_lo = strtoull(cs_profile_str(c->profile, labels->trace_id) + HALF_DIGITS,
				    NULL, 16);
	if (!labels->root_span_id)
		labels->root_span_id = cs_spans_root_of(c->spans, pid, labels->span_id, trace_lo);
	endpoint = cs_spans_endpoint(c->spans, pid, labels->root_span_id, trace_lo);
	if (!endpoint)
		return 0;
	text = cs_profile_string(c->profile, endpoint, strlen(endpoint));
	if (text < 0)
		return -ENOMEM;
	labels->trace_endpoint = (uint32_t)text;
	return 0;
}

int cs_span_labels_complete(struct cs_profile *profile, struct cs_spans *spans)
{
	struct completing completing = {profile, spans};

	return cs_profile_complete(profile, complete, &completing);
}
