/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of samples, made with those spans only that have a row, and the JSON of both. */
#include "export/html_spans.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "export/html_rows.h"

struct key {
	const struct cs_html_span *span; /* NULL: none with a row */
	uint32_t service, endpoint, task, thread;
};
_Static_assert(sizeof(struct key) == 24, "padding would be part of the key");

struct labels {
	struct key key;
	uint64_t first_ns; /* at which one of their samples was seen; 0: none tells */
	uint32_t index;
	UT_hash_handle hh;
};

struct cs_html_spans {
	const struct cs_profile *profile;
	struct cs_html_rows rows;
	struct labels *by_key;
	struct labels **at; /* owned; the labels are by_key's */
};

void cs_html_spans_free(struct cs_html_spans *spans)
{
	struct labels *labels, *next;

	if (!spans)
		return;
	HASH_ITER (hh, spans->by_key, labels, next) {
		HASH_DEL(spans->by_key, labels);
		free(labels);
	}
	free(spans->at);
	cs_html_rows_free(&spans->rows);
	free(spans);
}

/* As `record --service` takes it. */
static uint32_t service_of(const struct cs_html_spans *spans, uint32_t owner)
{
	const uint32_t *facts = cs_profile_get_owner(spans->profile, owner)->facts;

	return facts[CS_FACT_SERVICE] ? facts[CS_FACT_SERVICE] : facts[CS_FACT_PROGRAM];
}

/* Who did it is of interest only within a span that is told apart. */
static struct key key_of(const struct cs_html_spans *spans, const struct cs_sample *sample)
{
	const struct cs_labels *labels = &sample->labels;
	struct key key = {.service = service_of(spans, labels->owner),
			  .endpoint = labels->trace_endpoint};
	const struct cs_html_span *span =
		labels->span_id ? cs_html_rows_find(&spans->rows, labels->span_id, labels->owner,
						    labels->trace_id)
				: NULL;

	if (!span || span->row == CS_HTML_NO_ROW)
		return key;
	key.span = span;
	key.task = labels->task_name ? labels->task_name : labels->origin_task_name;
	key.thread = labels->task_name ? 0 : labels->thread_name;
	return key;
}

static struct labels *find(const struct cs_html_spans *spans, const struct key *key)
{
	struct labels *labels;

	HASH_FIND(hh, spans->by_key, key, sizeof(*key), labels);
	return labels;
}

static struct labels *intern(struct cs_html_spans *spans, const struct key *key)
{
	struct labels *labels = find(spans, key);

	if (labels)
		return labels;
	labels = calloc(1, sizeof(*labels));
	if (!labels)
		return NULL;
	labels->key = *key;
	HASH_ADD(hh, spans->by_key, key, sizeof(labels->key), labels);
	if (!labels->hh.tbl) {
		free(labels);
		return NULL;
	}
	return labels;
}

static int add_labels(struct cs_html_spans *spans, const struct cs_sample *sample)
{
	const struct key key = key_of(spans, sample);
	struct labels *labels = intern(spans, &key);

	if (!labels)
		return -ENOMEM;
	if (sample->first_ns && (!labels->first_ns || sample->first_ns < labels->first_ns))
		labels->first_ns = sample->first_ns;
	return 0;
}

static int compare_labels(const void *a, const void *b, void *profile)
{
	const struct key *x = &(*(struct labels *const *)a)->key;
	const struct key *y = &(*(struct labels *const *)b)->key;
	const uint32_t texts[][2] = {{x->service, y->service},
				     {x->endpoint, y->endpoint},
				     {x->task, y->task},
				     {x->thread, y->thread}};
	int64_t row = x->span ? (int64_t)x->span->row : -1;
	int64_t other = y->span ? (int64_t)y->span->row : -1;
	int order = (row > other) - (row < other);

	for (size_t i = 0; !order && i < ARRAY_SIZE(texts); i++)
		order = strcmp(cs_profile_str(profile, texts[i][0]),
			       cs_profile_str(profile, texts[i][1]));
	return order;
}

