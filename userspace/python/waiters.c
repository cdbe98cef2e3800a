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

#include <string.h>

#include "core/cleanup.h"

/* Real ways: 3 to 11 objects, at most 4 futures, one above the other. */
#define MAX_OBJECTS 200
#define MAX_DEPTH   12 /* steps from object to object */
#define MAX_SEEN    32
#define MAX_ITEMS   64  /* of a list, tuple or deque */
#define MAX_NAMES   128 /* in the code of one callback and the methods it calls */
#define MAX_ATTRS   256 /* of one object */
#define MAX_BASES   8

/* Objects of one reading: more than any program needs, and a bound for a forged one. */
#define MAX_READING_OBJECTS (4u * CS_MAX_TASKS)

/* tp_flags (Include/object.h) */
#define FLAG_LIST  (1ull << 25)
#define FLAG_TUPLE (1ull << 26)

/* Modules/_collectionsmodule.c: a block is a link, BLOCKLEN objects and another link. */
#define BLOCK_DATA  8
#define BLOCK_LEN   64
#define BLOCK_RIGHT (BLOCK_DATA + 8 * BLOCK_LEN)

/* What is known of the way so far. */
struct way {
	uint8_t how; /* 0: no function met */
	bool probable;
	unsigned int depth;
};

struct search {
	struct cs_waiters *all;
	struct cs_waiters_known found;
	unsigned int left; /* objects */
	uint64_t seen[MAX_SEEN];
	unsigned int nseen;
};

/* Addresses of names as a code object has them: such strings are interned, so the same name is the same object. */
struct names {
	uint64_t items[MAX_NAMES];
	unsigned int n;
};

static void from_future(struct search *search, struct way way, uint64_t future);
static void from_callback(struct search *search, struct way way, uint64_t future,
			  uint64_t callback);
static void from_object(struct search *search, struct way way, const struct names *names,
			uint64_t object);

static const struct cs_py_offsets *offsets(const struct search *search)
{
	return &search->all->ctx->interp->info.off;
}

/* A word of another object; what cannot be read is 0, and told. */
static uint64_t word_at(struct search *search, uint64_t addr)
{
	uint64_t word;

	if (!cs_mem_read_u64(search->all->ctx->mem, addr, &word))
		return word;
	search->found.cut = true;
	return 0;
}

static unsigned int what_is(struct search *search, uint64_t object)
{
	uint64_t type = object ? word_at(search, object + offsets(search)->object_type) : 0;

	return cs_types_look_up(search->all->types, search->all->ctx, search->all->asyncio, type)
		->what;
}

/* May the search look at one more object? */
static bool may_enter(struct search *search, struct way *way)
{
	if (!search->left || !search->all->left || way->depth >= MAX_DEPTH) {
		search->found.cut = true;
		return false;
	}
	search->left--;
	search->all->left--;
	way->depth++;
	return true;
}

static void add_link(struct search *search, const struct way *way, uint64_t task)
{
	struct cs_waiters_known *found = &search->found;

	for (uint32_t i = 0; i < found->n; i++) {
		if (found->links[i].waiter == task)
			return;
	}
	if (found->n == CS_MAX_LINKS) {
		found->cut = true;
		return;
	}
	found->links[found->n++] = (struct cs_task_link){
		.waiter = task,
		.how = way->how ? way->how : CS_WAIT_OTHER,
		.flags = way->probable ? CS_LINKF_PROBABLE : 0,
	};
}

/* A callback of this future wakes a task up. A direct await of the task that the search began at is told by its waiter. */
static void from_wakeup(struct search *search, const struct way *way, uint64_t future,
			uint64_t task)
{
	if (!future || future == search->seen[0] || !(what_is(search, task) & CS_TYPE_TASK))
		return;
	if (word_at(search, task + offsets(search)->task_fut_waiter) == future)
		add_link(search, way, task);
}

/* The objects of a list or tuple. Returns how many. */
static unsigned int read_items(struct search *search, uint64_t sequence, uint64_t items[MAX_ITEMS])
{
	const struct cs_pyobj_ctx *ctx = search->all->ctx;
	const struct cs_py_offsets *off = offsets(search);
	uint64_t at, n;

	if (!sequence)
		return 0;
	if (cs_pyobj_has_flag(ctx, sequence, FLAG_LIST))
		at = word_at(search, sequence + off->list_items);
	else if (cs_pyobj_has_flag(ctx, sequence, FLAG_TUPLE))
		at = sequence + off->tuple_items;
	else
		return 0;
	n = word_at(search, sequence + off->object_var_size);
	if (n > MAX_ITEMS) {
		search->found.cut = true;
		n = MAX_ITEMS;
	}
	if (!n || cs_mem_read(ctx->mem, at, items, n * sizeof(*items)))
		return 0;
	return (unsigned int)n;
}

