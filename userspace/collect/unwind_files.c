/* SPDX-License-Identifier: Apache-2.0 */
/* Files of code. One is known by its identity, size and time of change. */
#include "collect/unwind_files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "collect/unwind_maker.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "proc/symtab.h"
#include "unwind/parts.h"

#define MAX_SEGMENTS 8
/* Of the interpreter's loop, beside the piece that has its name. */
#define MAX_LOOP     4
/* Times that a file's symbols are looked for: the process that is asked may be gone. */
#define MAX_TRIES    4
/* Files that are open at once, waiting for their tables. */
#define MAX_WAITING  256
#define VDSO_BYTES   65536

struct cs_unwind_file {
	struct identity {
		uint64_t dev, ino, size, mtime_ns; /* all 0: the vDSO */
	} id;
	struct cs_unwind_making making;
	bool waits;                    /* for its table: `making` is the maker's */
	struct cs_kernel_table *table; /* NULL: none (yet) */
	bool by_frame_pointers;
	bool no_room;            /* for its table, ... */
	unsigned int no_room_at; /* ... when so many had been given back */
	bool touched;
	struct cs_elf_code code[MAX_SEGMENTS];
	size_t ncode;
	struct cs_symtab *symbols; /* NULL: not asked for yet, or none */
	unsigned int tries;        /* to read them */
	bool interpreter;          /* they say so */
	struct cs_elf_range loop[MAX_LOOP];
	size_t nloop;
	uint8_t build_id[CS_BUILD_ID_BYTES];
	int build_id_len; /* 0: none */
	UT_hash_handle hh;
};

struct cs_unwind_files {
	struct cs_unwind_maker *maker;
	struct cs_unwind_file *files;
	size_t waiting, refused;
	unsigned int given_back; /* tables */
	int vdso_fd;             /* a copy of our own vDSO, which is every process's; -1: none */
};

/* The kernel gives every process the same one, as memory: a file of its bytes is read as any other. */
static int copy_vdso(void)
{
	const void *vdso =
		(const void *)getauxval(AT_SYSINFO_EHDR); // NOLINT(performance-no-int-to-ptr)
	_cleanup_maps_ struct cs_maps maps = {0};
	_cleanup_close_ int fd = memfd_create("vdso", MFD_CLOEXEC);
	const struct cs_mapping *mapping;
	size_t size;

	if (!vdso || fd < 0 || cs_maps_read(getpid(), &maps))
		return -1;
	mapping = cs_maps_find(&maps, (uint64_t)(uintptr_t)vdso);
	if (!mapping)
		return -1;
	size = mapping->end - mapping->start;
	if (size > VDSO_BYTES || write(fd, vdso, size) != (ssize_t)size)
		return -1;
	return TAKE_FD(fd);
}

int cs_unwind_files_new(int map_fd, size_t budget_bytes, struct cs_unwind_files **ret)
{
	_cleanup_free_ struct cs_unwind_files *files = calloc(1, sizeof(*files));
	int err;

	if (!files)
		return -ENOMEM;
	err = cs_unwind_maker_new(map_fd, budget_bytes, &files->maker);
	if (err)
		return err;
	files->vdso_fd = copy_vdso();
	*ret = TAKE_PTR(files);
	return 0;
}

static void file_free(struct cs_unwind_files *files, struct cs_unwind_file *file)
{
	HASH_DEL(files->files, file);
	cs_symtab_free(file->symbols);
	free(file);
}

void cs_unwind_files_free(struct cs_unwind_files *files)
{
	struct cs_unwind_file *file, *tmp;

	if (!files)
		return;
	cs_unwind_maker_free(files->maker); /* before what it makes */
	HASH_ITER (hh, files->files, file, tmp)
		file_free(files, file);
	cs_cleanup_close(&files->vdso_fd);
	free(files);
}

static void ask(struct cs_unwind_files *files, struct cs_unwind_file *file, struct cs_elf *taken)
{
	file->making = (struct cs_unwind_making){.elf = taken, .asker = file};
	file->waits = true;
	files->waiting++;
	cs_unwind_maker_ask(files->maker, &file->making);
}

