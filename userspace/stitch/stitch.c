/* SPDX-License-Identifier: Apache-2.0 */
/* Threads, tasks and links to one stack per sample. */
#include "stitch/stitch.h"

#include <coroscope/code_check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "stitch/thread.h"

/* base, tasks with frames of each, running frames, kernel: what is beyond is cut and marked */
#define MAX_PARTS 4096

/* Code objects that matter here: event loops and asyncio's own functions. */
struct code {
	uint64_t code;
	unsigned int flags;
	UT_hash_handle hh;
};

/* How long, and in how many looks, the last pass held until ts_ns. */
struct rest {
	uint64_t ts_ns, weight_ns;
	uint32_t count;
};

struct process {
	uint32_t pid;
	struct rest rest; /* not handed out yet */
	bool passed;
	struct cs_graph *graph;
	struct cs_thread *threads;
	struct code *codes;
	UT_hash_handle hh;
};

struct cs_stitch {
	cs_stitch_fn *fn;
	void *ctx;
	struct process *processes;
	unsigned int trees; /* to show; bits 1 << enum cs_tree */
	enum cs_tree tree;  /* of the stack in parts */
	struct cs_part parts[MAX_PARTS];
	uint32_t n;
	uint64_t now_ns; /* of the event that is being taken */
};

int cs_stitch_new(cs_stitch_fn *fn, void *ctx, struct cs_stitch **ret)
{
	struct cs_stitch *stitch = calloc(1, sizeof(*stitch));

	if (!stitch)
		return -ENOMEM;
	stitch->fn = fn;
	stitch->ctx = ctx;
	stitch->trees = 1u << CS_TREE_AWAIT;
	*ret = stitch;
	return 0;
}

void cs_stitch_show(struct cs_stitch *stitch, unsigned int trees)
{
	stitch->trees = trees;
}

static void process_free(struct cs_stitch *stitch, struct process *process)
{
	struct code *code, *tmp;

	HASH_DEL(stitch->processes, process);
	HASH_ITER (hh, process->codes, code, tmp) {
		HASH_DEL(process->codes, code);
		free(code);
	}
	cs_threads_free(&process->threads);
	cs_graph_free(process->graph);
	free(process);
}

void cs_stitch_free(struct cs_stitch *stitch)
{
	struct process *process, *tmp;

	if (!stitch)
		return;
	HASH_ITER (hh, stitch->processes, process, tmp)
		process_free(stitch, process);
	free(stitch);
}

static struct process *process_get(struct cs_stitch *stitch, uint32_t pid)
{
	struct process *process;

	HASH_FIND(hh, stitch->processes, &pid, sizeof(pid), process);
	if (process)
		return process;
	process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	process->pid = pid;
	if (cs_graph_new(&process->graph)) {
		free(process);
		return NULL;
	}
	HASH_ADD(hh, stitch->processes, pid, sizeof(process->pid), process);
	return process;
}

struct cs_graph *cs_stitch_graph(struct cs_stitch *stitch, uint32_t pid)
{
	struct process *process;

	HASH_FIND(hh, stitch->processes, &pid, sizeof(pid), process);
	return process ? process->graph : NULL;
}

static unsigned int code_flags(const struct process *process, uint64_t addr)
{
	struct code *code;

	HASH_FIND(hh, process->codes, &addr, sizeof(addr), code);
	return code ? code->flags : 0;
}

static int learn_code(struct process *process, const struct cs_event_code *event)
{
	unsigned int flags = event->flags & (CS_CODE_ASYNCIO | CS_CODE_LOOP);
	struct code *code;

	HASH_FIND(hh, process->codes, &event->code, sizeof(event->code), code);
	if (!code && !flags)
		return 0;
	if (!code) {
		code = calloc(1, sizeof(*code));
		if (!code)
			return -ENOMEM;
		code->code = event->code;
		HASH_ADD(hh, process->codes, code, sizeof(code->code), code);
	}
	code->flags = flags;
	return 0;
}

