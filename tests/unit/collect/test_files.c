/* SPDX-License-Identifier: Apache-2.0 */
/* What is found out about programs' files, and what of it the kernel side is told. */
#include "collect/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "unit/collect/made_probes.h"

#define HELD_FD "HELD_FD" /* tells a copy of this program to say that it runs, and wait */

struct fixture {
	struct cs_probes probes;
	struct cs_files *files;
	char dir[64];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	snprintf(f->dir, sizeof(f->dir), "/tmp/coroscope-files-XXXXXX");
	return !mkdtemp(f->dir) || cs_files_new(&f->probes, &f->files);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	cs_files_free(f->files);
	rmdir(f->dir);
	free(f);
	return 0;
}

/* A copy of this very program under another name. */
static void copy_self(const char *path)
{
	_cleanup_close_ int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	struct stat st;

	assert_int_equal(fstat(from, &st), 0);
	for (off_t at = 0; at < st.st_size;)
		assert_true(sendfile(to, from, &at, (size_t)(st.st_size - at)) > 0);
}

/* A process that runs the file, and is past its start. */
static pid_t run(const char *path)
{
	char number[16], byte;
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(number, sizeof(number), "%d", ends[1]);
		setenv(HELD_FD, number, 1);
		execl(path, path, NULL);
		_exit(127);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* An ordinary program: the kernel side will not ask again, unless the file changes. */
static void test_no_python(void **state)
{
	const struct cs_file_id id = {.ino = 11, .dev_major = 8, .dev_minor = 1};
	struct fixture *f = *state;
	struct stat st;

	assert_false(cs_files_met(f->files, getpid(), &id));
	assert_int_equal(f->probes.nfiles, 1);
	/* under the number that the kernel gave it, which may not be that of stat() */
	assert_memory_equal(&f->probes.files[0].id, &id, sizeof(id));
	assert_int_equal(stat("/proc/self/exe", &st), 0);
	assert_int_equal(f->probes.files[0].info.size, st.st_size);
	assert_int_equal(f->probes.files[0].info.mtime_ns,
			 (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec);
	assert_int_equal(f->probes.files[0].info.row.flags, 0);
	assert_int_equal(f->probes.files[0].info.asks, 0);
}

/* A launcher has its interpreter in a library: nothing in the file tells, its name does. */
static void test_named_like_one(void **state)
{
	const struct cs_file_id id = {.ino = 11};
	struct fixture *f = *state;
	char path[128];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/python3.12", f->dir);
	copy_self(path);
	pid = run(path);
	assert_true(cs_files_met(f->files, pid, &id));
	/* ... deleted under the process, too */
	assert_int_equal(unlink(path), 0);
	assert_true(cs_files_met(f->files, pid, &id));
	end(pid);
	assert_int_equal(f->probes.nfiles, 0);
}

static void test_gone(void **state)
{
	const struct cs_file_id id = {.ino = 11};
	struct fixture *f = *state;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(cs_files_met(f->files, pid, &id));
	cs_files_learn(f->files, &(struct cs_interp){.pid = pid, .state = CS_INTERP_READY});
	assert_int_equal(f->probes.nfiles, 0); /* nothing is known: it will be asked about again */
}

/* Once a file, not once a process; with addresses that hold for the next process as well. */
static void test_learn(void **state)
{
	struct cs_interp interp = {
		.pid = getpid(),
		.state = CS_INTERP_READY,
		.info = {.flags = CS_PROC_PYTHON, .current_tasks = 0x1234},
	};
	const struct made_file *told;
	struct fixture *f = *state;
	struct cs_file_info info;
	struct cs_file_id id;
	struct stat st;

	interp.info.interpreters_head = (uint64_t)(uintptr_t)&interp;
	assert_int_equal(cs_interp_file(&interp, &id, &info), 0);
	cs_files_learn(f->files, &interp);
	cs_files_learn(f->files, &interp);
	assert_int_equal(f->probes.nfiles, 1);
	told = &f->probes.files[0];
	assert_memory_equal(&told->id, &id, sizeof(id));
	assert_int_equal(stat("/proc/self/exe", &st), 0);
	assert_int_equal(told->info.size, st.st_size);
	assert_int_equal(told->info.row.flags, CS_PROC_PYTHON);
	assert_int_equal(told->info.row.current_tasks, 0);
	assert_int_equal(told->info.row.interpreters_head, info.row.interpreters_head);
	assert_int_equal(told->info.asks, 1); /* interp.file is no file of ours */
}

/* The dynamic loader, say: nothing in the file tells, what it has run before does. */
static void test_met_again_when_learned(void **state)
{
	const struct cs_interp interp = {.pid = getpid(), .state = CS_INTERP_READY};
	const struct cs_file_id id = {.ino = 11};
	struct fixture *f = *state;

	assert_false(cs_files_met(f->files, getpid(), &id));
	cs_files_learn(f->files, &interp);
	assert_int_equal(f->probes.nfiles, 2);
	assert_int_equal(f->probes.files[1].info.asks, 1);
	assert_true(cs_files_met(f->files, getpid(), &id));
	assert_int_equal(f->probes.nfiles, 2); /* it goes on asking */
}

/* The same path with another content is another file. */
static void test_learn_again_after_an_upgrade(void **state)
{
	struct cs_interp interp = {.state = CS_INTERP_READY, .info = {.flags = CS_PROC_PYTHON}};
	struct fixture *f = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/program", f->dir);
	for (size_t i = 1; i <= 2; i++) {
		copy_self(path);
		interp.pid = run(path);
		cs_files_learn(f->files, &interp);
		cs_files_learn(f->files, &interp);
		end(interp.pid);
		assert_int_equal(f->probes.nfiles, i);
		assert_int_equal(unlink(path), 0);
	}
}

/* What does not run yet is not told. */
static void test_not_ready(void **state)
{
	struct fixture *f = *state;

	cs_files_learn(f->files, &(struct cs_interp){.pid = getpid(), .state = CS_INTERP_STARTING});
	assert_int_equal(f->probes.nfiles, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_python),
		TEST(test_named_like_one),
		TEST(test_gone),
		TEST(test_learn),
		TEST(test_not_ready),
		TEST(test_learn_again_after_an_upgrade),
		TEST(test_met_again_when_learned),
	};
	const char *held = getenv(HELD_FD);

	if (held) {
		if (write((int)strtol(held, NULL, 10), "", 1) == 1)
			pause();
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
