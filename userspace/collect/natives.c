/* SPDX-License-Identifier: Apache-2.0 */
/* Processes' native code. */
#include "collect/natives.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "collect/record.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "proc/maps.h"
#include "python/binary.h"

#define MS            1000000ull
/* One process is not looked at again sooner, but at its beginning, when it loads its libraries: some map code without end. */
#define LOOK_NS       (100 * MS)
#define FIRST_LOOKS   16
/* Files and processes that are gone are looked for. */
#define SWEEP_NS      (5000 * MS)
/* Tables of all files. */
#define BUDGET_BYTES  ((size_t)48 << 20)
/* Addresses of one process that the capture has names for; beyond that they are told anew. */
#define MAX_TOLD      (1u << 17)
#define MAX_PROCESSES CS_MAX_PROCS

struct told {
	uint64_t addr;
	UT_hash_handle hh;
};

/* One executable mapping, or several of one file that follow each other. */
struct place {
	uint64_t start, end, vaddr, offset;
	struct cs_unwind_file *file; /* borrowed; NULL: not a file, or none that can be read */
	uint32_t path;               /* offset into paths */
};

struct process {
	pid_t pid;
	bool poked, untold;
	uint64_t looked_ns;
	unsigned int looks;
	struct place *places; /* ascending */
	size_t nplaces;
	struct cs_buf paths; /* terminated strings */
	struct told *told;
	UT_hash_handle hh;
};

struct cs_natives {
	int procs_fd; /* borrowed */
	struct cs_unwind_files *files;
	struct process *processes;
	struct cs_native_proc *list; /* scratch */
	uint64_t swept_ns;
};

int cs_natives_new(int files_fd, int procs_fd, struct cs_natives **ret)
{
	_cleanup_(cs_natives_freep) struct cs_natives *natives = calloc(1, sizeof(*natives));

	if (!natives)
		return -ENOMEM;
	natives->procs_fd = procs_fd;
	natives->list = calloc(1, sizeof(*natives->list));
	if (!natives->list || cs_unwind_files_new(files_fd, BUDGET_BYTES, &natives->files))
		return -ENOMEM;
	*ret = TAKE_PTR(natives);
	return 0;
}

static void forget_told(struct process *process)
{
	struct told *it, *tmp;

	HASH_ITER (hh, process->told, it, tmp) {
		HASH_DEL(process->told, it);
		free(it);
	}
}

static void forget_places(struct process *process)
{
	forget_told(process);
	free(TAKE_PTR(process->places));
	process->nplaces = 0;
	process->paths.len = 0;
}

static void process_free(struct cs_natives *natives, struct process *process)
{
	HASH_DEL(natives->processes, process);
	forget_places(process);
	cs_buf_free(&process->paths);
	free(process);
}

void cs_natives_free(struct cs_natives *natives)
{
	struct process *process, *tmp;

	if (!natives)
		return;
	HASH_ITER (hh, natives->processes, process, tmp)
		process_free(natives, process);
	cs_unwind_files_free(natives->files);
	free(natives->list);
	free(natives);
}

static struct process *process_find(const struct cs_natives *natives, pid_t pid)
{
	struct process *process;

	HASH_FIND_INT(natives->processes, &pid, process);
	return process;
}

/* The process, made if new; NULL without memory, or if there are too many. */
static struct process *process_get(struct cs_natives *natives, pid_t pid)
{
	struct process *process = process_find(natives, pid);

	if (process || HASH_COUNT(natives->processes) >= MAX_PROCESSES)
		return process;
	process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	process->pid = pid;
	HASH_ADD_INT(natives->processes, pid, process);
	return process;
}

void cs_natives_poke(struct cs_natives *natives, pid_t pid)
{
	struct process *process = process_get(natives, pid);

	if (process)
		process->poked = true;
}

void cs_natives_forget(struct cs_natives *natives, pid_t pid)
{
	struct process *process = process_find(natives, pid);

	if (process)
		process_free(natives, process);
}

/* Does the mapping go on where the last one ends, in the file too? */
static bool continues(const struct place *last, const struct place *next)
{
	return last->end == next->start && last->file == next->file &&
	       (!next->file || last->vaddr + (last->end - last->start) == next->vaddr);
}

static int add_place(struct cs_natives *natives, struct process *process,
		     const struct cs_mapping *mapping)
{
	struct place place = {mapping->start, mapping->end, 0, mapping->offset, NULL, 0};
	struct place *last = process->nplaces ? &process->places[process->nplaces - 1] : NULL;

	place.file = cs_unwind_files_get(natives->files, process->pid, mapping);
	if (place.file && cs_unwind_file_vaddr(place.file, mapping, &place.vaddr))
		place.file = NULL;
	if (last && continues(last, &place)) {
		last->end = place.end;
		return 0;
	}
	place.path = (uint32_t)process->paths.len;
	if (cs_buf_append(&process->paths, mapping->path, strlen(mapping->path) + 1))
		return -ENOMEM;
	process->places[process->nplaces++] = place;
	return 0;
}

