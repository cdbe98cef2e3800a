/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which local root a span belongs to, where its own record does not say (OpenTelemetry's spans know only their parent's id), and what the root is
 * about. Spans that were seen are remembered by process and trace, each with its root or its parent, and the way up is followed through them, best when all
 * of a period is known: a parent may be seen after its child. A root that no record leads to is not known: it is never guessed.
 */
#pragma once

#include <stdint.h>

#include "decode/decode.h"

struct cs_spans;

int cs_spans_new(struct cs_spans **ret); /* 0 or -ENOMEM */
void cs_spans_free(struct cs_spans *spans);
static inline void cs_spans_freep(struct cs_spans **link)
{
	cs_spans_free(*link);
}

/* Take the next event of the capture, in order. Returns 0 or -ENOMEM. */
int cs_spans_feed(struct cs_spans *spans, const struct cs_event *event);

/* The id of a span's local root; 0: not known. */
uint64_t cs_spans_root(const struct cs_spans *spans, uint32_t pid,
		       const struct cs_event_span *span);

/* The same of one of OpenTelemetry's that was seen, by its id and the low half of its trace's. */
uint64_t cs_spans_root_of(struct cs_spans *spans, uint32_t pid, uint64_t span_id,
			  uint64_t trace_lo);

/* What this local root is about, as was told last: its endpoint. Borrowed until the next event; NULL: not known. */
const char *cs_spans_endpoint(struct cs_spans *spans, uint32_t pid, uint64_t root_id,
			      uint64_t trace_lo);

/* When this span was told to have begun; 0: that was not told, or it had begun before the probe could see it. */
uint64_t cs_spans_begun_ns(const struct cs_spans *spans, uint32_t pid, uint64_t span_id,
			   uint64_t trace_lo);

/* A new period begins: what was neither seen nor asked for in the last one is forgotten. */
void cs_spans_begin(struct cs_spans *spans);

/* Spans that there was no room to remember, since the beginning. */
uint64_t cs_spans_left_out(const struct cs_spans *spans);
