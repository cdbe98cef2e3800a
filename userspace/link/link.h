/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which local root a span belongs to, where its own record does not say: OpenTelemetry's spans know only their parent's id.
 * The spans that were seen are remembered by process, each with its root or its parent, and the way up is followed through them. A
 * root that no record leads to is not known: it is never guessed.
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

/* Take the next event of the capture, in order. */
void cs_spans_feed(struct cs_spans *spans, const struct cs_event *event);

/* The id of a span's local root; 0: not known. */
uint64_t cs_spans_root(const struct cs_spans *spans, uint32_t pid,
		       const struct cs_event_span *span);
