/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The samples of a profile merged into trees, for exporters that show them: a node is a frame under its
 * parent. The trees of one profile (enum cs_tree) share their frames. Time and memory are linear in the frames of all
 * stacks, and nothing recurses.
 */
#pragma once

#include <stdint.h>

#define HASH_NONFATAL_OOM 1 /* (element)->hh.tbl is NULL after an addition that failed */
#include <uthash.h>

#include "profile/profile.h"

/* A frame as it is shown: profile frames that differ only in what is not shown are one. */
struct cs_tree_frame {
	struct cs_tree_frame_key {
		uint64_t task;                           /* all as in struct cs_frame, */
		const struct cs_tree_frame *coro, *site; /* but these: NULL if not known */
		uint32_t name, file, line, kind, mark;
		uint32_t zero; /* no padding: the bytes are the key */
	} key;
	const char *name, *file;     /* borrowed from the profile */
	uint32_t index;              /* in the order of name, file, line, kind, and the rest */
	struct cs_frame_node *nodes; /* all with this frame, through next_of_frame */
	UT_hash_handle hh;
};

struct cs_frame_node {
	struct cs_frame_node_key {
		struct cs_frame_node *parent;
		struct cs_tree_frame *frame; /* NULL: the root */
	} key;
	struct cs_frame_node *next_of_frame, *first_child, *next_sibling;
	uint64_t self_ns; /* of wall time in wall mode, else of CPU time */
	uint64_t self_samples;
	struct cs_sample_list *ends; /* samples that end here; owned by the tree */
	uint32_t index; /* in preorder, siblings in the order of their frames; the root has 0 */
	UT_hash_handle hh;
};

struct cs_sample_list {
	const struct cs_sample *sample; /* borrowed from the profile */
	struct cs_sample_list *next;
};

struct cs_frame_tree {
	struct cs_frame_node roots[CS_TREE_MAX_];
	uint32_t nnodes[CS_TREE_MAX_]; /* with the root; 0: not built */
	struct cs_frame_node *nodes;   /* all but the roots, by (parent, frame) */
	struct cs_tree_frame *frames;  /* by what is shown; through hh.next in the order of index */
	struct cs_tree_frame **frame_of; /* by index of a profile frame; NULL: not met */
};

/*
 * Fill an all-zero tree, which must not move afterwards, with the trees whose bits 1 << enum cs_tree are set. The order of
 * the samples does not show in the result. Returns 0 or -ENOMEM; to be freed in either case. Borrows the profile's strings.
 */
int cs_frame_tree_build(struct cs_frame_tree *tree, const struct cs_profile *profile,
			unsigned int trees);
void cs_frame_tree_free(struct cs_frame_tree *tree);

/* The node after this one in preorder; NULL after the last. */
struct cs_frame_node *cs_frame_tree_next(struct cs_frame_node *node);