/* Room for one more part; the last one is kept for the mark that says so. */
static struct cs_part *add_part(struct cs_stitch *stitch, enum cs_part_kind kind)
{
	bool full = stitch->n >= MAX_PARTS - 1;

	if (stitch->n == MAX_PARTS)
		return NULL;
	stitch->parts[stitch->n] = (struct cs_part){.kind = full ? CS_PART_TASKS_CUT : kind};
	stitch->n++;
	return full ? NULL : &stitch->parts[stitch->n - 1];
}

static void add_python(struct cs_stitch *stitch, const struct cs_py_frame *frame)
{
	struct cs_part *part = add_part(stitch, CS_PART_PYTHON);

	if (part)
		part->python = *frame;
}

static void add_status(struct cs_stitch *stitch, enum cs_status status)
{
	struct cs_part *part = add_part(stitch, CS_PART_STATUS);

	if (part)
		part->status = status;
}

/* Index of the innermost frame, from newest-first index `from` on, that runs an event loop; n if none does. */
static uint32_t innermost_loop(const struct process *process, const struct cs_event_stack *stack,
			       uint32_t from)
{
	uint32_t i = from;

	while (i < stack->nframes && !(code_flags(process, stack->frames[i].code) & CS_CODE_LOOP))
		i++;
	return i;
}

/* Remember the frames below which this thread's tasks hang. Incomplete stacks have no root to remember. */
static void learn_base(const struct process *process, struct cs_thread *thread,
		       const struct cs_event_stack *stack)
{
	uint32_t from = stack->running.task ? stack->running.root_frame + 1 : 0;
	uint32_t loop = innermost_loop(process, stack, from);
	/* what was left out may be a loop's frame, unless it all lies above the task */
	bool whole = stack->status == CS_STATUS_COMPLETE ||
		     (stack->status == CS_STATUS_CUT && from > CS_LEAF_FRAMES);

	if (loop >= stack->nframes || !whole)
		return;
	thread->nbase = stack->nframes - loop;
	for (uint32_t i = 0; i < thread->nbase; i++)
		thread->base[i] = stack->frames[stack->nframes - 1 - i];
}

static void add_base(struct cs_stitch *stitch, const struct cs_thread *thread)
{
	for (uint32_t i = 0; thread && i < thread->nbase; i++)
		add_python(stitch, &thread->base[i]);
}

/* Who stands directly above in the tree that is being made. */
static struct cs_task *parent_of(const struct cs_stitch *stitch, const struct cs_task *task,
				 enum cs_link *ret_link)
{
	if (stitch->tree == CS_TREE_AWAIT)
		return cs_graph_parent(task, ret_link);
	*ret_link = task->creator ? CS_LINK_CREATED : CS_LINK_NONE;
	return task->creator;
}

/* How many of a creator's frames are its own: asyncio's, at their end, are not. */
static uint32_t own_frames(const struct process *process, const struct cs_frames *frames)
{
	uint32_t n = frames->n;

	while (n && (code_flags(process, frames->items[n - 1].code) & CS_CODE_ASYNCIO))
		n--;
	return n;
}

/* Addresses are reused, and coroutines' too, but not both and the moment of birth: mixed, 48 bits are enough and fit everywhere. */
static uint64_t task_number(const struct process *process, const struct cs_task *task)
{
	const uint64_t words[] = {process->pid, task->addr, task->coro, task->created_ns};
	uint64_t number = 0;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		number = (number ^ words[i]) * 0x9e3779b97f4a7c15ull;
		number ^= number >> 29;
	}
	return number >> 16;
}

static void add_task(struct cs_stitch *stitch, const struct process *process,
		     const struct cs_task *task, enum cs_link link)
{
	struct cs_part *part = add_part(stitch, CS_PART_TASK);
	uint32_t own = own_frames(process, &task->creation);
	bool await_tree = stitch->tree == CS_TREE_AWAIT;

	if (!part)
		return;
	part->addr = task->addr;
	part->name = task->name;
	part->task = task_number(process, task);
	if (own)
		part->site = task->creation.items[own - 1];
	if (await_tree)
		part->parents = task->nawaiters;
	if (task->finished || task->missed)
		part->mark = CS_MARK_FINISHED;
	else if (await_tree && link == CS_LINK_CREATED)
		part->mark = CS_MARK_CREATED;
	else if (link == CS_LINK_STRONG && task->probable)
		part->mark = CS_MARK_PROBABLE;
}

