/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroscope pstree: the tree of asyncio tasks now. A task hangs below the task that awaits it, else below its event loop:
 * who created whom is only known to a capture that was there. Cycles are drawn, not refused.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/snapshot.h"
#include "core/cleanup.h"
#include "core/log.h"

struct node {
	struct cs_task *task;
	int parent; /* index, -1: under its loop */
	int first_child, next;
	bool shown;
	UT_hash_handle hh; /* by task */
};

struct tree {
	struct cs_snapshot snapshot;
	struct node *nodes;
	struct node *by_task; /* into nodes */
	int n, cap;
};

static const char *state_text(enum cs_task_state state)
{
	static const char *const text[] = {
		[CS_TASK_CREATED] = "not started", [CS_TASK_WAITING] = "waiting",
		[CS_TASK_READY] = "ready",         [CS_TASK_RUNNING] = "running",
		[CS_TASK_DONE] = "done",           [CS_TASK_UNREADABLE] = "unreadable",
	};

	return (size_t)state < ARRAY_SIZE(text) && text[state] ? text[state] : "unknown";
}

static int collect_task(void *ctx, struct cs_task *task)
{
	struct tree *tree = ctx;

	if (tree->n == tree->cap) {
		int cap = tree->cap ? 2 * tree->cap : 64;
		struct node *nodes = realloc(tree->nodes, (size_t)cap * sizeof(*nodes));

		if (!nodes)
			return -ENOMEM;
		tree->nodes = nodes;
		tree->cap = cap;
	}
	tree->nodes[tree->n++] =
		(struct node){.task = task, .parent = -1, .first_child = -1, .next = -1};
	return 0;
}

/* By thread, then by age as far as known: names and addresses make the rest stable. */
static int compare_nodes(const void *a, const void *b)
{
	const struct cs_task *x = ((const struct node *)a)->task,
			     *y = ((const struct node *)b)->task;
	int order;

	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	order = strverscmp(x->name ? x->name : "", y->name ? y->name : "");
	if (order)
		return order;
	return (x->addr > y->addr) - (x->addr < y->addr);
}

static int find_node(const struct tree *tree, const struct cs_task *task)
{
	struct node *node;

	HASH_FIND_PTR(tree->by_task, &task, node);
	return node ? (int)(node - tree->nodes) : -1;
}

static void link_nodes(struct tree *tree)
{
	enum cs_link link;

	qsort(tree->nodes, (size_t)tree->n, sizeof(*tree->nodes), compare_nodes);
	for (int i = 0; i < tree->n; i++)
		HASH_ADD_PTR(tree->by_task, task, &tree->nodes[i]);
	for (int i = tree->n; i-- > 0;) {
		struct cs_task *parent = cs_graph_parent(tree->nodes[i].task, &link);
		struct node *node = &tree->nodes[i];

		node->parent = parent ? find_node(tree, parent) : -1;
		if (node->parent < 0)
			continue;
		/* backwards, so that children come out in order */
		node->next = tree->nodes[node->parent].first_child;
		tree->nodes[node->parent].first_child = i;
	}
}

/* " coroutine (file:line) > inner (file:line) ~ leaf" */
static int append_coroutines(struct tree *tree, const struct cs_task *task, struct cs_buf *out)
{
	int err = 0;

	for (uint32_t i = 0; i < task->frames.n && !err; i++) {
		err = cs_buf_append_str(out, i ? " > " : " ");
		if (!err)
			err = cs_snapshot_frame(&tree->snapshot, &task->frames.items[i], out);
	}
	if (!err && (task->flags & CS_TASKF_CHAIN_CUT))
		err = cs_buf_append_str(out, " > [truncated]");
	if (!err && (task->flags & CS_TASKF_CHAIN_UNREADABLE))
		err = cs_buf_append_str(out, " > [unreadable]");
	if (!err && cs_graph_leaf(task))
		err = cs_buf_printf(out, " ~ %s", cs_graph_leaf(task));
	return err;
}

