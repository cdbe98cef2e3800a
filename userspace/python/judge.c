/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interpreter of known version and place, judged by its live memory: which offsets hold, and do they fit?
 *
 * A verdict of READY is never a guess: the version has a row, what the interpreter publishes is possible, and reading
 * through the result gave what it must give.
 */
#include "python/judge.h"

#include <coroscope/limits.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "proc/threads.h"
#include "python/layout.h"
#include "python/objects.h"
#include "python/task_site.h"

#define MAX_THREAD_IDS 1024
#define MAX_LOOKS      5
#define PAUSE_NS       2000000

void cs_interp_refuse(struct cs_interp *interp, const char *fmt, ...)
{
	va_list args;

	interp->state = CS_INTERP_UNSUPPORTED;
	interp->info = (struct cs_proc_info){.flags = CS_PROC_UNSUPPORTED};
	va_start(args, fmt);
	vsnprintf(interp->reason, sizeof(interp->reason), fmt, args);
	va_end(args);
}

const char *cs_py_flavour(bool debug, bool free_threaded)
{
	if (free_threaded)
		return debug ? "free-threaded debug" : "free-threaded";
	return debug ? "debug" : "gil";
}

void cs_interp_refuse_prerelease(struct cs_interp *interp)
{
	cs_interp_refuse(interp, "pre-releases of Python %d.%d are not supported", interp->major,
			 interp->minor);
}

void cs_interp_refuse_version(struct cs_interp *interp)
{
	bool plain = !strcmp(interp->flavour, "gil");

	/* A build without a row of its own, or a version without any? */
	if (plain || !cs_py_layout_find(interp->major, interp->minor, "gil"))
		cs_interp_refuse(interp, "Python %d.%d is not supported", interp->major,
				 interp->minor);
	else
		cs_interp_refuse(interp, "the %s build of Python %d.%d is not supported",
				 interp->flavour, interp->major, interp->minor);
}

/* The row of its version and flavour. */
static bool take_row(struct cs_interp *interp)
{
	const struct cs_py_layout *row =
		cs_py_layout_find(interp->major, interp->minor, interp->flavour);

	if (!row) {
		cs_interp_refuse_version(interp);
		return false;
	}
	interp->info.off = row->off;
	interp->info.traits = row->traits;
	snprintf(interp->offsets_source, sizeof(interp->offsets_source),
		 "generated table (3.%d, %s%s)", row->minor, row->flavour,
		 row->unproved ? ", from headers only" : "");
	return true;
}

static void source_add(struct cs_interp *interp, const char *what)
{
	size_t len = strlen(interp->offsets_source);

	snprintf(interp->offsets_source + len, sizeof(interp->offsets_source) - len, ", %s", what);
}

/* The offsets that hold for this process. Returns 0 (perhaps unsupported), or what cs_mem_read returns. */
static int take_offsets(struct cs_interp *interp, struct cs_mem *mem)
{
	struct cs_py_published published;
	int err;

	if (!cs_py_publishes(interp->minor)) {
		take_row(interp);
		return 0;
	}
	err = cs_py_published_read(mem, interp->runtime, &published);
	if (err && err != -ENOENT)
		return err;
	if (err) {
		cs_interp_refuse(interp, "Python %d.%d without its table of offsets", interp->major,
				 interp->minor);
		return 0;
	}
	if (published.version >> 16 != ((uint32_t)interp->major << 8 | (uint32_t)interp->minor)) {
		cs_interp_refuse(interp,
				 "Python %d.%d whose table of offsets is of another version (%#x)",
				 interp->major, interp->minor, published.version);
		return 0;
	}
	interp->flavour = cs_py_flavour(!strcmp(interp->flavour, "debug"), published.free_threaded);
	if (!take_row(interp))
		return 0;
	if (cs_py_published_apply(&published, &interp->info.off) ||
	    !cs_py_layout_is_sane(&interp->info.off, &interp->info.traits))
		cs_interp_refuse(interp, "Python %d.%d whose table of offsets cannot be true",
				 interp->major, interp->minor);
	else
		source_add(interp, "_Py_DebugOffsets");
	return 0;
}

/*
 * What _asyncio publishes lies in the interpreter's own file (3.15), or in the module's, which is the same before it is mapped.
 */
