/* SPDX-License-Identifier: Apache-2.0 */
/* Processes' native code. */
#include "collect/natives.h"

#include <bpf/bpf.h>
#include <coroscope/status.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "collect/natives_private.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "proc/maps.h"
#include "proc/threads.h"

#define MS            1000000ull
/* One process is not looked at again sooner, but at its beginning, when it loads its libraries: some map code without end. */
#define LOOK_NS       (100 * MS)
#define FIRST_LOOKS   16
/* Files and processes that are gone are looked for. */
#define SWEEP_NS      (5000 * MS)
/* Tables of all files. */
#define BUDGET_BYTES  ((size_t)48 << 20)
#define MAX_PROCESSES CS_MAX_PROCS

struct cs_natives {
	int procs_fd; /* borrowed */
	struct cs_unwind_files *files;
	struct cs_native_process *processes;
	struct cs_native_proc *list; /* scratch; its id: of the last one told */
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

static void forget_places(struct cs_native_process *process)
{
	cs_native_names_forget(process);
	free(TAKE_PTR(process->places));
	process->nplaces = 0;
	process->paths.len = 0;
}

static void process_free(struct cs_natives *natives, struct cs_native_process *process)
{
	HASH_DEL(natives->processes, process);
	forget_places(process);
	cs_buf_free(&process->paths);
	cs_perf_map_free(process->made);
	free(process);
}

void cs_natives_free(struct cs_natives *natives)
{
	struct cs_native_process *process, *tmp;

	if (!natives)
		return;
	HASH_ITER (hh, natives->processes, process, tmp)
		process_free(natives, process);
	cs_unwind_files_free(natives->files);
	free(natives->list);
	free(natives);
}

static struct cs_native_process *process_find(const struct cs_natives *natives, pid_t pid)
{
	struct cs_native_process *process;

	HASH_FIND_INT(natives->processes, &pid, process);
	return process;
}

/* The process, made if new; NULL without memory, or if there are too many. */
static struct cs_native_process *process_get(struct cs_natives *natives, pid_t pid)
{
	struct cs_native_process *process = process_find(natives, pid);

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
	struct cs_native_process *process = process_get(natives, pid);

