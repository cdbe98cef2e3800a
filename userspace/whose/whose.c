/* SPDX-License-Identifier: Apache-2.0 */
/* One look at one process. */
#include "whose/whose.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "proc/file.h"
#include "whose/cgroup.h"
#include "whose/command.h"
#include "whose/environ.h"
#include "whose/process_context.h"
#include "whose/tracer_info.h"

#define CGROUP_BYTES    65536
#define ARGUMENTS_BYTES 4096
#define ATTEMPTS        3
/* Of proc_pid_stat(5), counted from the state, which is the third. */
#define FIELD_PARENT    (4 - 3)
#define FIELD_START     (22 - 3)
#define FIELD_ENV       (50 - 3)

static int open_proc(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return cs_open_regular(path);
}

/* The beginning of a file of /proc; returns its length, 0 if it cannot be read. */
static size_t read_proc(pid_t pid, const char *name, char *dst, size_t size)
{
	_cleanup_close_ int fd = open_proc(pid, name);
	size_t len = 0;
	ssize_t n = 0;

	do {
		len += (size_t)n;
		n = fd < 0 ? 0 : read(fd, dst + len, size - len);
	} while (n > 0);
	return len;
}

int cs_run_read(pid_t pid, struct cs_run *ret)
{
	char line[1024], *at;
	size_t len = read_proc(pid, "stat", line, sizeof(line) - 1);

	line[len] = '\0';
	*ret = (struct cs_run){0};
	/* "pid (comm) S ppid": the name may hold anything */
	at = strrchr(line, ')');
	if (!at)
		return -ESRCH;
	at++;
	for (int field = 0; field <= FIELD_ENV && *at; field++) {
		at += strspn(at, " ");
		if (field == FIELD_START)
			ret->started = strtoull(at, NULL, 10);
		else if (field == FIELD_PARENT)
			ret->parent = (pid_t)strtol(at, NULL, 10);
		else if (field == FIELD_ENV)
			ret->environment = strtoull(at, NULL, 10);
		at += strcspn(at, " ");
	}
	return ret->started ? 0 : -ESRCH;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* CLOCK_REALTIME. A tick is 10 ms: it has begun within the one after this. */
static uint64_t started_ns(const struct cs_run *run)
{
	int64_t boot_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME);

	return (uint64_t)(boot_ns +
			  (int64_t)(run->started * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK))));
}

static int tell_cgroup(struct cs_whose *whose)
{
	_cleanup_free_ char *text = malloc(CGROUP_BYTES);

	if (!text)
		return -ENOMEM;
	return cs_cgroup_parse(text, read_proc(whose->pid, "cgroup", text, CGROUP_BYTES),
			       &whose->facts);
}

/* "pid:[4026531836]": the number */
static int tell_namespace(struct cs_whose *whose, const char *name, enum cs_fact fact)
{
	char path[64], target[64];
	const char *number;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", whose->pid, name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return 0;
	target[n] = '\0';
	number = strchr(target, '[');
	return number ? cs_facts_tell(&whose->facts, fact, number + 1,
				      strspn(number + 1, "0123456789"))
		      : 0;
}

static int tell_environment(struct cs_whose *whose)
{
	_cleanup_close_ int fd = open_proc(whose->pid, "environ");

	return fd < 0 ? 0 : cs_environ_read(fd, &whose->facts);
}

static int tell_program(struct cs_whose *whose)
{
	static const char deleted[] = " (deleted)";
	char path[64], target[PATH_MAX], arguments[ARGUMENTS_BYTES];
	const char *name = "";
	size_t len;
	ssize_t n;
	int err;

	snprintf(path, sizeof(path), "/proc/%d/exe", whose->pid);
	n = readlink(path, target, sizeof(target) - 1);
	if (n > 0) {
		target[n] = '\0';
		if ((size_t)n >= sizeof(deleted) &&
		    !strcmp(target + n - sizeof(deleted) + 1, deleted))
			target[n - (ssize_t)sizeof(deleted) + 1] = '\0';
		name = basename(target);
	}
	err = cs_facts_tell(&whose->facts, CS_FACT_EXECUTABLE, name, strlen(name));
	len = err ? 0 : read_proc(whose->pid, "cmdline", arguments, sizeof(arguments));
	if (!err)
		err = cs_command_guess(arguments, len, name, &whose->facts);
	/* as an environment may hold secrets, so may arguments */
	explicit_bzero(arguments, sizeof(arguments));
	return err;
}

static int tell_all(struct cs_whose *whose)
{
	int err = tell_cgroup(whose);

	if (!err)
		err = tell_namespace(whose, "pid", CS_FACT_PID_NAMESPACE);
	if (!err)
		err = tell_namespace(whose, "mnt", CS_FACT_MOUNT_NAMESPACE);
	if (!err)
		err = cs_process_context_read(whose->pid, &whose->facts);
	if (!err)
		err = cs_tracer_info_read(whose->pid, whose->run.parent, started_ns(&whose->run),
					  &whose->facts);
	if (!err)
		err = tell_environment(whose);
	return err ? err : tell_program(whose);
}

/* Returns 0, -EAGAIN: it became another program meanwhile, -ESRCH or -ENOMEM. */
static int look(pid_t pid, struct cs_whose *whose)
{
	struct cs_run after;
	int err;

	whose->pid = pid;
	err = cs_run_read(pid, &whose->run);
	if (!err)
		err = tell_all(whose);
	if (!err)
		err = cs_run_read(pid, &after);
	if (err)
		return err;
	return cs_run_same(&whose->run, &after) ? 0 : -EAGAIN;
}

int cs_whose_read(pid_t pid, struct cs_whose *ret)
{
	int err = -EAGAIN;

	for (int i = 0; err == -EAGAIN && i < ATTEMPTS; i++) {
		_cleanup_whose_ struct cs_whose whose = {0};

		err = look(pid, &whose);
		if (err)
			continue;
		*ret = whose;
		whose = (struct cs_whose){0};
	}
	return err == -EAGAIN ? -ESRCH : err;
}

void cs_whose_free(struct cs_whose *whose)
{
	cs_facts_free(&whose->facts);
}
