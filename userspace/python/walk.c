/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reading of all tasks, some hundred at a time, in the order of their addresses: what was made together lies together, and is
 * read while the processor still has it in its cache. At each level all addresses are asked of the page cache first and fetched
 * together: a few system calls for hundreds of tasks. All arrays are kept for the next reading.
 */
#include "python/walk.h"

#include <coroscope/limits.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/sort.h"
#include "python/digest.h"
#include "python/walk_private.h"

/* Frames and text of one reading, for each of its tasks and at least so many. Real processes stay below; a forged one is cut here. */
#define FRAMES_A_TASK 8u
#define TEXT_A_TASK   128u
#define LEAST_TASKS   65536u

/* Weak references that are followed together. */
#define REF_PIECE  4096
/* Pages that a reading may keep: 32 MiB. */
#define KEEP_PAGES 8192

/* What a name object is asked for: header and most names. */
#define NAME_CHUNK 96

/* What a callback's object is asked for: a method's or builtin method's fields, most of a function's. */
#define CALLBACK_CHUNK 64

void cs_walk_free(struct cs_walk *walk)
{
	free(walk->tasks);
	free(walk->frames);
	free(walk->refs);
	free(walk->links);
	free(walk->spans);
	cs_entries_free(&walk->entries);
	cs_mem_free(walk->again);
	cs_buf_free(&walk->texts);
	*walk = (struct cs_walk){0};
}

/* Make an array of cap elements hold n. */
static int reserve(void **array, size_t *cap, size_t n, size_t element)
{
	size_t want = *cap ? *cap : 64;
	void *grown;

	while (want < n)
		want *= 2;
	if (want == *cap)
		return 0;
	grown = realloc(*array, want * element);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*cap = want;
	return 0;
}

#define RESERVE(array, cap, n) reserve((void **)&(array), &(cap), n, sizeof(*(array)))

/* Put the tasks in place of the weak references refs[first] to refs[end], from refs[to] on. Returns where they end. */
static size_t follow_piece(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
			   const struct cs_asyncio *asyncio, size_t first, size_t end, size_t to)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	size_t size = off->weakref_object + 8;
	char chunk[CS_WALK_WEAKREF_CHUNK];

	for (size_t i = first; i < end; i++)
		cs_mem_want(ctx->mem, walk->refs[i], size);
	cs_mem_fetch(ctx->mem);
	for (size_t i = first; i < end; i++) {
		uint64_t type;

		if (cs_mem_read(ctx->mem, walk->refs[i], chunk, size)) {
			walk->ndropped++;
			continue;
		}
		type = cs_pyobj_word(chunk, off->object_type);
		if (cs_types_look_up(&walk->types, ctx, asyncio, type)->what & CS_TYPE_WEAKREF)
			walk->refs[to++] = cs_pyobj_word(chunk, off->weakref_object);
		else
			walk->ndropped++;
	}
	return to;
}

static int add_task(struct cs_walk *walk, uint64_t addr)
{
	if (RESERVE(walk->tasks, walk->tasks_cap, walk->ntasks + 1))
		return -ENOMEM;
	walk->tasks[walk->ntasks++] = (struct cs_walk_task){
		.addr = addr, .first = CS_WALK_NO_FRAME, .last = CS_WALK_NO_FRAME};
	return 0;
}

/* Returns 0 or -ENOMEM. */
static int sort_refs(struct cs_walk *walk)
{
	/* the other half is the sort's */
	if (RESERVE(walk->refs, walk->refs_cap, 2 * walk->nrefs))
		return -ENOMEM;
	cs_sort_words(walk->refs, walk->refs + walk->nrefs, walk->nrefs);
	return 0;
}

/* Note the entries of one kind that this pass is to read. */
static int pick(struct cs_walk *walk, const struct cs_share *share, uint64_t kind)
{
	for (size_t i = 0; i < walk->entries.n; i++) {
		uint64_t entry = walk->entries.items[i];

		if ((entry & CS_ENTRY_WEAK) != kind || !cs_share_has(share, entry))
			continue;
		if (RESERVE(walk->refs, walk->refs_cap, walk->nrefs + 1))
			return -ENOMEM;
		walk->refs[walk->nrefs++] = entry & ~CS_ENTRY_WEAK;
		walk->nunread--;
	}
	return 0;
}

