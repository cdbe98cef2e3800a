/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tasks of one process, put in order and linked. Every task has at most one parent, so what is
 * not below a root is below a circle: the first member of each circle is made a root as well, and
 * shows up once more where the circle closes.
 */
#include "cli/task_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

struct cs_node_of {
	const struct cs_task *task;
	int node;
	UT_hash_handle hh;
};

const char *cs_task_state_text(const struct cs_task_node *node)
{
	static const char *const text[] = {
		[CS_TASK_CREATED] = "not started", [CS_TASK_WAITING] = "waiting",
		[CS_TASK_READY] = "ready",         [CS_TASK_RUNNING] = "running",
		[CS_TASK_DONE] = "done",           [CS_TASK_UNREADABLE] = "unreadable",
	};
	enum cs_task_state state = node->task->state;

	if (node->ghost)
		return node->task->finished ? "finished" : "not read";
	return (size_t)state < ARRAY_SIZE(text) && text[state] ? text[state] : "unknown";
}

/* Make room for one more element of size bytes. Returns the array, moved if need be, or NULL. */
static void *reserve(void *items, uint32_t n, uint32_t *cap, size_t size)
{
	uint32_t wanted = *cap ? 2 * *cap : 64;
	void *moved;

	if (n < *cap)
		return items;
	moved = realloc(items, wanted * size);
	if (moved)
		*cap = wanted;
	return moved;
}

static int add_node(struct cs_task_table *table, struct cs_task *task, bool ghost)
{
	uint32_t cap = (uint32_t)table->cap;
	struct cs_task_node *nodes =
		reserve(table->nodes, (uint32_t)table->n, &cap, sizeof(*nodes));

	if (!nodes)
		return -ENOMEM;
	table->nodes = nodes;
	table->cap = (int)cap;
	nodes[table->n++] = (struct cs_task_node){
		.task = task,
		.ghost = ghost,
		.parent = -1,
		.creator = -1,
		.first_child = -1,
		.next = -1,
	};
	return 0;
}

static int add_alive(void *ctx, struct cs_task *task)
{
	return add_node(ctx, task, false);
}

/* By thread, then by name, which for default names is by age; addresses make the rest stable. */
static int compare_nodes(const void *a, const void *b)
{
	const struct cs_task *x = ((const struct cs_task_node *)a)->task,
			     *y = ((const struct cs_task_node *)b)->task;
	int order;

	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	order = strverscmp(x->name ? x->name : "", y->name ? y->name : "");
	if (order)
		return order;
	return (x->addr > y->addr) - (x->addr < y->addr);
}

static int find_node(const struct cs_task_table *table, const struct cs_task *task)
{
	struct cs_node_of *it = NULL;

	if (task)
		HASH_FIND_PTR(table->by_task, &task, it);
	return it ? it->node : -1;
}

static int index_node(struct cs_task_table *table, int node)
{
	struct cs_node_of *it = malloc(sizeof(*it));

	if (!it)
		return -ENOMEM;
	*it = (struct cs_node_of){.task = table->nodes[node].task, .node = node};
	HASH_ADD_PTR(table->by_task, task, it);
	return 0;
}

/*
 * The ghosts above the living, and those above ghosts: nodes are appended while the loop goes over
 * them.
 */
static int add_ghosts(struct cs_task_table *table)
{
	int err = 0;

	for (int i = 0; i < table->n && !err; i++) {
		enum cs_link link;
		struct cs_task *above[] = {cs_graph_parent(table->nodes[i].task, &link),
					   table->nodes[i].task->creator};

		for (size_t k = 0; k < ARRAY_SIZE(above) && !err; k++) {
			if (!above[k] || find_node(table, above[k]) >= 0)
				continue;
			err = add_node(table, above[k], true);
			if (!err)
				err = index_node(table, table->n - 1);
		}
	}
	return err;
}