static int read_places(struct cs_natives *natives, struct process *process)
{
	_cleanup_maps_ struct cs_maps maps = {0};
	size_t n = 0;
	int err = cs_maps_read(process->pid, &maps);

	if (err)
		return err;
	forget_places(process);
	for (size_t i = 0; i < maps.n; i++)
		n += maps.items[i].executable;
	process->places = calloc(n + 1, sizeof(*process->places));
	if (!process->places)
		return -ENOMEM;
	/* some map files without end: what is beyond the list's room is not looked at */
	for (size_t i = 0; i < maps.n && !err && process->nplaces < CS_MAX_NATIVE_MAPS; i++)
		if (maps.items[i].executable)
			err = add_place(natives, process, &maps.items[i]);
	return err;
}

/* What is made while it runs has frame pointers or none that we could know of; a file that cannot be read has no rules. */
static uint32_t table_place(const struct process *process, const struct place *place)
{
	if (place->file)
		return cs_unwind_file_place(place->file);
	return process->paths.data[place->path] == '/' ? CS_NATIVE_UNKNOWN
						       : CS_NATIVE_FRAME_POINTERS;
}

static void tell_kernel(struct cs_natives *natives, const struct process *process)
{
	struct cs_native_proc *list = natives->list;
	uint32_t key = (uint32_t)process->pid;

	list->n = 0;
	for (size_t i = 0; i < process->nplaces && list->n < CS_MAX_NATIVE_MAPS; i++) {
		const struct place *place = &process->places[i];
		uint32_t file = table_place(process, place);
		uint64_t pages = (place->end - place->start) >> CS_PAGE_SHIFT;

		if (place->start >> CS_PAGE_SHIFT >> 40 || place->vaddr >> CS_PAGE_SHIFT >> 24)
			continue;
		list->mappings[list->n++] = (struct cs_native_mapping){
			.start_file = place->start >> CS_PAGE_SHIFT << 24 | file,
			.vaddr_pages = place->vaddr >> CS_PAGE_SHIFT << 40 | pages,
		};
	}
	if (process->nplaces > list->n)
		cs_debug("process %d: %zu pieces of code, of which %u can be unwound", process->pid,
			 process->nplaces, list->n);
	if (bpf_map_update_elem(natives->procs_fd, &key, list, BPF_ANY))
		cs_debug("process %d: its code cannot be told: %s", process->pid, strerror(errno));
}

/* What the process maps; told later. */
static void read_code(struct cs_natives *natives, struct process *process, uint64_t now_ns)
{
	process->poked = false;
	process->looked_ns = now_ns;
	process->looks++;
	process->untold = true;
	if (read_places(natives, process))
		forget_places(process);
}

static void tell(struct cs_natives *natives, struct process *process)
{
	uint32_t key = (uint32_t)process->pid;

	process->untold = false;
	if (process->nplaces)
		tell_kernel(natives, process);
	else
		bpf_map_delete_elem(natives->procs_fd, &key);
}

static void look(struct cs_natives *natives, struct process *process, uint64_t now_ns)
{
	read_code(natives, process, now_ns);
	cs_unwind_files_flush(natives->files);
	tell(natives, process);
}

