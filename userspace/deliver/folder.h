/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in a directory of our own: written whole or not at all, whatever ends the process or the machine, and listed in
 * the order of their names.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct cs_folder_file {
	char name[64];
	uint64_t bytes;
	uint64_t written_ns; /* since 1970 */
};

/*
 * Open a directory, made with mode 0700 if it is not there (its parent must be). Returns a descriptor to be closed,
 * -EPERM if it is another user's or others may write to it, -EBUSY if another process has it open here, or -errno.
 */
int cs_folder_open(const char *path);

/*
 * Write a file of mode 0600 with these parts, and have it on the disk under this name before returning 0. On -errno
 * nothing of it is left.
 */
int cs_folder_write(int folder, const char *name, const struct iovec *parts, int nparts);

/*
 * The plain files whose names end with suffix (and fit), by name; owned by the caller (free). What an interrupted write has left
 * is removed. Returns 0 or -errno.
 */
int cs_folder_list(int folder, const char *suffix, struct cs_folder_file **ret, size_t *n);

/* Remove or rename a file, lastingly. Returns 0 or -errno. */
int cs_folder_remove(int folder, const char *name);
int cs_folder_rename(int folder, const char *from, const char *to);

/* Wall-clock nanoseconds since 1970. */
uint64_t cs_folder_now_ns(void);
