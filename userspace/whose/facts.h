/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about one process under collection. What was said first holds, so the best source is asked first. */
#pragma once

#include <coroscope/whose.h>
#include <stddef.h>

struct cs_facts {
	char *at[CS_FACT_MAX_]; /* owned; NULL: not known; UTF-8 without control characters */
};

void cs_facts_free(struct cs_facts *facts);
#define _cleanup_facts_ __attribute__((cleanup(cs_facts_free)))

/*
 * Tell a fact: foreign bytes, of which the first CS_MAX_FACT (of a list CS_MAX_FACT_LIST) are kept, what is no UTF-8 or would steer a
 * terminal as \xNN. Nothing is told by an empty text, nor by what SDKs call a service without a name. Returns 0 or -ENOMEM.
 */
int cs_facts_tell(struct cs_facts *facts, enum cs_fact fact, const char *text, size_t len);

/* The same, whatever was said before. */
int cs_facts_overrule(struct cs_facts *facts, enum cs_fact fact, const char *text, size_t len);

/* Which fact a process may tell of itself under this key of OpenTelemetry's; 0: none. */
enum cs_fact cs_facts_by_key(const char *key, size_t len);

/* What people call it. */
const char *cs_facts_words(enum cs_fact fact);