static int print_task(struct tree *tree, const struct node *node, const struct cs_buf *indent,
		      bool last)
{
	_cleanup_buf_ struct cs_buf raw = {0}, text = {0}, name = {0};
	const struct cs_task *task = node->task;

	if (append_coroutines(tree, task, &raw) ||
	    cs_buf_append_escaped(&text, raw.data, raw.len, "") ||
	    cs_buf_append_escaped(&name, task->name ? task->name : "?",
				  task->name ? strlen(task->name) : 1, ""))
		return -ENOMEM;
	printf("%.*s%s <task %s> %s%s", (int)indent->len, indent->data ? indent->data : "",
	       last ? "└──" : "├──", cs_buf_str(&name), state_text(task->state), cs_buf_str(&text));
	if (task->nawaiters > 1)
		printf(" (%u parents)", task->nawaiters);
	printf("%s\n", node->shown ? " [shown above: a cycle]" : "");
	return 0;
}

/* Depth first from the first of a list of siblings; the bound keeps a long chain from drowning the terminal. */
static int print_siblings(struct tree *tree, int first, struct cs_buf *indent, int depth)
{
	static const char bar[] = "│   ", blank[] = "    ";
	int err = 0;

	for (int i = first; i >= 0 && !err; i = tree->nodes[i].next) {
		struct node *node = &tree->nodes[i];
		bool last = node->next < 0, again = node->shown;
		size_t len = indent->len;

		err = print_task(tree, node, indent, last);
		node->shown = true;
		if (err || again || node->first_child < 0)
			continue;
		err = cs_buf_append_str(indent, last ? blank : bar);
		if (!err && depth == CS_MAX_TASK_DEPTH)
			printf("%.*s└── [deeper tasks are not shown]\n", (int)indent->len,
			       indent->data);
		else if (!err)
			err = print_siblings(tree, node->first_child, indent, depth + 1);
		indent->len = len;
	}
	return err;
}

/* Tasks under no task, chained as siblings below their thread. Returns the first, or -1. */
static int chain_roots(struct tree *tree, uint32_t tid)
{
	int first = -1;

	for (int i = tree->n; i-- > 0;) {
		if (tree->nodes[i].parent >= 0 || tree->nodes[i].task->tid != tid)
			continue;
		tree->nodes[i].next = first;
		first = i;
	}
	return first;
}

static int print_thread(struct tree *tree, uint32_t tid)
{
	_cleanup_buf_ struct cs_buf indent = {0};
	int err = 0;

	if (tid)
		printf("event loop of thread %u\n", tid);
	else
		printf("event loop that does not run, or whose thread is not known\n");
	err = print_siblings(tree, chain_roots(tree, tid), &indent, 0);
	/* Tasks that await each other in a circle have no root: enter the circle anywhere. */
	for (int i = 0; i < tree->n && !err; i++) {
		struct node *node = &tree->nodes[i];

		if (node->shown || node->task->tid != tid)
			continue;
		node->next = -1;
		err = print_siblings(tree, i, &indent, 0);
	}
	return err;
}

static int print_text(struct tree *tree)
{
	const struct cs_interp *interp = &tree->snapshot.target->interp;
	int err = 0;

	printf("process %d: Python %d.%d.%d, %d task%s\n", interp->pid, interp->major,
	       interp->minor, interp->micro, tree->n, tree->n == 1 ? "" : "s");
	for (int i = 0; i < tree->n && !err; i++)
		if (!i || tree->nodes[i].task->tid != tree->nodes[i - 1].task->tid)
			err = print_thread(tree, tree->nodes[i].task->tid);
	return err;
}

static json_t *frame_json(struct tree *tree, const struct cs_py_frame *frame)
{
	const struct cs_profile *profile = tree->snapshot.profile;
	const struct cs_frame *f;
	int64_t index;

	index = cs_symbols_python(tree->snapshot.symbols, (uint32_t)tree->snapshot.target->pid,
				  frame);
	if (index < 0)
		return NULL;
	f = cs_profile_get_frame(profile, (uint32_t)index);
	return json_pack("{s:s, s:s, s:i}", "name", cs_profile_str(profile, f->name), "file",
			 cs_profile_str(profile, f->file), "line", (int)f->line);
}