/* Where the creator was at the moment of creation. */
static void add_creation(struct cs_stitch *stitch, const struct process *process,
			 const struct cs_frames *frames)
{
	uint32_t n = own_frames(process, frames);

	for (uint32_t i = 0; i < n; i++)
		add_python(stitch, &frames->items[i]);
}

static void add_frames(struct cs_stitch *stitch, const struct cs_frames *frames)
{
	for (uint32_t i = 0; i < frames->n; i++)
		add_python(stitch, &frames->items[i]);
}

/* As cs_graph_lineage, for the tree that is being made. Creators are older than what they create: no cycles. */
static uint32_t lineage(const struct cs_stitch *stitch, struct process *process,
			struct cs_task *task, struct cs_task **out, uint32_t max, bool *ret_cut)
{
	enum cs_link link;
	uint32_t n = 0;

	if (stitch->tree == CS_TREE_AWAIT)
		return cs_graph_lineage(process->graph, task, out, max, ret_cut);
	for (; task && n < max; task = parent_of(stitch, task, &link))
		out[n++] = task;
	*ret_cut = task;
	return n;
}

/*
 * Everything from the thread's root to the boundary of `leaf`, the boundary included. What stands between two boundaries
 * is where the upper task waits for the lower one, or where it created it.
 */
static void add_lineage(struct cs_stitch *stitch, struct process *process, struct cs_task *leaf,
			uint32_t tid)
{
	struct cs_task *tasks[CS_MAX_TASK_DEPTH];
	enum cs_link link = CS_LINK_NONE;
	struct cs_thread *thread;
	bool cut;
	uint32_t n = lineage(stitch, process, leaf, tasks, CS_MAX_TASK_DEPTH, &cut);

	tid = tasks[n - 1]->tid ? tasks[n - 1]->tid : tid;
	HASH_FIND(hh, process->threads, &tid, sizeof(tid), thread);
	add_base(stitch, thread);
	if (cut)
		add_part(stitch, CS_PART_TASKS_CUT);
	for (uint32_t i = n; i-- > 0;) {
		parent_of(stitch, tasks[i], &link);
		if (i < n - 1 && (link == CS_LINK_AWAIT || link == CS_LINK_STRONG))
			add_frames(stitch, &tasks[i + 1]->frames);
		else if (i < n - 1)
			add_creation(stitch, process, &tasks[i]->creation);
		add_task(stitch, process, tasks[i], link);
	}
}

static int emit(struct cs_stitch *stitch, struct cs_stitched *sample)
{
	sample->tree = stitch->tree;
	sample->parts = stitch->parts;
	sample->n = stitch->n;
	return stitch->fn(stitch->ctx, sample);
}

/* The newest `count` frames of a stack, oldest first, with a mark where some were left out. Returns how many: one more at most. */
static uint32_t oldest_first(const struct cs_event_stack *stack, uint32_t count,
			     struct cs_py_frame frames[CS_MAX_PY_FRAMES + 1])
{
	uint32_t n = 0;

	for (uint32_t i = count; i-- > 0;) {
		if (stack->nskipped && i == CS_LEAF_FRAMES - 1)
			frames[n++] = (struct cs_py_frame){.code = CS_CODE_LEFT_OUT,
							   .lasti = (int32_t)stack->nskipped};
		frames[n++] = stack->frames[i];
	}
	return n;
}

static void add_stack_frames(struct cs_stitch *stitch, const struct cs_event_stack *stack,
			     uint32_t count)
{
	struct cs_py_frame frames[CS_MAX_PY_FRAMES + 1];
	uint32_t n = oldest_first(stack, count, frames);

	for (uint32_t i = 0; i < n; i++)
		add_python(stitch, &frames[i]);
}