static void name_node(const struct cs_task_table *table, struct cs_task_node *node)
{
	const struct cs_snapshot *snapshot = table->snapshot;
	int ghost = (int)(node - table->nodes) - table->nalive;

	if (node->ghost) {
		snprintf(node->id, sizeof(node->id), "0x%" PRIx64 "#%d", node->task->addr,
			 ghost + 1);
		return;
	}
	snprintf(node->id, sizeof(node->id), "0x%" PRIx64, node->task->addr);
	node->age = cs_since_born(snapshot->since, node->task->addr, snapshot->looked_ns);
	if (node->task->state == CS_TASK_WAITING)
		node->waited =
			cs_since_changed(snapshot->since, node->task->addr, snapshot->looked_ns);
}

static void link_node(struct cs_task_table *table, struct cs_task_node *node)
{
	const struct cs_task *task = node->task;

	node->parent = find_node(table, cs_graph_parent(task, &node->link));
	node->creator = find_node(table, task->creator);
	node->root = node->parent < 0;
	if (node->link == CS_LINK_AWAIT || node->link == CS_LINK_STRONG) {
		node->how = task->how;
		node->probable = task->probable;
	}
}

/* Backwards, so that children come out in order. */
static void chain_children(struct cs_task_table *table)
{
	for (int i = table->n; i-- > 0;) {
		int parent = table->nodes[i].parent;

		if (parent < 0)
			continue;
		table->nodes[i].next = table->nodes[parent].first_child;
		table->nodes[parent].first_child = i;
	}
}

/*
 * Where each circle is entered: at its first member in order. Walks up from each node not met
 * before; the walk's number tells a circle, which meets itself, from what joins an earlier walk.
 * Returns 0 or -ENOMEM.
 */
static int find_circles(struct cs_task_table *table)
{
	_cleanup_free_ int *walk = calloc((size_t)table->n + 1, sizeof(*walk));
	struct cs_task_node *nodes = table->nodes;

	if (!walk)
		return -ENOMEM;
	for (int start = 0; start < table->n; start++) {
		int at = start, first;

		while (at >= 0 && !walk[at]) {
			walk[at] = start + 1;
			at = nodes[at].parent;
		}
		if (at < 0 || walk[at] != start + 1)
			continue;
		first = at;
		for (int member = nodes[at].parent; member != at; member = nodes[member].parent)
			first = member < first ? member : first;
		nodes[first].root = true;
	}
	return 0;
}

static int add_wait(void *ctx, const struct cs_wait *wait)
{
	struct cs_task_table *table = ctx;
	struct cs_task_waiter *waiters;
	int waiter = find_node(table, wait->waiter), awaited = find_node(table, wait->awaited);

	if (waiter < 0 || awaited < 0)
		return 0;
	waiters = reserve(table->waiters, table->nwaiters, &table->waiters_cap, sizeof(*waiters));
	if (!waiters)
		return -ENOMEM;
	table->waiters = waiters;
	waiters[table->nwaiters++] =
		(struct cs_task_waiter){waiter, awaited, wait->how, wait->probable};
	return 0;
}

/* By the task that is waited for, its parent first, the others in order. */
static int compare_waiters(const void *a, const void *b, void *ctx)
{
	const struct cs_task_waiter *x = a, *y = b;
	const struct cs_task_table *table = ctx;
	int parent;

	if (x->awaited != y->awaited)
		return x->awaited < y->awaited ? -1 : 1;
	parent = table->nodes[x->awaited].parent;
	if ((x->waiter == parent) != (y->waiter == parent))
		return x->waiter == parent ? -1 : 1;
	return (x->waiter > y->waiter) - (x->waiter < y->waiter);
}

static int collect_waiters(struct cs_task_table *table, const struct cs_graph *graph)
{
	int err = cs_graph_each_wait(graph, add_wait, table);

	if (err || !table->nwaiters)
		return err;
	qsort_r(table->waiters, table->nwaiters, sizeof(*table->waiters), compare_waiters, table);
	for (uint32_t i = table->nwaiters; i-- > 0;) {
		struct cs_task_node *awaited = &table->nodes[table->waiters[i].awaited];

		awaited->first_waiter = i;
		awaited->nwaiters++;
	}
	return 0;
}

