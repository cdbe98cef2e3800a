/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of files. A file is known by its identity, size and time of change; one that merely holds the same (a container's copy)
 * shares the table: its build id finds the other one, and that the tables are equal byte by byte proves it, since anybody may
 * give any build id to anything.
 */
#include "collect/unwind_files.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "proc/symtab.h"
#include "unwind/parts.h"
#include "unwind/unwind.h"

#define MAX_SEGMENTS 8
/* Of the interpreter's loop, beside the piece that has its name. */
#define MAX_LOOP     4
/* Times that a file's symbols are looked for: the process that is asked may be gone. */
#define MAX_TRIES    4
/* Tables that are handed over together. */
#define MAX_FRESH    64
/* Tables dropped in one sweep: each waits a grace period. */
#define MAX_DROPS    8
#define VDSO_BYTES   65536

/* A table in the kernel's map. */
struct table {
	uint32_t number;
	uint32_t map_id; /* of the inner map */
	unsigned int users;
	size_t nwords, eh_bytes;
	uint8_t build_id[CS_BUILD_ID_BYTES];
	int build_id_len;
	struct table *next;
};

struct cs_unwind_file {
	struct identity {
		uint64_t dev, ino, size, mtime_ns; /* all 0: the vDSO */
	} id;
	struct table *table; /* NULL: none */
	bool by_frame_pointers;
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
	int map_fd;
	size_t budget, bytes, refused;
	struct cs_unwind_file *files;
	struct table *tables;
	int vdso_fd; /* a copy of our own vDSO, which is every process's; -1: none */
	/* Of each place of the map: is it taken, and how many tables has it had? */
	struct {
		bool taken;
		uint16_t uses;
	} places[CS_MAX_NATIVE_FILES];
	/* made, but not handed over yet */
	uint32_t fresh_places[MAX_FRESH];
	int fresh_fds[MAX_FRESH]; /* owned */
	uint32_t nfresh;
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
	struct cs_unwind_files *files = calloc(1, sizeof(*files));

	if (!files)
		return -ENOMEM;
	files->map_fd = map_fd;
	files->budget = budget_bytes;
	files->vdso_fd = copy_vdso();
	for (uint32_t i = 0; i < CS_NATIVE_FIRST_TABLE; i++)
		files->places[i].taken = true;
	*ret = files;
	return 0;
}

void cs_unwind_files_flush(struct cs_unwind_files *files)
{
	uint32_t n = files->nfresh;

	if (!n)
		return;
	/* Kernels without batches of maps take them one by one. A table that they refuse is none: the walk ends there. */
	if (bpf_map_update_batch(files->map_fd, files->fresh_places, files->fresh_fds, &n, NULL))
		for (uint32_t i = 0; i < files->nfresh; i++)
			bpf_map_update_elem(files->map_fd, &files->fresh_places[i],
					    &files->fresh_fds[i], BPF_ANY);
	for (uint32_t i = 0; i < files->nfresh; i++)
		close(files->fresh_fds[i]);
	files->nfresh = 0;
}

static void table_release(struct cs_unwind_files *files, struct table *table)
{
	struct table **at = &files->tables;
	uint32_t place;

	if (!table || --table->users)
		return;
	place = cs_native_place(table->number);
	while (*at != table)
		at = &(*at)->next;
	*at = table->next;
	bpf_map_delete_elem(files->map_fd, &place);
	files->places[place].taken = false;
	files->bytes -= table->nwords * sizeof(uint64_t);
	free(table);
}

static void file_free(struct cs_unwind_files *files, struct cs_unwind_file *file)
{
	HASH_DEL(files->files, file);
	table_release(files, file->table);
	cs_symtab_free(file->symbols);
	free(file);
}

void cs_unwind_files_free(struct cs_unwind_files *files)
{
	struct cs_unwind_file *file, *tmp;

	if (!files)
		return;
	cs_unwind_files_flush(files);
	HASH_ITER (hh, files->files, file, tmp)
		file_free(files, file);
	cs_cleanup_close(&files->vdso_fd);
	free(files);
}

/* A number that no table has had, its place taken; 0: there is none left. */
static uint32_t number_take(struct cs_unwind_files *files)
{
	for (uint32_t i = CS_NATIVE_FIRST_TABLE; i < CS_MAX_NATIVE_FILES; i++) {
		if (files->places[i].taken || files->places[i].uses == CS_PLACE_USES)
			continue;
		files->places[i].taken = true;
		return (uint32_t)files->places[i].uses++ << CS_PLACE_BITS | i;
	}
	return 0;
}

static bool holds(const struct table *table, const struct cs_unwind_table *compiled)
{
	size_t size = compiled->nwords * sizeof(uint64_t);
	_cleanup_close_ int fd = -1;
	void *words;
	bool same;

	if (table->nwords != compiled->nwords)
		return false;
	fd = bpf_map_get_fd_by_id(table->map_id);
	if (fd < 0)
		return false;
	words = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (words == MAP_FAILED)
		return false;
	same = !memcmp(words, compiled->words, size);
	munmap(words, size);
	return same;
}

/* A table of the same content, one user more, or NULL. */
static struct table *table_shared(struct cs_unwind_files *files, const uint8_t *build_id, int len,
				  const struct cs_unwind_table *compiled)
{
	for (struct table *it = files->tables; it && len > 0; it = it->next) {
		if (it->build_id_len != len || memcmp(it->build_id, build_id, (size_t)len) ||
		    !holds(it, compiled))
			continue;
		it->users++;
		return it;
	}
	return NULL;
}

/* An inner map with these words. Returns its descriptor or -errno. */
static int words_to_map(const struct cs_unwind_table *compiled)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_INNER_MAP | BPF_F_MMAPABLE);
	size_t size = compiled->nwords * sizeof(uint64_t);
	_cleanup_close_ int fd =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, "unwind_table", sizeof(uint32_t),
			       sizeof(uint64_t), (uint32_t)compiled->nwords, &opts);
	void *words;

	if (fd < 0)
		return -errno;
	words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (words == MAP_FAILED)
		return -errno;
	memcpy(words, compiled->words, size);
	munmap(words, size);
	return TAKE_FD(fd);
}