static void add_kernel(struct cs_stitch *stitch, const struct cs_event_stack *stack)
{
	struct cs_part *part;

	if (!stack->nframes && stack->user_ip) {
		part = add_part(stitch, CS_PART_NATIVE);
		if (part)
			part->addr = stack->user_ip;
	}
	for (uint32_t i = stack->nkernel; i-- > 0;) {
		part = add_part(stitch, CS_PART_KERNEL);
		if (part)
			part->addr = stack->kernel[i];
	}
}

/* The task that waits for what the thread does in the stack of this time, or NULL. Its coroutine tells it from a later one at its address. */
static struct cs_task *origin_of(struct process *process, const struct cs_thread *thread,
				 const struct cs_event_stack *stack, uint64_t ts_ns)
{
	struct cs_task *task;

	if (!thread->origin_task || thread->origin_ns != ts_ns ||
	    thread->origin_frame >= stack->nframes)
		return NULL;
	task = cs_graph_find(process->graph, thread->origin_task);
	return task && task->coro == thread->origin_coro ? task : NULL;
}

/* Everything below what the thread does for another thread's task. Returns how many frames of its own are left to show. */
static uint32_t add_origin(struct cs_stitch *stitch, struct process *process,
			   const struct cs_thread *thread, struct cs_task *task,
			   struct cs_stitched *sample)
{
	struct cs_thread *root = NULL;
	struct cs_part *part;

	sample->origin_id = task->addr;
	sample->origin_name = task->name;
	HASH_FIND(hh, process->threads, &task->tid, sizeof(task->tid), root);
	if (root) {
		sample->root_tid = task->tid;
		sample->root_thread_name = cs_thread_name(root);
	}
	add_lineage(stitch, process, task, task->tid);
	add_frames(stitch, &task->frames);
	part = add_part(stitch, CS_PART_THREAD);
	if (part)
		part->name = sample->thread_name;
	return thread->origin_frame;
}

/* One stack of one thread, taken at ts_ns, in one tree. */
static int stitch_thread_in_tree(struct cs_stitch *stitch, struct process *process,
				 struct cs_thread *thread, const struct cs_event_stack *stack,
				 uint64_t ts_ns, uint64_t weight_ns)
{
	struct cs_stitched sample = {
		.pid = process->pid,
		.tid = thread->tid,
		.thread_name = cs_thread_name(thread),
		.root_tid = thread->tid,
		.root_thread_name = cs_thread_name(thread),
		.ts_ns = stitch->now_ns,
		.weight_ns = weight_ns,
		.count = 1,
		.on_cpu = stack->origin == CS_ORIGIN_CPU,
	};
	struct cs_task *task = NULL, *origin = NULL;
	bool with_tasks = stitch->tree != CS_TREE_THREADS;
	uint32_t count = stack->nframes;

	stitch->n = 0;
	if (!stack->running.task && with_tasks)
		origin = origin_of(process, thread, stack, ts_ns);
	if (stack->running.task) {
		task = cs_graph_running(process->graph, &stack->running, thread->tid);
		if (!task)
			return -ENOMEM;
		sample.task_id = task->addr;
		sample.task_name = task->name;
	}
	if (task && with_tasks) {
		count = stack->running.root_frame + 1;
		add_lineage(stitch, process, task, thread->tid);
	} else if (origin) {
		count = add_origin(stitch, process, thread, origin, &sample);
	} else if (stack->status != CS_STATUS_COMPLETE && stack->status != CS_STATUS_NOT_PYTHON &&
		   stack->status != CS_STATUS_CUT) {
		/* the cut is at the root: what is missing is below everything that is there */
		add_status(stitch, stack->status);
	}
	add_stack_frames(stitch, stack, count);
	add_kernel(stitch, stack);
	return emit(stitch, &sample);
}

/* One stack of one thread, taken at ts_ns, now or again. */
static int stitch_thread(struct cs_stitch *stitch, struct process *process,
			 struct cs_thread *thread, const struct cs_event_stack *stack,
			 uint64_t ts_ns, uint64_t weight_ns)
{
	int err = 0;

	for (stitch->tree = 0; !err && stitch->tree < CS_TREE_MAX_; stitch->tree++) {
		if (stitch->trees & 1u << stitch->tree)
			err = stitch_thread_in_tree(stitch, process, thread, stack, ts_ns,
						    weight_ns);
	}
	return err;
}