int cs_task_table_make(struct cs_snapshot *snapshot, struct cs_task_table *table)
{
	struct cs_graph *graph = cs_stitch_graph(snapshot->stitch, (uint32_t)snapshot->target->pid);
	int err;

	*table = (struct cs_task_table){.snapshot = snapshot};
	if (!graph)
		return 0;
	err = cs_graph_each(graph, add_alive, table);
	if (err || !table->n)
		return err;
	qsort(table->nodes, (size_t)table->n, sizeof(*table->nodes), compare_nodes);
	table->nalive = table->n;
	for (int i = 0; i < table->n && !err; i++)
		err = index_node(table, i);
	if (!err)
		err = add_ghosts(table);
	for (int i = 0; i < table->n && !err; i++) {
		name_node(table, &table->nodes[i]);
		link_node(table, &table->nodes[i]);
	}
	if (err)
		return err;
	chain_children(table);
	err = find_circles(table);
	return err ? err : collect_waiters(table, graph);
}

void cs_task_table_free(struct cs_task_table *table)
{
	struct cs_node_of *it, *tmp;

	HASH_ITER (hh, table->by_task, it, tmp) {
		HASH_DEL(table->by_task, it);
		free(it);
	}
	free(table->nodes);
	free(table->waiters);
}

struct cs_frames cs_task_creation(const struct cs_task_table *table,
				  const struct cs_task_node *node)
{
	const struct cs_snapshot *snapshot = table->snapshot;
	struct cs_frames frames = node->task->creation;

	while (frames.n &&
	       (cs_symbols_code_flags(snapshot->symbols, (uint32_t)snapshot->target->pid,
				      frames.items[frames.n - 1].code) &
		CS_CODE_ASYNCIO))
		frames.n--;
	return frames;
}

int cs_task_append_frames(const struct cs_task_table *table, const struct cs_frames *frames,
			  uint32_t max, struct cs_buf *out)
{
	_cleanup_buf_ struct cs_buf text = {0};
	const char *before = "";
	int err = 0;

	for (uint32_t i = 0; i < frames->n && !err; i++) {
		if (frames->n > max && i == max / 2) {
			i = frames->n - (max - max / 2);
			err = cs_buf_printf(out, " > [%u left out]", frames->n - max);
		}
		text.len = 0;
		if (!err)
			err = cs_snapshot_frame(table->snapshot, &frames->items[i], &text);
		if (err == -ENOENT) { /* the interpreter's own */
			err = 0;
			continue;
		}
		if (!err)
			err = cs_buf_append_str(out, before);
		if (!err)
			err = cs_buf_append_escaped(out, text.data, text.len, "");
		before = " > ";
	}
	return err;
}

int cs_task_append_coroutines(const struct cs_task_table *table, const struct cs_task_node *node,
			      uint32_t max, struct cs_buf *out)
{
	const struct cs_task *task = node->task;
	const char *leaf = cs_graph_leaf(task);
	int err;

	if (node->ghost)
		return 0;
	err = cs_task_append_frames(table, &task->frames, max, out);
	if (!err && (task->flags & CS_TASKF_MOVED))
		err = cs_buf_append_str(out, "[changed while it was read]");
	if (!err && (task->flags & CS_TASKF_CHAIN_CUT))
		err = cs_buf_append_str(out, " > [truncated]");
	if (!err && (task->flags & CS_TASKF_CHAIN_UNREADABLE))
		err = cs_buf_append_str(out, " > [unreadable]");
	if (!err && leaf)
		err = cs_buf_append_str(out, " ~ ");
	return err || !leaf ? err : cs_buf_append_escaped(out, leaf, strlen(leaf), "");
}