static int sort_labels(struct cs_html_spans *spans)
{
	size_t n = 0;

	spans->at = calloc(HASH_COUNT(spans->by_key) + 1, sizeof(*spans->at));
	if (!spans->at)
		return -ENOMEM;
	for (struct labels *labels = spans->by_key; labels; labels = labels->hh.next)
		spans->at[n++] = labels;
	qsort_r(spans->at, n, sizeof(*spans->at), compare_labels, (void *)spans->profile);
	for (size_t i = 0; i < n; i++)
		spans->at[i]->index = (uint32_t)i;
	return 0;
}

int cs_html_spans_new(const struct cs_profile *profile, unsigned int trees,
		      struct cs_html_spans **ret)
{
	_cleanup_(cs_html_spans_freep) struct cs_html_spans *spans = calloc(1, sizeof(*spans));
	int err;

	if (!spans)
		return -ENOMEM;
	spans->profile = profile;
	err = cs_html_rows_build(&spans->rows, profile, trees);
	for (int tree = 0; tree < CS_TREE_MAX_; tree++) {
		size_t n = trees & 1u << tree ? cs_profile_nsamples_in(profile, tree) : 0;

		for (size_t i = 0; !err && i < n; i++)
			err = add_labels(spans, cs_profile_sample_in(profile, tree, i));
	}
	if (!err)
		err = sort_labels(spans);
	if (!err)
		*ret = TAKE_PTR(spans);
	return err;
}

uint32_t cs_html_spans_labels(const struct cs_html_spans *spans, const struct cs_sample *sample)
{
	const struct key key = key_of(spans, sample);

	return find(spans, &key)->index;
}

uint32_t cs_html_spans_nlabels(const struct cs_html_spans *spans)
{
	return HASH_COUNT(spans->by_key);
}

/* ---- writing ---- */

/* Texts by index of the profile's strings: 0 if not asked for, else the place in "texts", which "" has as 0. */
struct writer {
	const struct cs_html_spans *spans;
	struct cs_json *json;
	uint32_t *places; /* owned */
	uint32_t ntexts;
	uint64_t origin_ns;
};

static void put_text(struct writer *w, uint32_t string)
{
	const struct cs_profile *profile = w->spans->profile;

	if (!string || w->places[string])
		return;
	w->places[string] = ++w->ntexts;
	cs_json_raw(w->json, ",");
	cs_json_text(w->json, cs_profile_str(profile, string), cs_profile_str_len(profile, string));
}

static void put_texts(struct writer *w)
{
	const struct cs_html_rows *rows = &w->spans->rows;

	cs_json_raw(w->json, "\"texts\":[\"\"");
	for (size_t i = 0; i < cs_html_spans_nlabels(w->spans); i++) {
		const struct key *key = &w->spans->at[i]->key;

		put_text(w, key->service);
		put_text(w, key->endpoint);
		put_text(w, key->task);
		put_text(w, key->thread);
	}
	for (size_t i = 0; i < rows->nrows; i++) {
		const struct cs_html_span *span = rows->rows[i];
		const struct cs_traced *traced = span->traced;

		put_text(w, span->key.trace);
		put_text(w, service_of(w->spans, span->key.owner));
		put_text(w, span->endpoint);
		if (!traced)
			continue;
		put_text(w, traced->name);
		put_text(w, traced->resource);
		put_text(w, traced->service);
		put_text(w, traced->type);
		put_text(w, traced->task_name);
	}
	cs_json_raw(w->json, "],\n");
}

static void put_number(struct writer *w, uint64_t value)
{
	cs_json_raw(w->json, ",");
	cs_json_u64(w->json, value);
}

static void put_string(struct writer *w, uint32_t string)
{
	put_number(w, w->places[string]);
}