/* A table for the kernel side. NULL if it is not to be had. */
static struct table *table_new(struct cs_unwind_files *files,
			       const struct cs_unwind_table *compiled)
{
	size_t size = compiled->nwords * sizeof(uint64_t);
	_cleanup_free_ struct table *table = calloc(1, sizeof(*table));
	struct bpf_map_info info = {0};
	uint32_t info_len = sizeof(info);
	_cleanup_close_ int fd = -1;

	if (!table || size > files->budget - files->bytes)
		return NULL;
	fd = words_to_map(compiled);
	if (fd < 0)
		return NULL;
	if (bpf_obj_get_info_by_fd(fd, &info, &info_len))
		return NULL;
	table->number = number_take(files);
	if (!table->number)
		return NULL;
	if (files->nfresh == MAX_FRESH)
		cs_unwind_files_flush(files);
	files->fresh_places[files->nfresh] = cs_native_place(table->number);
	files->fresh_fds[files->nfresh++] = TAKE_FD(fd);
	table->users = 1;
	table->map_id = info.id;
	table->nwords = compiled->nwords;
	table->eh_bytes = compiled->eh_bytes;
	table->next = files->tables;
	files->tables = table;
	files->bytes += size;
	return TAKE_PTR(table);
}

/* The file's table: another one's, or its own. */
static void give_table(struct cs_unwind_files *files, struct cs_unwind_file *file,
		       struct cs_elf *elf, const char *path)
{
	_cleanup_unwind_table_ struct cs_unwind_table compiled = {0};
	const uint8_t *build_id = file->build_id;
	int len = file->build_id_len;
	int err = cs_unwind_file(elf, &compiled);

	/* Compilers that leave the table out keep the frame pointer (Go). */
	file->by_frame_pointers = err == -ENOENT;
	if (!err) {
		file->table = table_shared(files, build_id, len, &compiled);
		if (!file->table)
			file->table = table_new(files, &compiled);
		if (file->table && len > 0) {
			memcpy(file->table->build_id, build_id, (size_t)len);
			file->table->build_id_len = len;
		}
	}
	if (!file->table && !file->by_frame_pointers) {
		files->refused++;
		cs_debug("%s: no unwind table: %s", path, err ? strerror(-err) : "over budget");
	}
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
	give_table(files, file, elf, path);
	if (home)
		read_symbols(file, elf, home);
	return file;
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

struct cs_unwind_file *cs_unwind_files_get(struct cs_unwind_files *files, pid_t pid,
					   const struct cs_mapping *mapping)
{
	struct cs_elf_home home = {.path = mapping->path};
	struct cs_unwind_file *file;
	struct identity id;
	char path[4096], root[64];

	if (open_path(files, pid, mapping, path, sizeof(path), &id))
		return NULL;
	HASH_FIND(hh, files->files, &id, sizeof(id), file);
	if (file)
		return file;
	home.root = home.path_root = root_of(pid, root, sizeof(root));
	return file_new(files, &id, path, mapping->inode && !mapping->deleted ? NULL : &home);
}

uint32_t cs_unwind_file_number(const struct cs_unwind_file *file)
{
	if (file->table)
		return file->table->number;
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

	unsigned int dropped = 0;

	cs_unwind_files_flush(files);
	HASH_ITER (hh, files->files, it, tmp) {
		if (it->touched || dropped == MAX_DROPS)
			continue;
		dropped += it->table && it->table->users == 1;
		file_free(files, it);
	}
}

struct cs_unwind_stats cs_unwind_files_stats(const struct cs_unwind_files *files)
{
	struct cs_unwind_stats stats = {.bytes = files->bytes, .refused = files->refused};

	for (const struct table *it = files->tables; it; it = it->next) {
		stats.files++;
		stats.eh_bytes += it->eh_bytes;
	}
	return stats;
}
