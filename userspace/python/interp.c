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

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "proc/elf.h"
#include "proc/maps.h"
#include "python/binary.h"
#include "python/judge.h"

#define MAX_CANDIDATES 16

struct candidates {
	const struct cs_mapping *items[MAX_CANDIDATES];
	size_t n;
};

static bool is_same_file(const struct cs_mapping *a, const struct cs_mapping *b)
{
	return a->inode == b->inode && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

static struct cs_file_id file_id(const struct cs_mapping *mapping)
{
	return (struct cs_file_id){mapping->inode, mapping->dev_major, mapping->dev_minor};
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

/* Why this file's interpreter cannot be walked, if so: false. */
static bool version_is_supported(struct cs_interp *interp, const struct cs_py_binary *binary)
{
	if (binary->pypy)
		cs_interp_refuse(interp, "PyPy is not supported");
	else if (binary->is_32bit)
		cs_interp_refuse(interp, "32-bit Python is not supported");
	else if (!binary->major)
		cs_interp_refuse(interp, "a Python whose version cannot be told");
	else if (!cs_py_layout_find(interp->major, interp->minor, interp->flavour))
		cs_interp_refuse_version(interp);
	else if (binary->prerelease)
		cs_interp_refuse_prerelease(interp);
	else if (!binary->runtime || !binary->type_coro || !binary->type_gen ||
		 !binary->type_async_gen)
		cs_interp_refuse(interp, "Python %d.%d without the exported symbols of CPython",
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
	interp->flavour = cs_py_flavour(binary.debug, binary.free_threaded);
	snprintf(interp->binary, sizeof(interp->binary), "%s", mapping->path);
	interp->file = file_id(mapping);
	if (!version_is_supported(interp, &binary))
		return 0;
	err = locate(interp, path, maps, mapping, &binary);
	if (err == -ENOENT) {
		cs_interp_refuse(interp, "the interpreter's file does not match what is mapped");
		return 0;
	}
	return err ? err : cs_interp_judge(interp, &binary, maps, mem);
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
	const struct cs_mapping *program;
	struct candidates exe = {0};
	char path[4096 + 64];
	uint64_t bias, text;
	struct stat st;

	if (interp->state != CS_INTERP_READY || cs_maps_read(interp->pid, &maps))
		return -ENOENT;
	candidates_add_exe(&exe, interp->pid, &maps);
	if (!exe.n)
		return -ENOENT;
	program = exe.items[0];
	if (cs_maps_open_path(interp->pid, program, path, sizeof(path)) || stat(path, &st) ||
	    cs_elf_open(path, &elf) ||
	    cs_elf_load_bias(elf, program->start, program->offset, &bias) ||
	    cs_elf_text_start(elf, &text))
		return -ENOENT;
	*ret_id = file_id(program);
	*ret = (struct cs_file_info){
		.size = (uint64_t)st.st_size,
		.mtime_ns =
			(uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec,
		.text_vaddr = text,
		.asks = memcmp(ret_id, &interp->file, sizeof(*ret_id)) != 0,
		.row = interp->info,
	};
	ret->row.interpreters_head -= bias;
	if (ret->row.gil)
		ret->row.gil -= bias;
	ret->row.current_tasks = 0;
	ret->row.types = (struct cs_task_types){0};
	ret->row.work = (struct cs_work){0};
	return 0;
}