static int feed_thread(struct process *process, const struct cs_event *event)
{
	struct cs_thread *thread = cs_thread_get(&process->threads, event->tid);

	if (!thread)
		return -ENOMEM;
	free(thread->python_name);
	thread->python_name = strndup(event->thread_name.str, event->thread_name.len);
	return thread->python_name ? 0 : -ENOMEM;
}

static int feed_stack(struct cs_stitch *stitch, struct process *process,
		      const struct cs_event *event)
{
	const struct cs_event_stack *stack = &event->stack;
	struct cs_thread *thread = cs_thread_get(&process->threads, event->tid);
	size_t len =
		stack->comm.len < sizeof(thread->name) ? stack->comm.len : sizeof(thread->name) - 1;

	if (!thread)
		return -ENOMEM;
	memcpy(thread->name, stack->comm.str, len);
	thread->name[len] = '\0';
	learn_base(process, thread, stack);
	if (!stack->weight_ns) /* it only introduces the thread */
		return 0;
	if (stack->origin == CS_ORIGIN_WALL) {
		thread->last_ns = event->ts_ns;
		if (cs_thread_remember(thread, stack))
			return -ENOMEM;
	}
	return stitch_thread(stitch, process, thread, stack, event->ts_ns, stack->weight_ns);
}

static int feed_origin(struct process *process, const struct cs_event *event)
{
	struct cs_thread *thread = cs_thread_get(&process->threads, event->tid);

	if (!thread)
		return -ENOMEM;
	thread->origin_task = event->origin.task;
	thread->origin_coro = event->origin.coro;
	thread->origin_frame = event->origin.root_frame;
	thread->origin_ns = event->ts_ns;
	return cs_graph_running(process->graph, &event->origin, 0) ? 0 : -ENOMEM;
}

static int feed_same(struct cs_stitch *stitch, struct process *process,
		     const struct cs_event *event)
{
	struct cs_thread *thread = cs_thread_get(&process->threads, event->tid);

	if (!thread)
		return -ENOMEM;
	/* A capture that begins in the middle has no stack to repeat. */
	if (!thread->last)
		return 0;
	return stitch_thread(stitch, process, thread, thread->last, thread->last_ns,
			     event->same_weight_ns);
}

static int feed_created(struct process *process, const struct cs_event *event)
{
	const struct cs_event_stack *stack = &event->stack;
	struct cs_py_frame frames[CS_MAX_PY_FRAMES + 1];
	uint32_t count = stack->running.task ? stack->running.root_frame + 1 : 0;
	uint32_t n = oldest_first(stack, count, frames);

	return cs_graph_created(process->graph, event->ts_ns, stack->subject, &stack->running,
				frames, n);
}

/* A suspended task that waits for no other task, in one tree: the pass's weight is its. */
static int stitch_suspended(struct cs_stitch *stitch, struct process *process, struct cs_task *task,
			    const struct rest *span)
{
	struct cs_thread *thread = NULL;
	struct cs_stitched sample = {
		.pid = process->pid,
		.tid = task->tid,
		.thread_name = "",
		.root_tid = task->tid,
		.suspended = true,
		.ts_ns = span->ts_ns,
		.weight_ns = span->weight_ns,
		.count = span->count,
		.task_id = task->addr,
		.task_name = task->name,
	};
	struct cs_part *leaf;

	HASH_FIND(hh, process->threads, &task->tid, sizeof(task->tid), thread);
	if (thread)
		sample.thread_name = cs_thread_name(thread);
	sample.root_thread_name = sample.thread_name;
	stitch->n = 0;
	add_lineage(stitch, process, task, task->tid);
	add_frames(stitch, &task->frames);
	if (task->flags & CS_TASKF_CHAIN_UNREADABLE)
		add_status(stitch, CS_STATUS_UNREADABLE_FRAME);
	else if (task->flags & CS_TASKF_CHAIN_CUT)
		add_status(stitch, CS_STATUS_TRUNCATED);
	leaf = cs_graph_leaf(task) ? add_part(stitch, CS_PART_LEAF) : NULL;
	if (leaf)
		leaf->name = cs_graph_leaf(task);
	return emit(stitch, &sample);
}

