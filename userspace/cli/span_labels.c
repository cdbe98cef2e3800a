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

int cs_span_labels_fill(struct cs_profile *profile, const struct cs_event_span *span,
			struct cs_labels *labels)
{
	char trace[2 * HALF_DIGITS + 1] = "";
	int64_t id, type;

	if (!span)
		return 0;
	if (span->trace_hi || span->trace_lo)
		snprintf(trace, sizeof(trace), "%016" PRIx64 "%016" PRIx64, span->trace_hi,
			 span->trace_lo);
	id = cs_profile_string(profile, trace, strlen(trace));
	type = cs_profile_string(profile, span->type.str, span->type.len);
	if (id < 0 || type < 0)
		return -ENOMEM;
	labels->span_id = span->span_id;
	labels->root_span_id = span->root_id;
	labels->trace_id = (uint32_t)id;
	labels->trace_type = (uint32_t)type;
	return 0;
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
