/* SPDX-License-Identifier: Apache-2.0 */
/* The accounts of include/coroscope/status.h as people see them. */
#pragma once

#include <coroscope/status.h>
#include <stdbool.h>

struct cs_counter_text {
	const char *name; /* as in enum cs_counter, without the prefix */
	const char *sentence;
	bool loss; /* something due that was not delivered: shown even in the shortest summary */
};

/* counter < CS_COUNTER_MAX_. Never NULL. */
const struct cs_counter_text *cs_counter_text(enum cs_counter counter);
