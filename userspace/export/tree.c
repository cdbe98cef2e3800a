/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree: the profile as indented text for a terminal. Widest first; frames that lead to one other frame only share its
 * indent; what is narrower than half a percent of everything is counted, not shown.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "export/exporter.h"
#include "export/frame_tree.h"

#define NARROW_DIVISOR 200

/* A node waiting to be printed, behind the first prefix_len bytes of the current prefix. */
struct line {
	struct cs_frame_node *node;
	size_t prefix_len;
	bool branch, last;
};

struct printer {
	const struct cs_profile *profile;
	struct cs_buf *out;
	struct cs_buf prefix;
	struct cs_buf text;    /* scratch for one frame */
	struct cs_buf waiting; /* a stack of struct line */
	uint64_t *totals;      /* by node index */
	uint64_t threshold_ns;
	uint64_t narrow_ns; /* left out */
};

static struct cs_frame_node *root_of(const struct printer *p, struct cs_frame_tree *tree)
{
	return &tree->roots[cs_profile_meta(p->profile)->tree];
}

/* Time below each node: children follow their parents in preorder, so backwards every child is complete first. */
static int sum_up(struct printer *p, struct cs_frame_tree *tree)
{
	size_t n = tree->nnodes[cs_profile_meta(p->profile)->tree];
	_cleanup_free_ struct cs_frame_node **nodes = calloc(n, sizeof(struct cs_frame_node *));
	struct cs_frame_node *node;

	p->totals = calloc(n, sizeof(*p->totals));
	if (!nodes || !p->totals)
		return -ENOMEM;
	for (node = root_of(p, tree); node; node = cs_frame_tree_next(node))
		nodes[node->index] = node;
	for (size_t i = n; i-- > 0;) {
		p->totals[i] += nodes[i]->self_ns;
		if (nodes[i]->key.parent)
			p->totals[nodes[i]->key.parent->index] += p->totals[i];
	}
	return 0;
}

static int push(struct printer *p, struct cs_frame_node *node, size_t prefix_len, bool branch,
		bool last)
{
	const struct line line = {node, prefix_len, branch, last};

	return cs_buf_append(&p->waiting, &line, sizeof(line));
}

/* Ascending by time, then descending by order of frames: what is pushed last is printed first. */
static int compare_for_stack(const void *a, const void *b, void *totals)
{
	const struct cs_frame_node *x = *(struct cs_frame_node *const *)a,
				   *y = *(struct cs_frame_node *const *)b;
	const uint64_t *t = totals;

	if (t[x->index] != t[y->index])
		return t[x->index] < t[y->index] ? -1 : 1;
	return (x->index < y->index) - (x->index > y->index);
}

static int push_children(struct printer *p, struct cs_frame_node *node)
{
	_cleanup_buf_ struct cs_buf wide = {0};
	struct cs_frame_node *child, **children;
	size_t n;
	int err = 0;

	for (child = node->first_child; child; child = child->next_sibling) {
		if (p->totals[child->index] < p->threshold_ns)
			p->narrow_ns += p->totals[child->index];
		else if (cs_buf_append(&wide, &child, sizeof(child)))
			return -ENOMEM;
	}
	n = wide.len / sizeof(*children);
	if (!n)
		return 0;
	children = (struct cs_frame_node **)wide.data;
	qsort_r(children, n, sizeof(*children), compare_for_stack, p->totals);
	for (size_t i = 0; i < n && !err; i++)
		err = push(p, children[i], p->prefix.len, n > 1, i == 0);
	return err;
}

static int print_line(struct printer *p, const struct line *line)
{
	struct cs_frame_node *node = line->node, *parent = node->key.parent;
	uint64_t total = p->totals[node->index];
	const struct cs_frame frame = {
		.name = node->key.frame->key.name,
		.file = node->key.frame->key.file,
		.line = node->key.frame->key.line,
		.kind = (enum cs_frame_kind)node->key.frame->key.kind,
	};
	int err;

	p->prefix.len = line->prefix_len;
	/* the time once for a run of frames that have the same */
	if (line->branch || !parent->key.frame || p->totals[parent->index] != total)
		err = cs_buf_printf(p->out, "%9.2f s  ", (double)total / 1e9);
	else
		err = cs_buf_append_str(p->out, "             ");
	if (!err)
		err = cs_buf_append(p->out, p->prefix.data, p->prefix.len);
	if (!err && line->branch)
		err = cs_buf_append_str(p->out, line->last ? "└─ " : "├─ ");
	p->text.len = 0;
	if (!err)
		err = cs_export_frame_text(p->profile, &frame, &p->text);
	if (!err)
		err = cs_buf_append_escaped(p->out, p->text.data, p->text.len, "");
	if (!err)
		err = cs_buf_append_str(p->out, "\n");
	if (!err && line->branch)
		err = cs_buf_append_str(&p->prefix, line->last ? "   " : "│  ");
	return err ? err : push_children(p, node);
}

static int print_tree(struct printer *p, struct cs_frame_tree *tree)
{
	int err = sum_up(p, tree);

	if (err)
		return err;
	p->threshold_ns = p->totals[0] / NARROW_DIVISOR;
	err = push_children(p, root_of(p, tree));
	while (!err && p->waiting.len) {
		struct line line;

		p->waiting.len -= sizeof(line);
		line = *(struct line *)(p->waiting.data + p->waiting.len);
		err = print_line(p, &line);
	}
	if (!err && p->narrow_ns)
		err = cs_buf_printf(p->out, "%9.2f s  in branches of less than 0.5%% each\n",
				    (double)p->narrow_ns / 1e9);
	return err;
}

static int tree_write(const struct cs_profile *profile, struct cs_buf *out)
{
	struct printer p = {.profile = profile, .out = out};
	struct cs_frame_tree tree = {0};
	int err = cs_frame_tree_build(&tree, profile, 1u << cs_profile_meta(profile)->tree);

	if (!err)
		err = print_tree(&p, &tree);
	cs_buf_free(&p.prefix);
	cs_buf_free(&p.text);
	cs_buf_free(&p.waiting);
	free(p.totals);
	cs_frame_tree_free(&tree);
	return err;
}

const struct cs_exporter cs_export_tree = {
	.name = "tree",
	.suffix = ".tree",
	.help = "indented text for a terminal",
	.write = tree_write,
};
