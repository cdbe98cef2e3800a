/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asyncio as loaded in a live process, found through sys.modules: no symbols are needed, so it works on
 * stripped interpreters. What is half imported counts as not loaded: the caller asks again.
 */
#include <coroscope/limits.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "proc/file.h"
#include "proc/maps.h"
#include "python/digest.h"
#include "python/objects.h"
#include "python/probe_site.h"
#include "python/work.h"

/*
 * The names in asyncio.tasks that hold tasks: the first up to 3.11, the other two from 3.12 on. From 3.14 on they hold only tasks
 * that are not the C module's own, which are in lists (walk.c). In the order in which they are read: an eager task that is suspended
 * for the first time moves to the scheduled ones, and is then met twice rather than never.
 */
static const struct {
	const char *name;
	bool weak; /* a WeakSet, else a plain set */
} set_names[] = {
	{"_all_tasks", true},
	{"_eager_tasks", false},
	{"_scheduled_tasks", true},
};

/* Names in the code of a task's __init__: it has about twenty. */
#define MAX_NAMES 64

/* What a look into one interpreter finds. */
struct found {
	struct cs_asyncio_module module;
	uint64_t init, current_tasks;
	struct cs_task_types types;
	struct cs_work work;
	uint64_t work_item_type;
	char reason[sizeof(((struct cs_asyncio *)0)->probe_reason)];
};

static int find_task_type(const struct cs_pyobj_ctx *ctx, uint64_t dict, struct found *ret)
{
	uint32_t expected = ctx->interp->info.off.task_size;
	struct cs_pytype type;
	uint64_t addr;
	int err;

	if ((err = cs_pyobj_dict_get(ctx, dict, "Task", &addr)) ||
	    (err = cs_pytype_read(ctx, addr, &type)))
		return err;
	if (strcmp(type.name, "_asyncio.Task"))
		return -ENOENT;
	if (type.basicsize != expected) {
		snprintf(ret->reason, sizeof(ret->reason),
			 "_asyncio.Task has %llu bytes instead of %u: its layout is not known",
			 (unsigned long long)type.basicsize, expected);
		return -ENOENT;
	}
	ret->module.task_type = addr;
	ret->init = type.init;
	return 0;
}

static int add_set(const struct cs_pyobj_ctx *ctx, uint64_t holder, bool weak,
		   struct cs_asyncio_module *ret)
{
	uint64_t set = holder, table, nslots;
	int err;

	if (weak && (err = cs_pyobj_attr(ctx, holder, "data", &set)))
		return err;
	err = cs_pyobj_set_table(ctx, set, 4ull * CS_MAX_TASKS, &table, &nslots);
	if (err)
		return err;
	ret->sets[ret->nsets] = set;
	ret->is_weak[ret->nsets++] = weak;
	return 0;
}

static int find_sets(const struct cs_pyobj_ctx *ctx, uint64_t dict, struct cs_asyncio_module *ret)
{
	_Static_assert(ARRAY_SIZE(set_names) <= ARRAY_SIZE(ret->sets), "no room for the sets");
	uint64_t holder;

	for (size_t i = 0; i < ARRAY_SIZE(set_names); i++) {
		int err = cs_pyobj_dict_get(ctx, dict, set_names[i].name, &holder);

		if (!err)
			err = add_set(ctx, holder, set_names[i].weak, ret);
		if (err && err != -ENOENT)
			return err;
	}
	return ret->nsets || ctx->interp->info.off.task_node ? 0 : -ENOENT;
}

/* Where to probe Task.__init__. The bytes come from the file: memory shows probes that are attached. */
static void find_probe(pid_t pid, uint64_t init, struct cs_asyncio *ret)
{
	_cleanup_maps_ struct cs_maps maps = {0};
	const struct cs_mapping *mapping = NULL;
	_cleanup_close_ int fd = -1;
	uint8_t insn[CS_PROBE_BYTES];
	const char *reason = NULL;
	uint64_t offset = 0;
	struct stat st;
	int skip = -1;

	if (!cs_maps_read(pid, &maps))
		mapping = cs_maps_find(&maps, init);
	if (!mapping || !mapping->executable || !mapping->path[0]) {
		reason = "Task.__init__ lies in no mapped file";
	} else if (cs_maps_open_path(pid, mapping, ret->probe.path, sizeof(ret->probe.path))) {
		reason = "the file that holds Task.__init__ cannot be opened from here";
	} else {
		offset = init - mapping->start + mapping->offset;
		fd = cs_open_regular(ret->probe.path);
		if (fd < 0 || fstat(fd, &st) < 0 ||
		    pread(fd, insn, sizeof(insn), (off_t)offset) != sizeof(insn))
			reason = "the file that holds Task.__init__ cannot be read";
		else if ((skip = cs_probe_skip(insn)) < 0)
			reason = "the first instruction of Task.__init__ would be single-stepped";
	}
	if (reason) {
		ret->probe.path[0] = '\0';
		snprintf(ret->probe_reason, sizeof(ret->probe_reason), "%s", reason);
		return;
	}
	ret->probe.offset = offset + (uint64_t)skip;
	ret->probe.dev = st.st_dev;
	ret->probe.ino = st.st_ino;
}

