/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of one span in pieces becomes one entry, of different spans never; and the table is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "profile/profile.h"

static int set_up(void **state)
{
	return cs_profile_new((struct cs_profile **)state);
}

static int tear_down(void **state)
{
	cs_profile_free(*state);
	return 0;
}

static void add(struct cs_profile *profile, const struct cs_traced *traced)
{
	assert_int_equal(cs_profile_add_traced(profile, traced), 0);
}

/* Its end completes its begin: what does not change while it goes on stays, what programs change is as they left it. */
static void test_begin_and_end(void **state)
{
	struct cs_profile *profile = *state;
	const struct cs_traced *traced;

	add(profile, &(struct cs_traced){.process_id = 1,
					 .thread_id = 2,
					 .trace_id = 3,
					 .span_id = 4,
					 .task_id = 7,
					 .task_name = 8,
					 .name = 9,
					 .resource = 10,
					 .from_ns = 100});
	add(profile, &(struct cs_traced){.process_id = 1,
					 .thread_id = 20,
					 .trace_id = 3,
					 .span_id = 4,
					 .root_span_id = 5,
					 .parent_span_id = 6,
					 .task_id = 70,
					 .task_name = 80,
					 .resource = 11,
					 .service = 12,
					 .type = 13,
					 .from_ns = 150,
					 .to_ns = 200,
					 .outcome = CS_OUTCOME_ERROR});
	assert_int_equal(cs_profile_ntraced(profile), 1);
	traced = cs_profile_get_traced(profile, 0);
	assert_int_equal(traced->thread_id, 2);
	assert_int_equal(traced->task_id, 7);
	assert_int_equal(traced->task_name, 8);
	assert_int_equal(traced->root_span_id, 5);
	assert_int_equal(traced->parent_span_id, 6);
	assert_int_equal(traced->name, 9);
	assert_int_equal(traced->resource, 11);
	assert_int_equal(traced->service, 12);
	assert_int_equal(traced->type, 13);
	assert_int_equal(traced->from_ns, 100);
	assert_int_equal(traced->to_ns, 200);
	assert_int_equal(traced->outcome, CS_OUTCOME_ERROR);
}

/* What does not know takes nothing back. */
static void test_unknown_replaces_nothing(void **state)
{
	const struct cs_traced whole = {.process_id = 1,
					.thread_id = 2,
					.trace_id = 3,
					.span_id = 4,
					.root_span_id = 5,
					.parent_span_id = 6,
					.name = 7,
					.resource = 8,
					.service = 9,
					.type = 10,
					.task_id = 11,
					.task_name = 12,
					.from_ns = 13,
					.to_ns = 14,
					.outcome = CS_OUTCOME_OK};
	struct cs_profile *profile = *state;

	add(profile, &whole);
	add(profile, &(struct cs_traced){.process_id = 1, .trace_id = 3, .span_id = 4});
	assert_int_equal(cs_profile_ntraced(profile), 1);
	assert_memory_equal(cs_profile_get_traced(profile, 0), &whole, sizeof(whole));
	/* the later outcome is the true one: a span can be marked until it ends */
	add(profile,
	    &(struct cs_traced){
		    .process_id = 1, .trace_id = 3, .span_id = 4, .outcome = CS_OUTCOME_ERROR});
	assert_int_equal(cs_profile_get_traced(profile, 0)->outcome, CS_OUTCOME_ERROR);
}

static void test_different_spans(void **state)
{
	struct cs_profile *profile = *state;
	struct cs_traced traced = {.process_id = 1, .trace_id = 3, .span_id = 4};

	add(profile, &traced);
	traced.span_id = 5;
	add(profile, &traced);
	traced.trace_id = 4;
	add(profile, &traced);
	traced.process_id = 2;
	add(profile, &traced);
	assert_int_equal(cs_profile_ntraced(profile), 4);
	/* the same ids in the same process after an exec are another program's */
	cs_profile_end_owner(profile, 2);
	add(profile, &traced);
	assert_int_equal(cs_profile_ntraced(profile), 5);
	assert_int_not_equal(cs_profile_get_traced(profile, 3)->owner,
			     cs_profile_get_traced(profile, 4)->owner);
}

static bool is_odd(void *ctx, const struct cs_traced *traced)
{
	return traced->span_id % 2;
}

static void test_keep(void **state)
{
	struct cs_profile *profile = *state;

	for (uint64_t i = 0; i < 10; i++)
		add(profile, &(struct cs_traced){.process_id = 1, .span_id = i, .from_ns = i});
	cs_profile_keep_traced(profile, is_odd, NULL);
	assert_int_equal(cs_profile_ntraced(profile), 5);
	assert_int_equal(cs_profile_get_traced(profile, 4)->span_id, 9);
	/* what is gone is new when it comes again, what stayed is not */
	add(profile, &(struct cs_traced){.process_id = 1, .span_id = 4});
	add(profile, &(struct cs_traced){.process_id = 1, .span_id = 9, .to_ns = 10});
	assert_int_equal(cs_profile_ntraced(profile), 6);
	assert_int_equal(cs_profile_get_traced(profile, 5)->from_ns, 0);
	assert_int_equal(cs_profile_get_traced(profile, 4)->to_ns, 10);
}

static void test_limit(void **state)
{
	struct cs_profile *profile = *state;

	for (uint64_t i = 0; i < CS_MAX_TRACED_SPANS + 3; i++)
		add(profile, &(struct cs_traced){.process_id = 1, .span_id = i});
	assert_int_equal(cs_profile_ntraced(profile), CS_MAX_TRACED_SPANS);
	assert_int_equal(cs_profile_traced_dropped(profile), 3);
	/* those that are there are still completed */
	add(profile, &(struct cs_traced){.process_id = 1, .span_id = 7, .to_ns = 1});
	assert_int_equal(cs_profile_get_traced(profile, 7)->to_ns, 1);
	assert_int_equal(cs_profile_traced_dropped(profile), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_begin_and_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unknown_replaces_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_different_spans, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_keep, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_limit, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