static void heed(struct cs_unwind_files *files, struct cs_unwind_file *file)
{
	int err = file->making.err;

	file->waits = false;
	files->waiting--;
	file->table = file->making.table;
	/* Compilers that leave the table out keep the frame pointer (Go). */
	file->by_frame_pointers = err == -ENOENT;
	file->no_room = err == -ENOSPC;
	file->no_room_at = files->given_back;
	if (!err || file->by_frame_pointers)
		return;
	files->refused++;
	cs_debug("a file (inode %" PRIu64 ") has no unwind table: %s", file->id.ino,
		 strerror(-err));
}

bool cs_unwind_files_heed(struct cs_unwind_files *files)
{
	struct cs_unwind_making *making;
	bool any = false;

	while ((making = cs_unwind_maker_take(files->maker))) {
		heed(files, making->asker);
		any = true;
	}
	return any;
}

void cs_unwind_files_wait(struct cs_unwind_files *files, uint64_t timeout_ns)
{
	cs_unwind_maker_wait(files->maker, timeout_ns);
}

static void read_symbols(struct cs_unwind_file *file, struct cs_elf *elf,
			 const struct cs_elf_home *home)
{
	struct cs_elf_range loop;
	int n;

	file->tries = MAX_TRIES;
	if (cs_symtab_load(elf, home, &file->symbols))
		return;
	file->interpreter = cs_symtab_where(file->symbols, CS_EVAL_SYMBOL, &loop);
	n = file->interpreter ? cs_unwind_parts(elf, loop, file->loop, MAX_LOOP) : 0;
	file->nloop = n > 0 ? (size_t)n : 0;
}

/* home: NULL if its symbols can still be read when they are asked for. */
static struct cs_unwind_file *file_new(struct cs_unwind_files *files, const struct identity *id,
				       const char *path, const struct cs_elf_home *home)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	struct cs_unwind_file *file = calloc(1, sizeof(*file));
	int n;

	if (!file)
		return NULL;
	file->id = *id;
	HASH_ADD(hh, files->files, id, sizeof(file->id), file);
	if (cs_elf_open(path, &elf))
		return file; /* no code of ours: known as such */
	n = cs_elf_code(elf, file->code, MAX_SEGMENTS);
	file->ncode = n > 0 ? (size_t)n : 0;
	n = cs_elf_build_id(elf, file->build_id, sizeof(file->build_id));
	file->build_id_len = n > 0 ? n : 0;
	if (home)
		read_symbols(file, elf, home);
	ask(files, file, TAKE_PTR(elf));
	return file;
}

/* There was no room for its table; since then others have gone. */
static void ask_again(struct cs_unwind_files *files, struct cs_unwind_file *file, const char *path)
{
	struct cs_elf *elf;

	if (!cs_elf_open(path, &elf))
		ask(files, file, elf);
}

static bool is_vdso(const struct cs_mapping *mapping)
{
	/* a 32-bit process has another */
	return !strcmp(mapping->path, "[vdso]") && mapping->start > UINT32_MAX;
}

static int identify(const char *path, struct identity *ret)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	*ret = (struct identity){st.st_dev, st.st_ino, (uint64_t)st.st_size,
				 (uint64_t)st.st_mtim.tv_sec * 1000000000u +
					 (uint64_t)st.st_mtim.tv_nsec};
	return 0;
}

static int open_path(const struct cs_unwind_files *files, pid_t pid,
		     const struct cs_mapping *mapping, char *path, size_t size, struct identity *id)
{
	*id = (struct identity){0};
	if (is_vdso(mapping)) {
		snprintf(path, size, "/proc/self/fd/%d", files->vdso_fd);
		return files->vdso_fd >= 0 ? 0 : -ENOENT;
	}
	if (!mapping->inode || cs_maps_open_path(pid, mapping, path, size))
		return -ENOENT;
	return identify(path, id);
}

static const char *root_of(pid_t pid, char *dst, size_t size)
{
	snprintf(dst, size, "/proc/%d/root", pid);
	return dst;
}

int cs_unwind_files_get(struct cs_unwind_files *files, pid_t pid, const struct cs_mapping *mapping,
			struct cs_unwind_file **ret)
{
	struct cs_elf_home home = {.path = mapping->path};
	struct identity id;
	char path[4096], root[64];