/* The dict of running tasks, which a module's dict names. */
static int find_current_tasks(const struct cs_pyobj_ctx *ctx, uint64_t dict, struct found *ret)
{
	int err;

	err = cs_pyobj_dict_get(ctx, dict, "_current_tasks", &ret->current_tasks);
	if (!err && !cs_pyobj_has_flag(ctx, ret->current_tasks, CS_PYTYPE_DICT))
		return -EINVAL;
	return err;
}

/*
 * What the C module says. *ret_has: it is there; None in sys.modules says that there shall be none. Where thread states tell what
 * they run (3.14+), it has no dict of running tasks.
 */
static int find_in_c(const struct cs_pyobj_ctx *ctx, uint64_t modules, struct found *ret,
		     bool *ret_has)
{
	struct cs_pytype type;
	uint64_t module, dict;
	int err;

	*ret_has = false;
	err = cs_pyobj_dict_get(ctx, modules, "_asyncio", &module);
	if (err)
		return err == -ENOENT ? 0 : err;
	if (!cs_pyobj_type(ctx, module, &type) && !strcmp(type.name, "NoneType"))
		return 0;
	*ret_has = true;
	if ((err = cs_mem_read_u64(ctx->mem, module + ctx->interp->info.off.module_dict, &dict)))
		return err;
	if (!ctx->interp->info.off.tstate_running_task &&
	    (err = find_current_tasks(ctx, dict, ret)))
		return err;
	return find_task_type(ctx, dict, ret);
}

/* Does asyncio itself have its tasks in Python? It says so once asyncio.tasks has been imported. */
static bool is_in_python(const struct cs_pyobj_ctx *ctx, uint64_t dict)
{
	uint64_t task, python_task;

	return !cs_pyobj_dict_get(ctx, dict, "Task", &task) &&
	       !cs_pyobj_dict_get(ctx, dict, "_PyTask", &python_task) && task == python_task;
}

/* Names of attributes, as the code of a class's __init__ has them that makes it: of n names the addresses, 0 where there is none. */
static int find_names(const struct cs_pyobj_ctx *ctx, uint64_t type, const char *const *wanted,
		      uint64_t *ret, size_t nwanted)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint64_t dict, init, code, names, n, name;
	int err;

	if ((err = cs_mem_read_u64(ctx->mem, type + off->type_dict, &dict)) ||
	    (err = cs_pyobj_dict_get(ctx, dict, "__init__", &init)) ||
	    (err = cs_mem_read_u64(ctx->mem, init + off->function_code, &code)) ||
	    (err = cs_mem_read_u64(ctx->mem, code + off->code_names, &names)) ||
	    (err = cs_mem_read_u64(ctx->mem, names + off->object_var_size, &n)))
		return err;
	for (uint64_t i = 0; i < n && i < MAX_NAMES; i++) {
		err = cs_mem_read_u64(ctx->mem, names + off->tuple_items + 8 * i, &name);
		for (size_t k = 0; k < nwanted && !err; k++) {
			if (cs_pyobj_str_equals(ctx, name, wanted[k]))
				ret[k] = name;
		}
		if (err)
			return err;
	}
	return 0;
}

/* What tasks are, for the kernel side. Those that are written in Python stay unknown to it where something is amiss. */
static void find_types(const struct cs_pyobj_ctx *ctx, uint64_t dict, struct found *ret)
{
	static const char *const attrs[] = {"_coro", "_name", "_fut_waiter"}, *const of_future[] = {
										      "_callbacks"};
	uint64_t type, base, keys[ARRAY_SIZE(attrs)] = {0}, callbacks = 0;

	ret->types.in_c = ret->module.task_type;
	if (cs_pyobj_dict_get(ctx, dict, "_PyTask", &type) ||
	    find_names(ctx, type, attrs, keys, ARRAY_SIZE(attrs)) || !keys[0] || !keys[1] ||
	    !keys[2])
		return;
	if (!cs_mem_read_u64(ctx->mem, type + ctx->interp->info.off.type_base, &base))
		find_names(ctx, base, of_future, &callbacks, 1);
	ret->types = (struct cs_task_types){
		.in_c = ret->module.task_type,
		.in_python = type,
		.coro_key = keys[0],
		.name_key = keys[1],
		.waiter_key = keys[2],
		.callbacks_key = callbacks,
	};
}

/*
 * Look into one interpreter. Returns 0 when everything was found, -ENOENT when asyncio is not (fully) there: the C type is
 * there (ret->module.task_type) some milliseconds before the package is imported.
 */
