/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files that a process may have put anything in place of. */
#pragma once

/*
 * Open a regular file for reading; a FIFO or a device in its place neither blocks nor opens. Returns a file descriptor,
 * -EINVAL (not a regular file) or -errno.
 */
int cs_open_regular(const char *path);

/*
 * The same for a path below another root directory (as /proc/12/root), which no symbolic link in it can lead out of. Needs
 * Linux 5.6. Returns a descriptor, -errno or -EINVAL (no regular file).
 */
int cs_open_in_root(const char *root, const char *path);
