/* SPDX-License-Identifier: Apache-2.0 */
/* The command that is profiled: it waits, it runs, it fails, it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli/child.h"
#include "core/cleanup.h"

static void sleep_ms(long ms)
{
	const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

/* Up to five seconds. */
static bool ends(struct cs_child *child)
{
	for (int i = 0; i < 500 && !cs_child_ended(child); i++)
		sleep_ms(10);
	return cs_child_ended(child);
}

static int run(const char *script)
{
	_cleanup_(cs_child_end) struct cs_child child;
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};

	assert_int_equal(cs_child_start(&child, argv), 0);
	assert_int_equal(cs_child_go(&child), 0);
	assert_true(ends(&child));
	return cs_child_exit_status(&child);
}

static void test_exit_status(void **state)
{
	assert_int_equal(run("exit 0"), 0);
	assert_int_equal(run("exit 7"), 7);
	assert_int_equal(run("exit 255"), 255);
	assert_int_equal(run("kill -KILL $$"), 128 + SIGKILL);
	assert_int_equal(run("kill -TERM $$"), 128 + SIGTERM);
}

/* Held until the profiler is attached. */
static void test_waits(void **state)
{
	_cleanup_(cs_child_end) struct cs_child child;
	char path[] = "/tmp/coroscope-child-XXXXXX";
	char *argv[] = {(char *)"rm", path, NULL};
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(cs_child_start(&child, argv), 0);
	assert_true(child.pid > 0);
	sleep_ms(100);
	assert_false(cs_child_ended(&child));
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(cs_child_go(&child), 0);
	assert_true(ends(&child));
	assert_int_equal(cs_child_exit_status(&child), 0);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_exec_fails(void **state)
{
	_cleanup_(cs_child_end) struct cs_child child;
	char *missing[] = {(char *)"coroscope-no-such-command", NULL};
	char *directory[] = {(char *)"/tmp", NULL};

	assert_int_equal(cs_child_start(&child, missing), 0);
	assert_int_equal(cs_child_go(&child), -ENOENT);
	assert_true(ends(&child));
	assert_int_equal(cs_child_exit_status(&child), 127);
	assert_int_equal(cs_child_start(&child, directory), 0);
	assert_int_equal(cs_child_go(&child), -EACCES);
	assert_true(ends(&child));
}

/* The capture could not begin: the command never runs. */
static void test_never_let_go(void **state)
{
	char path[] = "/tmp/coroscope-child-XXXXXX";
	char *argv[] = {(char *)"rm", path, NULL};
	struct cs_child child;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(cs_child_start(&child, argv), 0);
	cs_child_end(&child);
	assert_true(child.reaped);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
}

static void test_end(void **state)
{
	char *argv[] = {(char *)"sleep", (char *)"60", NULL};
	struct cs_child child;
	time_t before = time(NULL);

	assert_int_equal(cs_child_start(&child, argv), 0);
	assert_int_equal(cs_child_go(&child), 0);
	assert_false(cs_child_ended(&child));
	cs_child_end(&child);
	cs_child_end(&child);
	assert_true(child.reaped);
	assert_int_equal(cs_child_exit_status(&child), 128 + SIGTERM);
	assert_int_equal(kill(child.pid, 0), -1);
	assert_in_range(time(NULL) - before, 0, 4);
}

static void test_no_child(void **state)
{
	struct cs_child child = {.go = -1, .report = -1};

	assert_false(cs_child_ended(&child));
	cs_child_end(&child);
	assert_false(child.reaped);
}

/* The command has the signals that a shell would have given it, not the profiler's. */
static void test_signals(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	assert_int_equal(run("kill -PIPE $$"), 128 + SIGPIPE);
	assert_int_equal(run("kill -INT $$"), 128 + SIGINT);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
}

/* Under sudo the command is its user's; a malformed SUDO_UID is refused, never run as root. */
static void test_sudo(void **state)
{
	_cleanup_(cs_child_end) struct cs_child child;
	char *argv[] = {(char *)"true", NULL};

	if (geteuid() != 0) {
		printf("SKIP: test_sudo: only root can give its privilege up: run as root\n");
		skip();
	}
	setenv("SUDO_UID", "65534", 1);
	setenv("SUDO_GID", "65534", 1);
	assert_int_equal(run("test $(id -u):$(id -g) = 65534:65534"), 0);
	setenv("SUDO_UID", "65534x", 1);
	assert_int_equal(cs_child_start(&child, argv), 0);
	assert_int_equal(cs_child_go(&child), -EINVAL);
	unsetenv("SUDO_UID");
	unsetenv("SUDO_GID");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_status), cmocka_unit_test(test_waits),
		cmocka_unit_test(test_exec_fails),  cmocka_unit_test(test_never_let_go),
		cmocka_unit_test(test_end),         cmocka_unit_test(test_no_child),
		cmocka_unit_test(test_signals),     cmocka_unit_test(test_sudo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