/* Make the tasks that are to be read known, in the order of their addresses. */
static int choose(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		  const struct cs_asyncio *asyncio, const struct cs_share *share)
{
	size_t n = 0;
	int err;

	walk->nrefs = 0;
	walk->nunread = (uint32_t)walk->entries.n;
	err = pick(walk, share, CS_ENTRY_WEAK);
	for (size_t at = 0; at < walk->nrefs; at += REF_PIECE) {
		size_t end = walk->nrefs - at < REF_PIECE ? walk->nrefs : at + REF_PIECE;

		cs_mem_trim(ctx->mem, KEEP_PAGES);
		n = follow_piece(walk, ctx, asyncio, at, end, n);
	}
	walk->nrefs = n;
	if (!err)
		err = pick(walk, share, 0);
	if (!err)
		err = sort_refs(walk);
	for (size_t i = 0; i < walk->nrefs && !err; i++) {
		/* in two sets at once: an eager task that was suspended */
		if (!i || walk->refs[i] != walk->refs[i - 1])
			err = add_task(walk, walk->refs[i]);
	}
	return err;
}

/* How many of something that tasks have may one reading hold? */
static size_t bound(const struct cs_walk *walk, size_t each)
{
	return each * (walk->ntasks > LEAST_TASKS ? walk->ntasks : LEAST_TASKS);
}

/* The fields of a task of the C module. */
static void take_fields(const struct cs_py_offsets *off, const char *chunk,
			struct cs_walk_task *task)
{
	task->coro = cs_pyobj_word(chunk, off->task_coro);
	task->waiter = cs_pyobj_word(chunk, off->task_fut_waiter);
	task->loop = cs_pyobj_word(chunk, off->future_loop);
	task->name = cs_pyobj_word(chunk, off->task_name);
	task->callback0 = cs_pyobj_word(chunk, off->future_callback0);
	task->callbacks = cs_pyobj_word(chunk, off->future_callbacks);
	task->context = cs_pyobj_word(chunk, off->task_context);
}

static bool is_none(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		    const struct cs_asyncio *asyncio, uint64_t obj)
{
	uint64_t type;

	return !cs_pyobj_type_addr(ctx, obj, &type) &&
	       cs_types_look_up(&walk->types, ctx, asyncio, type)->what & CS_TYPE_NONE;
}

/* The fields of a task that is written in Python. Returns 0 or an error. */
static int read_python_task(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
			    const struct cs_asyncio *asyncio, struct cs_walk_task *task)
{
	struct cs_pytask found;
	int err = cs_pytask_read(&walk->keys, ctx, task->addr, &found);

	if (err)
		return err;
	task->coro = found.coro && is_none(walk, ctx, asyncio, found.coro) ? 0 : found.coro;
	task->waiter = found.waiter && is_none(walk, ctx, asyncio, found.waiter) ? 0 : found.waiter;
	task->loop = found.loop;
	task->name = found.name;
	task->callbacks = found.callbacks;
	task->context = found.context;
	task->attrs = found.digest;
	if (found.state && !cs_pyobj_str_equals(ctx, found.state, "PENDING"))
		task->coro = 0;
	return 0;
}

void cs_walk_read_own(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		      const struct cs_asyncio *asyncio, struct cs_walk_task *task)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	char copy[CS_TASK_CHUNK];
	const char *chunk = cs_mem_peek(ctx->mem, task->addr, off->task_size);
	bool whole = chunk || !cs_mem_read(ctx->mem, task->addr, copy, off->task_size);
	const struct cs_type *type;
	uint64_t type_addr;

	/* one in Python may be smaller than that, and memory may end right behind it */
	if (!whole && cs_mem_read(ctx->mem, task->addr, copy, off->object_type + 8)) {
		walk->ndropped++;
		return;
	}
	type_addr = cs_pyobj_word(chunk ? chunk : copy, off->object_type);
	if (whole) /* before anything else is read: then the chunk is gone */
		take_fields(off, chunk ? chunk : copy, task);
	type = cs_types_look_up(&walk->types, ctx, asyncio, type_addr);
	if (!(type->what & CS_TYPE_TASK)) {
		/* A weak reference to a task that is gone refers to None. */
		if (!(type->what & CS_TYPE_NONE))
			walk->ndropped++;
		return;
	}
	task->in_python = type->what & CS_TYPE_IN_PYTHON;
	if (task->in_python ? read_python_task(walk, ctx, asyncio, task) : !whole) {
		walk->ndropped++;
		return;
	}
	task->digest = cs_digest_word(cs_digest_word(task->coro, task->waiter), task->loop);
	task->state = task->coro ? (task->waiter ? CS_TASK_WAITING : CS_TASK_READY) : CS_TASK_DONE;
	task->next = task->coro;
}