static int find_in(const struct cs_pyobj_ctx *ctx, uint64_t interpreter, struct found *ret)
{
	uint64_t modules, tasks_dict;
	bool has_c;
	int err;

	*ret = (struct found){0};
	if ((err = cs_mem_read_u64(ctx->mem, interpreter + ctx->interp->info.off.interp_modules,
				   &modules)))
		return err;
	if (!modules)
		return -ENOENT;
	if ((err = find_in_c(ctx, modules, ret, &has_c)) ||
	    (err = cs_pyobj_module_dict(ctx, modules, "asyncio.tasks", &tasks_dict)))
		return err;
	if (!has_c && !is_in_python(ctx, tasks_dict))
		return -ENOENT;
	/* the running tasks that the C module does not know of: all, or from 3.14 on those that are written in Python */
	if (!ret->current_tasks && (err = find_current_tasks(ctx, tasks_dict, ret)))
		return err;
	find_types(ctx, tasks_dict, ret);
	/* programs without an executor have none */
	cs_work_find(ctx, modules, &ret->work, &ret->work_item_type);
	return find_sets(ctx, tasks_dict, &ret->module);
}

/* Take over what was found in one interpreter (err: how that ended). */
static void add_found(const struct found *found, int err, struct cs_asyncio *ret)
{
	if (*found->reason)
		memcpy(ret->probe_reason, found->reason, sizeof(ret->probe_reason));
	if (err == -EINVAL)
		snprintf(ret->probe_reason, sizeof(ret->probe_reason),
			 "asyncio's objects are not what this Python version has");
	if (err && (err != -ENOENT || !found->module.task_type))
		return;
	if (!found->module.task_type)
		snprintf(ret->probe_reason, sizeof(ret->probe_reason),
			 "its asyncio is without the C module: who creates a task is not known");
	/* the main interpreter is the last one */
	ret->current_tasks = found->current_tasks;
	ret->types = found->types;
	ret->work = found->work;
	ret->work_item_type = found->work_item_type;
	ret->modules[ret->nmodules++] = found->module;
	ret->loaded = ret->loaded || !err;
}

int cs_asyncio_find(const struct cs_interp *interp, struct cs_mem *mem, bool probe,
		    struct cs_asyncio *ret)
{
	struct cs_pyobj_ctx ctx = {interp, mem};
	struct found found;
	uint64_t at;
	int err;

	*ret = (struct cs_asyncio){0};
	cs_mem_forget(mem);
	err = cs_mem_read_u64(mem, interp->info.interpreters_head, &at);
	for (int i = 0; i < CS_MAX_INTERPRETERS && at && !err; i++) {
		err = find_in(&ctx, at, &found);
		if (probe && found.module.task_type && !ret->nmodules)
			find_probe(interp->pid, found.init, ret);
		add_found(&found, err, ret);
		if (err && err != -ENOENT && err != -EINVAL)
			return err;
		err = cs_mem_read_u64(mem, at + interp->info.off.interp_next, &at);
	}
	return err;
}

/* Mix how many keys a keys object has into *mark: they only grow. */
static int mix_keys(const struct cs_py_offsets *off, struct cs_mem *mem, uint64_t holder,
		    uint64_t *mark)
{
	uint64_t keys, n = 0;
	int err = cs_mem_read_u64(mem, holder, &keys);

	if (!err && keys)
		err = cs_mem_read_u64(mem, keys + off->keys_nentries, &n);
	*mark = cs_digest_word(cs_digest_word(*mark, keys), n);
	return err;
}

int cs_asyncio_mark(const struct cs_interp *interp, const struct cs_asyncio *asyncio,
		    struct cs_mem *mem, uint64_t *ret)
{
	const struct cs_py_offsets *off = &interp->info.off;
	uint64_t at, modules, mark = 0;
	int err = cs_mem_read_u64(mem, interp->info.interpreters_head, &at);

	for (int i = 0; i < CS_MAX_INTERPRETERS && at && !err; i++) {
		err = cs_mem_read_u64(mem, at + off->interp_modules, &modules);
		if (err || !modules)
			break;
		err = mix_keys(off, mem, modules + off->dict_keys, &mark);
		if (!err)
			err = cs_mem_read_u64(mem, at + off->interp_next, &at);
	}
	if (!err && asyncio->work_item_type)
		err = mix_keys(off, mem, asyncio->work_item_type + off->heaptype_cached_keys,
			       &mark);
	*ret = mark;
	return err;
}

bool cs_asyncio_same(const struct cs_asyncio *a, const struct cs_asyncio *b)
{
	bool same = a->loaded == b->loaded && a->current_tasks == b->current_tasks &&
		    a->nmodules == b->nmodules;

	for (unsigned int i = 0; same && i < a->nmodules; i++) {
		const struct cs_asyncio_module *x = &a->modules[i], *y = &b->modules[i];

		same = x->task_type == y->task_type && x->nsets == y->nsets &&
		       !memcmp(x->sets, y->sets, sizeof(x->sets));
	}
	return same;
}