static bool has_name(const struct names *names, uint64_t name)
{
	for (unsigned int i = 0; i < names->n; i++) {
		if (names->items[i] == name)
			return true;
	}
	return false;
}

/* Add the names in a function's code. */
static void add_names(struct search *search, uint64_t function, struct names *names)
{
	uint64_t code = word_at(search, function + offsets(search)->function_code);
	uint64_t items[MAX_ITEMS];
	unsigned int n;

	if (!code)
		return;
	n = read_items(search, word_at(search, code + offsets(search)->code_names), items);
	for (unsigned int i = 0; i < n; i++) {
		if (names->n == MAX_NAMES)
			search->found.cut = true;
		else if (!has_name(names, items[i]))
			names->items[names->n++] = items[i];
	}
}

struct methods {
	struct search *search;
	const struct names *wanted;
	struct names *names;
	unsigned int left;
};

static int visit_method(void *arg, uint64_t key, uint64_t value)
{
	struct methods *methods = arg;

	if (!methods->left--)
		return 1;
	if (has_name(methods->wanted, key) && what_is(methods->search, value) & CS_TYPE_FUNCTION)
		add_names(methods->search, value, methods->names);
	return 0;
}

/* Add the names in the code of those methods of a class that are wanted. */
static void add_method_names(struct search *search, uint64_t type, const struct names *wanted,
			     struct names *names)
{
	for (int i = 0; i < MAX_BASES && type; i++) {
		struct methods methods = {search, wanted, names, MAX_ATTRS};
		uint64_t dict = word_at(search, type + offsets(search)->type_dict);

		/* the interpreter's own types have none from 3.12 on, and no methods in Python */
		if (dict)
			cs_pyobj_dict_each(search->all->ctx, dict, visit_method, &methods);
		type = word_at(search, type + offsets(search)->type_base);
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

/* What this function says of the way that leads through it. The first one gives it its name. */
static void mark_way(struct search *search, struct way *way, uint64_t function)
{
	const struct cs_pyobj_ctx *ctx = search->all->ctx;
	const struct cs_py_offsets *off = offsets(search);
	bool trusted = is_trusted(ctx, word_at(search, function + off->function_module));

	if (!trusted)
		way->probable = true;
	if (!way->how)
		way->how = trusted ? how_of(ctx, word_at(search, function + off->function_qualname))
				   : CS_WAIT_OTHER;
}

static void from_concurrent(struct search *search, struct way way, uint64_t future)
{
	uint64_t list, callbacks[MAX_ITEMS];
	unsigned int n;

	if (!may_enter(search, &way) ||
	    cs_pyobj_attr(search->all->ctx, future, "_done_callbacks", &list))
		return;
	n = read_items(search, list, callbacks);
	for (unsigned int i = 0; i < n; i++)
		from_callback(search, way, 0, callbacks[i]);
}

/* Something that a callback holds. */
static void from_value(struct search *search, struct way way, const struct names *names,
		       uint64_t value)
{
	unsigned int what = what_is(search, value);

	if (what & CS_TYPE_TASK)
		return;
	if (what & CS_TYPE_FUTURE)
		from_future(search, way, value);
	else if (what & CS_TYPE_CONCURRENT_FUTURE)
		from_concurrent(search, way, value);
	else if (what & (CS_TYPE_FUNCTION | CS_TYPE_METHOD | CS_TYPE_PARTIAL))
		from_callback(search, way, 0, value);
	else if (what & CS_TYPE_INSTANCE)
		from_object(search, way, names, value);
}

static void from_deque(struct search *search, struct way way, uint64_t deque)
{
	uint64_t head =
		deque + offsets(search)->object_var_size + 8; /* leftblock, rightblock, leftindex */
	uint64_t n = word_at(search, deque + offsets(search)->object_var_size);
	uint64_t block = word_at(search, head), index = word_at(search, head + 16);

	if (n > MAX_ITEMS) {
		search->found.cut = true;
		n = MAX_ITEMS;
	}
	for (uint64_t i = 0; i < n && block && index < BLOCK_LEN; i++) {
		uint64_t value = word_at(search, block + BLOCK_DATA + 8 * index);

		if ((what_is(search, value) & (CS_TYPE_FUTURE | CS_TYPE_TASK)) == CS_TYPE_FUTURE)
			from_future(search, way, value);
		if (++index == BLOCK_LEN) {
			block = word_at(search, block + BLOCK_RIGHT);
			index = 0;
		}
	}
}

struct attrs {
	struct search *search;
	struct way way;
	const struct names *names;
	unsigned int left;
};

static int visit_attr(void *arg, uint64_t key, uint64_t value)
{
	struct attrs *attrs = arg;
	unsigned int what;

	if (!attrs->left--)
		return 1;
	if (!has_name(attrs->names, key))
		return 0;
	what = what_is(attrs->search, value);
	if (what & CS_TYPE_DEQUE)
		from_deque(attrs->search, attrs->way, value);
	else if (what & (CS_TYPE_FUTURE | CS_TYPE_CONCURRENT_FUTURE | CS_TYPE_INSTANCE))
		from_value(attrs->search, attrs->way, attrs->names, value);
	return 0;
}

/* An object whose methods are called by code with these names: those methods' names count, too, and those of what they call. */
static void from_object(struct search *search, struct way way, const struct names *names,
			uint64_t object)
{
	struct names all = *names, once;
	struct attrs attrs = {search, way, &all, MAX_ATTRS};
	uint64_t type;

	if (!may_enter(search, &attrs.way))
		return;
	type = word_at(search, object + offsets(search)->object_type);
	add_method_names(search, type, names, &all);
	once = all;
	add_method_names(search, type, &once, &all);
	cs_pyobj_attr_each(search->all->ctx, object, visit_attr, &attrs);
}

/* A function, called with an object as its first argument (0: none). */
static void from_function(struct search *search, struct way way, uint64_t function, uint64_t self)
{
	const struct cs_py_offsets *off = offsets(search);
	struct names names = {.n = 0};
	uint64_t items[MAX_ITEMS];
	unsigned int n;

	mark_way(search, &way, function);
	add_names(search, function, &names);
	n = read_items(search, word_at(search, function + off->function_closure), items);
	for (unsigned int i = 0; i < n; i++)
		from_value(search, way, &names, word_at(search, items[i] + off->cell_value));
	n = read_items(search, word_at(search, function + off->function_defaults), items);
	for (unsigned int i = 0; i < n; i++)
		from_value(search, way, &names, items[i]);
	if (self && what_is(search, self) & CS_TYPE_INSTANCE)
		from_object(search, way, &names, self);
}

static void from_method(struct search *search, struct way way, uint64_t method)
{
	uint64_t function = word_at(search, method + offsets(search)->method_function);

	if (what_is(search, function) & CS_TYPE_FUNCTION)
		from_function(search, way, function,
			      word_at(search, method + offsets(search)->method_self));
}

static void from_cfunction(struct search *search, struct way way, uint64_t future,
			   uint64_t function)
{
	uint64_t self = word_at(search, function + offsets(search)->cfunction_self);
	unsigned int what = what_is(search, self);

	if (what & CS_TYPE_TASK) {
		from_wakeup(search, &way, future, self);
	} else if (what & CS_TYPE_FUTURE) {
		/* future.set_result as a callback: nothing of asyncio's own does that */
		way.probable = true;
		from_future(search, way, self);
	}
}

/* functools.partial: behind its head the function, then the arguments (Modules/_functoolsmodule.c) */
static void from_partial(struct search *search, struct way way, uint64_t partial)
{
	uint64_t head = partial + offsets(search)->object_type + 8;
	uint64_t function = word_at(search, head), items[MAX_ITEMS];
	struct names names = {.n = 0};
	unsigned int n;

	if (what_is(search, function) & CS_TYPE_FUNCTION) {
		mark_way(search, &way, function);
		add_names(search, function, &names);
	}
	from_callback(search, way, 0, function);
	n = read_items(search, word_at(search, head + 8), items);
	for (unsigned int i = 0; i < n; i++)
		from_value(search, way, &names, items[i]);
}

struct called {
	struct search *search;
	uint64_t function;
	unsigned int left;
};

static int visit_call(void *arg, uint64_t key, uint64_t value)
{
	struct called *called = arg;

	if (!called->left--)
		return 1;
	if (!cs_pyobj_str_equals(called->search->all->ctx, key, "__call__"))
		return 0;
	if (what_is(called->search, value) & CS_TYPE_FUNCTION)
		called->function = value;
	return 1;
}

/* An object that is called itself. */
static void from_callable(struct search *search, struct way way, uint64_t object)
{
	struct called called = {search, 0, MAX_ATTRS};
	uint64_t type = word_at(search, object + offsets(search)->object_type);

	for (int i = 0; i < MAX_BASES && type && !called.function; i++) {
		uint64_t dict = word_at(search, type + offsets(search)->type_dict);

		called.left = MAX_ATTRS;
		if (dict)
			cs_pyobj_dict_each(search->all->ctx, dict, visit_call, &called);
		type = word_at(search, type + offsets(search)->type_base);
	}
	if (called.function)
		from_function(search, way, called.function, object);
}

/* A callback of a future; future 0: something that one of its callbacks calls. */
static void from_callback(struct search *search, struct way way, uint64_t future, uint64_t callback)
{
	unsigned int what = what_is(search, callback);

	if (!what || !may_enter(search, &way))
		return;
	if (what & CS_TYPE_WAKEUP)
		from_wakeup(search, &way, future,
			    word_at(search, callback + offsets(search)->wakeup_task));
	else if (what & CS_TYPE_CFUNCTION)
		from_cfunction(search, way, future, callback);
	else if (what & CS_TYPE_FUNCTION)
		from_function(search, way, callback, 0);
	else if (what & CS_TYPE_METHOD)
		from_method(search, way, callback);
	else if (what & CS_TYPE_PARTIAL)
		from_partial(search, way, callback);
	else if (what & CS_TYPE_INSTANCE)
		from_callable(search, way, callback);
}

/* The callbacks behind the first one: a list of (callback, context). */
static void from_list(struct search *search, struct way way, uint64_t future, uint64_t list)
{
	uint64_t pairs[MAX_ITEMS], pair[MAX_ITEMS];
	unsigned int n = read_items(search, list, pairs);

	for (unsigned int i = 0; i < n; i++) {
		if (read_items(search, pairs[i], pair))
			from_callback(search, way, future, pair[0]);
	}
}

static void from_future(struct search *search, struct way way, uint64_t future)
{
	const struct cs_py_offsets *off = offsets(search);
	uint64_t first;

	for (unsigned int i = 0; i < search->nseen; i++) {
		if (search->seen[i] == future)
			return;
	}
	if (search->nseen == MAX_SEEN || !may_enter(search, &way)) {
		search->found.cut = true;
		return;
	}
	search->seen[search->nseen++] = future;
	first = word_at(search, future + off->future_callback0);
	if (first)
		from_callback(search, way, future, first);
	from_list(search, way, future, word_at(search, future + off->future_callbacks));
}

/* What identifies a callback: a bound method is made anew for each task. False: it is no way of asyncio's that tasks share. */
static bool identify(struct search *search, uint64_t callback, struct cs_waiters_known *ret)
{
	unsigned int what = what_is(search, callback);

	ret->function = callback;
	ret->self = 0;
	if (what & CS_TYPE_FUNCTION)
		return true;
	if (!(what & CS_TYPE_METHOD))
		return false;
	ret->function = word_at(search, callback + offsets(search)->method_function);
	ret->self = word_at(search, callback + offsets(search)->method_self);
	return ret->function;
}

static void take(struct cs_waiters_known *all, const struct cs_waiters_known *some)
{
	all->cut |= some->cut;
	for (uint32_t i = 0; i < some->n; i++) {
		if (all->n == CS_MAX_LINKS)
			all->cut = true;
		else
			all->links[all->n++] = some->links[i];
	}
}

/* One callback of the task itself. */
static void from_own_callback(struct cs_waiters *waiters, uint64_t task, uint64_t callback,
			      struct cs_waiters_known *all)
{
	struct search search = {.all = waiters, .left = MAX_OBJECTS, .seen = {task}, .nseen = 1};
	bool shared = identify(&search, callback, &search.found);
	uint64_t hash = (search.found.function ^ search.found.self << 1) * 0x9e3779b97f4a7c15ull;
	struct cs_waiters_known *known = &waiters->known[hash >> 32 & (CS_WAITERS_KNOWN - 1)];

	if (!shared || known->function != search.found.function ||
	    known->self != search.found.self) {
		from_callback(&search, (struct way){0}, task, callback);
		if (shared)
			*known = search.found;
		known = &search.found;
	}
	take(all, known);
}

void cs_waiters_begin(struct cs_waiters *waiters, const struct cs_pyobj_ctx *ctx,
		      const struct cs_asyncio *asyncio, struct cs_types *types)
{
	waiters->ctx = ctx;
	waiters->asyncio = asyncio;
	waiters->types = types;
	waiters->left = MAX_READING_OBJECTS;
	for (size_t i = 0; i < CS_WAITERS_KNOWN; i++)
		waiters->known[i].function = 0;
}

uint32_t cs_waiters_find(struct cs_waiters *waiters, const struct cs_waited *task,
			 struct cs_task_link links[CS_MAX_LINKS], bool *ret_cut)
{
	struct search list = {.all = waiters};
	struct cs_waiters_known all = {.n = 0};
	uint64_t pairs[MAX_ITEMS], pair[MAX_ITEMS];
	unsigned int n;

	if (task->callback0)
		from_own_callback(waiters, task->addr, task->callback0, &all);
	n = read_items(&list, task->callbacks, pairs);
	for (unsigned int i = 0; i < n; i++) {
		if (read_items(&list, pairs[i], pair))
			from_own_callback(waiters, task->addr, pair[0], &all);
	}
	memcpy(links, all.links, all.n * sizeof(*links));
	*ret_cut = all.cut || list.found.cut;
	return all.n;
}
