/* SPDX-License-Identifier: Apache-2.0 */
/* The accounts as people see them. */
#include "core/counters.h"

static const struct cs_counter_text texts[] = {
#define X(counter, id, is_loss, text) [id] = {#counter, text, is_loss},
	CS_COUNTER(X)
#undef X
};

const struct cs_counter_text *cs_counter_text(enum cs_counter counter)
{
	return &texts[counter];
}
