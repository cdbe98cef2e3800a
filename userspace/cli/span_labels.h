/* SPDX-License-Identifier: Apache-2.0 */
/* What the labels of a sample say of the span that was active. */
#pragma once

#include "decode/decode.h"
#include "link/link.h"
#include "profile/profile.h"

/* What the span itself says. Returns 0 or -ENOMEM. */
int cs_span_labels_fill(struct cs_profile *profile, const struct cs_event_span *span,
			struct cs_labels *labels);

/*
 * What only all spans of the period together tell, for all samples of the profile: local roots that were seen after the spans below them, and endpoints,
 * which frameworks set while a request goes on. Returns 0 or -ENOMEM.
 */
int cs_span_labels_complete(struct cs_profile *profile, struct cs_spans *spans);
