/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start an interpreter, let cs_interp_detect look at it, and print one line of what it found for check.py:
 *     STATE|MAJOR.MINOR.MICRO|yes if the offsets are those of the row|source of the offsets|reason
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "python/interp.h"

static const char *const states[] = {
	[CS_INTERP_NOT_PYTHON] = "NOT_PYTHON",
	[CS_INTERP_UNSUPPORTED] = "UNSUPPORTED",
	[CS_INTERP_STARTING] = "STARTING",
	[CS_INTERP_READY] = "READY",
};

/* Returns the pid of a python that has said it is up, or -errno. */
static pid_t start(const char *python)
{
	static const char script[] = "import os, time; os.write(1, b'x'); time.sleep(60)";
	_cleanup_close_ int in = -1, out = -1;
	int ends[2];
	char byte;
	pid_t pid;

	if (pipe(ends))
		return -errno;
	in = ends[0];
	out = ends[1];
	pid = fork();
	if (pid == 0) {
		dup2(out, STDOUT_FILENO);
		close(in);
		execl(python, python, "-c", script, NULL);
		_exit(127);
	}
	close(TAKE_FD(out));
	if (pid > 0 && read(in, &byte, 1) != 1) {
		waitpid(pid, NULL, 0);
		return -ENOEXEC;
	}
	return pid < 0 ? -errno : pid;
}

static int look(pid_t pid)
{
	const struct cs_py_layout *row;
	struct cs_interp interp;
	bool same;
	int err;

	err = cs_interp_detect(pid, &interp);
	if (err) {
		fprintf(stderr, "cs_interp_detect: %s\n", strerror(-err));
		return err;
	}
	row = interp.flavour ? cs_py_layout_find(interp.major, interp.minor, interp.flavour) : NULL;
	same = row && !memcmp(&row->off, &interp.info.off, sizeof(row->off)) &&
	       !memcmp(&row->traits, &interp.info.traits, sizeof(row->traits));
	printf("%s|%d.%d.%d|%s|%s|%s\n", states[interp.state], interp.major, interp.minor,
	       interp.micro, same ? "yes" : "no", interp.offsets_source, interp.reason);
	return 0;
}

int main(int argc, char **argv)
{
	pid_t pid;
	int err;

	if (argc != 2)
		return 2;
	pid = start(argv[1]);
	if (pid < 0) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(-pid));
		return 1;
	}
	err = look(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return err ? 1 : 0;
}
