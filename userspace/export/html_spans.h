/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans in the page's JSON, and whose each sample is. "spans" is {"texts", "rows", "labels", "left"}. A row is [id, root, parent,
 * trace, pid, service, endpoint, name, resource, its own service, type, thread, task, outcome, from, to]; labels are [service, endpoint,
 * span, task, thread, first], which samples have in common that need not be told apart; first is when one of them was first seen. Texts are indices of "texts", spans those of rows, -1
 * if there is none; a root or parent without a row is its id. Ids are hexadecimal; times are in microseconds since the origin, null if
 * not known. "left" is [spans without a row, the time of their samples, spans for which the profile had no room].
 */
#pragma once

#include "export/html_json.h"
#include "profile/profile.h"

struct cs_html_spans;

/*
 * The spans of these trees (bits 1 << enum cs_tree) and of cs_profile_get_traced, and the labels of all samples of these trees. Borrows
 * the profile. Equal profiles give equal bytes in whatever order their samples and spans came. Returns 0 or -ENOMEM.
 */
int cs_html_spans_new(const struct cs_profile *profile, unsigned int trees,
		      struct cs_html_spans **ret);
void cs_html_spans_free(struct cs_html_spans *spans);
static inline void cs_html_spans_freep(struct cs_html_spans **spans)
{
	cs_html_spans_free(*spans);
}

/* The index in "labels" of a sample of these trees; and how many labels there are. */
uint32_t cs_html_spans_labels(const struct cs_html_spans *spans, const struct cs_sample *sample);
uint32_t cs_html_spans_nlabels(const struct cs_html_spans *spans);

/* Appends the member, and a comma. origin_ns is where its clock begins. Returns 0 or -ENOMEM; json's error is its own. */
int cs_html_spans_write(const struct cs_html_spans *spans, struct cs_json *json,
			uint64_t origin_ns);
