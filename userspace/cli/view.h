/* SPDX-License-Identifier: Apache-2.0 */
/* What of a capture is shown, how and where: options that record and report share. */
#pragma once

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/filter.h"
#include "profile/profile.h"

struct cs_view {
	/* Borrowed from argv; NULL: not given. */
	const char *output, *format;
	const char *thread; /* only threads of this name */
	struct cs_filter filter;
	bool first_lines;  /* where functions begin, in place of where they execute */
	enum cs_tree tree; /* the one that is shown, or of all of them the one shown first */
	bool all_trees; /* and tell tasks of one name apart, and when samples were seen: the exporter's wish */
	bool tell_tasks;  /* only tell tasks of one name apart */
	bool unfold;      /* native frames of the interpreter itself too */
	bool inlines;     /* lines and inlined functions of native code */
	bool look_up;     /* ask debug files and debuginfod for names: it may take a while */
	bool outline;     /* of stacks only process and thread: enough to count samples */
	uint64_t slow_ns; /* list what held an event loop for so long; 0: do not */
};

/* A child parser; its input is a struct cs_view. */
extern const struct argp cs_view_argp;

/* A tree as --tree names it; and the tree of that name, or -EINVAL. */
const char *cs_view_tree_name(enum cs_tree tree);
int cs_view_tree(const char *name);
