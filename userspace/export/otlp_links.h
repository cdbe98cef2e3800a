/* SPDX-License-Identifier: Apache-2.0 */
/* The links of an OTLP profiles request: spans of traces, each once. */
#pragma once

#include "export/memory.h"
#include "otlp.pb-c.h"

struct cs_otlp_known_link;

struct cs_otlp_links {
	struct cs_otlp_known_link *known; /* by ids */
	int32_t n;
};

/*
 * The index of the span of a trace, whose id is told by 32 hexadecimal digits. 0: without such an id, or the span's, it is no
 * link; or there is no memory, and then memory->failed is set.
 */
int32_t cs_otlp_links_get(struct cs_otlp_links *links, struct cs_memory *memory,
			  const char *trace_id, uint64_t span_id);

/* Set the dictionary's table, its zero included; valid as long as links. False without memory. */
bool cs_otlp_links_table(struct cs_otlp_links *links, struct cs_memory *memory,
			 Otlp__Dictionary *dictionary);
void cs_otlp_links_free(struct cs_otlp_links *links);
