/* SPDX-License-Identifier: Apache-2.0 */
/* A span that outlives the event that told of it: of a thread's newest stack, or of a suspended task. */
#pragma once

#include <string.h>

#include "decode/decode.h"

struct cs_kept_span {
	struct cs_event_span span; /* span_id 0: there is none */
	char type[2 * CS_SPAN_TYPE_BYTES + 4];
};

static inline void cs_kept_span_set(struct cs_kept_span *kept, const struct cs_event_span *span)
{
	size_t len = span->type.len < sizeof(kept->type) ? span->type.len : sizeof(kept->type);

	kept->span = *span;
	memcpy(kept->type, span->type.str, len);
	kept->span.type.len = len;
}

/* The span, whose type is kept's; NULL: there is none. Holds as long as kept is not copied or set again. */
static inline const struct cs_event_span *cs_kept_span_get(struct cs_kept_span *kept)
{
	if (!kept || !kept->span.span_id)
		return NULL;
	kept->span.type.str = kept->type;
	return &kept->span;
}
