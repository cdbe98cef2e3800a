/* SPDX-License-Identifier: Apache-2.0 */
/* How long tasks have waited, in a capture of several processes whose tasks have the same addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/waiting.h"

enum { ONE = 10, OTHER = 11, TASK = 0x1000 };

static int setup(void **state)
{
	return cs_waiting_new((struct cs_waiting **)state);
}

static int teardown(void **state)
{
	cs_waiting_free(*state);
	return 0;
}

static void feed(struct cs_waiting *waiting, uint32_t pid, enum cs_ev_kind kind, uint64_t ts_ns,
		 uint64_t waiter)
{
	struct cs_event event = {.kind = kind, .pid = pid, .ts_ns = ts_ns};

	if (kind == CS_EV_TASK)
		event.task =
			(struct cs_event_task){.task = TASK, .coro = TASK + 1, .waiter = waiter};
	assert_int_equal(cs_waiting_feed(waiting, &event), 0);
}

static void test_processes_apart(void **state)
{
	feed(*state, ONE, CS_EV_TASK, 100, 0x50);
	feed(*state, OTHER, CS_EV_TASK, 150, 0x50);
	assert_int_equal(cs_waiting_ns(*state, ONE, TASK, 300), 200);
	assert_int_equal(cs_waiting_ns(*state, OTHER, TASK, 300), 150);
	/* one of them waits for something else */
	feed(*state, ONE, CS_EV_TASK, 250, 0x60);
	feed(*state, OTHER, CS_EV_TASK, 250, 0x50);
	assert_int_equal(cs_waiting_ns(*state, ONE, TASK, 300), 50);
	assert_int_equal(cs_waiting_ns(*state, OTHER, TASK, 300), 150);
}

static void test_unknown(void **state)
{
	feed(*state, ONE, CS_EV_PASS, 100, 0);
	assert_int_equal(cs_waiting_ns(*state, ONE, TASK, 300), 0);
	feed(*state, ONE, CS_EV_TASK, 100, 0x50);
	assert_int_equal(cs_waiting_ns(*state, ONE, TASK + 8, 300), 0);
	assert_int_equal(cs_waiting_ns(*state, OTHER, TASK, 300), 0);
}

/* A new program has none of the old one's tasks; its neighbour keeps them. */
static void test_new_program(void **state)
{
	feed(*state, ONE, CS_EV_TASK, 100, 0x50);
	feed(*state, OTHER, CS_EV_TASK, 100, 0x50);
	feed(*state, ONE, CS_EV_EXEC, 200, 0);
	assert_int_equal(cs_waiting_ns(*state, ONE, TASK, 300), 0);
	assert_int_equal(cs_waiting_ns(*state, OTHER, TASK, 300), 200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_processes_apart),
		TEST(test_unknown),
		TEST(test_new_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
