/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tasks of one process as `ps` and `pstree` show them: in a fixed order, each with its direct
 * parent, everyone who waits for it, and how long it has stood where it stands. Tasks that have
 * finished are in it where a living one was created by them. Made from the stitcher's graph; knows
 * no format.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/since.h"
#include "cli/snapshot.h"
#include "stitch/graph.h"

struct cs_task_waiter {
	int waiter; /* index of a node */
	int awaited;
	enum cs_wait_how how;
	bool probable; /* the way led through code that is not asyncio's */
};

struct cs_task_node {
	struct cs_task *task;
	bool ghost;            /* not alive: here only because it created others */
	char id[32];           /* "0x7f..."; with "#N" behind it for the Nth ghost */
	int parent;            /* index of the task directly above by the design's rule, -1: none */
	enum cs_link link;     /* to the parent */
	enum cs_wait_how how;  /* how the parent waits, unless the link is CS_LINK_CREATED */
	bool probable;         /* the parent waits by way of code that is not asyncio's */
	int creator;           /* index, -1: none or not known */
	int first_child, next; /* children in order: indices, -1: none */
	bool root;             /* nothing stands above it, or it is where a circle is entered */
	uint32_t first_waiter; /* into waiters; the parent first, if it waits */
	uint32_t nwaiters;
	struct cs_since_span age,
		waited; /* waited: at this await; 0 for a task that does not wait */
};

struct cs_task_table {
	struct cs_snapshot *snapshot; /* borrowed */
	struct cs_task_node *nodes;   /* n of them: by thread, then by name; ghosts last */
	int n, cap;
	int nalive;
	struct cs_task_waiter *waiters; /* grouped by awaited */
	uint32_t nwaiters, waiters_cap;
	struct cs_node_of *by_task;
};

/*
 * From a snapshot that has been told. Returns 0 or -ENOMEM; *table is to be freed in either case.
 */
int cs_task_table_make(struct cs_snapshot *snapshot, struct cs_task_table *table);
void cs_task_table_free(struct cs_task_table *table);

/* "waiting", "finished", ...; never NULL. */
const char *cs_task_state_text(const struct cs_task_node *node);

/* Is anything known of who created it? Only of a task that was created while watched. */
static inline bool cs_task_creation_known(const struct cs_task_node *node)
{
	return node->task->created_ns != 0;
}

/* The frames in which it was created, without asyncio's own at their end. */
struct cs_frames cs_task_creation(const struct cs_task_table *table,
				  const struct cs_task_node *node);

/*
 * Append "outermost (file:line) > inner (file:line)", of which at most max frames: what is in the
 * middle is left out and counted. Control characters are escaped. Returns 0 or -ENOMEM.
 */
int cs_task_append_frames(const struct cs_task_table *table, const struct cs_frames *frames,
			  uint32_t max, struct cs_buf *out);

/*
 * The same of its coroutines, with how the chain ends and " ~ TYPE" for what it awaits if that is
 * no future; nothing of a ghost.
 */
int cs_task_append_coroutines(const struct cs_task_table *table, const struct cs_task_node *node,
			      uint32_t max, struct cs_buf *out);