	if (!process)
		return;
	process->poked = true;
	process->asleep = false;
}

void cs_natives_forget(struct cs_natives *natives, pid_t pid)
{
	struct cs_native_process *process = process_find(natives, pid);

	if (process)
		process_free(natives, process);
}

/* Does the mapping go on where the last one ends, in the file too? */
static bool continues(const struct cs_native_place *last, const struct cs_native_place *next)
{
	return last->end == next->start && last->file == next->file && last->waits == next->waits &&
	       (!next->file || last->vaddr + (last->end - last->start) == next->vaddr);
}

static int add_place(struct cs_natives *natives, struct cs_native_process *process,
		     const struct cs_mapping *mapping)
{
	struct cs_native_place place = {
		.start = mapping->start, .end = mapping->end, .offset = mapping->offset};
	struct cs_native_place *last =
		process->nplaces ? &process->places[process->nplaces - 1] : NULL;

	place.waits =
		cs_unwind_files_get(natives->files, process->pid, mapping, &place.file) == -EAGAIN;
	process->poked |= place.waits;
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

static int read_places(struct cs_natives *natives, struct cs_native_process *process)
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
static uint32_t table_number(const struct cs_native_process *process,
			     const struct cs_native_place *place)
{
	if (place->file)
		return cs_unwind_file_number(place->file);
	if (place->waits)
		return CS_NATIVE_NOT_MADE;
	return process->paths.data[place->path] == '/' ? CS_NATIVE_UNKNOWN
						       : CS_NATIVE_FRAME_POINTERS;
}

static size_t count_unmade(const struct cs_native_process *process)
{
	size_t n = 0;

	for (size_t i = 0; i < process->nplaces; i++)
		n += process->places[i].file &&
		     cs_unwind_file_number(process->places[i].file) == CS_NATIVE_NOT_MADE;
	return n;
}

static void tell_kernel(struct cs_natives *natives, const struct cs_native_process *process)
{
	struct cs_native_proc *list = natives->list;
	uint32_t key = (uint32_t)process->pid;

	list->id++;
	list->n = 0;
	for (size_t i = 0; i < process->nplaces && list->n < CS_MAX_NATIVE_MAPS; i++) {
		const struct cs_native_place *place = &process->places[i];
		uint32_t table = table_number(process, place);
		uint64_t pages = (place->end - place->start) >> CS_PAGE_SHIFT;

		if (place->start >> CS_PAGE_SHIFT >> 40 || place->vaddr >> CS_PAGE_SHIFT >> 24)
			continue;
		list->mappings[list->n++] = (struct cs_native_mapping){
			.start_table = place->start >> CS_PAGE_SHIFT << 24 | table,
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
static void read_code(struct cs_natives *natives, struct cs_native_process *process,
		      uint64_t now_ns)
{
	process->poked = false;
	process->looked_ns = now_ns;
	process->looks++;
	process->untold = true;
	if (read_places(natives, process))
		forget_places(process);
}

static void tell(struct cs_natives *natives, struct cs_native_process *process)
{
	uint32_t key = (uint32_t)process->pid;

	process->untold = false;
	process->unmade = count_unmade(process);
	if (process->nplaces)
		tell_kernel(natives, process);
	else
		bpf_map_delete_elem(natives->procs_fd, &key);
}

static void look(struct cs_natives *natives, struct cs_native_process *process, uint64_t now_ns)
{
	read_code(natives, process, now_ns);
	tell(natives, process);
}

static int name_record(struct cs_natives *natives, const struct cs_ev_native *record,
		       uint64_t now_ns, struct cs_buf *out)
{
	struct cs_native_process *process = process_get(natives, (pid_t)record->hdr.pid);
	int err = 0;

	if (!process)
		return 0;
	if (record->status == CS_STATUS_NATIVE_NO_CODE ||
	    (record->status == CS_STATUS_NATIVE_NOT_YET && !process->unmade))
		process->poked = true;
	if (!process->looked_ns) /* a child: the kernel side knew it by its parent */
		look(natives, process, now_ns);
	for (uint32_t i = 0; i < record->n && !err; i++)
		err = cs_native_name(process, record->addresses[i], now_ns, out);
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

/* Time is this thread's own: on a busy machine the clock on the wall would leave less of it than is needed. */
static uint64_t spent_ns(void)
{
	return cs_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/*
 * Children that the kernel side gave their parent's list must be known here, or what they map would be dropped. For whom there is no time, the list
 * goes instead; they are looked at in their turn.
 */
static void meet_children(struct cs_natives *natives, uint64_t now_ns, uint64_t budget_ns)
{
	uint32_t keys[MAX_PROCESSES], n = 0;
	uint64_t begun_ns = spent_ns();

	while (n < MAX_PROCESSES &&
	       !bpf_map_get_next_key(natives->procs_fd, n ? &keys[n - 1] : NULL, &keys[n]))
		n++;
	for (uint32_t i = 0; i < n; i++) {
		struct cs_native_process *process = process_get(natives, (pid_t)keys[i]);

		if (process && process->looked_ns)
			continue;
		if (process && spent_ns() - begun_ns < budget_ns) {
			look(natives, process, now_ns);
			continue;
		}
		bpf_map_delete_elem(natives->procs_fd, &keys[i]);
		if (process)
			process->poked = true;
	}
}

/* Processes that have ended, and files that nobody maps any more. */
static void sweep(struct cs_natives *natives, uint64_t now_ns, uint64_t budget_ns)
{
	struct cs_native_process *process, *tmp;

	meet_children(natives, now_ns, budget_ns);
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

/* May it be looked at (again)? */
static bool is_due(const struct cs_native_process *process, uint64_t now_ns)
{
	return process->poked &&
	       (process->looks < FIRST_LOOKS || now_ns - process->looked_ns >= LOOK_NS);
}

/*
 * Look at those of the chosen that are due, one at least, as long as there is time. Was it used up? Who was looked at is the last one next time, so that
 * all get their turn.
 */
static bool look_at_due(struct cs_natives *natives, uint64_t now_ns, uint64_t end_ns,
			bool (*chosen)(const struct cs_native_process *process))
{
	struct cs_native_process *process, *tmp;

	HASH_ITER (hh, natives->processes, process, tmp) {
		if (!is_due(process, now_ns) || !chosen(process))
			continue;
		read_code(natives, process, now_ns);
		HASH_DEL(natives->processes, process);
		HASH_ADD_INT(natives->processes, pid, process);
		if (spent_ns() >= end_ns)
			return true;
	}
	return false;
}

/* What was read is told, and what tables there are now. */
static void tell_all(struct cs_natives *natives)
{
	bool any = cs_unwind_files_heed(natives->files);
	struct cs_native_process *process, *tmp;

	HASH_ITER (hh, natives->processes, process, tmp)
		if (process->untold || (any && count_unmade(process) < process->unmade))
			tell(natives, process);
}

/* Does its first thread run, or want to, at this moment? */
static bool runs(const struct cs_native_process *process)
{
	struct cs_thread_rest rest;

	cs_thread_rest(process->pid, process->pid, &rest);
	return !rest.off_cpu;
}

static bool is_awake(const struct cs_native_process *process)
{
	return !process->asleep;
}

static bool is_asleep(const struct cs_native_process *process)
{
	return process->asleep;
}

void cs_natives_wait(struct cs_natives *natives, uint64_t wait_ns)
{
	cs_unwind_files_wait(natives->files, wait_ns);
}

void cs_natives_start(struct cs_natives *natives, uint64_t now_ns, uint64_t budget_ns,
		      uint64_t wait_ns)
{
	uint64_t end_ns = spent_ns() + budget_ns;
	struct cs_native_process *process;

	if (!look_at_due(natives, now_ns, end_ns, runs))
		look_at_due(natives, now_ns, end_ns, is_awake);
	for (process = natives->processes; process; process = process->hh.next)
		process->asleep = process->poked;
	cs_natives_wait(natives, wait_ns);
	tell_all(natives);
	natives->swept_ns = now_ns;
}

void cs_natives_turn(struct cs_natives *natives, uint64_t now_ns, uint64_t budget_ns)
{
	uint64_t end_ns = spent_ns() + budget_ns;

	if (!look_at_due(natives, now_ns, end_ns, is_awake))
		look_at_due(natives, now_ns, end_ns, is_asleep);
	tell_all(natives);
	if (now_ns - natives->swept_ns < SWEEP_NS)
		return;
	natives->swept_ns = now_ns;
	sweep(natives, now_ns, budget_ns);
}

struct cs_unwind_stats cs_natives_stats(const struct cs_natives *natives)
{
	return cs_unwind_files_stats(natives->files);
}

size_t cs_natives_refused(const struct cs_natives *natives)
{
	return cs_unwind_files_refused(natives->files);
}
