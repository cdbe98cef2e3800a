/* SPDX-License-Identifier: Apache-2.0 */
/* Threads, tasks and links to one stack per sample. */
#include "stitch/stitch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "stitch/blocked.h"
#include "stitch/parts.h"
#include "stitch/process.h"

/* Without a record for so long a thread is taken to be gone: longer than its name is taken for known (collect/thread_names.c). */
#define SILENT_NS 30000000000ull

struct cs_stitch {
	cs_stitch_fn *fn;
	void *ctx;
	struct cs_process *processes;
	unsigned int trees; /* to show; bits 1 << enum cs_tree */
	struct cs_parts parts;
	uint64_t now_ns; /* of the event that is being taken */
	struct cs_natives_told natives;
	struct cs_merge merge; /* of the stack that is being taken */
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

void cs_stitch_unfold(struct cs_stitch *stitch, bool unfold)
{
	stitch->parts.unfold = unfold;
}

void cs_stitch_free(struct cs_stitch *stitch)
{
	struct cs_process *process, *tmp;

	if (!stitch)
		return;
	HASH_ITER (hh, stitch->processes, process, tmp)
		cs_process_free(&stitch->processes, process);
	free(stitch);
}

struct cs_graph *cs_stitch_graph(struct cs_stitch *stitch, uint32_t pid)
{
	struct cs_process *process;

