/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of processes, when it is looked up anew, and that a later process with the same pid has nothing of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "unit/whose/check_fact.h"
#include "whose/book.h"

#define SECOND 1000000000ull

/* A process that execs with another environment each time it is told to. */
struct child {
	pid_t pid;
	int told, ready;
};

static void run_child(int told, int ready)
{
	static const char *const services[] = {"one", "two"};
	const char *stage = getenv("STAGE");
	int at = stage ? atoi(stage) : -1;
	char byte, next[2] = {(char)('1' + at), '\0'};

	if (at >= 0 && write(ready, "r", 1) != 1)
		_exit(1);
	if (at == 1 || (at >= 0 && read(told, &byte, 1) != 1)) {
		pause();
		_exit(0);
	}
	clearenv();
	setenv("STAGE", next, 1);
	setenv("DD_SERVICE", services[at + 1], 1);
	dup2(told, 100);
	dup2(ready, 101);
	execl("/proc/self/exe", "test_whose_book", "child", NULL);
	_exit(1);
}

static void await(const struct child *child)
{
	char byte;

	assert_int_equal(read(child->ready, &byte, 1), 1);
}

static struct child start(void)
{
	struct child child;
	int to[2], from[2];

	assert_int_equal(pipe(to) || pipe(from), 0);
	child.pid = fork();
	if (!child.pid)
		run_child(to[0], from[1]);
	close(to[0]);
	close(from[1]);
	child.told = to[1];
	child.ready = from[0];
	await(&child);
	return child;
}

static void stop(struct child *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	close(child->told);
	close(child->ready);
}

static void test_exec(void **state)
{
	_cleanup_(cs_book_freep) struct cs_book *book = NULL;
	const struct cs_book_entry *entry;
	struct child child = start();
	uint64_t now = 100 * SECOND, revision;

	assert_int_equal(cs_book_new(NULL, &book), 0);
	assert_int_equal(cs_book_find(book, child.pid, now, &entry), 0);
	assert_fact(&entry->whose.facts, SERVICE, "one");
	revision = entry->revision;
	assert_int_equal(cs_book_due_ns(entry), now + SECOND);
	/* looked up again, with nothing new */
	assert_int_equal(cs_book_find(book, child.pid, now + SECOND, &entry), 0);
	assert_int_equal(cs_book_due_ns(entry), now + 6 * SECOND);
	assert_int_equal(entry->revision, revision);
	/* another program: at once, though it is not time */
	assert_int_equal(write(child.told, "x", 1), 1);
	await(&child);
	assert_int_equal(cs_book_find(book, child.pid, now + SECOND, &entry), 0);
	assert_fact(&entry->whose.facts, SERVICE, "two");
	assert_int_not_equal(entry->revision, revision);
	assert_int_equal(cs_book_due_ns(entry), now + 2 * SECOND);
	stop(&child);
	assert_int_equal(cs_book_find(book, child.pid, now + SECOND, &entry), -ESRCH);
}

static void test_sweep(void **state)
{
	_cleanup_(cs_book_freep) struct cs_book *book = NULL;
	const struct cs_book_entry *entry;
	uint64_t now = 100 * SECOND, revision;

	assert_int_equal(cs_book_new(NULL, &book), 0);
	assert_int_equal(cs_book_find(book, getpid(), now, &entry), 0);
	revision = entry->revision;
	cs_book_turn(book, now + 600 * SECOND);
	assert_int_equal(cs_book_find(book, getpid(), now + SECOND / 2, &entry), 0);
	assert_int_equal(entry->revision, revision);
	/* nobody has asked for so long that it was forgotten, and is read anew */
	cs_book_turn(book, now + 1200 * SECOND);
	assert_int_equal(cs_book_find(book, getpid(), now + SECOND / 2, &entry), 0);
	assert_int_not_equal(entry->revision, revision);
	assert_string_equal(cs_book_error(book), "");
}

static void test_url(void **state)
{
	static const char *const bad[] = {"ftp://node", "nonsense://", "", "http://"};
	_cleanup_(cs_book_freep) struct cs_book *book = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct cs_kubelet_options options = {.url = bad[i]};

		assert_int_equal(cs_book_new(&options, &book), -EINVAL);
	}
	assert_null(book);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exec),
		cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_url),
	};

	if (argc > 1 && !strcmp(argv[1], "child"))
		run_child(100, 101);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
