/* SPDX-License-Identifier: Apache-2.0 */
/* Executable files that are mapped are told, with their paths; skipped where perf events of other processes are not allowed. */
#include "collect/mapped.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"

#define SKIP 77

static struct {
	pid_t pid; /* which process, and which file of it, is looked for */
	char path[PATH_MAX];
	unsigned int n; /* how often it was told */
} heard;

static void on_mapped(void *ctx, pid_t pid, const char *path)
{
	assert_ptr_equal(ctx, &heard);
	if (pid == heard.pid && !strcmp(path, heard.path))
		heard.n++;
}

/* Map this test's own file. */
static void map_self(int prot)
{
	_cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	void *at = mmap(NULL, 4096, prot, MAP_PRIVATE, fd, 0);

	if (at == MAP_FAILED)
		abort();
	munmap(at, 4096);
}

static void test_executable_files_only(void **state)
{
	struct cs_mapped *mapped = *state;
	struct pollfd ready = {.fd = cs_mapped_fd(mapped), .events = POLLIN};

	cs_mapped_drain(mapped);
	heard.n = 0;
	map_self(PROT_READ);
	assert_false(cs_mapped_drain(mapped));
	assert_int_equal(heard.n, 0);
	map_self(PROT_READ | PROT_EXEC);
	assert_int_equal(poll(&ready, 1, 1000), 1);
	assert_false(cs_mapped_drain(mapped));
	assert_int_equal(heard.n, 1);
	cs_mapped_drain(mapped);
	assert_int_equal(heard.n, 1);
}

static void test_other_processes(void **state)
{
	struct cs_mapped *mapped = *state;
	pid_t pid;

	cs_mapped_drain(mapped);
	pid = fork();
	if (pid == 0) {
		map_self(PROT_READ | PROT_EXEC);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	heard.pid = pid;
	heard.n = 0;
	cs_mapped_drain(mapped);
	assert_int_equal(heard.n, 1);
	heard.pid = getpid();
}

/* More than the buffer holds: whoever listens must know. On one CPU: each has a buffer, and tells its own losses. */
static void test_lost(void **state)
{
	struct cs_mapped *mapped = *state;
	bool lost = false;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);

	cs_mapped_drain(mapped);
	for (unsigned int i = 0; i < 20000; i++)
		map_self(PROT_READ | PROT_EXEC);
	lost = cs_mapped_drain(mapped);
	/* the kernel says so with the first record that fits again */
	map_self(PROT_READ | PROT_EXEC);
	lost |= cs_mapped_drain(mapped);
	assert_true(lost);
	map_self(PROT_READ | PROT_EXEC);
	assert_false(cs_mapped_drain(mapped));
}

int main(void)
{
	_cleanup_(cs_mapped_freep) struct cs_mapped *mapped = NULL;
	int err = cs_mapped_new(on_mapped, &heard, &mapped);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_executable_files_only, mapped),
		cmocka_unit_test_prestate(test_other_processes, mapped),
		cmocka_unit_test_prestate(test_lost, mapped),
	};

	if (err) {
		printf("SKIP: the kernel does not tell what is mapped (%s): run as root\n",
		       strerror(-err));
		return err == -EPERM || err == -EACCES ? SKIP : 1;
	}
	heard.pid = getpid();
	if (readlink("/proc/self/exe", heard.path, sizeof(heard.path) - 1) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
