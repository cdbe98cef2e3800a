/* SPDX-License-Identifier: Apache-2.0 */
/* What processes are called, as their CS_EV_PROCESS records say. */
#pragma once

#include <stdint.h>

#include "decode/decode.h"

struct cs_process_name;

/* A table to begin with NULL. */
struct cs_process_names {
	struct cs_process_name *table; /* owned; by pid */
};

/* Learn from the next event; kinds that tell nothing of it are ignored. Returns 0 or -ENOMEM. */
int cs_process_names_feed(struct cs_process_names *names, const struct cs_event *event);

/* NULL: nobody said. Lives until the next call that is not const. */
const char *cs_process_names_find(const struct cs_process_names *names, uint32_t pid);

/* Free what belongs to processes that have ended. */
void cs_process_names_begin(struct cs_process_names *names);
void cs_process_names_free(struct cs_process_names *names);
