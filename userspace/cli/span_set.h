/* SPDX-License-Identifier: Apache-2.0 */
/* A set of spans, each of one process's run: filled, then asked. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"

struct cs_span_set {
	struct cs_buf refs;
	bool sorted;
};

/* id 0 is no span and is left out. Returns 0 or -ENOMEM. */
int cs_span_set_add(struct cs_span_set *set, uint32_t owner, uint64_t id);
bool cs_span_set_has(struct cs_span_set *set, uint32_t owner, uint64_t id);
void cs_span_set_free(struct cs_span_set *set);
