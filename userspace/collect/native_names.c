/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of addresses in native code, told to the capture once, and once more if code was made anew there. Where no file is, the
 * process itself may have written names (proc/perf_map.h).
 */
#include <coroscope/event.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/natives_private.h"
#include "collect/record.h"
#include "core/cleanup.h"
#include "python/binary.h"

/* Addresses of one process that the capture has names for; beyond that they are told anew. */
#define MAX_TOLD (1u << 17)
/* A file of names is not looked at again sooner. */
#define MADE_NS  100000000ull

void cs_native_names_forget(struct cs_native_process *process)
{
	struct cs_native_told *it, *tmp;

	HASH_ITER (hh, process->told, it, tmp) {
		HASH_DEL(process->told, it);
		free(it);
	}
}

static const struct cs_native_place *place_find(const struct cs_native_process *process,
						uint64_t addr)
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

enum { TOLD_NOW = 0, TOLD_NEVER = 1, TOLD_BEFORE = 2 };

/* Was the address told of, by names of this age or older ones? It is now. Or -ENOMEM. */
static int note(struct cs_native_process *process, uint64_t addr, uint32_t age)
{
	struct cs_native_told *it;
	int told;

	HASH_FIND(hh, process->told, &addr, sizeof(addr), it);
	if (it) {
		told = it->age == age ? TOLD_NOW : TOLD_BEFORE;
		it->age = age;
		return told;
	}
	if (HASH_COUNT(process->told) >= MAX_TOLD)
		cs_native_names_forget(process);
	it = calloc(1, sizeof(*it));
	if (!it)
		return -ENOMEM;
	it->addr = addr;
	it->age = age;
	HASH_ADD(hh, process->told, addr, sizeof(it->addr), it);
	return TOLD_NEVER;
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

/* CPython's trampolines (-X perf), one for each Python function: its frame is there already. */
static bool is_trampoline(const struct cs_native_place *place, const char *name)
{
	return !place->file && !strncmp(name, "py::", 4);
}

static unsigned int symbol_flags(const struct cs_native_place *place, const char *path,
				 const char *name)
{
	unsigned int flags = 0;

	if (name && !strncmp(name, CS_EVAL_SYMBOL, strlen(CS_EVAL_SYMBOL)))
		flags |= CS_SYMBOL_EVAL;
	if ((place->file && cs_unwind_file_is_interpreter(place->file)) ||
	    cs_py_binary_is_named(path) || (name && is_trampoline(place, name)))
		flags |= CS_SYMBOL_INTERPRETER;
	if (is_libc(path))
		flags |= CS_SYMBOL_LIBC;
	return flags;
}

/* What the process says of its own code, as it says now. */
static const struct cs_perf_map *made_names(struct cs_native_process *process, uint64_t now_ns)
{
	if (!process->made && cs_perf_map_new(&process->made))
		return NULL;
	if (process->made_ns && now_ns - process->made_ns < MADE_NS)
		return process->made;
	process->made_ns = now_ns;
	if (cs_perf_map_refresh(process->made, process->pid))
		process->made_age++;
	return process->made;
}

static int tell_mapping(struct cs_native_process *process, const struct cs_native_place *place,
			const char *path, uint64_t now_ns, struct cs_buf *out)
{
	struct cs_record_code code = {
		.start = place->start,
		.end = place->end,
		.offset = place->offset,
		.vaddr = place->vaddr,
		.path = path,
	};
	/* no code is there: a key that no address of a frame is */
	int fresh = note(process, place->start | 1ull << 63, 0);

	if (fresh <= 0)
		return fresh;
	if (place->file)
		code.build_id = cs_unwind_file_build_id(place->file, &code.build_id_len);
	return cs_record_code(out, now_ns, process->pid, &code);
}

int cs_native_name(struct cs_native_process *process, uint64_t addr, uint64_t now_ns,
		   struct cs_buf *out)
{
	const struct cs_native_place *place = place_find(process, addr);
	const char *name = NULL, *path = place ? process->paths.data + place->path : "";
	const struct cs_perf_map *made = place && !place->file ? made_names(process, now_ns) : NULL;
	unsigned int flags;
	int fresh = note(process, addr, made ? process->made_age : 0);

	if (fresh <= 0 || !place)
		return fresh < 0 ? fresh : 0;
	if (place->file)
		name = cs_unwind_file_symbol(place->file, process->pid, path,
					     addr - place->start + place->vaddr);
	else if (made)
		name = cs_perf_map_find(made, addr);
	flags = symbol_flags(place, path, name);
	/* a name that does not hold any more is taken back */
	if ((name || flags || fresh == TOLD_BEFORE) &&
	    cs_record_symbol(out, now_ns, process->pid, addr, name ? name : "", flags))
		return -ENOMEM;
	return *path ? tell_mapping(process, place, path, now_ns, out) : 0;
}
