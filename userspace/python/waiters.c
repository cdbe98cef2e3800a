/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a future up to the tasks that wait for it.
 *
 * Whoever waits for a future has put a callback on it. The callback's end is always the same: another future gets its result, and the
 * task that is suspended on that one wakes up. So everything a callback can reach is looked at: the cells and defaults of a
 * function, the arguments of a partial, the attributes of a bound method's object. Four rules keep that truthful:
 * a task that is found waits if, and only if, its own task_fut_waiter is the future just left; tasks are never entered (nobody
 * sets a task's result from a callback: those are there to be cancelled); nor are containers (gather's children, a set of
 * background tasks); and of an object's attributes only those are followed whose names occur in the callback's code, or in that of the
 * methods it calls.
 *
 * A future that is pending with the same callback as before keeps all this alive, so the way is valid as long as the task it began at
 * did not change. Objects, depth and breadth are bounded; what was not followed for that reason is told.
 */
#include "python/waiters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "python/search.h"

/* Objects of one search: real ways have 3 to 11. */
#define MAX_OBJECTS 200

/*
 * Words and entries of one reading: a real way takes 10 to 60 of them, and most tasks share theirs. A forged process ends here, after
 * a third of a second.
 */
#define MAX_READING_WORDS (256u * CS_PASS_TASKS)

/* Modules/_collectionsmodule.c: a block is a link, BLOCKLEN objects and another link. */
#define BLOCK_DATA  8
#define BLOCK_LEN   64
#define BLOCK_RIGHT (BLOCK_DATA + 8 * BLOCK_LEN)

static void from_future(struct cs_search *search, struct cs_way way, uint64_t future);
static void from_callback(struct cs_search *search, struct cs_way way, uint64_t future,
			  uint64_t callback);
static void from_object(struct cs_search *search, struct cs_way way,
			const struct cs_code_names *names, uint64_t object);

/* A callback of this future wakes a task up. A direct await of the task that the search began at is told by its waiter. */
static void from_wakeup(struct cs_search *search, const struct cs_way *way, uint64_t future,
			uint64_t task)
{
	const struct cs_task_link link = {
		.waiter = task,
		.how = way->how ? way->how : CS_WAIT_OTHER,
		.flags = way->probable ? CS_LINKF_PROBABLE : 0,
	};

	if (future && future != search->seen[0] && cs_search_waits_for(search, task) == future)
		cs_search_add_link(&search->found, &link);
}

static void from_concurrent(struct cs_search *search, struct cs_way way, uint64_t future)
{
	uint64_t list = 0, callbacks[CS_SEARCH_ITEMS];
	unsigned int n;

	if (!cs_search_enter(search, &way))
		return;
	cs_search_note(search, cs_pyobj_attr(search->all->ctx, future, "_done_callbacks", &list));
	n = cs_search_items(search, list, callbacks);
	for (unsigned int i = 0; i < n; i++)
		from_callback(search, way, 0, callbacks[i]);
}

/* A future that a callback completes without asyncio: nothing of asyncio's own has its set_result as a callback. */
static void from_completed(struct cs_search *search, struct cs_way way, uint64_t future)
{
	way.probable = true;
	from_future(search, way, future);
}

/* Something that a callback holds. */
static void from_value(struct cs_search *search, struct cs_way way,
		       const struct cs_code_names *names, uint64_t value)
{
	unsigned int what = cs_search_what(search, value);

	if (what & CS_TYPE_TASK)
		return;
	if (what & CS_TYPE_FUTURE)
		from_future(search, way, value);
	else if (what & CS_TYPE_CONCURRENT_FUTURE)
		from_concurrent(search, way, value);
	else if (what & (CS_TYPE_FUNCTION | CS_TYPE_METHOD | CS_TYPE_PARTIAL) &&
		 cs_search_is_new(search, value))
		from_callback(search, way, 0, value);
	else if (what & CS_TYPE_INSTANCE)
		from_object(search, way, names, value);
}

