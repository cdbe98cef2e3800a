/* SPDX-License-Identifier: Apache-2.0 */
/* What a search for waiters reads of one object. */
#include "python/search.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"

/* A way is cut here: real ones have 3 to 11 objects, at most 4 futures, one above the other. */
#define MAX_DEPTH 12

/* tp_flags (Include/object.h) */
#define FLAG_LIST  (1ull << 25)
#define FLAG_TUPLE (1ull << 26)

const struct cs_py_offsets *cs_search_offsets(const struct cs_search *search)
{
	return &search->all->ctx->interp->info.off;
}

bool cs_search_may_read(struct cs_search *search)
{
	if (!search->all->left) {
		search->found.cut = true;
		return false;
	}
	search->all->left--;
	return true;
}

uint64_t cs_search_word(struct cs_search *search, uint64_t addr)
{
	uint64_t word;

	if (cs_search_may_read(search) && !cs_mem_read_u64(search->all->ctx->mem, addr, &word))
		return word;
	search->found.cut = true;
	return 0;
}

const struct cs_type *cs_search_type(struct cs_search *search, uint64_t object)
{
	uint64_t addr =
		object ? cs_search_word(search, object + cs_search_offsets(search)->object_type)
		       : 0;
	const struct cs_type *type =
		cs_types_look_up(search->all->types, search->all->ctx, search->all->asyncio, addr);

	if (addr && !type->addr)
		search->found.cut = true;
	return type;
}

unsigned int cs_search_what(struct cs_search *search, uint64_t object)
{
	return cs_search_type(search, object)->what;
}

void cs_search_note(struct cs_search *search, int err)
{
	if (err < 0 && err != -ENOENT)
		search->found.cut = true;
}

bool cs_search_is_new(struct cs_search *search, uint64_t object)
{
	for (unsigned int i = 0; i < search->nseen; i++) {
		if (search->seen[i] == object)
			return false;
	}
	if (search->nseen == CS_SEARCH_SEEN) {
		search->found.cut = true;
		return false;
	}
	search->seen[search->nseen++] = object;
	return true;
}

bool cs_search_enter(struct cs_search *search, struct cs_way *way)
{
	if (!search->left || way->depth >= MAX_DEPTH) {
		search->found.cut = true;
		return false;
	}
	search->left--;
	way->depth++;
	return true;
}

void cs_search_add_link(struct cs_waiters_known *found, const struct cs_task_link *link)
{
	for (uint32_t i = 0; i < found->n; i++) {
		if (found->links[i].waiter != link->waiter)
			continue;
		if (found->links[i].flags & CS_LINKF_PROBABLE)
			found->links[i] = *link;
		return;
	}
	if (found->n == CS_MAX_LINKS)
		found->cut = true;
	else
		found->links[found->n++] = *link;
}

/* A task or future in Python; what cannot be read is all 0. */
static struct cs_pytask in_python(struct cs_search *search, uint64_t obj)
{
	struct cs_pytask task = {0};

	cs_search_note(search, cs_pytask_read(search->all->keys, search->all->ctx, obj, &task));
	return task;
}

uint64_t cs_search_waits_for(struct cs_search *search, uint64_t task)
{
	unsigned int what = cs_search_what(search, task);

	if (!(what & CS_TYPE_TASK))
		return 0;
	if (what & CS_TYPE_IN_PYTHON)
		return in_python(search, task).waiter;
	return cs_search_word(search, task + cs_search_offsets(search)->task_fut_waiter);
}

void cs_search_callbacks(struct cs_search *search, uint64_t future, uint64_t *ret_first,
			 uint64_t *ret_list)
{
	const struct cs_py_offsets *off = cs_search_offsets(search);

	*ret_first = 0;
	if (cs_search_what(search, future) & CS_TYPE_IN_PYTHON) {
		*ret_list = in_python(search, future).callbacks;
		return;
	}
	*ret_first = cs_search_word(search, future + off->future_callback0);
	*ret_list = cs_search_word(search, future + off->future_callbacks);
}

unsigned int cs_search_items(struct cs_search *search, uint64_t sequence,
			     uint64_t items[CS_SEARCH_ITEMS])
{
	const struct cs_py_offsets *off = cs_search_offsets(search);
	uint64_t flags = cs_search_type(search, sequence)->flags, at, n;

	if (flags & FLAG_LIST)
		at = cs_search_word(search, sequence + off->list_items);
	else if (flags & FLAG_TUPLE)
		at = sequence + off->tuple_items;
	else
		return 0;
	n = cs_search_word(search, sequence + off->object_var_size);
	if (n > CS_SEARCH_ITEMS) {
		search->found.cut = true;
		n = CS_SEARCH_ITEMS;
	}
	if (n && cs_mem_read(search->all->ctx->mem, at, items, n * sizeof(*items))) {
		search->found.cut = true;
		return 0;
	}
	return (unsigned int)n;
}

