/* SPDX-License-Identifier: Apache-2.0 */
/* What is left when privileges are given up: all that the agent does, and nothing of what an intruder would do next. */
#include "agent/privilege.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"

static char word[8];

static int run_program(void)
{
	return execl("/bin/true", "true", NULL);
}

static int begin_process(void)
{
	pid_t child = fork();

	if (!child)
		_exit(0);
	return child;
}

static int write_memory(void)
{
	struct iovec here = {word, sizeof(word)}, there = {word, sizeof(word)};

	return (int)process_vm_writev(getpid(), &here, 1, &there, 1, 0);
}

static int stop_process(void)
{
	return (int)ptrace(PTRACE_SEIZE, getppid(), NULL, NULL);
}

static int signal_process(void)
{
	return kill(getppid(), 0);
}

static int mount_something(void)
{
	return mount("none", "", "tmpfs", 0, NULL); /* nowhere, should it be allowed after all */
}

static int enter_namespace(void)
{
	return setns(0, CLONE_NEWNS);
}

static int leave_namespace(void)
{
	return unshare(CLONE_NEWNS);
}

static int open_packets(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static int (*const forbidden[])(void) = {
	run_program,     begin_process,   write_memory,    stop_process, signal_process,
	mount_something, enter_namespace, leave_namespace, open_packets,
};

static void *nothing(void *arg)
{
	return arg;
}

/* What the agent does all the time. */
static bool works(void)
{
	struct iovec here = {word, sizeof(word)}, there = {word, sizeof(word)};
	int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC), sock;
	char byte;
	pthread_t thread;
	bool read_file = file >= 0 && read(file, &byte, 1) == 1;

	sock = socket(AF_INET, SOCK_STREAM, 0);
	return read_file && sock >= 0 && !pthread_create(&thread, NULL, nothing, NULL) &&
	       !pthread_join(thread, NULL) &&
	       process_vm_readv(getpid(), &here, 1, &there, 1, 0) == sizeof(word);
}

/* In a child, which cannot take it back: its exit code is 0, or 1 + the first that is not as it should be. */
static int try_all(void)
{
	if (cs_privilege_drop())
		return 100;
	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
		errno = 0;
		if (forbidden[i]() != -1 || errno != ENOSYS)
			return 1 + (int)i;
	}
	return works() ? 0 : 101;
}

static void test_dropped(void **state)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child)
		_exit(try_all());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* None of these fails so by itself: each is refused by the filter. */
static void test_allowed_before(void **state)
{
	assert_int_equal(signal_process(), 0);
	assert_int_equal(write_memory(), sizeof(word));
	assert_true(works());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allowed_before),
		cmocka_unit_test(test_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