static void from_deque(struct cs_search *search, struct cs_way way, uint64_t deque)
{
	uint64_t head = deque + cs_search_offsets(search)->object_var_size +
			8; /* leftblock, rightblock, leftindex */
	uint64_t n = cs_search_word(search, deque + cs_search_offsets(search)->object_var_size);
	uint64_t block = cs_search_word(search, head), index = cs_search_word(search, head + 16);

	if (n > CS_SEARCH_ITEMS) {
		search->found.cut = true;
		n = CS_SEARCH_ITEMS;
	}
	for (uint64_t i = 0; i < n && block && index < BLOCK_LEN; i++) {
		uint64_t value = cs_search_word(search, block + BLOCK_DATA + 8 * index);

		if ((cs_search_what(search, value) & (CS_TYPE_FUTURE | CS_TYPE_TASK)) ==
		    CS_TYPE_FUTURE)
			from_future(search, way, value);
		if (++index == BLOCK_LEN) {
			block = cs_search_word(search, block + BLOCK_RIGHT);
			index = 0;
		}
	}
}

struct attrs {
	struct cs_search *search;
	struct cs_way way;
	const struct cs_code_names *names;
	unsigned int left;
};

static int visit_attr(void *arg, uint64_t key, uint64_t value)
{
	struct attrs *attrs = arg;
	unsigned int what;

	if (!attrs->left-- || !cs_search_may_read(attrs->search))
		return -E2BIG;
	if (!cs_names_have(attrs->names, key))
		return 0;
	what = cs_search_what(attrs->search, value);
	if (what & CS_TYPE_DEQUE)
		from_deque(attrs->search, attrs->way, value);
	else if (what & (CS_TYPE_FUTURE | CS_TYPE_CONCURRENT_FUTURE | CS_TYPE_INSTANCE))
		from_value(attrs->search, attrs->way, attrs->names, value);
	return 0;
}

/* An object whose methods are called by code with these names: those methods' names count, too, and those of what they call. */
static void from_object(struct cs_search *search, struct cs_way way,
			const struct cs_code_names *names, uint64_t object)
{
	struct cs_code_names all = *names, once;
	struct attrs attrs = {search, way, &all, CS_SEARCH_ATTRS};
	uint64_t type;

	if (!cs_search_enter(search, &attrs.way))
		return;
	type = cs_search_word(search, object + cs_search_offsets(search)->object_type);
	cs_search_add_method_names(search, type, names, &all);
	once = all;
	cs_search_add_method_names(search, type, &once, &all);
	cs_search_note(search, cs_pyobj_attr_each(search->all->ctx, object, visit_attr, &attrs));
}

/* A function, called with an object as its first argument (0: none). */
static void from_function(struct cs_search *search, struct cs_way way, uint64_t function,
			  uint64_t self)
{
	const struct cs_py_offsets *off = cs_search_offsets(search);
	struct cs_code_names names = {.n = 0};
	uint64_t items[CS_SEARCH_ITEMS];
	unsigned int n;

	cs_search_mark(search, &way, function);
	cs_search_add_names(search, function, &names);
	n = cs_search_items(search, cs_search_word(search, function + off->function_closure),
			    items);
	for (unsigned int i = 0; i < n; i++)
		from_value(search, way, &names, cs_search_word(search, items[i] + off->cell_value));
	n = cs_search_items(search, cs_search_word(search, function + off->function_defaults),
			    items);
	for (unsigned int i = 0; i < n; i++)
		from_value(search, way, &names, items[i]);
	if (self && cs_search_what(search, self) & CS_TYPE_INSTANCE)
		from_object(search, way, &names, self);
}

/* That of a task or future in Python is like a built-in one: what wakes up its task, or completes it. */
static void from_method(struct cs_search *search, struct cs_way way, uint64_t future,
			uint64_t method)
{
	const struct cs_py_offsets *off = cs_search_offsets(search);
	uint64_t self = cs_search_word(search, method + off->method_self), function;
	unsigned int what = cs_search_what(search, self);

	if (what & CS_TYPE_TASK)
		from_wakeup(search, &way, future, self);
	else if (what & CS_TYPE_IN_PYTHON)
		from_completed(search, way, self);
	if (what & CS_TYPE_IN_PYTHON)
		return;
	function = cs_search_word(search, method + off->method_function);
	if (cs_search_what(search, function) & CS_TYPE_FUNCTION)
		from_function(search, way, function, self);
}

