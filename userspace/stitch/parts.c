/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a stack: threads' frames, tasks and what stands between them. */
#include "stitch/parts.h"

#include <coroscope/code_check.h>

#include "core/cleanup.h"

struct cs_part *cs_parts_add(struct cs_parts *parts, enum cs_part_kind kind)
{
	bool full = parts->n >= CS_MAX_PARTS - 1;

	if (parts->n == CS_MAX_PARTS)
		return NULL;
	parts->items[parts->n] = (struct cs_part){.kind = full ? CS_PART_TASKS_CUT : kind};
	parts->n++;
	return full ? NULL : &parts->items[parts->n - 1];
}

static void cs_parts_add_python(struct cs_parts *parts, const struct cs_py_frame *frame)
{
	struct cs_part *part = cs_parts_add(parts, CS_PART_PYTHON);

	if (part)
		part->python = *frame;
}

void cs_parts_add_status(struct cs_parts *parts, enum cs_status status)
{
	struct cs_part *part = cs_parts_add(parts, CS_PART_STATUS);

	if (part)
		part->status = status;
}

/* The frames of the thread's loop. A thread without number: nobody runs the task's loop. */
static void add_base(struct cs_parts *parts, const struct cs_process *process, uint32_t tid)
{
	struct cs_thread *thread;

	HASH_FIND(hh, process->threads, &tid, sizeof(tid), thread);
	if (tid && (!thread || !thread->nbase))
		cs_parts_add_status(parts, CS_STATUS_NOT_SEEN);
	for (uint32_t i = 0; thread && i < thread->nbase; i++)
		cs_parts_add_python(parts, &thread->base[i]);
}

/* Who stands directly above in the tree that is being made. */
static struct cs_task *parent_of(const struct cs_parts *parts, const struct cs_task *task,
				 enum cs_link *ret_link)
{
	if (parts->tree == CS_TREE_AWAIT)
		return cs_graph_parent(task, ret_link);
	*ret_link = task->creator ? CS_LINK_CREATED : CS_LINK_NONE;
	return task->creator;
}

/* How many of a creator's frames are its own: asyncio's, at their end, are not. */
static uint32_t own_frames(const struct cs_process *process, const struct cs_frames *frames)
{
	uint32_t n = frames->n;

	while (n && (cs_process_code_flags(process, frames->items[n - 1].code) & CS_CODE_ASYNCIO))
		n--;
	return n;
}

/* Addresses are reused, and coroutines' too, but not both and the moment of birth: mixed, 48 bits are enough and fit everywhere. */
static uint64_t task_number(const struct cs_process *process, const struct cs_task *task)
{
	const uint64_t words[] = {process->pid, task->addr, task->coro, task->created_ns};
	uint64_t number = 0;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		number = (number ^ words[i]) * 0x9e3779b97f4a7c15ull;
		number ^= number >> 29;
	}
	return number >> 16;
}

