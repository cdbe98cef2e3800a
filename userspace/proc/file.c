/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files that a process may have put anything in place of. */
#include "proc/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "core/cleanup.h"

int cs_open_regular(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? TAKE_FD(fd) : -EINVAL;
}
