/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where asyncio keeps its tasks. A set's table is read in large pieces. A list can only be followed, node by node, and its nodes lie in tasks all
 * over the heap; but between two passes most of it stays as it is, so the pages of the tasks that were met last time are fetched some hundred at a
 * time, in that order, just before the list gets there.
 */
#include "python/entries.h"

#include <coroscope/limits.h>
#include <errno.h>
#include <stdlib.h>

/* A set's table is at most 60% full, and keeps its size when entries go. */
#define MAX_SET_SLOTS (4ull * CS_MAX_TASKS)
#define SLOT_BATCH    256
/* Slots that are fetched together: 1 MiB of them. */
#define SLOT_PIECE    65536ull
/* Tasks whose nodes are fetched together. */
#define AHEAD         512
/* A list that is changed while it is read is begun again so often. */
#define LIST_TRIES    3
/* Pages that one enumeration may keep: 16 MiB. */
#define KEEP_PAGES    4096

struct reader {
	struct cs_entries *entries;
	const struct cs_pyobj_ctx *ctx;
	size_t ahead; /* in cs_entries.last: the first one that was not asked for */
	size_t left;  /* nodes until the next ones are asked for */
};

void cs_entries_free(struct cs_entries *entries)
{
	free(entries->items);
	free(entries->last);
	*entries = (struct cs_entries){0};
}

static int add(struct cs_entries *entries, uint64_t entry)
{
	size_t cap = entries->cap ? 2 * entries->cap : 64;
	uint64_t *items;

	if (entries->n == CS_MAX_TASKS) {
		entries->nleft++;
		return 0;
	}
	if (entries->n == entries->cap) {
		items = realloc(entries->items, cap * sizeof(*items));
		if (!items)
			return -ENOMEM;
		entries->items = items;
		entries->cap = cap;
	}
	entries->items[entries->n++] = entry;
	return 0;
}

static int add_slots(struct reader *reader, const struct cs_pyset_slot *slots, size_t n,
		     uint64_t mark)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		if (slots[i].key && slots[i].hash != -1)
			err = add(reader->entries, (slots[i].key & ~CS_ENTRY_WEAK) | mark);
	}
	return err;
}

static int read_set(struct reader *reader, uint64_t set, bool weak)
{
	struct cs_mem *mem = reader->ctx->mem;
	struct cs_pyset_slot slots[SLOT_BATCH];
	uint64_t table, nslots;
	int err = cs_pyobj_set_table(reader->ctx, set, MAX_SET_SLOTS, &table, &nslots);

	for (uint64_t at = 0; !err && at < nslots; at += SLOT_BATCH) {
		size_t n = nslots - at < SLOT_BATCH ? nslots - at : SLOT_BATCH;

		if (at % SLOT_PIECE == 0) {
			uint64_t left = nslots - at < SLOT_PIECE ? nslots - at : SLOT_PIECE;

			cs_mem_trim(mem, KEEP_PAGES);
			cs_mem_want(mem, table + at * sizeof(*slots), left * sizeof(*slots));
			cs_mem_fetch(mem);
		}
		err = cs_mem_read(mem, table + at * sizeof(*slots), slots, n * sizeof(*slots));
		if (!err)
			err = add_slots(reader, slots, n, weak ? CS_ENTRY_WEAK : 0);
	}
	return err;
}

/* Fetch the next tasks that the last reading met. */
static void look_ahead(struct reader *reader)
{
	const struct cs_entries *entries = reader->entries;
	uint32_t at_node = reader->ctx->interp->info.off.task_node;
	size_t end = entries->nlast;

	cs_mem_trim(reader->ctx->mem, KEEP_PAGES);
	if (end - reader->ahead > AHEAD)
		end = reader->ahead + AHEAD;
	for (; reader->ahead < end; reader->ahead++) {
		uint64_t task = entries->last[reader->ahead];

		if (!(task & CS_ENTRY_WEAK))
			cs_mem_want(reader->ctx->mem, task + at_node, 2 * sizeof(uint64_t));
	}
	cs_mem_fetch(reader->ctx->mem);
	reader->left = AHEAD;
}

