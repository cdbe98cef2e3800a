/* SPDX-License-Identifier: Apache-2.0 */
/* proc/threads.c on this process. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "proc/threads.h"

static bool lists(const uint64_t *ids, size_t n, uint64_t id)
{
	for (size_t i = 0; i < n; i++) {
		if (ids[i] == id)
			return true;
	}
	return false;
}

/* Runs in the second thread; the first waits in pthread_join. */
static void *look_around(void *data)
{
	uint64_t *ids = data;

	ids[0] = (uint64_t)gettid();
	ids[1] = cs_threads_list(getpid(), ids + 2, 16);
	return NULL;
}

static void every_thread_is_listed(void **state)
{
	uint64_t ids[2 + 16] = {0};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, look_around, ids), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(ids[1] >= 2);
	assert_true(lists(ids + 2, ids[1], ids[0]));
	assert_true(lists(ids + 2, ids[1], (uint64_t)gettid()));
	assert_int_equal(cs_threads_list(getpid(), ids, 1), 1);
}

static void no_process_has_no_threads(void **state)
{
	uint64_t id;

	assert_int_equal(cs_threads_list(0x3fffffff, &id, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_thread_is_listed),
		cmocka_unit_test(no_process_has_no_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