static void from_cfunction(struct cs_search *search, struct cs_way way, uint64_t future,
			   uint64_t function)
{
	uint64_t self =
		cs_search_word(search, function + cs_search_offsets(search)->cfunction_self);
	unsigned int what = cs_search_what(search, self);

	if (what & CS_TYPE_TASK)
		from_wakeup(search, &way, future, self);
	else if (what & CS_TYPE_FUTURE)
		from_completed(search, way, self);
}

/* functools.partial: behind its head the function, then the arguments (Modules/_functoolsmodule.c) */
static void from_partial(struct cs_search *search, struct cs_way way, uint64_t partial)
{
	uint64_t head = partial + cs_search_offsets(search)->object_type + 8;
	uint64_t called = cs_search_word(search, head), function = called, items[CS_SEARCH_ITEMS];
	struct cs_code_names names = {.n = 0};
	unsigned int n;

	if (cs_search_what(search, called) & CS_TYPE_METHOD)
		function =
			cs_search_word(search, called + cs_search_offsets(search)->method_function);
	if (cs_search_what(search, function) & CS_TYPE_FUNCTION) {
		cs_search_mark(search, &way, function);
		cs_search_add_names(search, function, &names);
	} else {
		way.probable = true;
	}
	from_callback(search, way, 0, called);
	n = cs_search_items(search, cs_search_word(search, head + 8), items);
	for (unsigned int i = 0; i < n; i++)
		from_value(search, way, &names, items[i]);
}

struct called {
	struct cs_search *search;
	uint64_t function;
	unsigned int left;
};

static int visit_call(void *arg, uint64_t key, uint64_t value)
{
	struct called *called = arg;

	if (!called->left-- || !cs_search_may_read(called->search))
		return -E2BIG;
	if (!cs_pyobj_str_equals(called->search->all->ctx, key, "__call__"))
		return 0;
	if (cs_search_what(called->search, value) & CS_TYPE_FUNCTION)
		called->function = value;
	return 1;
}

/* An object that is called itself. */
static void from_callable(struct cs_search *search, struct cs_way way, uint64_t object)
{
	struct called called = {search, 0, CS_SEARCH_ATTRS};
	uint64_t type = cs_search_word(search, object + cs_search_offsets(search)->object_type);

	for (int i = 0; i < CS_SEARCH_BASES && type && !called.function; i++) {
		uint64_t dict = cs_search_word(search, type + cs_search_offsets(search)->type_dict);

		called.left = CS_SEARCH_ATTRS;
		if (dict)
			cs_search_note(search, cs_pyobj_dict_each(search->all->ctx, dict,
								  visit_call, &called));
		type = cs_search_word(search, type + cs_search_offsets(search)->type_base);
	}
	if (called.function)
		from_function(search, way, called.function, object);
}

/* A callback of a future; future 0: something that one of its callbacks calls. */
static void from_callback(struct cs_search *search, struct cs_way way, uint64_t future,
			  uint64_t callback)
{
	unsigned int what = cs_search_what(search, callback);

	if (!what || !cs_search_enter(search, &way))
		return;
	if (what & CS_TYPE_WAKEUP)
		from_wakeup(
			search, &way, future,
			cs_search_word(search, callback + cs_search_offsets(search)->wakeup_task));
	else if (what & CS_TYPE_CFUNCTION)
		from_cfunction(search, way, future, callback);
	else if (what & CS_TYPE_FUNCTION)
		from_function(search, way, callback, 0);
	else if (what & CS_TYPE_METHOD)
		from_method(search, way, future, callback);
	else if (what & CS_TYPE_PARTIAL)
		from_partial(search, way, callback);
	else if (what & CS_TYPE_INSTANCE)
		from_callable(search, way, callback);
}

/* The callbacks behind the first one: a list of (callback, context). */
static void from_list(struct cs_search *search, struct cs_way way, uint64_t future, uint64_t list)
{
	uint64_t pairs[CS_SEARCH_ITEMS], pair[CS_SEARCH_ITEMS];
	unsigned int n = cs_search_items(search, list, pairs);

	for (unsigned int i = 0; i < n; i++) {
		if (cs_search_items(search, pairs[i], pair))
			from_callback(search, way, future, pair[0]);
	}
}