/*
 * The tasks of one circular list. Every node must point back to the one before it: a list that is being changed while it is read does not
 * lead astray, it fails. Returns 0, -EFAULT, -ENOMEM, or what cs_mem_read returns.
 */
static int read_list(struct reader *reader, uint64_t head)
{
	struct cs_entries *entries = reader->entries;
	uint64_t before = head, at, node[2]; /* struct llist_node: next, prev */
	int err = cs_mem_read(reader->ctx->mem, head, node, sizeof(node));

	/* a thread that has not used asyncio has an empty list, or on a new state not even that */
	for (at = node[0]; !err && at && at != head; at = node[0]) {
		if (entries->n == CS_MAX_TASKS) {
			entries->nleft++;
			return 0;
		}
		if (!reader->left--)
			look_ahead(reader);
		err = cs_mem_read(reader->ctx->mem, at, node, sizeof(node));
		if (!err && node[1] != before)
			return -EFAULT;
		if (!err)
			err = add(entries, at - reader->ctx->interp->info.off.task_node);
		before = at;
	}
	return err;
}

static int read_list_again(struct reader *reader, uint64_t head)
{
	size_t n = reader->entries->n;
	int err = read_list(reader, head);

	for (int i = 1; i < LIST_TRIES && err == -EFAULT; i++) {
		reader->entries->n = n;
		cs_mem_forget(reader->ctx->mem);
		err = read_list(reader, head);
	}
	return err;
}

/* The lists of all threads of one interpreter, and of those that are gone. *left: thread states still to be looked at. */
static int read_interpreter_lists(struct reader *reader, uint64_t interpreter, int *left)
{
	const struct cs_py_offsets *off = &reader->ctx->interp->info.off;
	struct cs_mem *mem = reader->ctx->mem;
	uint64_t tstate,
		mark = 0; /* a state met before, ever further ones: a circle comes back to it */
	int err = cs_mem_read_u64(mem, interpreter + off->interp_threads_head, &tstate);

	for (unsigned int n = 1; !err && tstate && (*left)-- > 0; n++) {
		if (tstate == mark)
			return -EFAULT;
		if (!(n & (n - 1)))
			mark = tstate;
		err = read_list_again(reader, tstate + off->tstate_tasks_head);
		if (!err)
			err = cs_mem_read_u64(mem, tstate + off->tstate_next, &tstate);
	}
	return err ? err : read_list_again(reader, interpreter + off->interp_tasks_head);
}

static int read_lists(struct reader *reader)
{
	const struct cs_interp *interp = reader->ctx->interp;
	int err, left = CS_MAX_THREADS;
	uint64_t at;

	if (!interp->info.off.task_node)
		return 0;
	err = cs_mem_read_u64(reader->ctx->mem, interp->info.interpreters_head, &at);
	for (int i = 0; !err && at && i < CS_MAX_INTERPRETERS; i++) {
		err = read_interpreter_lists(reader, at, &left);
		if (!err)
			err = cs_mem_read_u64(reader->ctx->mem, at + interp->info.off.interp_next,
					      &at);
	}
	return err;
}

static void swap_with_last(struct cs_entries *entries)
{
	uint64_t *items = entries->last;
	size_t cap = entries->last_cap;

	entries->last = entries->items;
	entries->nlast = entries->n;
	entries->last_cap = entries->cap;
	entries->items = items;
	entries->cap = cap;
	entries->n = 0;
	entries->nleft = 0;
}

int cs_entries_read(struct cs_entries *entries, const struct cs_pyobj_ctx *ctx,
		    const struct cs_asyncio *asyncio)
{
	struct reader reader = {.entries = entries, .ctx = ctx};
	int err = 0;

	swap_with_last(entries);
	for (unsigned int i = 0; i < asyncio->nmodules; i++) {
		const struct cs_asyncio_module *module = &asyncio->modules[i];

		for (unsigned int k = 0; k < module->nsets && !err; k++)
			err = read_set(&reader, module->sets[k], module->is_weak[k]);
	}
	return err ? err : read_lists(&reader);
}