static void add_task(struct cs_parts *parts, const struct cs_process *process,
		     const struct cs_task *task, enum cs_link link)
{
	struct cs_part *part = cs_parts_add(parts, CS_PART_TASK);
	uint32_t own = own_frames(process, &task->creation);
	bool await_tree = parts->tree == CS_TREE_AWAIT;

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
static void add_creation(struct cs_parts *parts, const struct cs_process *process,
			 const struct cs_frames *frames)
{
	uint32_t n = own_frames(process, frames);

	for (uint32_t i = 0; i < n; i++)
		cs_parts_add_python(parts, &frames->items[i]);
}

void cs_parts_add_frames(struct cs_parts *parts, const struct cs_frames *frames)
{
	for (uint32_t i = 0; i < frames->n; i++)
		cs_parts_add_python(parts, &frames->items[i]);
}

/* As cs_graph_lineage, for the tree that is being made. Creators are older than what they create: no cycles. */
static uint32_t lineage(const struct cs_parts *parts, struct cs_process *process,
			struct cs_task *task, struct cs_task **out, uint32_t max, bool *ret_cut)
{
	enum cs_link link;
	uint32_t n = 0;

	if (parts->tree == CS_TREE_AWAIT)
		return cs_graph_lineage(process->graph, task, out, max, ret_cut);
	for (; task && n < max; task = parent_of(parts, task, &link))
		out[n++] = task;
	*ret_cut = task;
	return n;
}

void cs_parts_add_lineage(struct cs_parts *parts, struct cs_process *process, struct cs_task *leaf,
			  uint32_t tid)
{
	struct cs_task *tasks[CS_MAX_TASK_DEPTH];
	enum cs_link link = CS_LINK_NONE;
	bool cut;
	uint32_t n = lineage(parts, process, leaf, tasks, CS_MAX_TASK_DEPTH, &cut);

	if (!n)
		return;
	add_base(parts, process, tasks[n - 1]->tid ? tasks[n - 1]->tid : tid);
	if (cut)
		cs_parts_add(parts, CS_PART_TASKS_CUT);
	for (uint32_t i = n; i-- > 0;) {
		parent_of(parts, tasks[i], &link);
		if (i < n - 1 && (link == CS_LINK_AWAIT || link == CS_LINK_STRONG))
			cs_parts_add_frames(parts, &tasks[i + 1]->frames);
		else if (i < n - 1)
			add_creation(parts, process, &tasks[i]->creation);
		add_task(parts, process, tasks[i], link);
	}
}

uint32_t cs_parts_oldest_first(const struct cs_event_stack *stack, uint32_t count,
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

static void add_native(struct cs_parts *parts, uint64_t addr)
{
	struct cs_part *part = cs_parts_add(parts, CS_PART_NATIVE);

	if (part)
		part->addr = addr;
}

/* Without the interpreter's own frames, unless they are asked for. */
static void add_run(struct cs_parts *parts, const struct cs_process *process,
		    const struct cs_thread *thread, struct cs_native_run run)
{
	for (uint32_t i = run.to; i-- > run.from;)
		if (parts->unfold ||
		    !(cs_process_native_flags(process, thread->native[i]) & CS_SYMBOL_INTERPRETER))
			add_native(parts, thread->native[i]);
}

/* Is there more than how any Python program or thread begins: a program that has Python inside? */
static bool is_embedded(const struct cs_process *process, const struct cs_thread *thread,
			struct cs_native_run run)
{
	for (uint32_t i = run.from; i < run.to; i++)
		if (!(cs_process_native_flags(process, thread->native[i]) &
		      (CS_SYMBOL_INTERPRETER | CS_SYMBOL_LIBC)))
			return true;
	return false;
}

static void add_merged(struct cs_parts *parts, const struct cs_process *process,
		       const struct cs_thread *thread, const struct cs_event_stack *stack,
		       uint32_t count, const struct cs_merge *merge)
{
	if (count == stack->nframes && !parts->n &&
	    (parts->unfold || is_embedded(process, thread, merge->root)))
		add_run(parts, process, thread, merge->root);
	for (uint32_t i = count; i-- > 0;) {
		cs_parts_add_python(parts, &stack->frames[i]);
		add_run(parts, process, thread, merge->calls[i]);
	}
}

void cs_parts_add_stack(struct cs_parts *parts, const struct cs_process *process,
			const struct cs_thread *thread, const struct cs_event_stack *stack,
			uint32_t count, const struct cs_merge *merge)
{
	struct cs_py_frame frames[CS_MAX_PY_FRAMES + 1];
	uint32_t n;

	if (merge->known) {
		add_merged(parts, process, thread, stack, count, merge);
		return;
	}
	n = cs_parts_oldest_first(stack, count, frames);
	for (uint32_t i = 0; i < n; i++)
		cs_parts_add_python(parts, &frames[i]);
}

void cs_parts_add_native(struct cs_parts *parts, const struct cs_thread *thread,
			 const struct cs_event_stack *stack, uint64_t ts_ns)
{
	if (stack->nframes || !stack->user_ip)
		return;
	if (thread->native_ns != ts_ns || !thread->nnative) {
		add_native(parts, stack->user_ip);
		return;
	}
	if (thread->native_status != CS_STATUS_COMPLETE)
		cs_parts_add_status(parts, thread->native_status);
	for (uint32_t i = thread->nnative; i-- > 0;)
		add_native(parts, thread->native[i]);
}

void cs_parts_add_kernel(struct cs_parts *parts, const struct cs_event_stack *stack)
{
	struct cs_part *part;

	for (uint32_t i = stack->nkernel; i-- > 0;) {
		part = cs_parts_add(parts, CS_PART_KERNEL);
		if (part)
			part->addr = stack->kernel[i];
	}
}
