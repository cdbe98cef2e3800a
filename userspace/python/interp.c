/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the interpreter of a process.
 *
 * Files that could hold one: what is mapped executable under a name with "python" in it (a program may be
 * started through the dynamic loader, so the executable need not be Python's), then the executable itself
 * (embedders). Each that holds an interpreter is judged; the best verdict wins, because a process may
 * map a libpython that it never initialises. A verdict of READY is never a guess: the version has a
 * row, and reading the live process through that row gave what it must give.
 */
#include "python/interp.h"

#include <coroscope/limits.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "proc/elf.h"
#include "proc/maps.h"
#include "proc/threads.h"
#include "python/binary.h"
#include "python/layout.h"

#define MAX_CANDIDATES 16
#define MAX_THREAD_IDS 1024
#define MAX_LOOKS      5
#define PAUSE_NS       2000000

struct candidates {
	const struct cs_mapping *items[MAX_CANDIDATES];
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void unsupported(struct cs_interp *interp,
							      const char *fmt, ...)
{
	va_list args;

	interp->state = CS_INTERP_UNSUPPORTED;
	interp->info = (struct cs_proc_info){.flags = CS_PROC_UNSUPPORTED};
	va_start(args, fmt);
	vsnprintf(interp->reason, sizeof(interp->reason), fmt, args);
	va_end(args);
}

static bool is_same_file(const struct cs_mapping *a, const struct cs_mapping *b)
{
	return a->inode == b->inode && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

static void candidates_add(struct candidates *all, const struct cs_mapping *mapping)
{
	for (size_t i = 0; i < all->n; i++) {
		if (is_same_file(all->items[i], mapping))
			return;
	}
	if (all->n < MAX_CANDIDATES)
		all->items[all->n++] = mapping;
}

/* /proc/PID/exe names the file in the words of /proc/PID/maps. */
static void candidates_add_exe(struct candidates *all, pid_t pid, const struct cs_maps *maps)
{
	char link[64], exe[4096 + 16];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	len = readlink(link, exe, sizeof(exe) - 1);
	if (len <= 0)
		return;
	exe[len] = '\0';
	for (size_t i = 0; i < maps->n; i++) {
		const struct cs_mapping *m = &maps->items[i];
		size_t n = strlen(m->path);

		if (n && m->executable && !strncmp(m->path, exe, n) &&
		    !strcmp(exe + n, m->deleted ? " (deleted)" : "")) {
			candidates_add(all, m);
			return;
		}
	}
}

static void candidates_collect(struct candidates *all, pid_t pid, const struct cs_maps *maps)
{
	for (int want_lib = 1; want_lib >= 0; want_lib--) {
		for (size_t i = 0; i < maps->n; i++) {
			const struct cs_mapping *m = &maps->items[i];

			if (m->executable && m->path[0] == '/' && cs_py_binary_is_named(m->path) &&
			    !!strstr(m->path, "/libpython") == want_lib)
				candidates_add(all, m);
		}
	}
	candidates_add_exe(all, pid, maps);
}

static const char *flavour_of(bool debug, bool free_threaded)
{
	return free_threaded ? "free-threaded" : debug ? "debug" : "gil";
}

/* There is no row for this one: say so by name. */
static void refuse_version(struct cs_interp *interp)
{
	const char *what = strcmp(interp->flavour, "debug") == 0 ? "debug builds of Python"
			   : strcmp(interp->flavour, "free-threaded") == 0 ? "free-threaded Python"
									   : "Python";

	/* A build without a row of its own, or a version without any? */
	if (!cs_py_layout_find(interp->major, interp->minor, "gil"))
		what = "Python";
	unsupported(interp, "%s %d.%d is not supported", what, interp->major, interp->minor);
}

/* Why this file's interpreter cannot be walked, if so: false. */
static bool version_is_supported(struct cs_interp *interp, const struct cs_py_binary *binary)
{
	if (binary->is_32bit)
		unsupported(interp, "32-bit Python is not supported");
	else if (!binary->major)
		unsupported(interp, "a Python whose version cannot be told");
	else if (!cs_py_layout_find(interp->major, interp->minor, interp->flavour))
		refuse_version(interp);
	else if (binary->prerelease)
		unsupported(interp, "pre-releases of Python %d.%d are not supported", interp->major,
			    interp->minor);
	else if (!binary->runtime || !binary->type_coro || !binary->type_gen ||
		 !binary->type_async_gen)
		unsupported(interp, "Python %d.%d without the exported symbols of CPython",
			    interp->major, interp->minor);
	else
		return true;
	return false;
}

/*
 * Where the file's symbols are in this process. Returns 0, -ENOENT if the file does not fit the map, or
 * -ESRCH: it opened a moment ago, so the process must be ending or starting another program.
 */
static int locate(struct cs_interp *interp, const char *path, const struct cs_maps *maps,
		  const struct cs_mapping *mapping, const struct cs_py_binary *binary)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	const struct cs_mapping *first = maps->items;
	uint64_t bias;

	while (!is_same_file(first, mapping))
		first++;
	if (cs_elf_open(path, &elf))
		return -ESRCH;
	if (cs_elf_load_bias(elf, first->start, first->offset, &bias))
		return -ENOENT;
	interp->runtime = binary->runtime + bias;
	interp->type_coro = binary->type_coro + bias;
	interp->type_gen = binary->type_gen + bias;
	interp->type_async_gen = binary->type_async_gen + bias;
	return 0;
}

/* The row, and where its numbers come from, for people. */
static bool take_row(struct cs_interp *interp, bool published)
{
	const struct cs_py_layout *row =
		cs_py_layout_find(interp->major, interp->minor, interp->flavour);

	if (!row)
		return false;
	interp->info.off = row->off;
	interp->info.traits = row->traits;
	snprintf(interp->offsets_source, sizeof(interp->offsets_source),
		 "%sgenerated table (3.%d, %s)",
		 published ? "_Py_DebugOffsets, validated, and " : "", row->minor, row->flavour);
	return true;
}

/* The offsets that hold for this process. Returns 0 (perhaps unsupported), or what cs_mem_read returns. */
static int take_offsets(struct cs_interp *interp, struct cs_mem *mem)
{
	struct cs_py_published published;
	int err;

	if (!cs_py_publishes(interp->minor)) {
		take_row(interp, false);
		return 0;
	}
	err = cs_py_published_read(mem, interp->runtime, &published);
	if (err && err != -ENOENT)
		return err;
	if (!err && published.free_threaded)
		interp->flavour = flavour_of(false, true);
	if (err)
		unsupported(interp, "Python %d.%d without its table of offsets", interp->major,
			    interp->minor);
	else if (published.version >> 16 !=
		 ((uint32_t)interp->major << 8 | (uint32_t)interp->minor))
		unsupported(interp,
			    "Python %d.%d whose table of offsets is of another version (%#x)",
			    interp->major, interp->minor, published.version);
	else if (!take_row(interp, true))
		refuse_version(interp);
	else if (cs_py_published_apply(&published, &interp->info.off))
		unsupported(interp, "Python %d.%d whose table of offsets cannot be true",
			    interp->major, interp->minor);
	return 0;
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
 * Does a thread state name a live thread? By the kernel's id (from 3.11 on); or by the thread pointer, whose first word
 * points to itself on x86-64: 3.11.0 and .1 keep the parent's native id after a fork.
 */
static bool is_live_thread(struct cs_mem *mem, uint64_t native, uint64_t thread,
			   const uint64_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (native && ids[i] == native)
			return true;
	}
#ifdef __x86_64__
	uint64_t self;

	return thread && !cs_mem_read_u64(mem, thread, &self) && self == thread;
#else
	return false;
#endif
}

/* Walk interpreters and thread states until one names a live thread. Returns 1, 0, or -errno. */
static int has_live_thread(const struct cs_interp *interp, struct cs_mem *mem, uint64_t head)
{
	const struct cs_py_offsets *off = &interp->info.off;
	uint64_t ids[MAX_THREAD_IDS];
	size_t n = cs_threads_list(interp->pid, ids, ARRAY_SIZE(ids));
	uint64_t in = head;

	for (int i = 0; in && i < CS_MAX_INTERPRETERS; i++) {
		uint64_t ts;
		int err = cs_mem_read_u64(mem, in + off->interp_threads_head, &ts);

		for (int k = 0; !err && ts && k < CS_MAX_TSTATES; k++) {
			uint64_t native, thread;

			native = 0;
			if (off->tstate_native_thread_id)
				err = cs_mem_read_u64(mem, ts + off->tstate_native_thread_id,
						      &native);
			if (!err)
				err = cs_mem_read_u64(mem, ts + off->tstate_thread_id, &thread);
			if (!err && is_live_thread(mem, native, thread, ids, n))
				return 1;
			if (!err)
				err = cs_mem_read_u64(mem, ts + off->tstate_next, &ts);
		}
		if (!err)
			err = cs_mem_read_u64(mem, in + off->interp_next, &in);
		if (err)
			return err;
	}
	return 0;
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
static int judge(struct cs_interp *interp, const struct cs_maps *maps, struct cs_mem *mem)
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
	if (!modules) {
		interp->state = CS_INTERP_STARTING;
		return 0;
	}
	fits = row_fits(interp, mem, head, modules);
	if (fits <= 0)
		return fits ? fits : -EAGAIN;
	interp->state = CS_INTERP_READY;
	interp->info.flags = CS_PROC_PYTHON;
	if (interp->info.off.runtime_gil)
		interp->info.gil = interp->runtime + interp->info.off.runtime_gil;
	return 0;
}

/*
 * The same, with the last word on what did not fit: an interpreter that is just starting or ending can
 * look like anything for some microseconds, so it is looked at again before it is refused.
 */
static int judge_patiently(struct cs_interp *interp, const struct cs_maps *maps, struct cs_mem *mem)
{
	static const struct timespec pause = {.tv_nsec = PAUSE_NS};
	int err = 0;

	for (int i = 0; i < MAX_LOOKS; i++) {
		if (i)
			nanosleep(&pause, NULL);
		cs_mem_forget(mem);
		err = judge(interp, maps, mem);
		if (err != -EFAULT && err != -EAGAIN)
			return err;
	}
	if (err == -EFAULT)
		unsupported(interp, "the memory of Python %d.%d could not be read", interp->major,
			    interp->minor);
	else
		unsupported(interp, "the known layout of Python %d.%d does not fit this process",
			    interp->major, interp->minor);
	return 0;
}

/* The verdict on one file. Returns 0, -ESRCH, -EPERM or -ENOMEM. */
static int look_at(const struct cs_maps *maps, const struct cs_mapping *mapping, struct cs_mem *mem,
		   struct cs_interp *interp)
{
	struct cs_py_binary binary;
	char path[4096 + 64];
	int err;

	if (cs_maps_open_path(interp->pid, mapping, path, sizeof(path)) ||
	    cs_py_binary_probe(path, mapping->path, &binary) || !binary.python)
		return 0;
	interp->major = binary.major;
	interp->minor = binary.minor;
	interp->micro = binary.micro;
	interp->flavour = flavour_of(binary.debug, binary.free_threaded);
	snprintf(interp->binary, sizeof(interp->binary), "%s", mapping->path);
	if (!version_is_supported(interp, &binary))
		return 0;
	err = locate(interp, path, maps, mapping, &binary);
	if (err == -ENOENT) {
		unsupported(interp, "the interpreter's file does not match what is mapped");
		return 0;
	}
	return err ? err : judge_patiently(interp, maps, mem);
}

int cs_interp_detect(pid_t pid, struct cs_interp *ret)
{
	_cleanup_(cs_mem_freep) struct cs_mem *mem = NULL;
	_cleanup_maps_ struct cs_maps maps = {0};
	struct candidates all = {0};
	int err;

	*ret = (struct cs_interp){.pid = pid};
	err = cs_maps_read(pid, &maps);
	if (err == -E2BIG) {
		snprintf(ret->reason, sizeof(ret->reason), "too many mappings to look through");
		return 0;
	}
	if (err)
		return err == -ENOENT ? -ESRCH : err == -EACCES ? -EPERM : err;
	candidates_collect(&all, pid, &maps);
	if (!all.n)
		return 0;
	err = cs_mem_new(pid, &mem);
	for (size_t i = 0; !err && i < all.n && ret->state != CS_INTERP_READY; i++) {
		struct cs_interp one = {.pid = pid};

		err = look_at(&maps, all.items[i], mem, &one);
		/* The states are in ascending order of merit. */
		if (!err && one.state > ret->state)
			*ret = one;
	}
	return err;
}

int cs_interp_file(const struct cs_interp *interp, struct cs_file_id *ret_id,
		   struct cs_file_info *ret)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	_cleanup_maps_ struct cs_maps maps = {0};
	const struct cs_mapping *data, *program;
	struct candidates exe = {0};
	char path[4096 + 64];
	uint64_t bias, text;
	struct stat st;

	if (interp->state != CS_INTERP_READY || cs_maps_read(interp->pid, &maps))
		return -ENOENT;
	candidates_add_exe(&exe, interp->pid, &maps);
	data = cs_maps_find(&maps, interp->runtime);
	if (!data || !exe.n)
		return -ENOENT;
	program = exe.items[0];
	if (cs_maps_open_path(interp->pid, program, path, sizeof(path)) || stat(path, &st) ||
	    cs_elf_open(path, &elf) ||
	    cs_elf_load_bias(elf, program->start, program->offset, &bias) ||
	    cs_elf_text_start(elf, &text))
		return -ENOENT;
	*ret_id = (struct cs_file_id){program->inode, program->dev_major, program->dev_minor};
	*ret = (struct cs_file_info){
		.size = (uint64_t)st.st_size,
		.mtime_ns =
			(uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec,
		.text_vaddr = text,
		.asks = !is_same_file(program, data),
		.row = interp->info,
	};
	ret->row.interpreters_head -= bias;
	if (ret->row.gil)
		ret->row.gil -= bias;
	ret->row.current_tasks = 0;
	return 0;
}
