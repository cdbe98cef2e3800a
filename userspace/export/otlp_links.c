/* SPDX-License-Identifier: Apache-2.0 */
/* The links of an OTLP profiles request. */
#include "export/otlp_links.h"

#include <stdlib.h>
#include <string.h>
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define TRACE_ID_BYTES 16
#define SPAN_ID_BYTES  8

static uint8_t no_ids[TRACE_ID_BYTES + SPAN_ID_BYTES];

struct cs_otlp_known_link {
	uint8_t ids[TRACE_ID_BYTES + SPAN_ID_BYTES];
	int32_t index;
	UT_hash_handle hh;
};

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Both ids in the order of their digits; false if they are not two that can be linked to. */
static bool parse_ids(const char *trace_id, uint64_t span_id,
		      uint8_t ids[TRACE_ID_BYTES + SPAN_ID_BYTES])
{
	if (!span_id || strlen(trace_id) != 2 * TRACE_ID_BYTES)
		return false;
	for (size_t i = 0; i < TRACE_ID_BYTES; i++) {
		int high = hex_digit(trace_id[2 * i]), low = hex_digit(trace_id[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ids[i] = (uint8_t)(high << 4 | low);
	}
	for (size_t i = 0; i < SPAN_ID_BYTES; i++)
		ids[TRACE_ID_BYTES + i] = (uint8_t)(span_id >> (8 * (SPAN_ID_BYTES - 1 - i)));
	return memcmp(ids, no_ids, TRACE_ID_BYTES) != 0;
}

int32_t cs_otlp_links_get(struct cs_otlp_links *links, struct cs_memory *memory,
			  const char *trace_id, uint64_t span_id)
{
	uint8_t ids[TRACE_ID_BYTES + SPAN_ID_BYTES];
	struct cs_otlp_known_link *it;

	if (!parse_ids(trace_id, span_id, ids))
		return 0;
	HASH_FIND(hh, links->known, ids, sizeof(ids), it);
	if (it)
		return it->index;
	it = links->n < INT32_MAX - 1 ? calloc(1, sizeof(*it)) : NULL;
	if (it) {
		memcpy(it->ids, ids, sizeof(ids));
		HASH_ADD(hh, links->known, ids, sizeof(it->ids), it);
	}
	if (!it || !it->hh.tbl) {
		free(it);
		memory->failed = true;
		return 0;
	}
	it->index = ++links->n;
	return it->index;
}

static void fill(Otlp__Link *link, uint8_t ids[TRACE_ID_BYTES + SPAN_ID_BYTES])
{
	otlp__link__init(link);
	link->trace_id = (ProtobufCBinaryData){.len = TRACE_ID_BYTES, .data = ids};
	link->span_id = (ProtobufCBinaryData){.len = SPAN_ID_BYTES, .data = ids + TRACE_ID_BYTES};
}

bool cs_otlp_links_table(struct cs_otlp_links *links, struct cs_memory *memory,
			 Otlp__Dictionary *dictionary)
{
	size_t n = (size_t)links->n + 1;
	Otlp__Link **table = cs_memory_messages(memory, n, sizeof(**table));
	struct cs_otlp_known_link *it, *next;

	if (!table)
		return false;
	/* zeros in full length: some readers insist on it */
	fill(table[0], no_ids);
	HASH_ITER (hh, links->known, it, next)
		fill(table[it->index], it->ids);
	dictionary->link_table = table;
	dictionary->n_link_table = n;
	return true;
}

void cs_otlp_links_free(struct cs_otlp_links *links)
{
	struct cs_otlp_known_link *it, *next;

	HASH_ITER (hh, links->known, it, next) {
		HASH_DEL(links->known, it);
		free(it);
	}
}
