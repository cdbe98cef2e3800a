/* SPDX-License-Identifier: Apache-2.0 */
/* The command that `record -- COMMAND` starts. */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"

#define KILL_AFTER_MS 5000

/* The user behind sudo; root without sudo stays root. A malformed SUDO_UID is refused, not ignored. */
static int drop_privilege(void)
{
	const char *uid_text = getenv("SUDO_UID"), *gid_text = getenv("SUDO_GID");
	char *uid_end, *gid_end;
	struct passwd *user;
	uid_t uid;
	gid_t gid;

	if (geteuid() != 0 || !uid_text || !gid_text)
		return 0;
	uid = (uid_t)strtoul(uid_text, &uid_end, 10);
	gid = (gid_t)strtoul(gid_text, &gid_end, 10);
	if (!*uid_text || *uid_end || !*gid_text || *gid_end)
		return -EINVAL;
	user = getpwuid(uid);
	if (user ? initgroups(user->pw_name, gid) : setgroups(1, &gid))
		return -errno;
	if (setgid(gid) || setuid(uid))
		return -errno;
	if (user)
		setenv("HOME", user->pw_dir, 1);
	return 0;
}

static void run_child(int go, int report, char **argv)
{
	char token;
	int err;

	/* The profiler went away before it let us go. */
	if (read(go, &token, 1) != 1)
		_exit(125);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	err = drop_privilege();
	if (!err) {
		execvp(argv[0], argv);
		err = -errno;
	}
	if (write(report, &err, sizeof(err)) != sizeof(err))
		_exit(126);
	_exit(127);
}

int cs_child_start(struct cs_child *child, char **argv)
{
	int go[2], report[2];

	*child = (struct cs_child){.go = -1, .report = -1};
	if (pipe2(go, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(report, O_CLOEXEC) < 0) {
		int err = -errno;

		close(go[0]);
		close(go[1]);
		return err;
	}
	child->pid = fork();
	if (child->pid == 0) {
		close(go[1]);
		run_child(go[0], report[1], argv);
	}
	close(go[0]);
	close(report[1]);
	child->go = go[1];
	child->report = report[0];
	return child->pid < 0 ? -errno : 0;
}

int cs_child_go(struct cs_child *child)
{
	int err = 0;

	if (write(child->go, "g", 1) != 1)
		err = -errno;
	close(TAKE_FD(child->go));
	/* close-on-exec ends the pipe when the command runs */
	if (!err && read(child->report, &err, sizeof(err)) != sizeof(err))
		err = 0;
	close(TAKE_FD(child->report));
	return err;
}

bool cs_child_ended(struct cs_child *child)
{
	if (child->pid > 0 && !child->reaped)
		child->reaped = waitpid(child->pid, &child->status, WNOHANG) == child->pid;
	return child->reaped;
}

void cs_child_end(struct cs_child *child)
{
	const struct timespec step = {.tv_nsec = 10 * 1000000};

	if (child->go >= 0)
		close(TAKE_FD(child->go));
	if (child->report >= 0)
		close(TAKE_FD(child->report));
	if (child->pid <= 0 || cs_child_ended(child))
		return;
	kill(child->pid, SIGTERM);
	for (int ms = 0; ms < KILL_AFTER_MS && !cs_child_ended(child); ms += 10)
		nanosleep(&step, NULL);
	if (child->reaped)
		return;
	kill(child->pid, SIGKILL);
	child->reaped = waitpid(child->pid, &child->status, 0) == child->pid;
}

int cs_child_exit_status(const struct cs_child *child)
{
	if (WIFSIGNALED(child->status))
		return 128 + WTERMSIG(child->status);
	return WEXITSTATUS(child->status);
}
