/* SPDX-License-Identifier: Apache-2.0 */
/* Why programs were not loaded, in one line, out of all that libbpf says meanwhile. */
#pragma once

#include <stdbool.h>

#include "core/buf.h"

struct cs_load_log {
	struct cs_buf why; /* harmless to print */
	bool refused;      /* it is the verifier's word: nothing later says more */
};

/*
 * Take note of one of libbpf's warnings, which may be the verifier's whole log: the end of that says why, otherwise the last warning does. Without
 * memory nothing changes.
 */
void cs_load_log_add(struct cs_load_log *log, const char *warning);