	*ret = NULL;
	if (open_path(files, pid, mapping, path, sizeof(path), &id))
		return -ENOENT;
	HASH_FIND(hh, files->files, &id, sizeof(id), *ret);
	if (*ret && !((*ret)->no_room && (*ret)->no_room_at != files->given_back))
		return 0;
	if (files->waiting == MAX_WAITING)
		return *ret ? 0 : -EAGAIN;
	if (*ret) {
		ask_again(files, *ret, path);
		return 0;
	}
	home.root = home.path_root = root_of(pid, root, sizeof(root));
	*ret = file_new(files, &id, path, mapping->inode && !mapping->deleted ? NULL : &home);
	return *ret ? 0 : -ENOMEM;
}

uint32_t cs_unwind_file_number(const struct cs_unwind_file *file)
{
	if (file->waits)
		return CS_NATIVE_NOT_MADE;
	if (file->table)
		return cs_kernel_table_number(file->table);
	return file->by_frame_pointers ? CS_NATIVE_FRAME_POINTERS : CS_NATIVE_UNKNOWN;
}

int cs_unwind_file_vaddr(const struct cs_unwind_file *file, const struct cs_mapping *mapping,
			 uint64_t *ret)
{
	for (size_t i = 0; i < file->ncode; i++) {
		const struct cs_elf_code *code = &file->code[i];

		if (mapping->offset < code->offset || mapping->offset >= code->offset_end)
			continue;
		*ret = mapping->offset - code->offset + code->vaddr;
		return 0;
	}
	return -ENOENT;
}

/* Read the symbols from this path if it is the very file. */
static bool try_symbols(struct cs_unwind_file *file, const char *path,
			const struct cs_elf_home *home)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	struct identity id;

	if (identify(path, &id) || memcmp(&id, &file->id, sizeof(id)) || cs_elf_open(path, &elf))
		return false;
	read_symbols(file, elf, home);
	return true;
}

/* Pieces of the loop without a name of their own have the loop's. */
static const char *name_of(const struct cs_unwind_file *file, uint64_t vaddr)
{
	const char *name = cs_symtab_find(file->symbols, vaddr);

	for (size_t i = 0; i < file->nloop && !name; i++)
		if (vaddr - file->loop[i].vaddr < file->loop[i].size)
			name = CS_EVAL_SYMBOL;
	return name;
}

const char *cs_unwind_file_symbol(struct cs_unwind_file *file, pid_t pid, const char *path,
				  uint64_t vaddr)
{
	char inside[4096], root[64];
	const struct cs_elf_home its = {root_of(pid, root, sizeof(root)), path, root};
	const struct cs_elf_home ours = {root, path, "/"};
	int n;

	if (!file->symbols && file->tries < MAX_TRIES) {
		file->tries++;
		n = snprintf(inside, sizeof(inside), "%s%s", root, path);
		if (n < 0 || (size_t)n >= sizeof(inside) || !try_symbols(file, inside, &its))
			try_symbols(file, path, &ours);
	}
	return file->symbols ? name_of(file, vaddr) : NULL;
}

const uint8_t *cs_unwind_file_build_id(const struct cs_unwind_file *file, size_t *ret_len)
{
	*ret_len = (size_t)file->build_id_len;
	return file->build_id;
}

bool cs_unwind_file_is_interpreter(const struct cs_unwind_file *file)
{
	return file->interpreter;
}

void cs_unwind_files_mark(struct cs_unwind_files *files)
{
	for (struct cs_unwind_file *it = files->files; it; it = it->hh.next)
		it->touched = false;
}

void cs_unwind_file_touch(struct cs_unwind_file *file)
{
	file->touched = true;
}

void cs_unwind_files_drop(struct cs_unwind_files *files)
{
	struct cs_unwind_file *it, *tmp;

	HASH_ITER (hh, files->files, it, tmp) {
		if (it->touched || it->waits)
			continue;
		if (it->table) {
			cs_unwind_maker_release(files->maker, it->table);
			files->given_back++;
		}
		file_free(files, it);
	}
}

struct cs_unwind_stats cs_unwind_files_stats(const struct cs_unwind_files *files)
{
	return cs_unwind_maker_stats(files->maker);
}

size_t cs_unwind_files_refused(const struct cs_unwind_files *files)
{
	return files->refused;
}