/* The same, and ask for what is to be read next. */
static void read_task(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		      const struct cs_asyncio *asyncio, struct cs_walk_task *task)
{
	cs_walk_read_own(walk, ctx, asyncio, task);
	if (!task->state)
		return;
	cs_mem_want(ctx->mem, task->name, NAME_CHUNK);
	if (task->callback0)
		cs_mem_want(ctx->mem, task->callback0, CALLBACK_CHUNK);
	cs_mem_want(ctx->mem, task->coro, CS_CORO_CHUNK);
}

static int append_frame(struct cs_walk *walk, struct cs_walk_task *task, uint64_t obj,
			const struct cs_coro *coro)
{
	uint32_t at = (uint32_t)walk->nframes;

	if (RESERVE(walk->frames, walk->frames_cap, walk->nframes + 1))
		return -ENOMEM;
	walk->frames[walk->nframes++] =
		(struct cs_walk_frame){coro->frame, CS_WALK_NO_FRAME, obj, coro->place};
	if (task->last == CS_WALK_NO_FRAME)
		task->first = at;
	else
		walk->frames[task->last].next = at;
	task->last = at;
	task->nframes++;
	return 0;
}

/* Returns 0, -ENOMEM, or another error if the name is not what a task's name can be. */
static int read_name(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		     struct cs_walk_task *task)
{
	char name[CS_MAX_NAME + 1];
	size_t len = 0;
	int64_t number;

	/* A task that is just being made has none yet. */
	if (!task->name || walk->texts.len > bound(walk, TEXT_A_TASK))
		return 0;
	if (cs_pyobj_str(ctx, task->name, name, sizeof(name), &len, NULL)) {
		/* 3.12 and later keep the number until somebody asks for the name. */
		if (cs_pyobj_long(ctx, task->name, &number))
			return -EINVAL;
		len = (size_t)snprintf(name, sizeof(name), "Task-%lld", (long long)number);
	}
	task->digest = cs_digest(task->digest, name, len);
	task->name_at = (uint32_t)walk->texts.len;
	task->name_len = (uint16_t)len;
	return cs_buf_append(&walk->texts, name, len);
}

/* The end of a chain: what kind of object it is. */
static int append_leaf(struct cs_walk *walk, struct cs_walk_task *task, const char *name)
{
	if (walk->texts.len > bound(walk, TEXT_A_TASK))
		return 0;
	task->leaf_at = (uint32_t)walk->texts.len;
	task->leaf_len = (uint16_t)strlen(name);
	task->digest = cs_digest(task->digest, name, task->leaf_len);
	return cs_buf_append(&walk->texts, name, task->leaf_len);
}

/* The state of a task whose outermost coroutine was just read. */
static void set_state(const struct cs_coro *coro, struct cs_walk_task *task)
{
	if (coro->state == CS_CORO_ENDED)
		task->state = CS_TASK_DONE;
	else if (coro->state == CS_CORO_EXECUTING)
		task->state = CS_TASK_RUNNING;
	else if (coro->state == CS_CORO_CREATED)
		task->state = CS_TASK_CREATED;
}

static int step_coro(struct cs_walk *walk, struct cs_walk_task *task, uint64_t obj,
		     const struct cs_coro *coro)
{
	if (task->nframes >= CS_MAX_CHAIN || walk->nframes >= bound(walk, FRAMES_A_TASK)) {
		task->flags |= CS_TASKF_CHAIN_CUT;
		return 0;
	}
	task->digest = cs_digest_word(cs_digest_word(task->digest, obj), coro->digest);
	if (!task->nframes)
		set_state(coro, task);
	else if (coro->state == CS_CORO_ENDED || coro->state == CS_CORO_EXECUTING)
		return -EINVAL; /* what a suspended coroutine awaits is suspended: it moved on */
	if (coro->state == CS_CORO_ENDED)
		return 0;
	task->next = coro->awaits;
	return append_frame(walk, task, obj, coro);
}

/*
 * One step along a task's await chain: look at task->next, leave there what it awaits in turn, or 0 at the
 * end. Returns 0, -ENOMEM (of our own), or another error if the object is not what it should be.
 */