static void from_future(struct cs_search *search, struct cs_way way, uint64_t future)
{
	uint64_t first, list;

	if (!cs_search_is_new(search, future) || !cs_search_enter(search, &way))
		return;
	cs_search_callbacks(search, future, &first, &list);
	if (first)
		from_callback(search, way, future, first);
	from_list(search, way, future, list);
}

/* What identifies a callback: a bound method is made anew for each task. False: it is no way of asyncio's that tasks share. */
static bool identify(struct cs_search *search, uint64_t callback, struct cs_waiters_known *ret)
{
	unsigned int what = cs_search_what(search, callback);

	ret->function = callback;
	ret->self = 0;
	if (what & CS_TYPE_FUNCTION)
		return true;
	if (!(what & CS_TYPE_METHOD))
		return false;
	ret->function =
		cs_search_word(search, callback + cs_search_offsets(search)->method_function);
	ret->self = cs_search_word(search, callback + cs_search_offsets(search)->method_self);
	return ret->function;
}

static void take(struct cs_waiters_known *all, const struct cs_waiters_known *some)
{
	all->cut |= some->cut;
	for (uint32_t i = 0; i < some->n; i++)
		cs_search_add_link(all, &some->links[i]);
}

/* One callback of the task itself. */
static void from_own_callback(struct cs_waiters *waiters, uint64_t task, uint64_t callback,
			      struct cs_waiters_known *all)
{
	struct cs_waiters_known *known;
	struct cs_search search;
	uint64_t hash;
	bool shared;

	cs_search_begin(&search, waiters, MAX_OBJECTS);
	search.seen[search.nseen++] = task;
	search.seen[search.nseen++] = callback;
	shared = identify(&search, callback, &search.found);
	hash = (search.found.function ^ search.found.self << 1) * 0x9e3779b97f4a7c15ull;
	known = &waiters->known[hash >> 32 & (CS_WAITERS_KNOWN - 1)];
	if (!shared || known->function != search.found.function ||
	    known->self != search.found.self) {
		from_callback(&search, (struct cs_way){0}, task, callback);
		if (shared)
			*known = search.found;
		known = &search.found;
	}
	take(all, known);
}

int cs_waiters_begin(struct cs_waiters *waiters, const struct cs_pyobj_ctx *ctx,
		     const struct cs_asyncio *asyncio, struct cs_types *types,
		     struct cs_pytask_keys *keys)
{
	waiters->ctx = ctx;
	waiters->asyncio = asyncio;
	waiters->types = types;
	waiters->keys = keys;
	waiters->left = MAX_READING_WORDS;
	waiters->known = calloc(CS_WAITERS_KNOWN, sizeof(*waiters->known));
	return waiters->known ? 0 : -ENOMEM;
}

void cs_waiters_end(struct cs_waiters *waiters)
{
	free(TAKE_PTR(waiters->known));
}

void cs_waiters_forget(struct cs_waiters *waiters)
{
	for (size_t i = 0; i < CS_WAITERS_KNOWN; i++)
		waiters->known[i].function = 0;
}

uint32_t cs_waiters_find(struct cs_waiters *waiters, const struct cs_waited *task,
			 struct cs_task_link links[CS_MAX_LINKS], bool *ret_cut)
{
	struct cs_waiters_known all;
	struct cs_search list;
	uint64_t pairs[CS_SEARCH_ITEMS], pair[CS_SEARCH_ITEMS];
	unsigned int n;

	cs_search_begin(&list, waiters, 0);
	all.n = 0;
	all.cut = false;
	if (task->callback0)
		from_own_callback(waiters, task->addr, task->callback0, &all);
	n = cs_search_items(&list, task->callbacks, pairs);
	for (unsigned int i = 0; i < n; i++) {
		if (cs_search_items(&list, pairs[i], pair))
			from_own_callback(waiters, task->addr, pair[0], &all);
	}
	memcpy(links, all.links, all.n * sizeof(*links));
	*ret_cut = all.cut || list.found.cut;
	return all.n;
}
