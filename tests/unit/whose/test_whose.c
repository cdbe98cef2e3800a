/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at processes of the test's own. */
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
#include <sys/wait.h>
#include <unistd.h>

#include "unit/whose/check_fact.h"
#include "whose/whose.h"

static void set_environment(void)
{
	clearenv();
	setenv("DD_SERVICE", "shop", 1);
	setenv("DD_API_KEY", "hidden", 1);
}

/* A sleeping program with that environment, that has begun for sure. */
static pid_t start(void)
{
	struct cs_run before, run;
	pid_t pid = fork();

	if (!pid) {
		set_environment();
		execl("/bin/sleep", "sleep", "60", NULL);
		_exit(1);
	}
	assert_int_equal(cs_run_read(getpid(), &before), 0);
	for (int i = 0; i < 1000; i++) {
		char name[64] = "", path[64];
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/exe", pid);
		n = readlink(path, name, sizeof(name) - 1);
		name[n > 0 ? n : 0] = '\0';
		if (strstr(name, "sleep") && !cs_run_read(pid, &run) && run.environment)
			return pid;
		usleep(1000);
	}
	fail();
	return -1;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_program(void **state)
{
	_cleanup_whose_ struct cs_whose whose = {0}, none = {0};
	pid_t pid = start();
	int err = cs_whose_read(pid, &whose);

	assert_int_equal(err, 0);
	assert_fact(&whose.facts, SERVICE, "shop");
	assert_non_null(whose.facts.at[CS_FACT_EXECUTABLE]);
	assert_string_equal(whose.facts.at[CS_FACT_PROGRAM], whose.facts.at[CS_FACT_EXECUTABLE]);
	assert_true(strtoull(whose.facts.at[CS_FACT_PID_NAMESPACE], NULL, 10) > 1);
	assert_true(strtoull(whose.facts.at[CS_FACT_MOUNT_NAMESPACE], NULL, 10) > 1);
	for (int i = 0; i < CS_FACT_MAX_; i++)
		assert_true(!whose.facts.at[i] || !strstr(whose.facts.at[i], "hidden"));
	stop(pid);
	assert_int_equal(cs_whose_read(pid, &none), -ESRCH);
	assert_null(none.facts.at[CS_FACT_SERVICE]);
}

static void test_runs(void **state)
{
	struct cs_run one, again, other;
	pid_t first = start(), second = start();

	assert_int_equal(cs_run_read(first, &one), 0);
	assert_int_equal(cs_run_read(first, &again), 0);
	assert_int_equal(cs_run_read(second, &other), 0);
	assert_true(cs_run_same(&one, &again));
	assert_false(cs_run_same(&one, &other));
	stop(first);
	stop(second);
	assert_int_equal(cs_run_read(first, &one), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_program),
		cmocka_unit_test(test_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