static const struct place *place_find(const struct process *process, uint64_t addr)
{
	size_t lo = 0, hi = process->nplaces;

	while (lo < hi) {
		size_t middle = lo + (hi - lo) / 2;

		if (process->places[middle].start <= addr)
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo && addr < process->places[lo - 1].end ? &process->places[lo - 1] : NULL;
}

/* Returns 1 if the address is new, 0 if it is not, or -ENOMEM. */
static int note(struct process *process, uint64_t addr)
{
	struct told *it;

	HASH_FIND(hh, process->told, &addr, sizeof(addr), it);
	if (it)
		return 0;
	if (HASH_COUNT(process->told) >= MAX_TOLD)
		forget_told(process);
	it = calloc(1, sizeof(*it));
	if (!it)
		return -ENOMEM;
	it->addr = addr;
	HASH_ADD(hh, process->told, addr, sizeof(it->addr), it);
	return 1;
}

static bool is_libc(const char *path)
{
	static const char *const names[] = {"libc.so.", "libc-2.", "libpthread", "ld-linux",
					    "ld-musl"};
	const char *slash = strrchr(path, '/');

	for (size_t i = 0; slash && i < ARRAY_SIZE(names); i++)
		if (!strncmp(slash + 1, names[i], strlen(names[i])))
			return true;
	return false;
}

static unsigned int symbol_flags(const struct place *place, const char *path, const char *name)
{
	unsigned int flags = 0;

	if (name && !strncmp(name, CS_EVAL_SYMBOL, strlen(CS_EVAL_SYMBOL)))
		flags |= CS_SYMBOL_EVAL;
	if ((place->file && cs_unwind_file_is_interpreter(place->file)) ||
	    cs_py_binary_is_named(path))
		flags |= CS_SYMBOL_INTERPRETER;
	if (is_libc(path))
		flags |= CS_SYMBOL_LIBC;
	return flags;
}

static int name_address(struct process *process, uint64_t addr, uint64_t now_ns, struct cs_buf *out)
{
	const struct place *place = place_find(process, addr);
	const char *name = NULL, *path = place ? process->paths.data + place->path : "";
	unsigned int flags;
	int fresh = note(process, addr);

	if (fresh <= 0 || !place)
		return fresh < 0 ? fresh : 0;
	if (place->file)
		name = cs_unwind_file_symbol(place->file, process->pid, path,
					     addr - place->start + place->vaddr);
	flags = symbol_flags(place, path, name);
	if ((name || flags) &&
	    cs_record_symbol(out, now_ns, process->pid, addr, name ? name : "", flags))
		return -ENOMEM;
	if (!*path)
		return 0;
	/* no code is there: a key that no address of a frame is */
	fresh = note(process, place->start | 1ull << 63);
	if (fresh <= 0)
		return fresh;
	return cs_record_mapping(out, now_ns, process->pid, place->start, place->end, place->offset,
				 path);
}

static int name_record(struct cs_natives *natives, const struct cs_ev_native *record,
		       uint64_t now_ns, struct cs_buf *out)
{
	struct process *process = process_get(natives, (pid_t)record->hdr.pid);
	int err = 0;

	if (!process)
		return 0;
	if (record->status == CS_STATUS_NATIVE_NOT_YET ||
	    record->status == CS_STATUS_NATIVE_NO_CODE)
		process->poked = true;
	if (!process->looked_ns) /* a child: the kernel side knew it by its parent */
		look(natives, process, now_ns);
	for (uint32_t i = 0; i < record->n && !err; i++)
		err = name_address(process, record->addresses[i], now_ns, out);
	return err;
}

int cs_natives_name(struct cs_natives *natives, const struct cs_buf *fresh, uint64_t now_ns,
		    struct cs_buf *out)
{
	int err = 0;

	for (size_t at = 0; at < fresh->len && !err;) {
		const struct cs_ev_hdr *record = (const void *)(fresh->data + at);

		at += record->size;
		if (record->kind == CS_EV_NATIVE)
			err = name_record(natives, (const void *)record, now_ns, out);
	}
	return err;
}

/* Children that the kernel side gave their parent's list must be known here, or what they map would be dropped. */
static void meet_children(struct cs_natives *natives, uint64_t now_ns)
{
	uint32_t key, *before = NULL;

	for (uint32_t i = 0; i < MAX_PROCESSES; i++) {
		struct process *process;

		if (bpf_map_get_next_key(natives->procs_fd, before, &key))
			return;
		before = &key;
		process = process_get(natives, (pid_t)key);
		if (process && !process->looked_ns)
			look(natives, process, now_ns);
		else if (!process)
			bpf_map_delete_elem(natives->procs_fd, &key);
	}
}

/* Processes that have ended, and files that nobody maps any more. */
static void sweep(struct cs_natives *natives, uint64_t now_ns)
{
	struct process *process, *tmp;

	meet_children(natives, now_ns);
	cs_unwind_files_mark(natives->files);
	HASH_ITER (hh, natives->processes, process, tmp) {
		uint32_t key = (uint32_t)process->pid;

		if (kill(process->pid, 0) && errno == ESRCH) {
			bpf_map_delete_elem(natives->procs_fd, &key);
			process_free(natives, process);
			continue;
		}
		for (size_t i = 0; i < process->nplaces; i++)
			if (process->places[i].file)
				cs_unwind_file_touch(process->places[i].file);
	}
	cs_unwind_files_drop(natives->files);
}

void cs_natives_turn(struct cs_natives *natives, uint64_t now_ns)
{
	struct process *process, *tmp;

	HASH_ITER (hh, natives->processes, process, tmp)
		if (process->poked &&
		    (process->looks < FIRST_LOOKS || now_ns - process->looked_ns >= LOOK_NS))
			read_code(natives, process, now_ns);
	cs_unwind_files_flush(natives->files);
	HASH_ITER (hh, natives->processes, process, tmp)
		if (process->untold)
			tell(natives, process);
	if (now_ns - natives->swept_ns < SWEEP_NS)
		return;
	natives->swept_ns = now_ns;
	sweep(natives, now_ns);
}

struct cs_unwind_stats cs_natives_stats(const struct cs_natives *natives)
{
	return cs_unwind_files_stats(natives->files);
}
