/* SPDX-License-Identifier: Apache-2.0 */
/* The samples of a profile merged into trees. See frame_tree.h for what holds. */
#include "export/frame_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void free_list(struct cs_sample_list *item)
{
	struct cs_sample_list *next;

	for (; item; item = next) {
		next = item->next;
		free(item);
	}
}

void cs_frame_tree_free(struct cs_frame_tree *tree)
{
	struct cs_tree_frame *frame, *next_frame;
	struct cs_frame_node *node, *next_node;

	for (int i = 0; i < CS_TREE_MAX_; i++)
		free_list(tree->roots[i].ends);
	HASH_ITER (hh, tree->nodes, node, next_node) {
		HASH_DEL(tree->nodes, node);
		free_list(node->ends);
		free(node);
	}
	HASH_ITER (hh, tree->frames, frame, next_frame) {
		HASH_DEL(tree->frames, frame);
		free(frame);
	}
	free(tree->frame_of);
}

static struct cs_tree_frame *intern_frame(struct cs_frame_tree *tree,
					  const struct cs_profile *profile,
					  const struct cs_tree_frame_key *key)
{
	struct cs_tree_frame *found;

	HASH_FIND(hh, tree->frames, key, sizeof(*key), found);
	if (found)
		return found;
	found = calloc(1, sizeof(*found));
	if (!found)
		return NULL;
	found->key = *key;
	found->name = cs_profile_str(profile, key->name);
	found->file = cs_profile_str(profile, key->file);
	HASH_ADD(hh, tree->frames, key, sizeof(found->key), found);
	if (!found->hh.tbl) {
		free(found);
		return NULL;
	}
	return found;
}

/* The frame that another one refers to by its index + 1: of Python code, so it refers to none itself. */
static int refer(struct cs_frame_tree *tree, const struct cs_profile *profile, uint32_t reference,
		 const struct cs_tree_frame **ret)
{
	const struct cs_frame *frame;
	struct cs_tree_frame_key key;

	*ret = NULL;
	if (!reference)
		return 0;
	frame = cs_profile_get_frame(profile, reference - 1);
	key = (struct cs_tree_frame_key){
		.name = frame->name, .file = frame->file, .line = frame->line, .kind = frame->kind};
	*ret = intern_frame(tree, profile, &key);
	return *ret ? 0 : -ENOMEM;
}

static struct cs_tree_frame *tree_frame(struct cs_frame_tree *tree,
					const struct cs_profile *profile, uint32_t index)
{
	const struct cs_frame *frame = cs_profile_get_frame(profile, index);
	struct cs_tree_frame_key key = {
		.name = frame->name,
		.file = frame->file,
		.line = frame->line,
		.kind = frame->kind,
		.mark = frame->mark,
		.task = frame->task,
	};

	if (tree->frame_of[index])
		return tree->frame_of[index];
	if (refer(tree, profile, frame->coro, &key.coro) ||
	    refer(tree, profile, frame->site, &key.site))
		return NULL;
	return tree->frame_of[index] = intern_frame(tree, profile, &key);
}

static struct cs_frame_node *tree_child(struct cs_frame_tree *tree, struct cs_frame_node *parent,
					struct cs_tree_frame *frame)
{
	struct cs_frame_node_key key = {parent, frame};
	struct cs_frame_node *node;

	HASH_FIND(hh, tree->nodes, &key, sizeof(key), node);
	if (node)
		return node;
	node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	node->key = key;
	HASH_ADD(hh, tree->nodes, key, sizeof(key), node);
	if (!node->hh.tbl) {
		free(node);
		return NULL;
	}
	node->next_of_frame = frame->nodes;
	frame->nodes = node;
	return node;
}

static void add_clamped(uint64_t *sum, uint64_t value)
{
	if (__builtin_add_overflow(*sum, value, sum))
		*sum = UINT64_MAX;
}

static int add_end(struct cs_frame_node *node, const struct cs_sample *sample)
{
	struct cs_sample_list *item = malloc(sizeof(*item));

	if (!item)
		return -ENOMEM;
	*item = (struct cs_sample_list){sample, node->ends};
	node->ends = item;
	return 0;
}