static int stitch_leaf(struct cs_stitch *stitch, struct process *process, struct cs_task *task,
		       const struct rest *span)
{
	int err = 0;

	for (stitch->tree = 0; !err && stitch->tree < CS_TREE_THREADS; stitch->tree++) {
		if (stitch->trees & 1u << stitch->tree)
			err = stitch_suspended(stitch, process, task, span);
	}
	return err;
}

struct leaves {
	struct cs_stitch *stitch;
	struct process *process;
	struct rest span;
};

static int visit_leaf(void *ctx, struct cs_task *task)
{
	const struct leaves *leaves = ctx;

	if (task->state == CS_TASK_RUNNING || !task->is_leaf)
		return 0;
	return stitch_leaf(leaves->stitch, leaves->process, task, &leaves->span);
}

/* The last pass held for so long: each suspended leaf task is a sample. */
static int stitch_pass(struct cs_stitch *stitch, struct process *process)
{
	struct leaves leaves = {stitch, process, process->rest};

	process->rest = (struct rest){0};
	return leaves.span.weight_ns ? cs_graph_each(process->graph, visit_leaf, &leaves) : 0;
}

int cs_stitch_settle(struct cs_stitch *stitch, const struct cs_event *next)
{
	struct process *process, *tmp;
	int err = 0;

	/* these change nothing that a suspended task's stack is made of */
	if (next && (next->kind == CS_EV_SAME || next->kind == CS_EV_PASS_AGAIN))
		return 0;
	HASH_ITER (hh, stitch->processes, process, tmp) {
		if (!err && process->rest.count && (!next || next->pid == process->pid))
			err = stitch_pass(stitch, process);
	}
	return err;
}

static void add_rest(struct process *process, uint64_t ts_ns, uint64_t weight_ns)
{
	process->rest.ts_ns = ts_ns;
	process->rest.weight_ns += weight_ns;
	process->rest.count++;
}

static void feed_pass(struct process *process, const struct cs_event *event)
{
	const struct cs_event_pass *pass = &event->pass;
	enum cs_pass_kind kind = pass->ndropped                         ? CS_PASS_PARTIAL
				 : pass->coherence == CS_COHERENT_QUIET ? CS_PASS_INSTANT
									: CS_PASS_PER_TASK;

	cs_graph_pass(process->graph, event->ts_ns, pass->tasks, pass->ntasks, kind);
	process->passed = true;
	add_rest(process, event->ts_ns, pass->weight_ns);
}

int cs_stitch_feed(struct cs_stitch *stitch, const struct cs_event *event)
{
	struct process *process = event->pid ? process_get(stitch, event->pid) : NULL;

	if (!process)
		return event->pid ? -ENOMEM : 0;
	stitch->now_ns = event->ts_ns;
	switch (event->kind) {
	case CS_EV_STACK:
		return feed_stack(stitch, process, event);
	case CS_EV_ORIGIN:
		return feed_origin(process, event);
	case CS_EV_SAME:
		return feed_same(stitch, process, event);
	case CS_EV_TASK_CREATED:
		return feed_created(process, event);
	case CS_EV_TASK:
		return cs_graph_update(process->graph, event->ts_ns, &event->task, event->tid);
	case CS_EV_PASS:
		feed_pass(process, event);
		return 0;
	case CS_EV_PASS_AGAIN:
		/* a capture that begins in the middle has no pass to repeat */
		if (process->passed)
			add_rest(process, event->ts_ns, event->same_weight_ns);
		return 0;
	case CS_EV_CODE:
		return learn_code(process, &event->code);
	case CS_EV_THREAD:
		return feed_thread(process, event);
	case CS_EV_EXEC:
	case CS_EV_EXIT:
		process_free(stitch, process);
		return 0;
	default:
		return 0;
	}
}