static bool find_asyncio(const struct cs_interp *interp, const struct cs_py_binary *binary,
			 const struct cs_maps *maps, struct cs_py_binary *ret)
{
	static const char name[] = "/_asyncio.";
	char path[4096 + 64];

	*ret = *binary;
	if (binary->has_asyncio_debug)
		return true;
	for (size_t i = 0; i < maps->n; i++) {
		const struct cs_mapping *m = &maps->items[i];

		if (m->executable && strstr(m->path, name) &&
		    !cs_maps_open_path(interp->pid, m, path, sizeof(path)) &&
		    !cs_py_binary_probe(path, m->path, ret))
			return ret->has_asyncio_debug;
	}
	return !cs_task_module_find(interp, path, sizeof(path)) &&
	       !cs_py_binary_probe(path, path, ret) && ret->has_asyncio_debug;
}

/* Where the row has tasks in lists, _asyncio knows better where they are. */
static void take_asyncio(struct cs_interp *interp, const struct cs_py_binary *binary,
			 const struct cs_maps *maps)
{
	struct cs_py_binary asyncio;

	if (!interp->info.off.tstate_tasks_head || !find_asyncio(interp, binary, maps, &asyncio))
		return;
	if (cs_py_asyncio_apply(asyncio.asyncio_debug, &interp->info.off))
		cs_interp_refuse(interp, "Python %d.%d whose asyncio's table cannot be true",
				 interp->major, interp->minor);
	else
		source_add(interp, ".AsyncioDebug");
}

/* Is the type at this address called name? Returns 1, 0, or what cs_mem_read returns. */
static int type_is_named(const struct cs_interp *interp, struct cs_mem *mem, uint64_t type,
			 const char *name)
{
	uint64_t at;
	char found[32];
	int err;

	err = cs_mem_read_u64(mem, type + interp->info.off.type_name, &at);
	if (!err)
		err = cs_mem_read_str(mem, at, found, sizeof(found));
	return err ? err : !strcmp(found, name);
}

/*
 * Does a thread state name a live thread? The first word of what a thread pointer points to is itself on x86-64 (glibc, musl).
 * Elsewhere the kernel's id must do, which 3.11.0 and .1 keep from the parent after a fork.
 */
#ifdef __x86_64__
static bool is_live_thread(const struct cs_interp *interp, struct cs_mem *mem, uint64_t tstate)
{
	uint64_t thread, self;

	return !cs_mem_read_u64(mem, tstate + interp->info.off.tstate_thread_id, &thread) &&
	       thread && !cs_mem_read_u64(mem, thread, &self) && self == thread;
}
#else
static bool is_live_thread(const struct cs_interp *interp, struct cs_mem *mem, uint64_t tstate)
{
	uint64_t native, ids[MAX_THREAD_IDS];
	size_t n = cs_threads_list(interp->pid, ids, ARRAY_SIZE(ids));

	if (!interp->info.off.tstate_native_thread_id ||
	    cs_mem_read_u64(mem, tstate + interp->info.off.tstate_native_thread_id, &native))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (ids[i] == native)
			return true;
	}
	return false;
}
#endif

/* Walk interpreters and thread states until one names a live thread. Returns 1, 0, or -errno. */
static int has_live_thread(const struct cs_interp *interp, struct cs_mem *mem, uint64_t head)
{
	const struct cs_py_offsets *off = &interp->info.off;
	uint64_t in = head;
	int err = 0;

	for (int i = 0; !err && in && i < CS_MAX_INTERPRETERS; i++) {
		uint64_t ts, owner;

		err = cs_mem_read_u64(mem, in + off->interp_threads_head, &ts);
		for (int k = 0; !err && ts && k < CS_MAX_TSTATES; k++) {
			err = cs_mem_read_u64(mem, ts + off->tstate_interp, &owner);
			if (!err && owner == in && is_live_thread(interp, mem, ts))
				return 1;
			if (!err)
				err = cs_mem_read_u64(mem, ts + off->tstate_next, &ts);
		}
		if (!err)
			err = cs_mem_read_u64(mem, in + off->interp_next, &in);
	}
	return err;
}

/*
 * Up to 3.10 the file does not tell its version for certain: sys.hexversion does. Returns 1 (agrees, or is not needed), 0 (it is
 * no version), -ENOENT (it is not there yet), or -errno. Refuses what is another version, or a pre-release.
 */
