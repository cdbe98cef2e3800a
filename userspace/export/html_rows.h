/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spans that the page tells apart: all that a sample or cs_profile_get_traced names, as far as there is room. Those with an error
 * come first, then those in which samples spent most time, then the longest.
 */
#pragma once

#define HASH_NONFATAL_OOM 1 /* (element)->hh.tbl is NULL after an addition that failed */
#include <uthash.h>

#include "profile/profile.h"

#define CS_HTML_MAX_SPANS 20000u
#define CS_HTML_NO_ROW    UINT32_MAX

struct cs_html_span {
	struct cs_html_span_key {
		uint64_t id;
		uint32_t owner, trace; /* as in struct cs_traced */
	} key;
	const struct cs_traced *traced; /* NULL: only samples tell of it */
	uint64_t root;                  /* id; 0: not known */
	uint64_t sampled_ns;            /* of the main tree */
	uint32_t endpoint;              /* string */
	uint32_t row;                   /* CS_HTML_NO_ROW: no room for it */
	UT_hash_handle hh;
};

struct cs_html_rows {
	const struct cs_profile *profile; /* borrowed */
	struct cs_html_span *spans;       /* all, by key */
	struct cs_html_span **rows;       /* by trace, id and process */
	size_t nrows;
	uint64_t left, left_ns; /* spans without a row, and the time of their samples */
};

/* Fill an all-zero one; trees are bits 1 << enum cs_tree. Returns 0 or -ENOMEM; to be freed in either case. */
int cs_html_rows_build(struct cs_html_rows *rows, const struct cs_profile *profile,
		       unsigned int trees);
void cs_html_rows_free(struct cs_html_rows *rows);

/* Of one process's run; NULL if nothing names it. */
const struct cs_html_span *cs_html_rows_find(const struct cs_html_rows *rows, uint64_t id,
					     uint32_t owner, uint32_t trace);
