/* SPDX-License-Identifier: Apache-2.0 */
/* The profile's trees in the page's JSON. Every text and every frame is written once for all trees. */
#include "export/html_trees.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "export/frame_tree.h"

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

static void put_waits(struct cs_json *json, struct cs_frame_node *root)
{
	const char *separator = "";

	cs_json_raw(json, "\"waits\":[");
	for (struct cs_frame_node *node = root; node && !json->err;
	     node = cs_frame_tree_next(node)) {
		if (!node->waiting_ns)
			continue;
		json->err = cs_buf_printf(json->out, "%s%u,%" PRIu64 ",%" PRIu64, separator,
					  node->index, node->waiting_ns, node->longest_ns);
		separator = ",";
	}
	cs_json_raw(json, "],\n");
}

static int compare_spans(const void *a, const void *b)
{
	const struct cs_span *x = a, *y = b;

	return x->from_ns != y->from_ns ? (x->from_ns > y->from_ns) - (x->from_ns < y->from_ns)
					: (x->to_ns > y->to_ns) - (x->to_ns < y->to_ns);
}

/* All spans of a node into buf, by their begin. Returns how many, or -ENOMEM. */
static int64_t gather_spans(const struct cs_frame_node *node, struct cs_buf *buf)
{
	size_t n;

	buf->len = 0;
	for (const struct cs_sample_list *item = node->seen; item; item = item->next) {
		if (cs_buf_append(buf, item->sample->spans,
				  item->sample->nspans * sizeof(*item->sample->spans)))
			return -ENOMEM;
	}
	n = buf->len / sizeof(struct cs_span);
	if (n)
		qsort(buf->data, n, sizeof(struct cs_span), compare_spans);
	return (int64_t)n;
}

/* Where they overlap or touch they are one. at_ns: where the last number ended. */
static void put_spans(struct cs_json *json, const struct cs_span *spans, size_t n, uint64_t at_ns)
{
	for (size_t i = 0; i < n && !json->err;) {
		uint64_t from_ns = spans[i].from_ns, to_ns = spans[i].to_ns;

		for (i++; i < n && spans[i].from_ns <= to_ns; i++) {
			if (spans[i].to_ns > to_ns)
				to_ns = spans[i].to_ns;
		}
		/* rounded at both ends, so that errors do not add up */
		json->err =
			cs_buf_printf(json->out, ",%" PRIu64 ",%" PRIu64,
				      from_ns / 1000 - at_ns / 1000, to_ns / 1000 - from_ns / 1000);
		at_ns = to_ns;
	}
}

static int put_seen(struct cs_json *json, struct cs_frame_node *root, uint64_t origin_ns)
{
	_cleanup_buf_ struct cs_buf spans = {0};
	const char *separator = "";

	cs_json_raw(json, "\"seen\":[");
	for (struct cs_frame_node *node = root; node && !json->err;
	     node = cs_frame_tree_next(node)) {
		int64_t n = gather_spans(node, &spans);

		if (n < 0)
			return -ENOMEM;
		if (!n)
			continue;
		json->err = cs_buf_printf(json->out, "%s[%u", separator, node->index);
		put_spans(json, (const struct cs_span *)spans.data, (size_t)n, origin_ns);
		cs_json_raw(json, "]");
		separator = ",\n";
	}
	cs_json_raw(json, "]");
	return 0;
}

static int put_tree(struct cs_json *json, struct cs_frame_node *root, uint64_t origin_ns)
{
	int err;

	cs_json_raw(json, "{");
	put_column(json, root, "parent", COLUMN_PARENT);
	put_column(json, root, "frame", COLUMN_FRAME);
	put_column(json, root, "self", COLUMN_SELF);
	put_column(json, root, "samples", COLUMN_SAMPLES);
	put_waits(json, root);
	err = put_seen(json, root, origin_ns);
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
	return first;
}

int cs_html_trees(struct cs_json *json, const struct cs_profile *profile)
{
	_cleanup_(cs_frame_tree_free) struct cs_frame_tree tree = {0};
	unsigned int trees = worth_showing(profile);
	uint64_t origin_ns = first_ns(profile, trees);
	const char *separator = "";
	int err = cs_frame_tree_build(&tree, profile, trees);

	if (!err)
		err = put_frames(json, profile, &tree);
	cs_json_raw(json, "\"tree\":");
	cs_json_str(json, names[cs_profile_meta(profile)->tree]);
	cs_json_raw(json, ",\n\"trees\":{");
	for (int i = 0; !err && i < CS_TREE_MAX_; i++) {
		if (!(trees & 1u << i))
			continue;
		cs_json_raw(json, separator);
		cs_json_str(json, names[i]);
		cs_json_raw(json, ":");
		err = put_tree(json, &tree.roots[i], origin_ns);
		separator = ",\n";
	}
	cs_json_raw(json, "}");
	return err;
}