	HASH_FIND(hh, stitch->processes, &pid, sizeof(pid), process);
	return process ? process->graph : NULL;
}

static int emit(struct cs_stitch *stitch, struct cs_stitched *sample)
{
	sample->tree = stitch->parts.tree;
	sample->parts = stitch->parts.items;
	sample->n = stitch->parts.n;
	return stitch->fn(stitch->ctx, sample);
}

/* The task that waits for what the thread does in the stack of this time, or NULL. Its coroutine tells it from a later one at its address. */
static struct cs_task *origin_of(struct cs_process *process, const struct cs_thread *thread,
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
static uint32_t add_origin(struct cs_stitch *stitch, struct cs_process *process,
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
	cs_parts_add_lineage(&stitch->parts, process, task, task->tid);
	cs_parts_add_frames(&stitch->parts, &task->frames);
	part = cs_parts_add(&stitch->parts, CS_PART_THREAD);
	if (part)
		part->name = sample->thread_name;
	return thread->origin_frame;
}

/* A thread's stack as it was taken once, and for what it stands now. */
struct seen {
	const struct cs_event_stack *stack;
	const struct cs_event_span *span; /* or NULL */
	uint64_t ts_ns;                   /* when it was taken */
	uint64_t weight_ns;
	uint32_t count; /* samples */
};

/* Such a stack in one tree. */
static int stitch_thread_in_tree(struct cs_stitch *stitch, struct cs_process *process,
				 struct cs_thread *thread, const struct seen *seen)
{
	const struct cs_event_stack *stack = seen->stack;
	struct cs_stitched sample = {
		.pid = process->pid,
		.tid = thread->tid,
		.thread_name = cs_thread_name(thread),
		.root_tid = thread->tid,
		.root_thread_name = cs_thread_name(thread),
		.ts_ns = stitch->now_ns,
		.weight_ns = seen->weight_ns,
		.span_ns = stack->origin == CS_ORIGIN_OFF_CPU ? stack->blocked_ns : seen->weight_ns,
		.count = seen->count,
		.tasks = 1,
		.on_cpu = stack->origin == CS_ORIGIN_CPU,
		.span = seen->span,
	};
	struct cs_task *task = NULL, *origin = NULL;
	bool with_tasks = stitch->parts.tree != CS_TREE_THREADS;
	uint32_t count = stack->nframes;

	stitch->parts.n = 0;
	if (!stack->running.task && with_tasks)
		origin = origin_of(process, thread, stack, seen->ts_ns);
	if (stack->running.task) {
		task = cs_graph_running(process->graph, &stack->running, thread->tid);
		if (!task)
			return -ENOMEM;
		sample.task_id = task->addr;
		sample.task_name = task->name;
	}
	if (task && with_tasks) {
		count = stack->running.root_frame + 1;
		cs_parts_add_lineage(&stitch->parts, process, task, thread->tid);
	} else if (origin) {
		count = add_origin(stitch, process, thread, origin, &sample);
	} else if (stack->status != CS_STATUS_COMPLETE && stack->status != CS_STATUS_NOT_PYTHON &&
		   stack->status != CS_STATUS_CUT) {
		/* the cut is at the root: what is missing is below everything that is there */
		cs_parts_add_status(&stitch->parts, stack->status);
	}
	cs_parts_add_stack(&stitch->parts, process, thread, stack, count, &stitch->merge);
	cs_parts_add_native(&stitch->parts, thread, stack, seen->ts_ns);
	cs_parts_add_kernel(&stitch->parts, stack);
	if (stack->origin == CS_ORIGIN_OFF_CPU)
		cs_blocked_add(&stitch->parts, thread, stack, seen->ts_ns);
	return emit(stitch, &sample);
}

static void merge_natives(struct cs_stitch *stitch, const struct cs_process *process,
			  const struct cs_thread *thread, const struct cs_event_stack *stack,
			  uint64_t ts_ns)
{
	cs_merge(process, thread, stack, ts_ns, &stitch->merge);
	if (!stack->nframes || thread->native_ns != ts_ns || !thread->nnative)
		return;
	if (stitch->merge.known)
		stitch->natives.matched++;
	else
		stitch->natives.left_out++;
}

struct cs_natives_told cs_stitch_natives(const struct cs_stitch *stitch)
{
	return stitch->natives;
}

/* A stack of a thread, with the span that was active if it is of the same time. */
static int stitch_thread(struct cs_stitch *stitch, struct cs_process *process,
			 struct cs_thread *thread, struct cs_thread_span *active, struct seen *seen)
{
	int err = 0;

	merge_natives(stitch, process, thread, seen->stack, seen->ts_ns);
	if (active->ts_ns == seen->ts_ns)
		seen->span = cs_kept_span_get(&active->kept);
	for (stitch->parts.tree = 0; !err && stitch->parts.tree < CS_TREE_MAX_;
	     stitch->parts.tree++) {
		if (stitch->trees & 1u << stitch->parts.tree)
			err = stitch_thread_in_tree(stitch, process, thread, seen);
	}
	return err;
}

/* The thread that a record is of, made if new, or NULL without memory. */
static struct cs_thread *thread_of(struct cs_process *process, const struct cs_event *event)
{
	struct cs_thread *thread = cs_thread_get(&process->threads, event->tid);

	if (thread)
		thread->seen_ns = event->ts_ns;
	return thread;
}

static int feed_thread(struct cs_process *process, const struct cs_event *event)
{
	struct cs_thread *thread = thread_of(process, event);

	if (!thread)
		return -ENOMEM;
	free(thread->python_name);
	thread->python_name = strndup(event->thread_name.str, event->thread_name.len);
	return thread->python_name ? 0 : -ENOMEM;
}

static int feed_stack(struct cs_stitch *stitch, struct cs_process *process,
		      const struct cs_event *event)
{
	const struct cs_event_stack *stack = &event->stack;
	struct cs_thread *thread = thread_of(process, event);
	struct seen seen = {
		.stack = stack,
		.ts_ns = event->ts_ns,
		.weight_ns = stack->weight_ns,
		.count = cs_blocked_count(stack, event->tid, event->ts_ns),
	};
	size_t len =
		stack->comm.len < sizeof(thread->name) ? stack->comm.len : sizeof(thread->name) - 1;

	if (!thread)
		return -ENOMEM;
	memcpy(thread->name, stack->comm.str, len);
	thread->name[len] = '\0';
	cs_process_learn_base(process, thread, stack);
	if (!stack->weight_ns) /* it only introduces the thread */
		return 0;
	if (stack->origin == CS_ORIGIN_WALL) {
		thread->last_ns = event->ts_ns;
		thread->last_span = thread->span;
		if (cs_thread_remember(thread, stack))
			return -ENOMEM;
	}
	return stitch_thread(stitch, process, thread, &thread->span, &seen);
}

static int feed_origin(struct cs_process *process, const struct cs_event *event)
{
	struct cs_thread *thread = thread_of(process, event);

	if (!thread)
		return -ENOMEM;
	thread->origin_task = event->origin.task;
	thread->origin_coro = event->origin.coro;
	thread->origin_frame = event->origin.root_frame;
	thread->origin_ns = event->ts_ns;
	return cs_graph_running(process->graph, &event->origin, 0) ? 0 : -ENOMEM;
}

static int feed_span(struct cs_process *process, const struct cs_event *event)
{
	struct cs_thread *thread = cs_thread_get(&process->threads, event->tid);

	if (!thread)
		return -ENOMEM;
	thread->span.ts_ns = event->ts_ns;
	cs_kept_span_set(&thread->span.kept, &event->span);
	return 0;
}

static int feed_native(struct cs_process *process, const struct cs_event *event)
{
	struct cs_thread *thread = thread_of(process, event);

	if (!thread)
		return -ENOMEM;
	thread->native_ns = event->ts_ns;
	thread->native_status = event->native.status;
	thread->nnative = event->native.n;
	if (event->native.n)
		memcpy(thread->native, event->native.addresses,
		       event->native.n * sizeof(*thread->native));
	memcpy(thread->native_entries, event->native.entries, sizeof(thread->native_entries));
	return 0;
}

static int feed_waker(struct cs_process *process, const struct cs_event *event)
{
	struct cs_thread *thread = cs_thread_get(&process->threads, event->tid);

	if (thread)
		cs_blocked_learn_waker(thread, event);
	return thread ? 0 : -ENOMEM;
}

static int feed_same(struct cs_stitch *stitch, struct cs_process *process,
		     const struct cs_event *event)
{
	struct cs_thread *thread = thread_of(process, event);
	struct seen seen = {
		.weight_ns = event->same.weight_ns,
		.count = event->same.visits,
	};

	if (!thread)
		return -ENOMEM;
	/* A capture that begins in the middle has no stack to repeat. */
	if (!thread->last)
		return 0;
	seen.stack = thread->last;
	seen.ts_ns = thread->last_ns;
	return stitch_thread(stitch, process, thread, &thread->last_span, &seen);
}

static int feed_created(struct cs_process *process, const struct cs_event *event)
{
	const struct cs_event_stack *stack = &event->stack;
	struct cs_py_frame frames[CS_MAX_PY_FRAMES + 1];
	uint32_t count = stack->running.task ? stack->running.root_frame + 1 : 0;
	uint32_t n = cs_parts_oldest_first(stack, count, frames);

	return cs_graph_created(process->graph, event->ts_ns, stack->subject, &stack->running,
				frames, n);
}

/* A suspended task that waits for no other task, in one tree: the pass's weight is its. */
static int stitch_suspended(struct cs_stitch *stitch, struct cs_process *process,
			    struct cs_task *task, const struct cs_rest *span)
{
	struct cs_thread *thread = NULL;
	struct cs_stitched sample = {
		.pid = process->pid,
		.tid = task->tid,
		.thread_name = "",
		.root_tid = task->tid,
		.suspended = true,
		.ts_ns = span->ts_ns,
		.weight_ns = span->weight_ns * process->every,
		.span_ns = span->weight_ns,
		.count = span->count * process->every,
		.tasks = process->every,
		.task_id = task->addr,
		.task_name = task->name,
		.span = cs_kept_span_get(task->span),
	};
	struct cs_part *leaf;

	HASH_FIND(hh, process->threads, &task->tid, sizeof(task->tid), thread);
	if (thread)
		sample.thread_name = cs_thread_name(thread);
	sample.root_thread_name = sample.thread_name;
	stitch->parts.n = 0;
	cs_parts_add_lineage(&stitch->parts, process, task, task->tid);
	cs_parts_add_frames(&stitch->parts, &task->frames);
	if (task->flags & CS_TASKF_CHAIN_UNREADABLE)
		cs_parts_add_status(&stitch->parts, CS_STATUS_UNREADABLE_FRAME);
	else if (task->flags & CS_TASKF_CHAIN_CUT)
		cs_parts_add_status(&stitch->parts, CS_STATUS_TRUNCATED);
	leaf = cs_graph_leaf(task) ? cs_parts_add(&stitch->parts, CS_PART_LEAF) : NULL;
	if (leaf)
		leaf->name = cs_graph_leaf(task);
	return emit(stitch, &sample);
}

static int stitch_leaf(struct cs_stitch *stitch, struct cs_process *process, struct cs_task *task,
		       const struct cs_rest *span)
{
	int err = 0;

	for (stitch->parts.tree = 0; !err && stitch->parts.tree < CS_TREE_THREADS;
	     stitch->parts.tree++) {
		if (stitch->trees & 1u << stitch->parts.tree)
			err = stitch_suspended(stitch, process, task, span);
	}
	return err;
}

struct leaves {
	struct cs_stitch *stitch;
	struct cs_process *process;
	struct cs_rest span;
};

static int visit_leaf(void *ctx, struct cs_task *task)
{
	const struct leaves *leaves = ctx;

	if (task->state == CS_TASK_RUNNING || !task->is_leaf ||
	    !cs_graph_listed(leaves->process->graph, task))
		return 0;
	return stitch_leaf(leaves->stitch, leaves->process, task, &leaves->span);
}

/* The last pass held for so long: each suspended leaf task is a sample. */
static int stitch_pass(struct cs_stitch *stitch, struct cs_process *process)
{
	struct leaves leaves = {stitch, process, process->rest};

	process->rest = (struct cs_rest){0};
	return leaves.span.weight_ns ? cs_graph_each(process->graph, visit_leaf, &leaves) : 0;
}

static struct cs_process *find_process(const struct cs_stitch *stitch, uint32_t pid)
{
	struct cs_process *process;

	HASH_FIND(hh, stitch->processes, &pid, sizeof(pid), process);
	return process;
}

int cs_stitch_settle(struct cs_stitch *stitch, const struct cs_event *next)
{
	struct cs_process *process, *tmp;
	int err = 0;

	/* these change nothing that a suspended task's stack is made of */
	if (next && (next->kind == CS_EV_SAME || next->kind == CS_EV_PASS_AGAIN))
		return 0;
	if (next) {
		process = find_process(stitch, next->pid);
		return process && process->rest.count ? stitch_pass(stitch, process) : 0;
	}
	HASH_ITER (hh, stitch->processes, process, tmp) {
		if (!err && process->rest.count)
			err = stitch_pass(stitch, process);
	}
	return err;
}

static void add_rest(struct cs_process *process, uint64_t ts_ns, uint64_t weight_ns)
{
	process->rest.ts_ns = ts_ns;
	process->rest.weight_ns += weight_ns;
	process->rest.count++;
}

static void feed_pass(struct cs_process *process, const struct cs_event *event)
{
	const struct cs_event_pass *pass = &event->pass;
	enum cs_pass_kind kind = pass->every > 1                           ? CS_PASS_SHARE
				 : pass->ndropped                          ? CS_PASS_PARTIAL
				 : pass->coherence == CS_COHERENT_PER_TASK ? CS_PASS_PER_TASK
									   : CS_PASS_INSTANT;

	cs_graph_pass(process->graph, event->ts_ns, pass->tasks, pass->ntasks, kind);
	process->passed = true;
	process->every = pass->every;
	add_rest(process, event->ts_ns, pass->weight_ns);
}

/* It is another program now, or no more. */
static void forget_process(struct cs_stitch *stitch, uint32_t pid)
{
	struct cs_process *process = find_process(stitch, pid);

	if (process)
		cs_process_free(&stitch->processes, process);
}

void cs_stitch_begin(struct cs_stitch *stitch, uint64_t now_ns)
{
	uint64_t since_ns = now_ns > SILENT_NS ? now_ns - SILENT_NS : 0;
	struct cs_process *process, *tmp;

	stitch->natives = (struct cs_natives_told){0};
	HASH_ITER (hh, stitch->processes, process, tmp) {
		/* nobody watches it, so nobody tells its end */
		if (!process->described && process->seen_ns < since_ns) {
			cs_process_free(&stitch->processes, process);
			continue;
		}
		cs_threads_forget(&process->threads, since_ns);
		cs_graph_begin(process->graph);
	}
}

static bool is_last(const struct cs_event *event)
{
	return event->kind == CS_EV_EXEC || event->kind == CS_EV_EXIT || event->kind == CS_EV_STATS;
}

int cs_stitch_feed(struct cs_stitch *stitch, const struct cs_event *event)
{
	struct cs_process *process;

	if (!event->pid || is_last(event)) {
		forget_process(stitch, event->pid);
		return 0;
	}
	process = cs_process_get(&stitch->processes, event->pid);
	if (!process)
		return -ENOMEM;
	stitch->now_ns = process->seen_ns = event->ts_ns;
	switch (event->kind) {
	case CS_EV_STACK:
		return feed_stack(stitch, process, event);
	case CS_EV_ORIGIN:
		return feed_origin(process, event);
	case CS_EV_NATIVE:
		return feed_native(process, event);
	case CS_EV_SPAN:
		return feed_span(process, event);
	case CS_EV_WAKER:
		return feed_waker(process, event);
	case CS_EV_SAME:
		return feed_same(stitch, process, event);
	case CS_EV_TASK_CREATED:
		return feed_created(process, event);
	case CS_EV_CREATIONS:
		cs_graph_creations(process->graph, event->creations_told);
		return 0;
	case CS_EV_TASK:
		return cs_graph_update(process->graph, event->ts_ns, &event->task, event->tid);
	case CS_EV_PASS:
		feed_pass(process, event);
		return 0;
	case CS_EV_PASS_AGAIN:
		/* a capture that begins in the middle has no pass to repeat */
		if (process->passed)
			add_rest(process, event->ts_ns, event->same.weight_ns);
		return 0;
	case CS_EV_CODE:
		return cs_process_learn_code(process, &event->code);
	case CS_EV_SYMBOL:
		return cs_process_learn_native(process, &event->symbol);
	case CS_EV_THREAD:
		return feed_thread(process, event);
	case CS_EV_PROCESS:
		process->described = true;
		return 0;
	default:
		return 0;
	}
}
