/* SPDX-License-Identifier: Apache-2.0 */
/* The profile's trees in the page's JSON. Every text and every frame is written once for all trees. */
#include "export/html_trees.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "export/frame_tree.h"
#include "export/html_spans.h"

static const char *const names[CS_TREE_MAX_] = {
	[CS_TREE_AWAIT] = "await",
	[CS_TREE_CREATION] = "creation",
	[CS_TREE_THREADS] = "threads",
};

/*
 * One string of the output, the first time that it is asked for. places: by profile index, 0 if
 * not written yet.
 */
static void put_string_once(struct cs_json *json, const struct cs_profile *profile, uint32_t index,
			    uint32_t *places, uint32_t *n)
{
	if (index == 0 || places[index])
		return;
	places[index] = ++*n;
	cs_json_raw(json, ",");
	cs_json_text(json, cs_profile_str(profile, index), cs_profile_str_len(profile, index));
}

static int64_t index_of(const struct cs_tree_frame *frame)
{
	return frame ? (int64_t)frame->index : -1;
}

static void put_frame(struct cs_json *json, const struct cs_tree_frame *frame,
		      const uint32_t *places)
{
	const struct cs_tree_frame_key *key = &frame->key;

	json->err = cs_buf_printf(json->out, "%s[%u,%u,%u,%u", frame->index ? "," : "",
				  places[key->name], places[key->file], key->line, key->kind);
	if (!json->err && key->kind == CS_FRAME_TASK)
		json->err =
			cs_buf_printf(json->out, ",%u,%" PRId64 ",%" PRId64 ",%" PRIu64, key->mark,
				      index_of(key->coro), index_of(key->site), key->task);
	cs_json_raw(json, "]");
}

static int put_frames(struct cs_json *json, const struct cs_profile *profile,
		      const struct cs_frame_tree *tree)
{
	_cleanup_free_ uint32_t *places = calloc(cs_profile_nstrings(profile) + 1, sizeof(*places));
	const struct cs_tree_frame *frame;
	uint32_t n = 0;

	if (!places)
		return -ENOMEM;
	cs_json_raw(json, "\"strings\":[\"\"");
	for (frame = tree->frames; frame; frame = frame->hh.next) {
		put_string_once(json, profile, frame->key.name, places, &n);
		put_string_once(json, profile, frame->key.file, places, &n);
	}
	cs_json_raw(json, "],\n\"frames\":[");
	for (frame = tree->frames; frame && !json->err; frame = frame->hh.next)
		put_frame(json, frame, places);
	cs_json_raw(json, "],\n");
	return 0;
}

enum column { COLUMN_PARENT, COLUMN_FRAME, COLUMN_SELF, COLUMN_SAMPLES };

static void put_cell(struct cs_json *json, const struct cs_frame_node *node, enum column column)
{
	if (column == COLUMN_SELF)
		cs_json_u64(json, node->self_ns);
	else if (column == COLUMN_SAMPLES)
		cs_json_u64(json, node->self_samples);
	else if (!node->key.parent) /* the root has neither parent nor frame */
		cs_json_raw(json, "-1");
	else
		cs_json_u64(json, column == COLUMN_PARENT ? node->key.parent->index
							  : node->key.frame->index);
}

static void put_column(struct cs_json *json, struct cs_frame_node *root, const char *name,
		       enum column column)
{
	cs_json_str(json, name);
	cs_json_raw(json, ":[");
	for (struct cs_frame_node *node = root; node && !json->err;
	     node = cs_frame_tree_next(node)) {
		if (node->index)
			cs_json_raw(json, ",");
		put_cell(json, node, column);
	}
	cs_json_raw(json, "],\n");
}

/* ---- samples that end in a node ---- */

struct end {
	uint32_t labels;
	const struct cs_sample *sample;
};

struct ends {
	struct cs_json *json;
	const struct cs_html_spans *spans;
	enum cs_value value;
	uint64_t origin_ns;
	struct cs_buf of_node; /* struct end, scratch */
	struct cs_buf moments; /* struct cs_span, scratch */
	const char *separator;
};

static int compare_ends(const void *a, const void *b)
{
	const struct end *x = a, *y = b;

	return (x->labels > y->labels) - (x->labels < y->labels);
}

/* The samples of a node, by their labels. */
static int gather_ends(struct ends *ends, const struct cs_frame_node *node)
{
	ends->of_node.len = 0;
	for (const struct cs_sample_list *item = node->ends; item; item = item->next) {
		const struct end end = {cs_html_spans_labels(ends->spans, item->sample),
					item->sample};

		if (cs_buf_append(&ends->of_node, &end, sizeof(end)))
			return -ENOMEM;
	}
	if (ends->of_node.len)
		qsort(ends->of_node.data, ends->of_node.len / sizeof(struct end),
		      sizeof(struct end), compare_ends);
	return 0;
}