bool cs_names_have(const struct cs_code_names *names, uint64_t name)
{
	for (unsigned int i = 0; i < names->n; i++) {
		if (names->items[i] == name)
			return true;
	}
	return false;
}

void cs_search_add_names(struct cs_search *search, uint64_t function, struct cs_code_names *names)
{
	uint64_t code = cs_search_word(search, function + cs_search_offsets(search)->function_code);
	uint64_t items[CS_SEARCH_ITEMS];
	unsigned int n;

	if (!code)
		return;
	n = cs_search_items(search,
			    cs_search_word(search, code + cs_search_offsets(search)->code_names),
			    items);
	for (unsigned int i = 0; i < n; i++) {
		if (names->n == CS_SEARCH_NAMES)
			search->found.cut = true;
		else if (!cs_names_have(names, items[i]))
			names->items[names->n++] = items[i];
	}
}

struct methods {
	struct cs_search *search;
	const struct cs_code_names *wanted;
	struct cs_code_names *names;
	unsigned int left;
};

static int visit_method(void *arg, uint64_t key, uint64_t value)
{
	struct methods *methods = arg;

	if (!methods->left-- || !cs_search_may_read(methods->search))
		return -E2BIG;
	if (cs_names_have(methods->wanted, key) &&
	    cs_search_what(methods->search, value) & CS_TYPE_FUNCTION)
		cs_search_add_names(methods->search, value, methods->names);
	return 0;
}

void cs_search_add_method_names(struct cs_search *search, uint64_t type,
				const struct cs_code_names *wanted, struct cs_code_names *names)
{
	for (int i = 0; i < CS_SEARCH_BASES && type; i++) {
		struct methods methods = {search, wanted, names, CS_SEARCH_ATTRS};
		uint64_t dict = cs_search_word(search, type + cs_search_offsets(search)->type_dict);

		/* the interpreter's own types have none from 3.12 on, and no methods in Python */
		if (dict)
			cs_search_note(search, cs_pyobj_dict_each(search->all->ctx, dict,
								  visit_method, &methods));
		type = cs_search_word(search, type + cs_search_offsets(search)->type_base);
	}
}

/* Is a module's code known to put a callback on a future only in order to complete another? */
static bool is_trusted(const struct cs_pyobj_ctx *ctx, uint64_t module)
{
	static const char *const trusted[] = {"asyncio.", "concurrent.futures.", "anyio."};
	char name[64];

	if (cs_pyobj_str(ctx, module, name, sizeof(name), NULL, NULL))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(trusted); i++) {
		if (!strncmp(name, trusted[i], strlen(trusted[i])))
			return true;
	}
	return false;
}

/* What a function of asyncio is part of, by its qualified name. */
static uint8_t how_of(const struct cs_pyobj_ctx *ctx, uint64_t qualname)
{
	static const struct {
		const char *prefix;
		uint8_t how;
	} known[] = {
		{"gather.", CS_WAIT_GATHER},
		{"_gather.", CS_WAIT_GATHER}, /* late 3.9 (3.9.18) */
		{"_wait.", CS_WAIT_WAIT},
		{"_release_waiter", CS_WAIT_WAIT_FOR},
		{"as_completed.", CS_WAIT_AS_COMPLETED},
		{"_AsCompletedIterator.", CS_WAIT_AS_COMPLETED},
		{"shield.", CS_WAIT_SHIELD},
		{"TaskGroup.", CS_WAIT_TASK_GROUP},
		{"_chain_future.", CS_WAIT_THREADSAFE},
	};
	char name[64];

	if (cs_pyobj_str(ctx, qualname, name, sizeof(name), NULL, NULL))
		return CS_WAIT_OTHER;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (!strncmp(name, known[i].prefix, strlen(known[i].prefix)))
			return known[i].how;
	}
	return CS_WAIT_OTHER;
}

void cs_search_mark(struct cs_search *search, struct cs_way *way, uint64_t function)
{
	const struct cs_pyobj_ctx *ctx = search->all->ctx;
	const struct cs_py_offsets *off = cs_search_offsets(search);
	bool trusted = is_trusted(ctx, cs_search_word(search, function + off->function_module));

	if (!trusted)
		way->probable = true;
	if (!way->how)
		way->how = trusted ? how_of(ctx, cs_search_word(search,
								function + off->function_qualname))
				   : CS_WAIT_OTHER;
}
