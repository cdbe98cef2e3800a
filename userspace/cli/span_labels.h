/* SPDX-License-Identifier: Apache-2.0 */
/* What a profile says of spans: in the labels of samples, of the one that was active, and in its table of those that were seen to begin or end. */
#pragma once

#include "decode/decode.h"
#include "link/link.h"
#include "profile/profile.h"

/* What the span itself says. Returns 0 or -ENOMEM. */
int cs_span_labels_fill(struct cs_profile *profile, const struct cs_event_span *span,
			struct cs_labels *labels);

/* A span begins or ends: it is one of the profile's from here on. Call after cs_spans_feed of the same event. Returns 0 or -ENOMEM. */
int cs_span_labels_change(struct cs_profile *profile, const struct cs_spans *spans,
			  const struct cs_event *event);

/*
 * What only all spans of the period together tell, for all samples of the profile: local roots that were seen after the spans below them, and endpoints,
 * which frameworks set while a request goes on. Returns 0 or -ENOMEM.
 */
int cs_span_labels_complete(struct cs_profile *profile, struct cs_spans *spans);
