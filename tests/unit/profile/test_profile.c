/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Equal things are interned once, different ones never together, and sums stop where the formats
 * end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
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

static void test_strings(void **state)
{
	struct cs_profile *profile = *state;
	char name[32];
	int i;

	assert_string_equal(cs_profile_str(profile, 0), "");
	assert_int_equal(cs_profile_string(profile, "", 0), 0);
	assert_int_equal(cs_profile_string(profile, "abc", 2), 1);
	assert_string_equal(cs_profile_str(profile, 1), "ab");
	assert_int_equal(cs_profile_string(profile, "ab", 3), 2); /* with its terminator */
	assert_int_equal(cs_profile_str_len(profile, 2), 3);
	for (i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "name %d", i);
		assert_int_equal(cs_profile_string(profile, name, strlen(name)), i + 3);
	}
	assert_int_equal(cs_profile_string(profile, "name 77", 7), 80);
	assert_string_equal(cs_profile_str(profile, 80), "name 77");
	assert_int_equal(cs_profile_nstrings(profile), 10003);
}

static void test_frames(void **state)
{
	struct cs_profile *profile = *state;
	struct cs_frame frame, other;

	/* The bytes between the members are whatever was there. */
	memset(&frame, 0xaa, sizeof(frame));
	memset(&other, 0x55, sizeof(other));
	frame.name = other.name = 1;
	frame.file = other.file = 2;
	frame.line = other.line = 3;
	frame.first_line = other.first_line = 4;
	frame.kind = other.kind = CS_FRAME_PYTHON;
	frame.address = other.address = 0;
	frame.mark = other.mark = CS_MARK_NONE;
	frame.coro = other.coro = 0;
	frame.site = other.site = 0;
	frame.task = other.task = 0;
	frame.mapping = other.mapping = 0;
	frame.unnamed = other.unnamed = false;
	frame.inlined_into = other.inlined_into = 0;
	assert_int_equal(cs_profile_frame(profile, &frame), 0);
	assert_int_equal(cs_profile_frame(profile, &other), 0);
	other.line = 5;
	assert_int_equal(cs_profile_frame(profile, &other), 1);
	other.kind = CS_FRAME_TASK;
	assert_int_equal(cs_profile_frame(profile, &other), 2);
	assert_int_equal(cs_profile_nframes(profile), 3);
	assert_int_equal(cs_profile_get_frame(profile, 0)->line, 3);
	assert_int_equal(cs_profile_get_frame(profile, 2)->kind, CS_FRAME_TASK);
}

static void test_samples(void **state)
{
	static const uint32_t deep[] = {0, 1, 2};
	const uint64_t values[CS_VALUE_MAX_] = {1, 20, 300};
	struct cs_labels labels = {.process_id = 1, .thread_id = 2};
	struct cs_profile *profile = *state;
	struct cs_stack stack;

	assert_int_equal(cs_profile_add(profile, deep, 3, &labels, values), 0);
	assert_int_equal(cs_profile_add(profile, deep, 3, &labels, values), 0);
	assert_int_equal(cs_profile_add(profile, deep, 2, &labels, values), 0);
	labels.task_id = 7;
	assert_int_equal(cs_profile_add(profile, deep, 3, &labels, values), 0);
	labels.trace_endpoint = 1;
	assert_int_equal(cs_profile_add(profile, deep, 3, &labels, values), 0);
	assert_int_equal(cs_profile_nsamples(profile), 4);
	assert_int_equal(cs_profile_nstacks(profile), 2);
	assert_int_equal(cs_profile_sample(profile, 0)->values[CS_VALUE_SAMPLES], 2);
	assert_int_equal(cs_profile_sample(profile, 0)->values[CS_VALUE_CPU_NS], 40);
	assert_int_equal(cs_profile_sample(profile, 0)->values[CS_VALUE_WALL_NS], 600);
	assert_int_equal(cs_profile_sample(profile, 1)->values[CS_VALUE_WALL_NS], 300);
	assert_int_equal(cs_profile_sample(profile, 2)->labels.task_id, 7);
	assert_int_equal(cs_profile_sample(profile, 2)->labels.trace_endpoint, 0);
	assert_int_equal(cs_profile_sample(profile, 3)->labels.trace_endpoint, 1);
	assert_int_equal(cs_profile_sample(profile, 2)->stack, 0);
	stack = cs_profile_stack(profile, 0);
	assert_int_equal(stack.n, 3);
	assert_memory_equal(stack.frames, deep, sizeof(deep));
	assert_int_equal(cs_profile_stack(profile, 1).n, 2);
}

