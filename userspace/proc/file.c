/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files that a process may have put anything in place of. */
#include "proc/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "core/cleanup.h"

#define FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static int only_regular(int opened)
{
	_cleanup_close_ int fd = opened;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? TAKE_FD(fd) : -EINVAL;
}

int cs_open_regular(const char *path)
{
	return only_regular(open(path, FLAGS));
}

int cs_open_in_root(const char *root, const char *path)
{
	struct open_how how = {.flags = FLAGS, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	_cleanup_close_ int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return -errno;
	/* the C libraries of today have no function for it */
	return only_regular((int)syscall(SYS_openat2, dir, path, &how, sizeof(how)));
}