static int step(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		const struct cs_asyncio *asyncio, struct cs_walk_task *task)
{
	const struct cs_type *type;
	uint64_t obj = task->next;
	struct cs_coro coro;

	task->next = 0;
	if (cs_coro_read(ctx, obj, &coro))
		return -EFAULT;
	if (cs_coro_is(ctx->interp, coro.type))
		return step_coro(walk, task, obj, &coro);
	type = cs_types_look_up(&walk->types, ctx, asyncio, coro.type);
	if (!type->addr)
		return -EINVAL;
	task->digest = cs_digest_word(cs_digest_word(task->digest, obj), coro.type);
	if (!(type->what & CS_TYPE_AWAIT_WRAPPER))
		return append_leaf(walk, task, type->name);
	/* one that holds itself costs as little as it shows */
	if (walk->nwrappers++ >= bound(walk, FRAMES_A_TASK)) {
		task->flags |= CS_TASKF_CHAIN_CUT;
		return 0;
	}
	return cs_coro_unwrap(ctx, obj, &task->next) ? -EFAULT : 0;
}

/* Take a step for each of the n active tasks. Returns how many go on, or -ENOMEM. */
static int64_t step_all(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
			const struct cs_asyncio *asyncio, size_t n)
{
	size_t left = 0;

	cs_mem_fetch(ctx->mem);
	for (size_t i = 0; i < n; i++) {
		struct cs_walk_task *task = &walk->tasks[walk->active[i]];
		int err = step(walk, ctx, asyncio, task);

		if (err == -ENOMEM)
			return err;
		if (err && task->nframes) {
			task->flags |= CS_TASKF_CHAIN_UNREADABLE;
		} else if (err) {
			task->state = 0;
			walk->ndropped++;
		} else if (task->next) {
			cs_mem_want(ctx->mem, task->next, CS_CORO_CHUNK);
			walk->active[left++] = walk->active[i];
		}
	}
	return (int64_t)left;
}

/* Follow the chains of tasks first to end. Returns 0 or -ENOMEM. */
static int follow_chains(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
			 const struct cs_asyncio *asyncio, size_t first, size_t end)
{
	int64_t n = 0;

	for (size_t i = first; i < end; i++) {
		if (walk->tasks[i].state && walk->tasks[i].next)
			walk->active[n++] = (uint32_t)i;
	}
	/* A coroutine may be reached through a wrapper, which is a level but no frame. */
	for (int level = 0; level < 2 * CS_MAX_CHAIN && n > 0; level++)
		n = step_all(walk, ctx, asyncio, (size_t)n);
	for (int64_t i = 0; i < n; i++)
		walk->tasks[walk->active[i]].flags |= CS_TASKF_CHAIN_CUT;
	return n < 0 ? (int)n : 0;
}

/* Read tasks first to end: themselves, their names, their chains. Returns 0 or -ENOMEM. */
static int read_block(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		      const struct cs_asyncio *asyncio, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		cs_mem_want(ctx->mem, walk->tasks[i].addr, ctx->interp->info.off.task_size);
	cs_mem_fetch(ctx->mem);
	for (size_t i = first; i < end; i++)
		read_task(walk, ctx, asyncio, &walk->tasks[i]);
	cs_mem_fetch(ctx->mem);
	for (size_t i = first; i < end; i++) {
		struct cs_walk_task *task = &walk->tasks[i];
		int err = task->state ? read_name(walk, ctx, task) : 0;

		if (err == -ENOMEM)
			return err;
		if (err) {
			task->state = 0;
			walk->ndropped++;
		}
	}
	return follow_chains(walk, ctx, asyncio, first, end);
}

/* Returns 0 or -ENOMEM. */
static int find_links(struct cs_walk *walk, struct cs_walk_task *task)
{
	const struct cs_waited waited = {task->addr, task->callback0, task->callbacks};
	bool cut;

	if (RESERVE(walk->links, walk->links_cap, walk->nlinks + CS_MAX_LINKS))
		return -ENOMEM;
	task->link_at = (uint32_t)walk->nlinks;
	task->nlinks =
		(uint8_t)cs_waiters_find(&walk->waiters, &waited, walk->links + walk->nlinks, &cut);
	task->digest = cs_digest(task->digest, walk->links + walk->nlinks,
				 task->nlinks * sizeof(*walk->links));
	walk->nlinks += task->nlinks;
	if (cut)
		task->flags |= CS_TASKF_WAITERS_CUT;
	return 0;
}

/* Who waits for tasks first to end in other ways than by an await: that is told by the waiter's own fields. */
static int find_all_links(struct cs_walk *walk, size_t first, size_t end)
{
	int err = 0;

	for (size_t i = first; i < end && !err; i++) {
		struct cs_walk_task *task = &walk->tasks[i];

		if (task->state && task->state != CS_TASK_DONE &&
		    (task->callback0 || task->callbacks))
			err = find_links(walk, task);
	}
	return err;
}

