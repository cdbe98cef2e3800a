/* SPDX-License-Identifier: Apache-2.0 */
/* What is known about programs' files. */
#include "collect/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "core/cleanup.h"
#include "python/binary.h"

/* A program that was recognised, by the path and the file of its interpreter: looking it up is cheaper than looking at it. */
struct learned {
	struct key {
		uint64_t dev, ino, size, mtime_ns; /* of /proc/PID/exe */
	} key;
	UT_hash_handle hh;
};

struct cs_files {
	struct cs_probes *probes;
	struct learned *learned;
};

int cs_files_new(struct cs_probes *probes, struct cs_files **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	(*ret)->probes = probes;
	return 0;
}

static void forget(struct cs_files *files)
{
	struct learned *it, *tmp;

	HASH_ITER (hh, files->learned, it, tmp) {
		HASH_DEL(files->learned, it);
		free(it);
	}
}

void cs_files_free(struct cs_files *files)
{
	if (!files)
		return;
	forget(files);
	free(files);
}

static int stat_program(pid_t pid, char *path, size_t size, struct stat *ret)
{
	snprintf(path, size, "/proc/%d/exe", pid);
	return stat(path, ret) ? -errno : 0;
}

static uint64_t mtime_ns(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;
}

static struct key key_of(const struct stat *st)
{
	return (struct key){st->st_dev, st->st_ino, (uint64_t)st->st_size, mtime_ns(st)};
}

/* Has a program of this file been recognised? */
static bool is_learned(const struct cs_files *files, const struct stat *st)
{
	const struct key key = key_of(st);
	struct learned *it;

	HASH_FIND(hh, files->learned, &key, sizeof(key), it);
	return it != NULL;
}

bool cs_files_met(struct cs_files *files, pid_t pid, const struct cs_file_id *id)
{
	struct cs_file_info info = {0};
	struct cs_py_binary binary;
	char path[64], name[4096];
	struct stat st;
	ssize_t len;

	if (stat_program(pid, path, sizeof(path), &st))
		return false;
	/* The dynamic loader, say: nothing in it tells what it will load, but it has loaded an interpreter before. */
	if (is_learned(files, &st))
		return true;
	len = readlink(path, name, sizeof(name) - 1);
	if (len < 0)
		return false;
	name[len] = '\0';
	/* A launcher has its interpreter in a library. Its name says so; any other is noticed when it maps that. */
	if (cs_py_binary_is_named(name) || cs_py_binary_probe(path, name, &binary) || binary.python)
		return true;
	info.size = (uint64_t)st.st_size;
	info.mtime_ns = mtime_ns(&st);
	cs_probes_know_file(files->probes, id, &info);
	return false;
}

void cs_files_learn(struct cs_files *files, const struct cs_interp *interp)
{
	struct cs_file_info info;
	struct cs_file_id id;
	struct learned *it;
	struct stat st;
	char path[64];

	if (stat_program(interp->pid, path, sizeof(path), &st) || is_learned(files, &st) ||
	    cs_interp_file(interp, &id, &info))
		return;
	if (HASH_COUNT(files->learned) >= CS_MAX_FILES)
		forget(files);
	it = calloc(1, sizeof(*it));
	if (!it)
		return;
	it->key = key_of(&st);
	HASH_ADD(hh, files->learned, key, sizeof(it->key), it);
	cs_probes_know_file(files->probes, &id, &info);
}
