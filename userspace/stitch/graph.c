/* SPDX-License-Identifier: Apache-2.0 */
/* The tasks of one process and who stands above whom. */
#include "stitch/graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

/*
 * A finished creator is kept while its children live. A program in which each task creates the next would keep them all;
 * ghosts of ghosts beyond this depth are let go.
 */
#define MAX_GHOSTS 8

struct cs_graph {
	struct cs_task *tasks; /* by address; each holds one reference */
	uint32_t pass;
	uint32_t whole; /* serial of the last pass that was not over a share */
	uint32_t period;
	uint64_t visit;
	bool missed; /* creations are */
};

int cs_graph_new(struct cs_graph **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

/* Loops, not recursion: a chain of creators is as long as the program makes it. */
static void task_unref(struct cs_task *task)
{
	while (task && --task->refs == 0) {
		struct cs_task *creator = task->creator;

		free(task->name);
		free(task->leaf);
		free(task->links);
		free(task->span);
		free(task->frames.items);
		free(task->creation.items);
		free(task);
		task = creator;
	}
}

/* References up and down make cycles: the upward ones are dropped before anything else. */
static void forget_awaiters(struct cs_graph *graph)
{
	struct cs_task *task;

	for (task = graph->tasks; task; task = task->hh.next) {
		task_unref(TAKE_PTR(task->awaiter));
		task->nawaiters = 0;
	}
}

void cs_graph_free(struct cs_graph *graph)
{
	struct cs_task *task, *tmp;

	if (!graph)
		return;
	forget_awaiters(graph);
	HASH_ITER (hh, graph->tasks, task, tmp) {
		HASH_DEL(graph->tasks, task);
		task_unref(task);
	}
	free(graph);
}

static int set_frames(struct cs_frames *frames, const struct cs_py_frame *items, uint32_t n)
{
	struct cs_py_frame *copy = NULL;

	if (n) {
		copy = malloc(n * sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		memcpy(copy, items, n * sizeof(*copy));
	}
	free(frames->items);
	*frames = (struct cs_frames){copy, n};
	return 0;
}

static int set_links(struct cs_task *task, const struct cs_task_link *links, uint32_t n)
{
	struct cs_task_link *copy = NULL;

	if (n) {
		copy = malloc(n * sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		memcpy(copy, links, n * sizeof(*copy));
	}
	free(task->links);
	task->links = copy;
	task->nlinks = n;
	return 0;
}

static int set_text(char **text, struct cs_text value)
{
	char *copy;

	if (!value.len ||
	    (*text && strlen(*text) == value.len && !memcmp(*text, value.str, value.len)))
		return 0;
	copy = strndup(value.str, value.len);
	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

struct cs_task *cs_graph_find(const struct cs_graph *graph, uint64_t addr)
{
	struct cs_task *task;

	HASH_FIND(hh, graph->tasks, &addr, sizeof(addr), task);
	return task;
}

static void let_old_ghosts_go(struct cs_task *task)
{
	for (int depth = 0; task; task = task->creator) {
		if (!task->finished || depth++ < MAX_GHOSTS)
			continue;
		task_unref(TAKE_PTR(task->creator));
		return;
	}
}

/* Nothing at this address is what it was. */
static void retire(struct cs_graph *graph, struct cs_task *task)
{
	task->finished = true;
	task_unref(TAKE_PTR(task->awaiter));
	HASH_DEL(graph->tasks, task);
	let_old_ghosts_go(task);
	task_unref(task);
}

static struct cs_task *new_task(struct cs_graph *graph, uint64_t addr)
{
	struct cs_task *task = calloc(1, sizeof(*task));

	if (!task)
		return NULL;
	task->addr = addr;
	task->refs = 1;
	task->born = graph->pass + 1;
	task->told = graph->period;
	task->by_name = graph->missed;
	HASH_ADD(hh, graph->tasks, addr, sizeof(task->addr), task);
	return task;
}

/* The task at this address whose coroutine is coro: another coroutine there is another task. */
static struct cs_task *task_at(struct cs_graph *graph, uint64_t addr, uint64_t coro)
{
	struct cs_task *task = cs_graph_find(graph, addr);

	if (task && task->coro && coro && task->coro != coro) {
		retire(graph, task);
		task = NULL;
	}
	if (!task)
		task = new_task(graph, addr);
	if (task && coro)
		task->coro = coro;
	if (task)
		task->told = graph->period;
	return task;
}

int cs_graph_created(struct cs_graph *graph, uint64_t ts_ns, uint64_t addr,
		     const struct cs_event_running *creator, const struct cs_py_frame *frames,
		     uint32_t n)
{
	struct cs_task *task = cs_graph_find(graph, addr), *by = NULL;

	if (creator->task && creator->task != addr) {
		by = cs_graph_running(graph, creator, 0);
		if (!by)
			return -ENOMEM;
	}
	if (task)
		retire(graph, task);
	task = new_task(graph, addr);
	if (!task)
		return -ENOMEM;
	task->created_ns = ts_ns;
	task->creator = by;
	if (by)
		by->refs++;
	return set_frames(&task->creation, frames, n);
}

static bool same_name(const char *name, struct cs_text other)
{
	return strlen(name) == other.len && !memcmp(name, other.str, other.len);
}

/* The name that asyncio gives one task, and no other: "Task-12". */
static bool is_own_name(const char *name)
{
	return name && !strncmp(name, "Task-", 5) && name[5] &&
	       strspn(name + 5, "0123456789") == strlen(name + 5);
}

/* Nobody knows who has created it. */
static void forget_creator(struct cs_task *task)
{
	task_unref(TAKE_PTR(task->creator));
	free(task->creation.items);
	task->creation = (struct cs_frames){0};
	task->created_ns = 0;
}

void cs_graph_creations(struct cs_graph *graph, bool told)
{
	struct cs_task *task;

	graph->missed = !told;
	for (task = graph->tasks; task && !told; task = task->hh.next) {
		task->by_name = true;
		if (!is_own_name(task->name))
			forget_creator(task);
	}
}

/*
 * Is the one of this name that is met at its address another task, that followed it? Where no creation is seen (tasks in Python, or the probe rests) a task and its coroutine
 * may both have the addresses of those before them; then only the name tells, or it has just been given another one.
 */
static bool is_another(const struct cs_task *task, struct cs_text name, bool cut)
{
	bool sure = task->created_ns && !task->by_name;

	if (sure || (!task->created_ns && (!task->name || !name.len || cut)))
		return false;
	return !task->name || !same_name(task->name, name);
}

struct cs_task *cs_graph_running(struct cs_graph *graph, const struct cs_event_running *running,
				 uint32_t tid)
{
	struct cs_task *task = cs_graph_find(graph, running->task);

	if (task && is_another(task, running->name, running->name_cut))
		retire(graph, task);
	task = task_at(graph, running->task, running->coro);
	/* A pass reads names whole: one name for one task. */
	if (!task || (!(running->name_cut && task->name) && set_text(&task->name, running->name)))
		return NULL;
	if (tid)
		task->tid = tid;
	return task;
}

static int set_span(struct cs_task *task, const struct cs_event_span *span)
{
	if (!span->span_id) {
		free(TAKE_PTR(task->span));
		return 0;
	}
	if (!task->span)
		task->span = malloc(sizeof(*task->span));
	if (!task->span)
		return -ENOMEM;
	cs_kept_span_set(task->span, span);
	return 0;
}

int cs_graph_update(struct cs_graph *graph, uint64_t ts_ns, const struct cs_event_task *event,
		    uint32_t tid)
{
	struct cs_task *task = cs_graph_find(graph, event->task);

	/* It tells of the task that was there before this one. */
	if (task && ts_ns < task->created_ns)
		return 0;
	if (event->state == CS_TASK_DONE) {
		if (task && (!task->coro || task->coro == event->coro))
			retire(graph, task);
		return 0;
	}
	if (task && is_another(task, event->name, false))
		retire(graph, task);
	task = task_at(graph, event->task, event->coro);
	if (!task)
		return -ENOMEM;
	task->changed = graph->pass + 1;
	task->state = event->state;
	task->flags = event->flags;
	task->waiter = event->waiter;
	task->loop = event->loop;
	if (tid)
		task->tid = tid;
	if (!event->leaf.len)
		free(TAKE_PTR(task->leaf));
	if (set_text(&task->name, event->name) || set_text(&task->leaf, event->leaf) ||
	    set_links(task, event->links, event->nlinks) || set_span(task, &event->span))
		return -ENOMEM;
	return set_frames(&task->frames, event->frames, event->nframes);
}

const char *cs_graph_leaf(const struct cs_task *task)
{
	/* FutureIter of Modules/_asynciomodule.c: every await of a future or task ends in it. */
	return task->leaf && !strstr(task->leaf, "FutureIter") ? task->leaf : NULL;
}

bool cs_graph_alive(const struct cs_graph *graph, const struct cs_task *task)
{
	return task->pass && task->pass >= graph->whole && !task->finished;
}

bool cs_graph_listed(const struct cs_graph *graph, const struct cs_task *task)
{
	return task->pass == graph->pass && !task->finished;
}

/* "First" must be the same one in every pass: the oldest, then the lowest address. */
static bool comes_first(const struct cs_task *a, const struct cs_task *b)
{
	return a->created_ns != b->created_ns ? a->created_ns < b->created_ns : a->addr < b->addr;
}

/*
 * The other alive task that this one waits for, or NULL. When this one was last read, the other must have been there: at its address there may
 * have been another before.
 */
static struct cs_task *awaited_by(const struct cs_graph *graph, const struct cs_task *task)
{
	struct cs_task *awaited = task->waiter ? cs_graph_find(graph, task->waiter) : NULL;

	if (!awaited || awaited == task || !cs_graph_alive(graph, awaited) ||
	    awaited->born > task->pass)
		return NULL;
	return awaited;
}

/* The other alive task that a link of this one names, or NULL: also if it has gone on since this one was last read. */
static struct cs_task *linked_by(const struct cs_graph *graph, const struct cs_task *task,
				 const struct cs_task_link *link)
{
	struct cs_task *waiter = cs_graph_find(graph, link->waiter);

	if (!waiter || waiter == task || !cs_graph_alive(graph, waiter) ||
	    waiter->changed > task->pass)
		return NULL;
	return waiter;
}

int cs_graph_each_wait(const struct cs_graph *graph,
		       int (*fn)(void *ctx, const struct cs_wait *wait), void *ctx)
{
	struct cs_task *task;
	int err = 0;

	for (task = graph->tasks; task && !err; task = task->hh.next) {
		struct cs_wait wait = {task, awaited_by(graph, task), CS_WAIT_AWAIT, false};

		if (!cs_graph_alive(graph, task))
			continue;
		if (wait.awaited)
			err = fn(ctx, &wait);
		wait.awaited = task;
		for (uint32_t i = 0; i < task->nlinks && !err; i++) {
			wait.waiter = linked_by(graph, task, &task->links[i]);
			wait.how = task->links[i].how;
			wait.probable = task->links[i].flags & CS_LINKF_PROBABLE;
			if (wait.waiter)
				err = fn(ctx, &wait);
		}
	}
	return err;
}

const char *cs_wait_how_text(enum cs_wait_how how)
{
	static const char *const text[] = {
		[CS_WAIT_AWAIT] = "await",
		[CS_WAIT_GATHER] = "gather",
		[CS_WAIT_WAIT] = "wait",
		[CS_WAIT_WAIT_FOR] = "wait_for",
		[CS_WAIT_AS_COMPLETED] = "as_completed",
		[CS_WAIT_SHIELD] = "shield",
		[CS_WAIT_TASK_GROUP] = "TaskGroup",
		[CS_WAIT_THREADSAFE] = "run_coroutine_threadsafe",
		[CS_WAIT_OTHER] = "callback",
	};

	return (size_t)how < ARRAY_SIZE(text) && text[how] ? text[how] : "callback";
}

/* An await counts more than another wait, which counts more than one that is only probable. */
static int rank(bool probable, enum cs_wait_how how)
{
	return probable ? 2 : how != CS_WAIT_AWAIT;
}

static int note_wait(void *ctx, const struct cs_wait *wait)
{
	struct cs_task *awaited = wait->awaited;
	int mine = rank(wait->probable, wait->how), best = rank(awaited->probable, awaited->how);

	/* the time of one that was not read is nobody's: its waiter's is told by itself */
	if (!(awaited->flags & CS_TASKF_MOVED))
		wait->waiter->is_leaf = false;
	awaited->nawaiters++;
	if (awaited->awaiter &&
	    (mine > best || (mine == best && !comes_first(wait->waiter, awaited->awaiter))))
		return 0;
	task_unref(awaited->awaiter);
	awaited->awaiter = wait->waiter;
	awaited->how = wait->how;
	awaited->probable = wait->probable;
	wait->waiter->refs++;
	return 0;
}

static void link_awaiters(struct cs_graph *graph)
{
	struct cs_task *task;

	forget_awaiters(graph);
	for (task = graph->tasks; task; task = task->hh.next)
		task->is_leaf = cs_graph_alive(graph, task);
	cs_graph_each_wait(graph, note_wait, NULL);
}

/*
 * A circle of tasks above which nothing is a leaf would not be shown, and its time must not vanish: its first member stands for it.
 * Everyone has at most one awaiter, so following these from each task not met before finds every circle once, in
 * linear time; those that a leaf hangs on are met first.
 */
static void find_circles(struct cs_graph *graph)
{
	struct cs_task *start, *task, *member, *first;
	uint64_t shown = ++graph->visit;

	for (start = graph->tasks; start; start = start->hh.next) {
		for (task = start->is_leaf ? start : NULL; task && task->visit != shown;
		     task = task->awaiter)
			task->visit = shown;
	}
	for (start = graph->tasks; start; start = start->hh.next) {
		graph->visit++;
		task = cs_graph_alive(graph, start) ? start : NULL;
		while (task && task->visit < shown) {
			task->visit = graph->visit;
			task = task->awaiter;
		}
		if (!task || task->visit != graph->visit)
			continue; /* it ends, or joins what was followed before */
		first = task;
		for (member = task->awaiter; member && member != task; member = member->awaiter)
			first = comes_first(member, first) ? member : first;
		first->is_leaf = true;
	}
}

void cs_graph_pass(struct cs_graph *graph, uint64_t ts_ns, const uint64_t *tasks, uint32_t n,
		   enum cs_pass_kind kind)
{
	/* A process that ran meanwhile may have hidden a task in the midst of being made. */
	unsigned int needed = kind == CS_PASS_INSTANT ? 1 : 2;
	struct cs_task *task, *tmp;

	graph->pass++;
	if (kind != CS_PASS_SHARE)
		graph->whole = graph->pass;
	for (uint32_t i = 0; i < n; i++) {
		task = cs_graph_find(graph, tasks[i]);
		if (task && task->created_ns <= ts_ns)
			task->pass = graph->pass;
	}
	HASH_ITER (hh, graph->tasks, task, tmp) {
		if (task->pass == graph->pass)
			task->missed = 0;
		else if (kind != CS_PASS_PARTIAL && kind != CS_PASS_SHARE &&
			 task->created_ns <= ts_ns && ++task->missed >= needed)
			retire(graph, task);
	}
	link_awaiters(graph);
	find_circles(graph);
}

void cs_graph_begin(struct cs_graph *graph)
{
	struct cs_task *task, *tmp;

	HASH_ITER (hh, graph->tasks, task, tmp)
		if (!cs_graph_alive(graph, task) && task->told != graph->period)
			retire(graph, task);
	graph->period++;
}

struct cs_task *cs_graph_parent(const struct cs_task *task, enum cs_link *ret_link)
{
	if (task->awaiter && !task->awaiter->finished) {
		*ret_link = task->how == CS_WAIT_AWAIT ? CS_LINK_AWAIT : CS_LINK_STRONG;
		return task->awaiter;
	}
	*ret_link = task->creator ? CS_LINK_CREATED : CS_LINK_NONE;
	return task->creator;
}

uint32_t cs_graph_lineage(struct cs_graph *graph, struct cs_task *task, struct cs_task **out,
			  uint32_t max, bool *ret_cut)
{
	enum cs_link link;
	uint32_t n = 0;

	graph->visit++;
	*ret_cut = false;
	while (task) {
		if (n == max || task->visit == graph->visit) {
			*ret_cut = true;
			break;
		}
		task->visit = graph->visit;
		out[n++] = task;
		task = cs_graph_parent(task, &link);
	}
	return n;
}

int cs_graph_each(const struct cs_graph *graph, int (*fn)(void *ctx, struct cs_task *task),
		  void *ctx)
{
	struct cs_task *task, *tmp;
	int err = 0;

	HASH_ITER (hh, graph->tasks, task, tmp) {
		if (!err && cs_graph_alive(graph, task))
			err = fn(ctx, task);
	}
	return err;
}
