/* SPDX-License-Identifier: Apache-2.0 */
/* Files with debug information, by build id, each looked for once. */
#include "debuginfo/debuginfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* Without memory an element is not added and its hh.tbl stays NULL, instead of exit(). */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "debuginfo/dwarf.h"
#include "debuginfo/fetch.h"
#include "proc/debug_file.h"
#include "proc/elf.h"
#include "proc/symtab.h"

/* All waiting for servers together. */
#define FETCH_NS  30000000000ull
/* Files that are open at a time, with what libdw knows of them. */
#define MAX_FILES 1024

struct file {
	struct key {
		uint8_t build_id[CS_BUILD_ID_BYTES];
		size_t len;
	} key;
	struct cs_symtab *symbols; /* NULL: none */
	struct cs_dwarf *dwarf;    /* NULL: none, or not asked for */
	UT_hash_handle hh;
};

struct cs_debuginfo {
	bool inlines;
	struct cs_fetch *fetch; /* NULL: no servers */
	struct file *files;
	struct cs_debuginfo_stats stats;
};

int cs_debuginfo_new(bool inlines, struct cs_debuginfo **ret)
{
	struct cs_debuginfo *debuginfo = calloc(1, sizeof(*debuginfo));
	int err;

	if (!debuginfo)
		return -ENOMEM;
	debuginfo->inlines = inlines;
	err = cs_fetch_new(FETCH_NS, &debuginfo->fetch);
	if (err && err != -ENOENT)
		cs_warn("debuginfod: %s, ignoring DEBUGINFOD_URLS", strerror(-err));
	*ret = debuginfo;
	return 0;
}

static void file_free(struct file *file)
{
	cs_symtab_free(file->symbols);
	cs_dwarf_free(file->dwarf);
	free(file);
}

void cs_debuginfo_free(struct cs_debuginfo *debuginfo)
{
	struct file *file, *tmp;

	if (!debuginfo)
		return;
	HASH_ITER (hh, debuginfo->files, file, tmp) {
		HASH_DEL(debuginfo->files, file);
		file_free(file);
	}
	cs_fetch_free(debuginfo->fetch);
	free(debuginfo);
}

static bool is_meant(struct cs_elf *elf, const struct cs_code_address *address)
{
	uint8_t id[CS_BUILD_ID_BYTES];
	int n = cs_elf_build_id(elf, id, sizeof(id));

	return n > 0 && (size_t)n == address->build_id_len &&
	       !memcmp(id, address->build_id, (size_t)n);
}

/* Take from a file what it has and is still missing. Returns whether there is all that was asked for. */
static bool take(struct cs_debuginfo *debuginfo, struct file *file, struct cs_elf *elf)
{
	if (!file->symbols)
		cs_symtab_load(elf, NULL, &file->symbols);
	if (file->symbols && !cs_symtab_count(file->symbols))
		cs_symtab_free(TAKE_PTR(file->symbols));
	if (debuginfo->inlines && !file->dwarf)
		cs_dwarf_open(cs_elf_fd(elf), &file->dwarf);
	return file->symbols && (file->dwarf || !debuginfo->inlines);
}

/* The file itself, if it is on this machine and has not changed, and what was stripped off it. */
static bool take_local(struct cs_debuginfo *debuginfo, struct file *file,
		       const struct cs_code_address *address, const struct cs_elf_home *home)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL, *debug = NULL;
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s%s",
			 strcmp(home->path_root, "/") ? home->path_root : "", home->path);

	if (n < 0 || (size_t)n >= sizeof(path) || cs_elf_open(path, &elf) ||
	    !is_meant(elf, address))
		return false;
	if (!cs_debug_file_open(elf, home, &debug) && take(debuginfo, file, debug))
		return true;
	return take(debuginfo, file, elf);
}

static bool take_fetched(struct cs_debuginfo *debuginfo, struct file *file,
			 const struct cs_code_address *address)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	int fd;

	if (!debuginfo->fetch)
		return false;
	fd = cs_fetch_debug_file(debuginfo->fetch, address->build_id, address->build_id_len);
	debuginfo->stats.timed_out = debuginfo->stats.timed_out || fd == -ETIMEDOUT;
	if (fd < 0)
		cs_debug("debuginfod: %s: %s", address->path, strerror(-fd));
	if (fd < 0 || cs_elf_open_fd(fd, &elf) || !is_meant(elf, address))
		return false;
	return take(debuginfo, file, elf);
}

static void fill(struct cs_debuginfo *debuginfo, struct file *file,
		 const struct cs_code_address *address)
{
	char root[64];
	const struct cs_elf_home its = {root, address->path, root};
	const struct cs_elf_home ours = {root, address->path, "/"};

	snprintf(root, sizeof(root), "/proc/%u/root", address->pid);
	if (*address->path == '/' && (take_local(debuginfo, file, address, &its) ||
				      take_local(debuginfo, file, address, &ours)))
		return;
	take_fetched(debuginfo, file, address);
}

/* The file, looked for if that was not done yet; NULL without memory, or if there are too many. */
static struct file *get_file(struct cs_debuginfo *debuginfo, const struct cs_code_address *address)
{
	struct key key = {.len = address->build_id_len};
	struct file *file;

	if (key.len > sizeof(key.build_id))
		return NULL;
	memcpy(key.build_id, address->build_id, key.len);
	HASH_FIND(hh, debuginfo->files, &key, sizeof(key), file);
	if (file || HASH_COUNT(debuginfo->files) >= MAX_FILES)
		return file;
	file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	file->key = key;
	HASH_ADD(hh, debuginfo->files, key, sizeof(file->key), file);
	if (!file->hh.tbl) {
		free(file);
		return NULL;
	}
	fill(debuginfo, file, address);
	if (file->symbols || file->dwarf)
		debuginfo->stats.found++;
	else
		debuginfo->stats.missing++;
	return file;
}

static size_t find(void *ctx, const struct cs_code_address *address,
		   struct cs_code_function ret[CS_MAX_INLINED])
{
	struct cs_debuginfo *debuginfo = ctx;
	struct file *file;
	size_t n;

	/* what has a name is asked for only if more is wanted */
	if (address->named && !debuginfo->inlines)
		return 0;
	file = get_file(debuginfo, address);
	n = file && file->dwarf ? cs_dwarf_find(file->dwarf, address->vaddr, ret) : 0;
	if (n || !file || !file->symbols)
		return n;
	ret[0] = (struct cs_code_function){.name = cs_symtab_find(file->symbols, address->vaddr)};
	return ret[0].name ? 1 : 0;
}

struct cs_lookup cs_debuginfo_lookup(struct cs_debuginfo *debuginfo)
{
	return (struct cs_lookup){find, debuginfo};
}

struct cs_debuginfo_stats cs_debuginfo_stats(const struct cs_debuginfo *debuginfo)
{
	return debuginfo->stats;
}
