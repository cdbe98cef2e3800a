/* SPDX-License-Identifier: Apache-2.0 */
/* Which running processes the words of the command line choose. */
#include "collect/selection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"

#define NOBODY 65534

/* A child that waits, of that name and user. */
static pid_t begin_child(const char *comm, uid_t uid)
{
	int ends[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, comm);
		/* the effective one only */
		if (uid != geteuid() && seteuid(uid))
			_exit(1);
		if (write(ends[1], "", 1) == 1)
			pause();
		_exit(0);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	return pid;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_nothing_asked(void **state)
{
	struct cs_selection selection = {0};

	assert_false(cs_selection_given(&selection));
	assert_true(cs_selection_chooses(&selection, getpid()));
	selection = (struct cs_selection){.by_user = true};
	assert_true(cs_selection_given(&selection));
	selection = (struct cs_selection){.comm = "x"};
	assert_true(cs_selection_given(&selection));
	selection = (struct cs_selection){.cgroup = "/"};
	assert_true(cs_selection_given(&selection));
}

static void test_name(void **state)
{
	struct cs_selection selection = {.comm = "a (b) c\\"};
	pid_t pid = begin_child("a (b) c\\", geteuid());

	assert_true(cs_selection_chooses(&selection, pid));
	strcpy(selection.comm, "a (b)");
	assert_false(cs_selection_chooses(&selection, pid));
	end_child(pid);
	assert_false(cs_selection_chooses(&selection, pid));
}

/* As the kernel cuts it. */
static void test_long_name(void **state)
{
	struct cs_selection selection = {.comm = "0123456789abcde"};
	pid_t pid = begin_child("0123456789abcdefghi", geteuid());

	assert_true(cs_selection_chooses(&selection, pid));
	end_child(pid);
}

static void test_user(void **state)
{
	struct cs_selection selection = {.by_user = true, .uid = geteuid()};
	pid_t pid;

	assert_true(cs_selection_chooses(&selection, getpid()));
	selection.uid = geteuid() + 1;
	assert_false(cs_selection_chooses(&selection, getpid()));
	if (geteuid())
		skip(); /* it takes root to be somebody else */
	pid = begin_child("another", NOBODY);
	selection.uid = NOBODY;
	assert_true(cs_selection_chooses(&selection, pid));
	assert_false(cs_selection_chooses(&selection, getpid()));
	selection.uid = 0;
	assert_false(cs_selection_chooses(&selection, pid));
	end_child(pid);
}

static void test_all_must_hold(void **state)
{
	struct cs_selection selection = {.by_user = true, .uid = geteuid(), .comm = "both"};
	pid_t pid = begin_child("both", geteuid());

	assert_true(cs_selection_chooses(&selection, pid));
	selection.uid++;
	assert_false(cs_selection_chooses(&selection, pid));
	selection.uid--;
	selection.comm[0] = 'B';
	assert_false(cs_selection_chooses(&selection, pid));
	end_child(pid);
}

/* This process's group in the unified hierarchy, owned by the caller; NULL if there is none. */
static char *own_cgroup(void)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/cgroup", "re");
	char line[4096];

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "0::", 3))
			return strdup(line + 3);
	}
	return NULL;
}

static void test_cgroup(void **state)
{
	struct cs_selection selection = {0};
	_cleanup_free_ char *own = own_cgroup();
	char *slash;
	size_t len;

	if (!own)
		skip();
	strcpy(selection.cgroup, "/");
	assert_true(cs_selection_chooses(&selection, getpid()));
	/* itself, and each above it */
	snprintf(selection.cgroup, sizeof(selection.cgroup), "%s", own);
	while ((slash = strrchr(selection.cgroup, '/')) && slash > selection.cgroup) {
		assert_true(cs_selection_chooses(&selection, getpid()));
		*slash = '\0';
	}
	/* below it, beside it, and one whose name begins its own */
	len = strlen(own);
	snprintf(selection.cgroup, sizeof(selection.cgroup), "%s/below", len > 1 ? own : "");
	assert_false(cs_selection_chooses(&selection, getpid()));
	snprintf(selection.cgroup, sizeof(selection.cgroup), "%sx", own);
	assert_false(cs_selection_chooses(&selection, getpid()));
	if (len > 2) {
		snprintf(selection.cgroup, sizeof(selection.cgroup), "%.*s", (int)len - 1, own);
		if (selection.cgroup[len - 2] != '/')
			assert_false(cs_selection_chooses(&selection, getpid()));
	}
}

