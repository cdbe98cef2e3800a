/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroscope pstree: the tree of asyncio tasks. A task hangs below the task that waits for it, else
 * below its creator if that was seen, else below its event loop. Cycles and shared waiters are
 * drawn, not refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/task_command.h"
#include "core/cleanup.h"

#define MAX_NAME    200
#define MAX_WAITERS 8
#define MAX_FRAMES  32

struct tree {
	const struct cs_task_table *table;
	bool *shown; /* by node */
	struct cs_buf indent;
};

/* "<task NAME (created)>" */
static int append_title(const struct cs_task_node *node, struct cs_buf *out)
{
	const char *mark = "";
	int err = cs_buf_append_str(out, "<task ");

	if (node->task->finished)
		mark = " (finished)";
	else if (node->link == CS_LINK_CREATED)
		mark = " (created)";
	if (!err)
		err = cs_task_append_short_name(node, MAX_NAME, out);
	return err ? err : cs_buf_printf(out, "%s>", mark);
}

/* " gathered"-like words on how the parent waits, where it is more than an await. */
static int append_how(const struct cs_task_node *node, struct cs_buf *out)
{
	if (!node->how || (node->how == CS_WAIT_AWAIT && !node->probable))
		return 0;
	return cs_buf_printf(out, " (%s%s)", cs_wait_how_text(node->how),
			     node->probable ? ", probable" : "");
}

static int append_others(const struct cs_task_table *table, const struct cs_task_node *node,
			 struct cs_buf *out)
{
	uint32_t last = node->nwaiters < MAX_WAITERS ? node->nwaiters : MAX_WAITERS;
	int err = 0;

	if (node->task->nawaiters > 1)
		err = cs_buf_printf(out, " (%u parents%s)", node->task->nawaiters,
				    node->task->flags & CS_TASKF_WAITERS_CUT ? " or more" : "");
	/* the first is the parent */
	for (uint32_t i = 1; i < last && !err; i++) {
		const struct cs_task_waiter *it = &table->waiters[node->first_waiter + i];

		err = cs_buf_append_str(out, i == 1 ? " also awaited by " : ", ");
		if (!err)
			err = cs_task_append_short_name(&table->nodes[it->waiter], MAX_NAME, out);
	}
	if (!err && last < node->nwaiters)
		err = cs_buf_printf(out, " and %u more", node->nwaiters - last);
	return err;
}

static int append_state(const struct cs_task_node *node, struct cs_buf *out)
{
	int err = node->task->finished ? 0 : cs_buf_printf(out, " %s", cs_task_state_text(node));

	if (err || (!node->waited.exact && !node->waited.ns))
		return err;
	err = cs_buf_append_str(out, " ");
	return err ? err : cs_task_append_span(&node->waited, out);
}

static int print_task(struct tree *tree, int index, bool last)
{
	const struct cs_task_node *node = &tree->table->nodes[index];
	_cleanup_buf_ struct cs_buf line = {0};
	int err = append_title(node, &line);

	if (!err)
		err = append_how(node, &line);
	if (!err)
		err = append_state(node, &line);
	if (!err && !node->ghost)
		err = cs_buf_append_str(&line, " ");
	if (!err)
		err = cs_task_append_coroutines(tree->table, node, MAX_FRAMES, &line);
	if (!err)
		err = append_others(tree->table, node, &line);
	if (err)
		return err;
	printf("%s%s %s%s\n", cs_buf_str(&tree->indent), last ? "└──" : "├──", cs_buf_str(&line),
	       tree->shown[index] ? " [shown above: a cycle]" : "");
	return 0;
}

/* A task and what is below it; the bound keeps a long chain from drowning the terminal. */
static int print_below(struct tree *tree, int index, bool last, int depth)
{
	const struct cs_task_node *nodes = tree->table->nodes;
	bool again = tree->shown[index];
	size_t len = tree->indent.len;
	int err = print_task(tree, index, last);

	tree->shown[index] = true;
	if (err || again || nodes[index].first_child < 0)
		return err;
	err = cs_buf_append_str(&tree->indent, last ? "    " : "│   ");
	if (!err && depth == CS_MAX_TASK_DEPTH)
		printf("%s└── [deeper tasks are not shown]\n", cs_buf_str(&tree->indent));
	else
		for (int i = nodes[index].first_child; i >= 0 && !err; i = nodes[i].next)
			err = print_below(tree, i, nodes[i].next < 0, depth + 1);
	tree->indent.len = len;
	return err;
}

/* A finished task has no thread of its own any more: it stands with what it created. */
static uint32_t thread_of(const struct cs_task_table *table, const struct cs_task_node *node)
{
	for (int depth = 0;
	     node->ghost && !node->task->tid && node->first_child >= 0 && depth < CS_MAX_TASK_DEPTH;
	     depth++)
		node = &table->nodes[node->first_child];
	return node->task->tid;
}

/*
 * Is it to be printed directly below its thread? A ghost that stands above nothing tells nothing.
 */
static bool is_root_of(const struct cs_task_table *table, int index, uint32_t tid)
{
	const struct cs_task_node *node = &table->nodes[index];

	return node->root && (!node->ghost || node->first_child >= 0) &&
	       thread_of(table, node) == tid;
}

static int print_thread(struct tree *tree, uint32_t tid)
{
	const struct cs_task_table *table = tree->table;
	int pending = -1, err = 0;

	for (int i = 0; i < table->n && !err; i++) {
		if (!is_root_of(table, i, tid))
			continue;
		if (pending < 0 && tid)
			printf("event loop of thread %u\n", tid);
		else if (pending < 0)
			printf("event loop that does not run, or whose thread is not known\n");
		else
			err = print_below(tree, pending, false, 0);
		pending = i;
	}
	return err || pending < 0 ? err : print_below(tree, pending, true, 0);
}

static int compare_tids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int print_process(const struct cs_task_table *table)
{
	_cleanup_free_ bool *shown = calloc((size_t)table->n + 1, sizeof(*shown));
	_cleanup_free_ uint32_t *tids = calloc((size_t)table->n + 1, sizeof(*tids));
	struct tree tree = {.table = table, .shown = shown};
	int err = 0;

	if (!shown || !tids)
		return -ENOMEM;
	cs_task_print_header(table);
	for (int i = 0; i < table->n; i++)
		tids[i] = thread_of(table, &table->nodes[i]);
	qsort(tids, (size_t)table->n, sizeof(*tids), compare_tids);
	for (int i = 0; i < table->n && !err; i++)
		if (!i || tids[i] != tids[i - 1])
			err = print_thread(&tree, tids[i]);
	cs_buf_free(&tree.indent);
	return err;
}

int cs_cli_pstree(int argc, char **argv)
{
	static const struct cs_task_command command = {
		.name = "pstree",
		.doc = "Prints the tree of a process's asyncio tasks, suspended ones included.",
		.print = print_process,
	};

	return cs_task_command_run(&command, argc, argv);
}