static void test_sums_stop(void **state)
{
	const uint64_t values[CS_VALUE_MAX_] = {UINT64_MAX, INT64_MAX, 1};
	struct cs_labels labels = {0};
	struct cs_profile *profile = *state;
	const struct cs_sample *sample;
	int i;

	for (i = 0; i < 3; i++)
		assert_int_equal(cs_profile_add(profile, (uint32_t[]){0}, 0, &labels, values), 0);
	sample = cs_profile_sample(profile, 0);
	assert_int_equal(sample->values[CS_VALUE_SAMPLES], INT64_MAX);
	assert_int_equal(sample->values[CS_VALUE_CPU_NS], INT64_MAX);
	assert_int_equal(sample->values[CS_VALUE_WALL_NS], 3);
}

/* A value can be added to a sample that is there already. */
static void test_added_values(void **state)
{
	const uint64_t values[CS_VALUE_MAX_] = {1, 20, 300};
	struct cs_labels labels = {0};
	struct cs_profile *profile = *state;
	uint32_t first;

	assert_int_equal(cs_profile_add(profile, (uint32_t[]){0}, 0, &labels, values), 0);
	first = cs_profile_last(profile);
	labels.thread_id = 2;
	assert_int_equal(cs_profile_add(profile, (uint32_t[]){0}, 0, &labels, values), 0);
	assert_int_not_equal(cs_profile_last(profile), first);
	labels.thread_id = 0;
	assert_int_equal(cs_profile_add(profile, (uint32_t[]){0}, 0, &labels, values), 0);
	assert_int_equal(cs_profile_last(profile), first);
	cs_profile_add_value(profile, first, CS_VALUE_SLOW_NS, 5);
	cs_profile_add_value(profile, first, CS_VALUE_SLOW_NS, 6);
	assert_int_equal(cs_profile_sample(profile, first)->values[CS_VALUE_SLOW_NS], 11);
	assert_int_equal(cs_profile_sample(profile, first)->values[CS_VALUE_WALL_NS], 600);
	cs_profile_add_value(profile, first, CS_VALUE_SLOW_NS, UINT64_MAX);
	assert_int_equal(cs_profile_sample(profile, first)->values[CS_VALUE_SLOW_NS], INT64_MAX);
}

static void see(struct cs_profile *profile, uint64_t from_ns, uint64_t to_ns, bool on_cpu)
{
	const struct cs_seen seen = {.span = {from_ns, to_ns, on_cpu}};

	assert_int_equal(cs_profile_see(profile, CS_TREE_AWAIT, cs_profile_last(profile), &seen),
			 0);
}

/* Moments that nearly meet are one; but one stack that ran and then waited is told as both. */
static void test_moments(void **state)
{
	const uint64_t values[CS_VALUE_MAX_] = {1, 20, 300};
	struct cs_profile *profile = *state;
	const struct cs_sample *sample;

	cs_profile_meta_mut(profile)->interval_ns = 10;
	assert_int_equal(
		cs_profile_add(profile, (uint32_t[]){0}, 0, &(struct cs_labels){0}, values), 0);
	see(profile, 100, 110, true);
	see(profile, 113, 120, true);
	see(profile, 120, 130, false);
	see(profile, 140, 150, false);
	sample = cs_profile_sample(profile, 0);
	assert_int_equal(sample->nspans, 3);
	assert_int_equal(sample->spans[0].from_ns, 100);
	assert_int_equal(sample->spans[0].to_ns, 120);
	assert_true(sample->spans[0].on_cpu);
	assert_int_equal(sample->spans[1].to_ns, 130);
	assert_false(sample->spans[1].on_cpu);
	assert_int_equal(sample->spans[2].from_ns, 140);
	assert_int_equal(sample->first_ns, 110);
}

static void test_meta_and_notes(void **state)
{
	struct cs_profile *profile = *state;

	assert_string_equal(cs_profile_meta(profile)->host, "");
	assert_string_equal(cs_profile_meta(profile)->command, "");
	assert_int_equal(cs_profile_set_text(profile, "hostX", 4, "cmdX", 3), 0);
	assert_int_equal(cs_profile_set_text(profile, "hostX", 4, "cmdX", 3), 0);
	assert_string_equal(cs_profile_meta(profile)->host, "host");
	assert_string_equal(cs_profile_meta(profile)->command, "cmd");
	cs_profile_meta_mut(profile)->wall = true;
	assert_true(cs_profile_meta(profile)->wall);
	assert_int_equal(cs_profile_note(profile, "one"), 0);
	assert_int_equal(cs_profile_note(profile, "two"), 0);
	assert_int_equal(cs_profile_note(profile, "one"), 0);
	assert_int_equal(cs_profile_nnotes(profile), 2);
	assert_string_equal(cs_profile_get_note(profile, 1), "two");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_strings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_frames, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_samples, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sums_stop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_added_values, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_moments, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_meta_and_notes, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
