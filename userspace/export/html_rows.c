/* SPDX-License-Identifier: Apache-2.0 */
/* First all spans that anything names are gathered, then those that find room are chosen. */
#include "export/html_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

_Static_assert(sizeof(struct cs_html_span_key) == 16, "padding would be part of the key");

void cs_html_rows_free(struct cs_html_rows *rows)
{
	struct cs_html_span *span, *next;

	HASH_ITER (hh, rows->spans, span, next) {
		HASH_DEL(rows->spans, span);
		free(span);
	}
	free(rows->rows);
}

static struct cs_html_span *find(const struct cs_html_rows *rows, uint64_t id, uint32_t owner,
				 uint32_t trace)
{
	const struct cs_html_span_key key = {id, owner, trace};
	struct cs_html_span *span;

	HASH_FIND(hh, rows->spans, &key, sizeof(key), span);
	return span;
}

const struct cs_html_span *cs_html_rows_find(const struct cs_html_rows *rows, uint64_t id,
					     uint32_t owner, uint32_t trace)
{
	return find(rows, id, owner, trace);
}

static struct cs_html_span *intern(struct cs_html_rows *rows, uint64_t id, uint32_t owner,
				   uint32_t trace)
{
	struct cs_html_span *span = find(rows, id, owner, trace);

	if (span)
		return span;
	span = calloc(1, sizeof(*span));
	if (!span)
		return NULL;
	span->key = (struct cs_html_span_key){id, owner, trace};
	span->row = CS_HTML_NO_ROW;
	HASH_ADD(hh, rows->spans, key, sizeof(span->key), span);
	if (!span->hh.tbl) {
		free(span);
		return NULL;
	}
	return span;
}

/* A span and its local root, which no sample need have met itself. */
static struct cs_html_span *gather(struct cs_html_rows *rows, uint64_t id, uint64_t root_id,
				   uint32_t owner, uint32_t trace)
{
	struct cs_html_span *root = root_id ? intern(rows, root_id, owner, trace) : NULL;
	struct cs_html_span *span = intern(rows, id, owner, trace);

	if (!span || (root_id && !root))
		return NULL;
	if (root)
		root->root = span->root = root_id;
	return span;
}

static int gather_samples(struct cs_html_rows *rows, enum cs_tree tree)
{
	const struct cs_profile_meta *meta = cs_profile_meta(rows->profile);
	size_t n = cs_profile_nsamples_in(rows->profile, tree);

	for (size_t i = 0; i < n; i++) {
		const struct cs_sample *sample = cs_profile_sample_in(rows->profile, tree, i);
		const struct cs_labels *labels = &sample->labels;
		struct cs_html_span *span;

		if (!labels->span_id)
			continue;
		span = gather(rows, labels->span_id, labels->root_span_id, labels->owner,
			      labels->trace_id);
		if (!span)
			return -ENOMEM;
		/* of several names one that does not depend on the order of samples */
		if (strcmp(cs_profile_str(rows->profile, labels->trace_endpoint),
			   cs_profile_str(rows->profile, span->endpoint)) > 0)
			span->endpoint = labels->trace_endpoint;
		if (tree == meta->tree)
			span->sampled_ns += sample->values[cs_profile_main_value(meta)];
	}
	return 0;
}

static int gather_traced(struct cs_html_rows *rows)
{
	for (size_t i = 0; i < cs_profile_ntraced(rows->profile); i++) {
		const struct cs_traced *traced = cs_profile_get_traced(rows->profile, i);
		struct cs_html_span *span = gather(rows, traced->span_id, traced->root_span_id,
						   traced->owner, traced->trace_id);

		if (!span)
			return -ENOMEM;
		span->traced = traced;
	}
	return 0;
}

/* What the labels of a span's samples would say, where it has none. */
static uint32_t endpoint_of(const struct cs_html_rows *rows, const struct cs_html_span *span)
{
	const struct cs_html_span *root =
		span->root ? find(rows, span->root, span->key.owner, span->key.trace) : NULL;

	if (span->endpoint || !root)
		return span->endpoint;
	if (root->traced && !strcmp(cs_profile_str(rows->profile, root->traced->type), "web"))
		return root->traced->resource;
	return root->endpoint;
}

static bool is_error(const struct cs_html_span *span)
{
	return span->traced && span->traced->outcome == CS_OUTCOME_ERROR;
}

static uint64_t duration_ns(const struct cs_html_span *span)
{
	const struct cs_traced *traced = span->traced;
	bool known = traced && traced->from_ns && traced->to_ns > traced->from_ns;

	return known ? traced->to_ns - traced->from_ns : 0;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* By what the page shows of it, so that its place does not depend on what was told first. */
static int compare_ids(const struct cs_html_rows *rows, const struct cs_html_span *a,
		       const struct cs_html_span *b)
{
	const struct cs_profile *profile = rows->profile;
	int order = strcmp(cs_profile_str(profile, a->key.trace),
			   cs_profile_str(profile, b->key.trace));

	if (!order)
		order = compare_numbers(a->key.id, b->key.id);
	if (!order)
		order = compare_numbers(cs_profile_get_owner(profile, a->key.owner)->pid,
					cs_profile_get_owner(profile, b->key.owner)->pid);
	return order ? order : compare_numbers(a->key.owner, b->key.owner);
}

static int compare_weights(const void *a, const void *b, void *rows)
{
	const struct cs_html_span *x = *(struct cs_html_span *const *)a;
	const struct cs_html_span *y = *(struct cs_html_span *const *)b;
	int order = compare_numbers(is_error(y), is_error(x));

	if (!order)
		order = compare_numbers(y->sampled_ns, x->sampled_ns);
	if (!order)
		order = compare_numbers(duration_ns(y), duration_ns(x));
	return order ? order : compare_ids(rows, x, y);
}

static int compare_rows(const void *a, const void *b, void *rows)
{
	return compare_ids(rows, *(struct cs_html_span *const *)a,
			   *(struct cs_html_span *const *)b);
}

static int choose(struct cs_html_rows *rows)
{
	size_t n = HASH_COUNT(rows->spans), i = 0;

	rows->rows = calloc(n + 1, sizeof(*rows->rows));
	if (!rows->rows)
		return -ENOMEM;
	for (struct cs_html_span *span = rows->spans; span; span = span->hh.next) {
		span->endpoint = endpoint_of(rows, span);
		rows->rows[i++] = span;
	}
	qsort_r(rows->rows, n, sizeof(*rows->rows), compare_weights, rows);
	for (i = CS_HTML_MAX_SPANS; i < n; i++) {
		rows->left++;
		rows->left_ns += rows->rows[i]->sampled_ns;
	}
	rows->nrows = n < CS_HTML_MAX_SPANS ? n : CS_HTML_MAX_SPANS;
	qsort_r(rows->rows, rows->nrows, sizeof(*rows->rows), compare_rows, rows);
	for (i = 0; i < rows->nrows; i++)
		rows->rows[i]->row = (uint32_t)i;
	return 0;
}

int cs_html_rows_build(struct cs_html_rows *rows, const struct cs_profile *profile,
		       unsigned int trees)
{
	int err = 0;

	rows->profile = profile;
	for (int tree = 0; !err && tree < CS_TREE_MAX_; tree++) {
		if (trees & 1u << tree)
			err = gather_samples(rows, (enum cs_tree)tree);
	}
	if (!err)
		err = gather_traced(rows);
	return err ? err : choose(rows);
}