static int tree_add(struct cs_frame_tree *tree, struct cs_frame_node *node,
		    const struct cs_profile *profile, const struct cs_sample *sample)
{
	enum cs_value value = cs_profile_main_value(cs_profile_meta(profile));
	struct cs_stack stack = cs_profile_stack(profile, sample->stack);

	for (uint32_t i = 0; i < stack.n; i++) {
		struct cs_tree_frame *frame = tree_frame(tree, profile, stack.frames[i]);

		node = frame ? tree_child(tree, node, frame) : NULL;
		if (!node)
			return -ENOMEM;
	}
	add_clamped(&node->self_ns, sample->values[value]);
	add_clamped(&node->self_samples, sample->values[CS_VALUE_SAMPLES]);
	return add_end(node, sample);
}

static int compare_shown(const struct cs_tree_frame *a, const struct cs_tree_frame *b)
{
	int order = strcmp(a->name, b->name);

	if (!order)
		order = strcmp(a->file, b->file);
	if (!order)
		order = (a->key.line > b->key.line) - (a->key.line < b->key.line);
	if (!order)
		order = (a->key.kind > b->key.kind) - (a->key.kind < b->key.kind);
	return order;
}

static int compare_references(const struct cs_tree_frame *a, const struct cs_tree_frame *b)
{
	return a == b ? 0 : !a ? -1 : !b ? 1 : compare_shown(a, b);
}

static int frame_compare(const struct cs_tree_frame *a, const struct cs_tree_frame *b)
{
	int order = compare_shown(a, b);

	if (!order)
		order = (a->key.mark > b->key.mark) - (a->key.mark < b->key.mark);
	if (!order)
		order = (a->key.task > b->key.task) - (a->key.task < b->key.task);
	if (!order)
		order = compare_references(a->key.coro, b->key.coro);
	if (!order)
		order = compare_references(a->key.site, b->key.site);
	return order;
}

struct cs_frame_node *cs_frame_tree_next(struct cs_frame_node *node)
{
	if (node->first_child)
		return node->first_child;
	while (node && !node->next_sibling)
		node = node->key.parent;
	return node ? node->next_sibling : NULL;
}

/*
 * Give every frame and node its place in the output. Siblings get sorted by going through the
 * frames backwards.
 */
static void tree_order(struct cs_frame_tree *tree)
{
	struct cs_tree_frame *last = NULL;
	uint32_t nframes = 0;

	HASH_SORT(tree->frames, frame_compare);
	for (struct cs_tree_frame *frame = tree->frames; frame;
	     last = frame, frame = frame->hh.next)
		frame->index = nframes++;
	for (struct cs_tree_frame *frame = last; frame; frame = frame->hh.prev) {
		for (struct cs_frame_node *node = frame->nodes; node; node = node->next_of_frame) {
			node->next_sibling = node->key.parent->first_child;
			node->key.parent->first_child = node;
		}
	}
}

static int build(struct cs_frame_tree *tree, const struct cs_profile *profile, enum cs_tree which)
{
	for (size_t i = 0; i < cs_profile_nsamples_in(profile, which); i++) {
		int err = tree_add(tree, &tree->roots[which], profile,
				   cs_profile_sample_in(profile, which, i));

		if (err)
			return err;
	}
	return 0;
}

int cs_frame_tree_build(struct cs_frame_tree *tree, const struct cs_profile *profile,
			unsigned int trees)
{
	int err = 0;

	tree->frame_of = calloc(cs_profile_nframes(profile) + 1, sizeof(*tree->frame_of));
	if (!tree->frame_of)
		return -ENOMEM;
	for (int i = 0; !err && i < CS_TREE_MAX_; i++) {
		if (trees & 1u << i)
			err = build(tree, profile, (enum cs_tree)i);
	}
	if (err)
		return err;
	tree_order(tree);
	for (int i = 0; i < CS_TREE_MAX_; i++) {
		struct cs_frame_node *node = trees & 1u << i ? &tree->roots[i] : NULL;

		for (; node; node = cs_frame_tree_next(node))
			node->index = tree->nnodes[i]++;
	}
	return 0;
}
