/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who publishes spans. A file says whether it has the variable by two short reads (proc/tls.h), once: files are known by identity, size and time of
 * change. A library may be loaded at any time, which the kernel tells; until the loader has put it in order it is looked at again and again. One
 * that is unloaded is noticed at the next look, some seconds later.
 */
#include "collect/published.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/stat.h>
#include <uthash.h>

#include "core/cleanup.h"
#include "proc/elf.h"
#include "proc/maps.h"
#include "proc/tls.h"
#include "whose/process_context.h"

#define VARIABLE "otel_thread_ctx_v1"
#define ROOT_KEY "datadog.local_root_span_id"

#define MS            1000000ull
/* Files of one process. */
#define MAX_LIBRARIES 1024
/* From the beginning of a program to what it has loaded; from a mapping to the end of the library's loading. */
#define BEGIN_NS      (20 * MS)
#define LOADED_NS     (5 * MS)
/* Between looks at a process that maps code all the time; that has the variable; for one whose place is not told. */
#define LOOK_NS       (250 * MS)
#define KNOWN_NS      (10000 * MS)
#define AGAIN_NS      (20 * MS)
#define MAX_TRIES     9

struct file {
	struct key {
		uint64_t dev, ino, size, mtime_ns;
	} key;
	bool publishes;
	UT_hash_handle hh;
};

struct cs_publishers {
	struct file *files;
};

int cs_publishers_new(struct cs_publishers **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

static void forget_files(struct cs_publishers *publishers)
{
	struct file *it, *tmp;

	HASH_ITER (hh, publishers->files, it, tmp) {
		HASH_DEL(publishers->files, it);
		free(it);
	}
}

void cs_publishers_free(struct cs_publishers *publishers)
{
	if (!publishers)
		return;
	forget_files(publishers);
	free(publishers);
}

/* A process's files, as they are looked at. */
struct looking {
	struct cs_publishers *publishers;
	pid_t pid;
	struct cs_mem *mem;
	const struct cs_maps *maps;
	struct key program; /* of /proc/PID/exe */
	bool glibc, greenlets;
	bool waits; /* one that has the variable does not tell where */
	unsigned int nfound;
	struct cs_tls_place place;
};

static int key_of(const char *path, struct key *ret)
{
	struct stat st;

	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return -ENOENT;
	memset(ret, 0, sizeof(*ret));
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	ret->size = (uint64_t)st.st_size;
	ret->mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
	return 0;
}

static int key_of_mapping(pid_t pid, const struct cs_mapping *mapping, struct key *ret)
{
	char path[CS_MAX_PATH + 64];

	snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", pid, mapping->start,
		 mapping->end);
	if (!key_of(path, ret))
		return 0;
	return cs_maps_open_path(pid, mapping, path, sizeof(path)) ? -ENOENT : key_of(path, ret);
}

static const struct file *find_file(const struct cs_publishers *publishers, const struct key *key)
{
	struct file *it;

	HASH_FIND(hh, publishers->files, key, sizeof(*key), it);
	return it;
}

/* What is not kept without memory is looked at again. */
static void keep_file(struct cs_publishers *publishers, const struct key *key, bool publishes)
{
	struct file *it;

	if (find_file(publishers, key))
		return;
	if (HASH_COUNT(publishers->files) >= CS_MAX_FILES)
		forget_files(publishers);
	it = calloc(1, sizeof(*it));
	if (!it)
		return;
	it->key = *key;
	it->publishes = publishes;
	HASH_ADD(hh, publishers->files, key, sizeof(it->key), it);
	if (!it->hh.tbl)
		free(it);
}

static bool same_file(const struct cs_mapping *a, const struct cs_mapping *b)
{
	return a->inode && a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor;
}

static bool same_place(const struct cs_tls_place *a, const struct cs_tls_place *b)
{
	return a->at == b->at && a->module == b->module;
}

static void note_place(struct looking *looking, const struct cs_tls_place *place)
{
	/* two files may have it, of which one takes the other's */
	if (looking->nfound && same_place(place, &looking->place))
		return;
	looking->place = *place;
	looking->nfound++;
}

static void look_into(struct looking *looking, const struct cs_mapping *mapping,
		      const struct key *key)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	char path[CS_MAX_PATH + 64];
	struct cs_tls_variable variable;
	struct cs_tls_place place;
	uint64_t bias;
	int err;

	if (cs_maps_open_path(looking->pid, mapping, path, sizeof(path)))
		return;
	err = cs_elf_open(path, &elf);
	if (!err)
		err = cs_tls_find(elf, VARIABLE, &variable);
	keep_file(looking->publishers, key, !err);
	if (err || cs_elf_load_bias(elf, mapping->start, mapping->offset, &bias))
		return;
	err = memcmp(key, &looking->program, sizeof(*key))
		      ? cs_tls_in_library(elf, &variable, bias, looking->mem, looking->glibc,
					  &place)
		      : cs_tls_in_program(elf, &variable, &place);
	if (err)
		looking->waits = true;
	else
		note_place(looking, &place);
}