static int version_agrees(struct cs_interp *interp, struct cs_mem *mem, uint64_t modules)
{
	struct cs_pyobj_ctx ctx = {interp, mem};
	uint64_t module, dict, obj;
	int64_t version;
	int err;

	if (interp->micro >= 0)
		return 1;
	if ((err = cs_pyobj_dict_get(&ctx, modules, "sys", &module)) ||
	    (err = cs_mem_read_u64(mem, module + interp->info.off.module_dict, &dict)) ||
	    (err = cs_pyobj_dict_get(&ctx, dict, "hexversion", &obj)) ||
	    (err = cs_pyobj_long(&ctx, obj, &version)))
		return err == -EINVAL || err == -ERANGE ? 0 : err;
	if (version >> 24 != interp->major || (version >> 16 & 0xff) != interp->minor)
		cs_interp_refuse(interp, "Python %d.%d that calls itself %#llx", interp->major,
				 interp->minor, (unsigned long long)version);
	else if ((version & 0xf0) < CS_PY_CANDIDATE)
		cs_interp_refuse_prerelease(interp);
	interp->micro = version >> 8 & 0xff;
	return 1;
}

/* Read the live process through the row: everything must be what it must be. 1, 0, or -errno. */
static int row_fits(const struct cs_interp *interp, struct cs_mem *mem, uint64_t head,
		    uint64_t modules)
{
	uint64_t modules_type;
	int fits;

	fits = cs_mem_read_u64(mem, modules + interp->info.off.object_type, &modules_type);
	if (!fits)
		fits = type_is_named(interp, mem, modules_type, "dict");
	if (fits == 1)
		fits = type_is_named(interp, mem, interp->type_coro, "coroutine");
	if (fits == 1)
		fits = type_is_named(interp, mem, interp->type_gen, "generator");
	if (fits == 1)
		fits = type_is_named(interp, mem, interp->type_async_gen, "async_generator");
	return fits == 1 ? has_live_thread(interp, mem, head) : fits;
}

/*
 * STARTING, READY or UNSUPPORTED, from live memory. Returns 0, -EAGAIN if the row does not fit, or what
 * cs_mem_read returns.
 */
static int judge(struct cs_interp *interp, const struct cs_py_binary *binary,
		 const struct cs_maps *maps, struct cs_mem *mem)
{
	const struct cs_mapping *data = cs_maps_find(maps, interp->runtime);
	uint64_t head, modules = 0;
	int fits;

	/* The dynamic loader maps a library's code first: other bytes are there until then. */
	if (!data || !data->writable) {
		interp->state = CS_INTERP_STARTING;
		return 0;
	}
	fits = take_offsets(interp, mem);
	if (fits || interp->state == CS_INTERP_UNSUPPORTED)
		return fits;
	interp->info.interpreters_head =
		interp->runtime + interp->info.off.runtime_interpreters_head;
	fits = cs_mem_read_u64(mem, interp->info.interpreters_head, &head);
	if (!fits && head)
		fits = cs_mem_read_u64(mem, head + interp->info.off.interp_modules, &modules);
	if (fits)
		return fits;
	fits = modules ? row_fits(interp, mem, head, modules) : -ENOENT;
	if (fits == 1)
		fits = version_agrees(interp, mem, modules);
	if (fits == -ENOENT) {
		interp->state = CS_INTERP_STARTING;
		return 0;
	}
	if (fits <= 0)
		return fits ? fits : -EAGAIN;
	if (interp->state != CS_INTERP_UNSUPPORTED)
		take_asyncio(interp, binary, maps);
	if (interp->state == CS_INTERP_UNSUPPORTED)
		return 0;
	interp->state = CS_INTERP_READY;
	interp->info.flags = CS_PROC_PYTHON;
	if (interp->info.off.runtime_gil)
		interp->info.gil = interp->runtime + interp->info.off.runtime_gil;
	return 0;
}

int cs_interp_judge(struct cs_interp *interp, const struct cs_py_binary *binary,
		    const struct cs_maps *maps, struct cs_mem *mem)
{
	static const struct timespec pause = {.tv_nsec = PAUSE_NS};
	int err = 0;

	for (int i = 0; i < MAX_LOOKS; i++) {
		if (i)
			nanosleep(&pause, NULL);
		cs_mem_forget(mem);
		err = judge(interp, binary, maps, mem);
		if (err != -EFAULT && err != -EAGAIN)
			return err;
	}
	if (err == -EFAULT)
		cs_interp_refuse(interp, "the memory of Python %d.%d could not be read",
				 interp->major, interp->minor);
	else
		cs_interp_refuse(interp,
				 "the known layout of Python %d.%d does not fit this process",
				 interp->major, interp->minor);
	return 0;
}