/* The spans that are active in the contexts of tasks first to end. A running one's is its thread's. Returns 0 or -ENOMEM. */
static int read_spans(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		      const struct cs_span_source *source, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++) {
		struct cs_walk_task *task = &walk->tasks[i];
		struct cs_active_span *span;

		if (!task->state || task->state == CS_TASK_DONE || task->state == CS_TASK_RUNNING ||
		    !task->context)
			continue;
		if (RESERVE(walk->spans, walk->spans_cap, walk->nspans + 1))
			return -ENOMEM;
		span = &walk->spans[walk->nspans];
		if (!source->read(source->arg, ctx->mem, task->context, span))
			continue;
		task->span_at = (uint32_t)walk->nspans++;
		task->flags |= CS_TASKF_SPAN;
		task->digest = cs_digest(task->digest, span, sizeof(*span));
	}
	return 0;
}

/* What was read while something ran may not be so any more. */
static void forget(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx)
{
	cs_mem_forget(ctx->mem);
	cs_waiters_forget(&walk->waiters);
}

/* Read tasks first to end, once if nothing ran meanwhile. *rest: nothing has since it was last asked. Returns 0 or -ENOMEM. */
static int read_truly(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		      const struct cs_asyncio *asyncio, const struct cs_walk_plan *plan,
		      size_t first, size_t end, bool *rest)
{
	int err;

	if (!*rest && plan->rests(plan->arg)) {
		*rest = true;
		forget(walk, ctx);
	}
	err = read_block(walk, ctx, asyncio, first, end);
	if (!err)
		err = find_all_links(walk, first, end);
	if (!err && plan->spans)
		err = read_spans(walk, ctx, plan->spans, first, end);
	*rest = *rest && plan->quiet(plan->arg);
	walk->twice |= !*rest;
	walk->nrested += walk->twice && *rest;
	return err || *rest ? err : cs_walk_check(walk, ctx, asyncio, first, end);
}

/* Returns 0 or -ENOMEM. */
static int read_all_blocks(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
			   const struct cs_asyncio *asyncio, const struct cs_walk_plan *plan)
{
	bool rest = !walk->twice;
	int err = cs_waiters_begin(&walk->waiters, ctx, asyncio, &walk->types, &walk->keys);

	for (size_t at = 0; !err && at < walk->ntasks; at += CS_WALK_BLOCK) {
		size_t end = walk->ntasks - at < CS_WALK_BLOCK ? walk->ntasks : at + CS_WALK_BLOCK;

		if (cs_mem_trim(ctx->mem, KEEP_PAGES))
			cs_waiters_forget(&walk->waiters);
		err = read_truly(walk, ctx, asyncio, plan, at, end, &rest);
	}
	cs_waiters_end(&walk->waiters);
	return err;
}

/* Ask for what nearly every reading needs: the sets, and the types that the last one met. Returns 0 or -ENOMEM. */
static int want_fixed(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		      const struct cs_asyncio *asyncio)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;

	for (unsigned int i = 0; i < asyncio->nmodules; i++)
		for (unsigned int k = 0; k < asyncio->modules[i].nsets; k++)
			cs_mem_want(ctx->mem, asyncio->modules[i].sets[k], off->set_table + 8);
	if (cs_types_begin(&walk->types, ctx))
		return -ENOMEM;
	cs_mem_fetch(ctx->mem);
	return 0;
}

static int read_whole(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		      const struct cs_asyncio *asyncio, const struct cs_walk_plan *plan)
{
	int err;

	walk->ntasks = walk->nframes = walk->nwrappers = walk->nlinks = walk->nspans =
		walk->texts.len = 0;
	err = cs_entries_read(&walk->entries, ctx, asyncio);
	walk->ndropped = walk->entries.nleft;
	walk->nmoved = 0;
	if (err)
		return err;
	cs_share_begin(plan->share, walk->entries.n);
	err = choose(walk, ctx, asyncio, plan->share);
	walk->twice = plan->twice || !plan->quiet(plan->arg);
	walk->nrested = 0;
	return err ? err : read_all_blocks(walk, ctx, asyncio, plan);
}

int cs_walk_read(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		 const struct cs_asyncio *asyncio, const struct cs_walk_plan *plan)
{
	int err;

	cs_mem_renew(ctx->mem);
	cs_pytask_begin(&walk->keys);
	err = want_fixed(walk, ctx, asyncio);
	if (!err)
		err = read_whole(walk, ctx, asyncio, plan);
	cs_types_end(&walk->types);
	cs_mem_release(walk->again);
	return err;
}