/* The lowest mapping of a file with code. */
static void look_at_file(struct looking *looking, const struct cs_mapping *mapping)
{
	const struct file *known;
	struct key key;

	if (key_of_mapping(looking->pid, mapping, &key))
		return;
	known = find_file(looking->publishers, &key);
	if (!known || known->publishes)
		look_into(looking, mapping, &key);
}

static bool is_glibc(const char *path)
{
	const char *name = strrchr(path, '/');

	return name && (!strcmp(name, "/libc.so.6") || !strncmp(name, "/libc-2.", 8));
}

static void look_at_files(struct looking *looking)
{
	const struct cs_maps *maps = looking->maps;
	const struct cs_mapping *last = NULL;
	unsigned int n = 0;

	for (size_t i = 0; i < maps->n; i++) {
		looking->glibc |= maps->items[i].executable && is_glibc(maps->items[i].path);
		looking->greenlets |= strstr(maps->items[i].path, "/_greenlet.") != NULL;
	}
	for (size_t i = 0; i < maps->n && n < MAX_LIBRARIES; i++) {
		const struct cs_mapping *first = &maps->items[i];

		if (!first->executable || first->path[0] != '/' || (last && same_file(first, last)))
			continue;
		last = first;
		while (first > maps->items && same_file(first - 1, first))
			first--;
		look_at_file(looking, first);
		n++;
	}
}

int cs_published_find(struct cs_publishers *publishers, pid_t pid, struct cs_mem *mem,
		      struct cs_published_at *ret)
{
	_cleanup_maps_ struct cs_maps maps = {0};
	struct looking looking = {publishers, pid, mem, &maps, {0}, false, false, false, 0, {0}};
	char path[64];
	unsigned int key;
	int err = cs_maps_read(pid, &maps);

	if (err)
		return err;
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	if (key_of(path, &looking.program))
		return -ENOENT;
	look_at_files(&looking);
	if (!looking.nfound)
		return looking.waits ? -EAGAIN : -ENOENT;
	if (looking.nfound > 1)
		return -ENOTUNIQ;
	*ret = (struct cs_published_at){
		.at = looking.place.at,
		.generation = looking.place.generation,
		.module = looking.place.module,
		.doubted = looking.greenlets,
	};
	err = cs_process_context_key(&maps, mem, ROOT_KEY, &key);
	if (!err && key < UINT8_MAX)
		ret->root_key = (uint8_t)(key + 1);
	return err == -ENOMEM ? err : 0;
}

/* ddtrace of a release that is not known, from 4.15 on? */
static bool has_watching_ddtrace(const struct cs_tracer_list *tracers)
{
	for (unsigned int i = 0; i < tracers->n; i++) {
		const struct cs_tracer *tracer = &tracers->items[i];
		unsigned int major, minor;

		if (tracer->kind == CS_TRACER_DDTRACE && *tracer->lack &&
		    sscanf(tracer->version, "%u.%u", &major, &minor) == 2 &&
		    (major > 4 || (major == 4 && minor >= 15)))
			return true;
	}
	return false;
}

bool cs_published_believed(const struct cs_published_at *at, const struct cs_interp *interp,
			   const struct cs_tracer_list *tracers)
{
	if (interp->state == CS_INTERP_NOT_PYTHON)
		return true;
	return interp->state == CS_INTERP_READY && interp->minor >= 14 && !at->doubted &&
	       has_watching_ddtrace(tracers);
}

void cs_published_begin(struct cs_published *published, bool fresh, uint64_t now_ns)
{
	*published = (struct cs_published){.look_at_ns = now_ns + (fresh ? BEGIN_NS : 0)};
}

void cs_published_poke(struct cs_published *published, const char *path, uint64_t now_ns)
{
	uint64_t at_ns = MAX(now_ns + LOADED_NS, published->looked_ns + LOOK_NS);

	/* what is made while a program runs has no file */
	if (path[0] != '/' || path[1] == '/')
		return;
	published->tries = 0;
	published->look_at_ns = published->look_at_ns ? MIN(published->look_at_ns, at_ns) : at_ns;
}

void cs_published_look(struct cs_published *published, struct cs_publishers *publishers, pid_t pid,
		       struct cs_mem *mem, unsigned int stretch, uint64_t now_ns)
{
	uint64_t pause_ns = 0;
	int err;

	cs_mem_forget(mem);
	err = cs_published_find(publishers, pid, mem, &published->at);
	published->found = !err;
	published->looked_ns = now_ns;
	if (!err)
		pause_ns = KNOWN_NS;
	else if (err == -EAGAIN && published->tries < MAX_TRIES)
		pause_ns = AGAIN_NS << published->tries++;
	published->look_at_ns = pause_ns ? now_ns + pause_ns * MAX(stretch, 1) : 0;
}