/* Writes what some samples of a node have in common, all of those with one kind of labels. */
typedef int put_ends_fn(struct ends *ends, uint32_t node, const struct end *end, size_t n);

static int put_of_node(struct ends *ends, const struct cs_frame_node *node, put_ends_fn *put)
{
	const struct end *all;
	size_t n, upto;
	int err = gather_ends(ends, node);

	all = (const struct end *)ends->of_node.data;
	n = ends->of_node.len / sizeof(*all);
	for (size_t i = 0; !err && i < n; i = upto) {
		for (upto = i + 1; upto < n && all[upto].labels == all[i].labels; upto++)
			;
		err = put(ends, node->index, &all[i], upto - i);
	}
	return err;
}

static int put_member(struct ends *ends, struct cs_frame_node *root, const char *name,
		      put_ends_fn *put)
{
	int err = 0;

	cs_json_str(ends->json, name);
	cs_json_raw(ends->json, ":[");
	ends->separator = "";
	for (struct cs_frame_node *node = root; node && !err && !ends->json->err;
	     node = cs_frame_tree_next(node))
		err = put_of_node(ends, node, put);
	cs_json_raw(ends->json, "]");
	return err;
}

static void put_four(struct ends *ends, uint32_t node, uint32_t labels, uint64_t a, uint64_t b)
{
	if (!ends->json->err)
		ends->json->err = cs_buf_printf(ends->json->out, "%s%u,%u,%" PRIu64 ",%" PRIu64,
						ends->separator, node, labels, a, b);
	ends->separator = ",";
}

static void add_clamped(uint64_t *sum, uint64_t value)
{
	if (__builtin_add_overflow(*sum, value, sum))
		*sum = UINT64_MAX;
}

static int put_part(struct ends *ends, uint32_t node, const struct end *end, size_t n)
{
	uint64_t self = 0, samples = 0;

	for (size_t i = 0; i < n; i++) {
		add_clamped(&self, end[i].sample->values[ends->value]);
		add_clamped(&samples, end[i].sample->values[CS_VALUE_SAMPLES]);
	}
	put_four(ends, node, end->labels, self, samples);
	return 0;
}

static int put_wait(struct ends *ends, uint32_t node, const struct end *end, size_t n)
{
	uint64_t waiting_ns = 0, longest_ns = 0;

	for (size_t i = 0; i < n; i++) {
		add_clamped(&waiting_ns, end[i].sample->waiting_ns);
		if (end[i].sample->longest_ns > longest_ns)
			longest_ns = end[i].sample->longest_ns;
	}
	if (waiting_ns)
		put_four(ends, node, end->labels, waiting_ns, longest_ns);
	return 0;
}

/* ---- when they were seen ---- */

static int compare_moments(const void *a, const void *b)
{
	const struct cs_span *x = a, *y = b;

	if (x->on_cpu != y->on_cpu)
		return x->on_cpu - y->on_cpu;
	return x->from_ns != y->from_ns ? (x->from_ns > y->from_ns) - (x->from_ns < y->from_ns)
					: (x->to_ns > y->to_ns) - (x->to_ns < y->to_ns);
}

/* Moments of one kind by their begin: where they overlap or touch they are one. at_ns: where the last number ended. */
static void put_moments(struct cs_json *json, const struct cs_span *moments, size_t n,
			uint64_t at_ns)
{
	for (size_t i = 0; i < n && !json->err;) {
		uint64_t from_ns = moments[i].from_ns, to_ns = moments[i].to_ns;

		for (i++; i < n && moments[i].from_ns <= to_ns; i++) {
			if (moments[i].to_ns > to_ns)
				to_ns = moments[i].to_ns;
		}
		/* rounded at both ends, so that errors do not add up */
		json->err =
			cs_buf_printf(json->out, ",%" PRIu64 ",%" PRIu64,
				      from_ns / 1000 - at_ns / 1000, to_ns / 1000 - from_ns / 1000);
		at_ns = to_ns;
	}
}

static int put_seen(struct ends *ends, uint32_t node, const struct end *end, size_t n)
{
	const struct cs_span *moments;
	size_t nmoments, upto;

	ends->moments.len = 0;
	for (size_t i = 0; i < n; i++) {
		if (cs_buf_append(&ends->moments, end[i].sample->spans,
				  end[i].sample->nspans * sizeof(*end[i].sample->spans)))
			return -ENOMEM;
	}
	moments = (const struct cs_span *)ends->moments.data;
	nmoments = ends->moments.len / sizeof(*moments);
	if (nmoments)
		qsort(ends->moments.data, nmoments, sizeof(*moments), compare_moments);
	for (size_t i = 0; i < nmoments && !ends->json->err; i = upto) {
		for (upto = i + 1; upto < nmoments && moments[upto].on_cpu == moments[i].on_cpu;
		     upto++)
			;
		ends->json->err = cs_buf_printf(ends->json->out, "%s[%u,%u,%d", ends->separator,
						node, end->labels, moments[i].on_cpu);
		put_moments(ends->json, &moments[i], upto - i, ends->origin_ns);
		cs_json_raw(ends->json, "]");
		ends->separator = ",\n";
	}
	return 0;
}

