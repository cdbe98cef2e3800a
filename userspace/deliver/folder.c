/* SPDX-License-Identifier: Apache-2.0 */
/* Files in a directory of our own. */
#include "deliver/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"

#define HALF      ".half" /* a file that is not whole yet */
#define MAX_FILES 1000000

int cs_folder_open(const char *path)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return -EPERM;
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return TAKE_FD(fd);
}

static int write_all(int fd, const struct iovec *parts, int nparts)
{
	for (int i = 0; i < nparts; i++) {
		const char *at = parts[i].iov_base;
		size_t left = parts[i].iov_len;

		while (left) {
			ssize_t n = write(fd, at, left);

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return -errno;
			at += n;
			left -= (size_t)n;
		}
	}
	return fsync(fd) ? -errno : 0;
}

int cs_folder_write(int folder, const char *name, const struct iovec *parts, int nparts)
{
	_cleanup_close_ int fd = -1;
	char half[80];
	int err;

	snprintf(half, sizeof(half), "%s" HALF, name);
	unlinkat(folder, half, 0);
	fd = openat(folder, half, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(fd, parts, nparts);
	if (!err)
		err = cs_folder_rename(folder, half, name);
	if (err)
		unlinkat(folder, half, 0);
	return err;
}

int cs_folder_remove(int folder, const char *name)
{
	if (unlinkat(folder, name, 0) || fsync(folder))
		return -errno;
	return 0;
}

int cs_folder_rename(int folder, const char *from, const char *to)
{
	if (renameat(folder, from, folder, to) || fsync(folder))
		return -errno;
	return 0;
}

uint64_t cs_folder_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool ends_with(const char *text, const char *suffix)
{
	size_t n = strlen(text), m = strlen(suffix);

	return n >= m && !strcmp(text + n - m, suffix);
}

/* 1: it is one, 0: it is not, or gone. */
static int describe(int folder, const char *name, struct cs_folder_file *file)
{
	struct stat st;

	if (strlen(name) >= sizeof(file->name) || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(st.st_mode))
		return 0;
	snprintf(file->name, sizeof(file->name), "%s", name);
	file->bytes = (uint64_t)st.st_size;
	file->written_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
	return 1;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct cs_folder_file *)a)->name,
		      ((const struct cs_folder_file *)b)->name);
}

int cs_folder_list(int folder, const char *suffix, struct cs_folder_file **ret, size_t *n)
{
	_cleanup_free_ struct cs_folder_file *files = NULL;
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *entry;
	size_t found = 0, cap = 0;
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir)) && found < MAX_FILES) {
		if (ends_with(entry->d_name, HALF))
			unlinkat(folder, entry->d_name, 0);
		if (!ends_with(entry->d_name, suffix))
			continue;
		if (found == cap) {
			void *more = reallocarray(files, cap + 64, sizeof(*files));

			if (!more)
				return -ENOMEM;
			files = more;
			cap += 64;
		}
		found += (size_t)describe(folder, entry->d_name, &files[found]);
	}
	if (found)
		qsort(files, found, sizeof(*files), by_name);
	*ret = TAKE_PTR(files);
	*n = found;
	return 0;
}