static void put_id(struct writer *w, uint64_t id)
{
	if (!w->json->err)
		w->json->err = cs_buf_printf(w->json->out, "\"%016" PRIx64 "\"", id);
}

/* Of the same trace and process. */
static void put_relative(struct writer *w, const struct cs_html_span *of, uint64_t id)
{
	const struct cs_html_span *span =
		id ? cs_html_rows_find(&w->spans->rows, id, of->key.owner, of->key.trace) : NULL;

	cs_json_raw(w->json, ",");
	if (!id)
		cs_json_raw(w->json, "-1");
	else if (span && span->row != CS_HTML_NO_ROW)
		cs_json_u64(w->json, span->row);
	else
		put_id(w, id);
}

static void put_time(struct writer *w, uint64_t ns)
{
	if (!ns)
		cs_json_raw(w->json, ",null");
	else if (!w->json->err)
		w->json->err = cs_buf_printf(w->json->out, ",%" PRId64,
					     (int64_t)(ns / 1000) - (int64_t)(w->origin_ns / 1000));
}

static void put_row(struct writer *w, const struct cs_html_span *span)
{
	static const struct cs_traced unknown;
	const struct cs_traced *traced = span->traced ? span->traced : &unknown;

	cs_json_raw(w->json, "[");
	put_id(w, span->key.id);
	put_relative(w, span, span->root);
	put_relative(w, span, traced->parent_span_id);
	put_string(w, span->key.trace);
	put_number(w, cs_profile_get_owner(w->spans->profile, span->key.owner)->pid);
	put_string(w, service_of(w->spans, span->key.owner));
	put_string(w, span->endpoint);
	put_string(w, traced->name);
	put_string(w, traced->resource);
	put_string(w, traced->service);
	put_string(w, traced->type);
	put_number(w, traced->thread_id);
	put_string(w, traced->task_name);
	put_number(w, traced->outcome);
	put_time(w, traced->from_ns);
	put_time(w, traced->to_ns);
	cs_json_raw(w->json, "]");
}

static void put_rows(struct writer *w)
{
	const struct cs_html_rows *rows = &w->spans->rows;

	cs_json_raw(w->json, "\"rows\":[");
	for (size_t i = 0; i < rows->nrows && !w->json->err; i++) {
		cs_json_raw(w->json, i ? ",\n" : "");
		put_row(w, rows->rows[i]);
	}
	cs_json_raw(w->json, "],\n");
}

static void put_labels(struct writer *w)
{
	cs_json_raw(w->json, "\"labels\":[");
	for (size_t i = 0; i < cs_html_spans_nlabels(w->spans) && !w->json->err; i++) {
		const struct key *key = &w->spans->at[i]->key;

		w->json->err =
			cs_buf_printf(w->json->out, "%s[%u,%u,%" PRId64 ",%u,%u", i ? "," : "",
				      w->places[key->service], w->places[key->endpoint],
				      key->span ? (int64_t)key->span->row : -1,
				      w->places[key->task], w->places[key->thread]);
		put_time(w, w->spans->at[i]->first_ns);
		cs_json_raw(w->json, "]");
	}
	cs_json_raw(w->json, "],\n");
}

int cs_html_spans_write(const struct cs_html_spans *spans, struct cs_json *json, uint64_t origin_ns)
{
	_cleanup_free_ uint32_t *places =
		calloc(cs_profile_nstrings(spans->profile) + 1, sizeof(*places));
	struct writer w = {spans, json, places, 0, origin_ns};

	if (!places)
		return -ENOMEM;
	cs_json_raw(json, "\"spans\":{");
	put_texts(&w);
	put_rows(&w);
	put_labels(&w);
	cs_json_raw(json, "\"left\":[");
	cs_json_u64(json, spans->rows.left);
	put_number(&w, spans->rows.left_ns);
	put_number(&w, cs_profile_traced_dropped(spans->profile));
	cs_json_raw(json, "]},\n");
	return 0;
}