static json_t *task_json(struct tree *tree, const struct node *node)
{
	const struct cs_task *task = node->task;
	json_t *frames = json_array(), *parent;
	char id[32];

	for (uint32_t i = 0; i < task->frames.n; i++)
		json_array_append_new(frames, frame_json(tree, &task->frames.items[i]));
	parent = node->parent < 0
			 ? json_null()
			 : json_sprintf("0x%" PRIx64, tree->nodes[node->parent].task->addr);
	snprintf(id, sizeof(id), "0x%" PRIx64, task->addr);
	return json_pack("{s:s, s:s?, s:s, s:i, s:o, s:i, s:o, s:s?}", "id", id, "name", task->name,
			 "state", state_text(task->state), "thread", (int)task->tid, "parent",
			 parent, "parents", (int)task->nawaiters, "coroutines", frames, "awaits",
			 task->leaf);
}

static int print_json(struct tree *tree)
{
	const struct cs_interp *interp = &tree->snapshot.target->interp;
	json_t *tasks = json_array(), *root;
	char version[32];
	int err;

	for (int i = 0; i < tree->n; i++)
		json_array_append_new(tasks, task_json(tree, &tree->nodes[i]));
	snprintf(version, sizeof(version), "%d.%d.%d", interp->major, interp->minor, interp->micro);
	root = json_pack("{s:i, s:s, s:o}", "pid", (int)interp->pid, "python", version, "tasks",
			 tasks);
	err = root ? json_dumpf(root, stdout, JSON_INDENT(2)) : -1;
	putchar('\n');
	json_decref(root);
	return err ? -EIO : 0;
}

struct options {
	const char *pid;
	bool json;
};

static int show_tree(pid_t pid, bool json)
{
	struct tree tree = {0};
	struct cs_graph *graph;
	int err = 0, code = cs_snapshot_open(pid, &tree.snapshot);

	if (!code)
		code = cs_snapshot_tasks(&tree.snapshot);
	if (!code) {
		graph = cs_stitch_graph(tree.snapshot.stitch, (uint32_t)pid);
		err = graph ? cs_graph_each(graph, collect_task, &tree) : 0;
		if (!err) {
			link_nodes(&tree);
			err = json ? print_json(&tree) : print_text(&tree);
		}
		if (err) {
			cs_err("cannot show the tasks of %d: %s", pid, strerror(-err));
			code = CS_EXIT_FAILURE;
		}
	}
	HASH_CLEAR(hh, tree.by_task);
	free(tree.nodes);
	cs_snapshot_close(&tree.snapshot);
	return code;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'j':
		options->json = true;
		return 0;
	case 'p':
	case ARGP_KEY_ARG:
		if (options->pid)
			cs_usage_error("one process at a time");
		options->pid = arg;
		return 0;
	case ARGP_KEY_END:
		if (!options->pid)
			cs_usage_error("which process?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cs_cli_pstree(int argc, char **argv)
{
	static const struct argp_option argp_options[] = {
		{"pid", 'p', "PID", 0, "the process, as in py-spy", 0},
		{"json", 'j', NULL, 0, "as JSON: every task with its parent's id", 0},
		{0},
	};
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse_option,
		.args_doc = "PID",
		.doc = "Prints the tree of a process's asyncio tasks, suspended ones included.",
	};
	struct options options = {0};
	pid_t pid;

	argv[0] = (char *)"coroscope pstree";
	if (argp_parse(&argp, argc, argv, 0, NULL, &options))
		return CS_EXIT_USAGE;
	pid = cs_snapshot_pid(options.pid);
	return pid ? show_tree(pid, options.json) : CS_EXIT_USAGE;
}