static int put_tree(struct ends *ends, struct cs_frame_node *root)
{
	struct cs_json *json = ends->json;
	int err = 0;

	cs_json_raw(json, "{");
	put_column(json, root, "parent", COLUMN_PARENT);
	put_column(json, root, "frame", COLUMN_FRAME);
	put_column(json, root, "self", COLUMN_SELF);
	put_column(json, root, "samples", COLUMN_SAMPLES);
	if (cs_html_spans_nlabels(ends->spans) > 1) {
		err = put_member(ends, root, "parts", put_part);
		cs_json_raw(json, ",\n");
	}
	if (!err)
		err = put_member(ends, root, "waits", put_wait);
	cs_json_raw(json, ",\n");
	if (!err)
		err = put_member(ends, root, "seen", put_seen);
	cs_json_raw(json, "}");
	return err;
}

/* The main tree, and the others that have samples if there are tasks: without tasks all are the same. */
static unsigned int worth_showing(const struct cs_profile *profile)
{
	unsigned int trees = 1u << cs_profile_meta(profile)->tree;
	bool tasks = false;

	for (size_t i = 0; i < cs_profile_nframes(profile); i++)
		tasks = tasks || cs_profile_get_frame(profile, (uint32_t)i)->kind == CS_FRAME_TASK;
	for (int i = 0; tasks && i < CS_TREE_MAX_; i++) {
		if (cs_profile_nsamples_in(profile, (enum cs_tree)i))
			trees |= 1u << i;
	}
	return trees;
}

static uint64_t first_ns(const struct cs_profile *profile, unsigned int trees)
{
	uint64_t first = UINT64_MAX;

	for (int tree = 0; tree < CS_TREE_MAX_; tree++) {
		size_t n = trees & 1u << tree ? cs_profile_nsamples_in(profile, tree) : 0;

		for (size_t i = 0; i < n; i++) {
			const struct cs_sample *sample = cs_profile_sample_in(profile, tree, i);

			for (uint32_t j = 0; j < sample->nspans; j++) {
				if (sample->spans[j].from_ns < first)
					first = sample->spans[j].from_ns;
			}
		}
	}
	/* without a moment of any sample that of a span */
	for (size_t i = 0; first == UINT64_MAX && i < cs_profile_ntraced(profile); i++)
		first = cs_profile_get_traced(profile, i)->from_ns
				? cs_profile_get_traced(profile, i)->from_ns
				: first;
	return first;
}

static void free_ends(struct ends *ends)
{
	cs_buf_free(&ends->of_node);
	cs_buf_free(&ends->moments);
}

static int put_trees(struct ends *ends, const struct cs_profile *profile,
		     struct cs_frame_tree *tree, unsigned int trees)
{
	struct cs_json *json = ends->json;
	const char *separator = "";
	int err = put_frames(json, profile, tree);

	cs_json_raw(json, "\"tree\":");
	cs_json_str(json, names[cs_profile_meta(profile)->tree]);
	cs_json_raw(json, ",\n\"trees\":{");
	for (int i = 0; !err && i < CS_TREE_MAX_; i++) {
		if (!(trees & 1u << i))
			continue;
		cs_json_raw(json, separator);
		cs_json_str(json, names[i]);
		cs_json_raw(json, ":");
		err = put_tree(ends, &tree->roots[i]);
		separator = ",\n";
	}
	cs_json_raw(json, "}");
	return err;
}

int cs_html_trees(struct cs_json *json, const struct cs_profile *profile)
{
	_cleanup_(cs_html_spans_freep) struct cs_html_spans *spans = NULL;
	_cleanup_(cs_frame_tree_free) struct cs_frame_tree tree = {0};
	_cleanup_(free_ends) struct ends ends = {.json = json};
	unsigned int trees = worth_showing(profile);
	int err = cs_frame_tree_build(&tree, profile, trees);

	if (!err)
		err = cs_html_spans_new(profile, trees, &spans);
	if (err)
		return err;
	ends.spans = spans;
	ends.value = cs_profile_main_value(cs_profile_meta(profile));
	ends.origin_ns = first_ns(profile, trees);
	err = cs_html_spans_write(spans, json, ends.origin_ns);
	return err ? err : put_trees(&ends, profile, &tree, trees);
}