static const char *unified_root(void)
{
	return access("/sys/fs/cgroup/cgroup.controllers", F_OK) ? "/sys/fs/cgroup/unified"
								 : "/sys/fs/cgroup";
}

static void write_pid(const char *dir, pid_t pid)
{
	char path[4096];
	_cleanup_fclose_ FILE *file = NULL;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fprintf(file, "%d", pid) > 0);
}

/* Groups within a group of their own; a child is in the middle one. */
static void test_nested_cgroups(void **state)
{
	struct cs_selection selection = {0};
	char outer[128], inner[160], leaf[192];
	size_t root_len = strlen(unified_root());
	pid_t pid;

	snprintf(outer, sizeof(outer), "%s/coroscope-unit-%d", unified_root(), getpid());
	snprintf(inner, sizeof(inner), "%s/inner", outer);
	snprintf(leaf, sizeof(leaf), "%s/leaf", inner);
	if (mkdir(outer, 0755))
		skip(); /* it takes root and a hierarchy that can be written to */
	assert_int_equal(mkdir(inner, 0755), 0);
	assert_int_equal(mkdir(leaf, 0755), 0);
	pid = begin_child("member", geteuid());
	write_pid(inner, pid);

	assert_int_equal(cs_selection_set_cgroup(&selection, outer + root_len), 0);
	assert_int_equal(selection.cgroup_level, 1);
	assert_true(cs_selection_chooses(&selection, pid));
	assert_false(cs_selection_chooses(&selection, getpid()));
	assert_int_equal(cs_selection_set_cgroup(&selection, inner), 0);
	assert_int_equal(selection.cgroup_level, 2);
	assert_true(cs_selection_chooses(&selection, pid));
	assert_int_equal(cs_selection_set_cgroup(&selection, leaf), 0);
	assert_int_equal(selection.cgroup_level, 3);
	assert_false(cs_selection_chooses(&selection, pid));
	/* a group whose name only begins this one's */
	snprintf(selection.cgroup, sizeof(selection.cgroup), "%.*s",
		 (int)strlen(outer + root_len) - 1, outer + root_len);
	assert_false(cs_selection_chooses(&selection, pid));

	end_child(pid);
	assert_int_equal(rmdir(leaf), 0);
	assert_int_equal(rmdir(inner), 0);
	assert_int_equal(rmdir(outer), 0);
}

static void check_set(const char *path, const char *cgroup, uint32_t level, uint64_t id)
{
	struct cs_selection selection = {0};

	assert_int_equal(cs_selection_set_cgroup(&selection, path), 0);
	assert_string_equal(selection.cgroup, cgroup);
	assert_int_equal(selection.cgroup_level, level);
	assert_int_equal(selection.cgroup_id, id);
}

/* Where a user may have it from: the file system, systemd-cgls, a path that a shell completed. */
static void test_cgroup_spellings(void **state)
{
	const char *root = unified_root();
	_cleanup_free_ char *own = own_cgroup();
	char full[4096], slashes[4096];
	struct cs_selection selection = {0};
	uint32_t level = 0;
	struct stat st;

	if (stat(root, &st) || !own)
		skip();
	assert_int_equal(cs_selection_set_cgroup(&selection, "/no/such/group"), -ENOENT);
	assert_int_equal(cs_selection_set_cgroup(&selection, "/../../../etc"), -ENOENT);
	assert_false(cs_selection_given(&selection));
	snprintf(full, sizeof(full), "%s/cgroup.controllers", root);
	if (access(full, F_OK))
		skip(); /* no unified hierarchy here */
	check_set("/", "/", 0, st.st_ino);
	check_set(root, "/", 0, st.st_ino);
	snprintf(full, sizeof(full), "%s%s", root, own);
	if (stat(full, &st))
		skip(); /* a cgroup namespace whose root is elsewhere */
	for (const char *at = own; strlen(own) > 1 && at; at = strchr(at + 1, '/'))
		level++;
	check_set(own, own, level, st.st_ino);
	check_set(own + 1, own, level, st.st_ino);
	check_set(full, own, level, st.st_ino);
	snprintf(slashes, sizeof(slashes), "//%s//", own);
	check_set(slashes, own, level, st.st_ino);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_asked),    cmocka_unit_test(test_name),
		cmocka_unit_test(test_long_name),        cmocka_unit_test(test_user),
		cmocka_unit_test(test_all_must_hold),    cmocka_unit_test(test_cgroup),
		cmocka_unit_test(test_cgroup_spellings), cmocka_unit_test(test_nested_cgroups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
