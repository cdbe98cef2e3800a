/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dictionary of an OTLP profiles request: every text, function, location, stack and attribute once, told by its
 * index. Element 0 of each table is the zero value, as the format demands, and stands for "none".
 */
#pragma once

#include "export/memory.h"
#include "otlp.pb-c.h"
#include "profile/profile.h"

struct cs_otlp_tables;

/*
 * For the frames and texts of this profile, which is borrowed, as is memory: all messages live in it. Returns 0 or
 * -ENOMEM.
 */
int cs_otlp_tables_new(const struct cs_profile *profile, struct cs_memory *memory,
		       struct cs_otlp_tables **ret);
void cs_otlp_tables_free(struct cs_otlp_tables *tables);
static inline void cs_otlp_tables_freep(struct cs_otlp_tables **tables)
{
	cs_otlp_tables_free(*tables);
}

/* Each returns an index; 0 without memory, and then memory->failed is set. */
int32_t cs_otlp_string(struct cs_otlp_tables *tables, const char *str);
int32_t cs_otlp_number(struct cs_otlp_tables *tables, const char *key, int64_t number);
int32_t cs_otlp_text(struct cs_otlp_tables *tables, const char *key, const char *text);
/* An attribute that is there once: its value is the caller's. */
int32_t cs_otlp_attribute(struct cs_otlp_tables *tables, const char *key, Otlp__Value *value);
/*
 * The span of a trace, whose id is told by 32 hexadecimal digits; without such an id, or the span's, it is no link: 0.
 */
int32_t cs_otlp_link(struct cs_otlp_tables *tables, const char *trace_id, uint64_t span_id);
/* Without the frames of process and thread, which resource and attributes tell; a stack of nothing else keeps its leaf. */
int32_t cs_otlp_stack(struct cs_otlp_tables *tables, struct cs_stack stack);

/* A value that is a text, not copied; NULL without memory. */
Otlp__Value *cs_otlp_text_value(struct cs_memory *memory, const char *text);
Otlp__Value *cs_otlp_number_value(struct cs_memory *memory, int64_t number);

/* Everything so far; nothing may be added afterwards. Valid as long as tables. NULL without memory. */
Otlp__Dictionary *cs_otlp_dictionary(struct cs_otlp_tables *tables);
