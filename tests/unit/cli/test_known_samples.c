/* SPDX-License-Identifier: Apache-2.0 */
/* Samples that are known again: by all that they are shown by, and only as long as names stay what they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "cli/known_samples.h"

/* A sample with two parts, for one test to change something in. */
struct made {
	struct cs_part parts[2];
	struct cs_stitched sample;
};

static void make(struct made *made)
{
	*made = (struct made){
		.parts = {{.kind = CS_PART_TASK, .addr = 1, .name = "A"},
			  {.kind = CS_PART_PYTHON, .python = {.code = 2, .lasti = 3}}},
		.sample = {.pid = 4,
			   .tid = 5,
			   .root_tid = 5,
			   .thread_name = "t",
			   .root_thread_name = "t",
			   .task_id = 1,
			   .task_name = "A",
			   .n = 2},
	};
	made->sample.parts = made->parts;
}

static int setup(void **state)
{
	return cs_known_samples_new((struct cs_known_samples **)state);
}

static int teardown(void **state)
{
	cs_known_samples_free(*state);
	return 0;
}

static void add(struct cs_known_samples *known, const struct made *made, uint32_t index)
{
	assert_int_equal(cs_known_samples_find(known, &made->sample), -ENOENT);
	cs_known_samples_add(known, index);
	assert_int_equal(cs_known_samples_find(known, &made->sample), index);
}

/* Index 0 is an index like any other, and values are no part of what a sample is. */
static void test_known_again(void **state)
{
	struct made made, same;

	make(&made);
	make(&same);
	same.sample.weight_ns = 100;
	same.sample.on_cpu = true;
	add(*state, &made, 0);
	assert_int_equal(cs_known_samples_find(*state, &same.sample), 0);
}

static const struct cs_event_span spans[] = {
	{.span_id = 1},
	{.span_id = 2},
	{.span_id = 1, .root_id = 2},
	{.span_id = 1, .parent_id = 2},
	{.span_id = 1, .trace_hi = 2},
	{.span_id = 1, .trace_lo = 2},
	{.span_id = 1, .type = {"web", 3}},
};

/* Each statement is another sample. */
#define OTHERS(OTHER)                                                                  \
	OTHER(sample.tree = CS_TREE_CREATION)                                          \
	OTHER(sample.pid = 9)                                                          \
	OTHER(sample.tid = 9)                                                          \
	OTHER(sample.root_tid = 9)                                                     \
	OTHER(sample.thread_name = "T")                                                \
	OTHER(sample.root_thread_name = "T")                                           \
	OTHER(sample.task_id = 9)                                                      \
	OTHER(sample.task_name = NULL)                                                 \
	OTHER(sample.task_name = "")                                                   \
	OTHER(sample.origin_id = 9)                                                    \
	OTHER(sample.origin_name = "A")                                                \
	OTHER(sample.span = &spans[0])                                                 \
	OTHER(sample.span = &spans[1])                                                 \
	OTHER(sample.span = &spans[2])                                                 \
	OTHER(sample.span = &spans[3])                                                 \
	OTHER(sample.span = &spans[4])                                                 \
	OTHER(sample.span = &spans[5])                                                 \
	OTHER(sample.span = &spans[6])                                                 \
	OTHER(sample.n = 1)                                                            \
	OTHER(sample.parts++)                                                          \
	OTHER(parts[0].kind = CS_PART_THREAD)                                          \
	OTHER(parts[0].mark = CS_MARK_CREATED)                                         \
	OTHER(parts[0].mark = CS_MARK_FINISHED)                                        \
	OTHER(parts[0].parents = 2)                                                    \
	OTHER(parts[0].task = 9)                                                       \
	OTHER(parts[0].site.code = 9)                                                  \
	OTHER(parts[0].site.lasti = 9)                                                 \
	OTHER(parts[0].name = "B")                                                     \
	OTHER(parts[0].name = "a task with a name that is longer than a few words, 1") \
	OTHER(parts[0].name = "a task with a name that is longer than a few words, 2") \
	OTHER(parts[0].addr = 9)                                                       \
	OTHER(parts[1].status = CS_STATUS_TRUNCATED)                                   \
	OTHER(parts[1].python.code = 9)                                                \
	OTHER(parts[1].python.lasti = 9)                                               \
	OTHER(parts[1].python.check = 9)

#define ADD_OTHER(change)                    \
	make(&made);                         \
	made.change;                         \
	if (made.sample.parts != made.parts) \
		made.sample.n--;             \
	add(*state, &made, index++);

static void test_everything_counts(void **state)
{
	struct made made;
	uint32_t index = 0;

	make(&made);
	add(*state, &made, index++);
	OTHERS(ADD_OTHER)
	make(&made);
	assert_int_equal(cs_known_samples_find(*state, &made.sample), 0);
}

static void test_names_change(void **state)
{
	static const enum cs_ev_kind moments[] = {CS_EV_STACK, CS_EV_SAME,         CS_EV_ORIGIN,
						  CS_EV_SPAN,  CS_EV_TASK_CREATED, CS_EV_TASK,
						  CS_EV_PASS};
	static const enum cs_ev_kind names[] = {CS_EV_CODE, CS_EV_MAPPING, CS_EV_KSYM,
						CS_EV_PROCESS, CS_EV_EXEC};
	struct cs_event event = {0};
	struct made made;
	uint32_t index = 0;

	make(&made);
	add(*state, &made, index);
	for (size_t i = 0; i < sizeof(moments) / sizeof(*moments); i++) {
		event.kind = moments[i];
		cs_known_samples_heed(*state, &event);
		assert_int_equal(cs_known_samples_find(*state, &made.sample), index);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		event.kind = names[i];
		cs_known_samples_heed(*state, &event);
		add(*state, &made, ++index);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_known_again),
		TEST(test_everything_counts),
		TEST(test_names_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
