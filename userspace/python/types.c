/* SPDX-License-Identifier: Apache-2.0 */
/* Types of another process, told by name (the interpreter's own, which a class of the program cannot be) or by descent. */
#include "python/types.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "python/coro.h"

/* A class of the program that derives from a future written in Python: so many classes are looked at. */
#define MAX_FUTURE_BASES 8

/*
 * The interpreter's own types by tp_name. Those that were made static types of C modules into heap types on the way (3.10 to 3.12)
 * have their module in the name, which a class statement cannot put there.
 */
static const struct {
	const char *name;
	bool maybe_heap;
	unsigned int what;
} own_types[] = {
	{"NoneType", false, CS_TYPE_NONE},
	/* Objects/weakrefobject.c: "weakref" until 3.9 */
	{"weakref", false, CS_TYPE_WEAKREF},
	{"weakref.ReferenceType", false, CS_TYPE_WEAKREF},
	{"TaskWakeupMethWrapper", false, CS_TYPE_WAKEUP},
	{"builtin_function_or_method", false, CS_TYPE_CFUNCTION},
	{"builtin_method", false,
	 CS_TYPE_CFUNCTION}, /* of one that takes its class, too: PyCMethod_Type */
	{"function", false, CS_TYPE_FUNCTION},
	{"method", false, CS_TYPE_METHOD},
	{"functools.partial", true, CS_TYPE_PARTIAL},
	{"collections.deque", true, CS_TYPE_DEQUE},
};

int cs_types_begin(struct cs_types *types, const struct cs_pyobj_ctx *ctx)
{
	size_t size = ctx->interp->info.off.type_init + 8;

	for (size_t i = 0; i < ARRAY_SIZE(types->met) && types->met[i]; i++)
		cs_mem_want(ctx->mem, types->met[i], size);
	types->items = calloc(CS_TYPES, sizeof(*types->items));
	return types->items ? 0 : -ENOMEM;
}

void cs_types_end(struct cs_types *types)
{
	size_t n = 0;

	memset(types->met, 0, sizeof(types->met));
	for (size_t i = 0; types->items && i < CS_TYPES && n < ARRAY_SIZE(types->met); i++)
		if (types->items[i].addr)
			types->met[n++] = types->items[i].addr;
	free(TAKE_PTR(types->items));
}

/* Futures that are written in Python, by the names of class and module. */
static const struct {
	const char *name, *module;
	unsigned int what;
} python_futures[] = {
	{"Future", "concurrent.futures._base", CS_TYPE_CONCURRENT_FUTURE},
	{"Future", "asyncio.futures", CS_TYPE_FUTURE | CS_TYPE_IN_PYTHON},
	{"Task", "asyncio.tasks", CS_TYPE_TASK | CS_TYPE_FUTURE | CS_TYPE_IN_PYTHON},
};

/* What a class is that has this name. */
static unsigned int python_future(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type)
{
	uint64_t dict, module = 0;

	for (size_t i = 0; i < ARRAY_SIZE(python_futures); i++) {
		if (strcmp(type->name, python_futures[i].name))
			continue;
		if (!module &&
		    (cs_mem_read_u64(ctx->mem, type->addr + ctx->interp->info.off.type_dict,
				     &dict) ||
		     cs_pyobj_dict_get(ctx, dict, "__module__", &module)))
			return 0;
		if (cs_pyobj_str_equals(ctx, module, python_futures[i].module))
			return python_futures[i].what;
	}
	return 0;
}

/* Is it a future that is written in Python, or of a class derived from one? 0: neither. */
static unsigned int of_python(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type)
{
	struct cs_pytype at = *type;
	unsigned int what = 0;

	for (int i = 0; i < MAX_FUTURE_BASES && at.flags & CS_PYTYPE_HEAP && !what; i++) {
		what = python_future(ctx, &at);
		if (!at.base || cs_pytype_read(ctx, at.base, &at))
			break;
	}
	return what;
}

/* Is it derived from the future that asyncio's tasks derive from? */
static bool is_future(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type, uint64_t task)
{
	struct cs_pytype future;
	uint64_t base;

	return !cs_mem_read_u64(ctx->mem, task + ctx->interp->info.off.type_base, &base) &&
	       cs_pytype_derives(ctx, type, base) && !cs_pytype_read(ctx, base, &future) &&
	       !strcmp(future.name, "_asyncio.Future");
}

/* Is it one of asyncio's C types, in any interpreter of the process? */
static unsigned int of_asyncio(const struct cs_pyobj_ctx *ctx, const struct cs_asyncio *asyncio,
			       const struct cs_pytype *type)
{
	for (unsigned int i = 0; i < asyncio->nmodules; i++) {
		uint64_t task = asyncio->modules[i].task_type;

		if (!task)
			continue;
		if (cs_pytype_derives(ctx, type, task))
			return CS_TYPE_TASK | CS_TYPE_FUTURE;
		if (is_future(ctx, type, task))
			return CS_TYPE_FUTURE;
	}
	return 0;
}

static unsigned int what_is(const struct cs_pyobj_ctx *ctx, const struct cs_asyncio *asyncio,
			    const struct cs_pytype *type)
{
	bool heap = type->flags & CS_PYTYPE_HEAP;
	unsigned int what = of_asyncio(ctx, asyncio, type);

	if (what)
		return what;
	for (size_t i = 0; i < ARRAY_SIZE(own_types); i++) {
		if ((!heap || own_types[i].maybe_heap) && !strcmp(type->name, own_types[i].name))
			return own_types[i].what;
	}
	if (cs_coro_is_wrapper(type))
		return CS_TYPE_AWAIT_WRAPPER;
	if (!heap)
		return 0;
	what = of_python(ctx, type);
	return what ? what : CS_TYPE_INSTANCE;
}

const struct cs_type *cs_types_look_up(struct cs_types *types, const struct cs_pyobj_ctx *ctx,
				       const struct cs_asyncio *asyncio, uint64_t addr)
{
	struct cs_type *entry =
		&types->items[(addr * 0x9e3779b97f4a7c15ull) >> 32 & (CS_TYPES - 1)];
	struct cs_pytype type;

	if (addr && entry->addr == addr)
		return entry;
	*entry = (struct cs_type){0};
	if (!addr || cs_pytype_read(ctx, addr, &type))
		return entry;
	entry->addr = addr;
	entry->flags = type.flags;
	memcpy(entry->name, type.name, sizeof(entry->name));
	entry->what = what_is(ctx, asyncio, &type);
	return entry;
}
