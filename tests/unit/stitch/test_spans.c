/* SPDX-License-Identifier: Apache-2.0 */
/* The active span belongs to the stack of its thread and its time, and to no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "unit/stitch/made_events.h"

enum { OTHER_TID = 71 };

static void expect(const struct made_stitch *made, uint64_t id, const char *type)
{
	const struct cs_event_span *span = made->last.span;

	if (!id) {
		assert_null(span);
		return;
	}
	assert_non_null(span);
	assert_int_equal(span->span_id, id);
	assert_int_equal(span->type.len, strlen(type));
	assert_memory_equal(span->type.str, type, span->type.len);
}

static void test_its_stack(void **state)
{
	struct made_stitch *made = *state;

	MADE_STACK(made, .frames = "ab", .ts_ns = 10);
	expect(made, 0, "");
	made_span(made, 20, 0, 5, "web");
	MADE_STACK(made, .frames = "ab", .ts_ns = 20);
	expect(made, 5, "web");
	/* nothing falls back to the thread's last span */
	MADE_STACK(made, .frames = "ab", .ts_ns = 30);
	expect(made, 0, "");
	made_span(made, 40, 0, 6, "a type of 20 letters");
	MADE_STACK(made, .frames = "ab", .ts_ns = 40);
	expect(made, 6, "a type of 20 letters");
}

static void test_other_thread(void **state)
{
	struct made_stitch *made = *state;

	made_span(made, 20, OTHER_TID, 5, "web");
	MADE_STACK(made, .frames = "ab", .ts_ns = 20);
	expect(made, 0, "");
	MADE_STACK(made, .frames = "ab", .ts_ns = 20, .tid = OTHER_TID);
	expect(made, 5, "web");
}

/* A span whose stack was lost. */
static void test_lost_stack(void **state)
{
	struct made_stitch *made = *state;

	made_span(made, 20, 0, 5, "web");
	made_span(made, 30, 0, 6, "");
	MADE_STACK(made, .frames = "ab", .ts_ns = 30);
	expect(made, 6, "");
	made_span(made, 40, 0, 7, "");
	MADE_STACK(made, .frames = "ab", .ts_ns = 50);
	expect(made, 0, "");
}

/* A thread that has not run has the span that it had. */
static void test_same(void **state)
{
	struct made_stitch *made = *state;

	made_span(made, 20, 0, 5, "web");
	MADE_STACK(made, .frames = "ab", .ts_ns = 20, .origin = CS_ORIGIN_WALL);
	expect(made, 5, "web");
	made_event(made, CS_EV_SAME);
	expect(made, 5, "web");
	/* a CPU sample between tells nothing of where it slept before */
	made_span(made, 40, 0, 6, "");
	MADE_STACK(made, .frames = "ab", .ts_ns = 40);
	expect(made, 6, "");
	made_event(made, CS_EV_SAME);
	expect(made, 5, "web");
	MADE_STACK(made, .frames = "ab", .ts_ns = 50, .origin = CS_ORIGIN_WALL);
	expect(made, 0, "");
	made_event(made, CS_EV_SAME);
	expect(made, 0, "");
}

static void test_trees(void **state)
{
	struct made_stitch *made = *state;

	cs_stitch_show(made->stitch, (1u << CS_TREE_MAX_) - 1);
	made_span(made, 20, 0, 5, "web");
	MADE_STACK(made, .frames = "ab", .ts_ns = 20);
	assert_int_equal(made->nsamples, CS_TREE_MAX_);
	expect(made, 5, "web");
}

/* A suspended task has the span of its own context, as its last record tells it. */
static void test_suspended(void **state)
{
	struct made_stitch *made = *state;

	MADE_TASK(made, .task = 0x7000, .frames = "a", .ts_ns = 10, .span = 5);
	MADE_PASS(made, 10, 0, 0x7000);
	made_pass_again(made, 20);
	made_span(made, 30, 0, 6, "other");
	MADE_STACK(made, .frames = "ab", .ts_ns = 30);
	expect(made, 6, "other");
	made_pass_again(made, 40);
	assert_int_equal(cs_stitch_settle(made->stitch, NULL), 0);
	expect(made, 5, "web");
	MADE_TASK(made, .task = 0x7000, .frames = "a", .ts_ns = 50);
	MADE_PASS(made, 50, 0, 0x7000);
	assert_int_equal(cs_stitch_settle(made->stitch, NULL), 0);
	expect(made, 0, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, made_setup, made_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_its_stack), TEST(test_other_thread), TEST(test_lost_stack),
		TEST(test_same),      TEST(test_trees),        TEST(test_suspended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
