/* SPDX-License-Identifier: Apache-2.0 */
/* The text tree: order, times said once, branches, what is too narrow, depth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "export/exporter.h"
#include "unit/export/made_profile.h"

#define S 1000000000ull

static void check(struct cs_profile *profile, const char *expected)
{
	_cleanup_buf_ struct cs_buf out = {0};

	assert_int_equal(cs_export_tree.write(profile, &out), 0);
	assert_string_equal(cs_buf_str(&out), expected);
}

/* path: one letter a frame, root first */
static void add(struct cs_profile *profile, const char *path, uint64_t wall_ns)
{
	const uint64_t values[CS_VALUE_MAX_] = {1, 0, wall_ns};
	const struct cs_labels labels = {0};
	uint32_t frames[16];
	uint32_t n = 0;

	for (; path[n]; n++) {
		const char name[2] = {path[n], '\0'};

		frames[n] = made_frame(profile, CS_FRAME_PYTHON, name, "", 0);
	}
	assert_int_equal(cs_profile_add(profile, frames, n, &labels, values), 0);
}

static void test_empty(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(true);

	check(profile, "");
}

static void test_a_run_of_frames_shares_time_and_indent(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(true);

	add(profile, "abc", 2 * S);
	check(profile, "     2.00 s  a\n"
		       "             b\n"
		       "             c\n");
}

static void test_widest_branch_first(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(true);

	add(profile, "abx", 1 * S);
	add(profile, "acy", 3 * S);
	add(profile, "a", 4 * S);
	check(profile, "     8.00 s  a\n"
		       "     3.00 s  ├─ c\n"
		       "             │  y\n"
		       "     1.00 s  └─ b\n"
		       "                x\n");
}

/* A frame's own time shows where the run goes on with less. */
static void test_less_time_is_said(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(true);

	add(profile, "a", 1 * S);
	add(profile, "ab", 1 * S);
	check(profile, "     2.00 s  a\n"
		       "     1.00 s  b\n");
}

static void test_narrow_branches_are_counted(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(true);

	add(profile, "ab", 1000 * S);
	add(profile, "ac", 4 * S);
	add(profile, "ad", 3 * S);
	check(profile, "  1007.00 s  a\n"
		       "  1000.00 s  b\n"
		       "     7.00 s  in branches of less than 0.5% each\n");
}

static void test_deep(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(true);
	const uint64_t values[CS_VALUE_MAX_] = {1, 0, S};
	const struct cs_labels labels = {0};
	_cleanup_buf_ struct cs_buf out = {0};
	static uint32_t frames[100000];

	for (uint32_t i = 0; i < ARRAY_SIZE(frames); i++)
		frames[i] = made_frame(profile, CS_FRAME_PYTHON, i % 2 ? "f" : "g", "", 0);
	assert_int_equal(cs_profile_add(profile, frames, ARRAY_SIZE(frames), &labels, values), 0);
	assert_int_equal(cs_export_tree.write(profile, &out), 0);
	assert_in_range(out.len, 14 * ARRAY_SIZE(frames), 16 * ARRAY_SIZE(frames));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_a_run_of_frames_shares_time_and_indent),
		cmocka_unit_test(test_widest_branch_first),
		cmocka_unit_test(test_less_time_is_said),
		cmocka_unit_test(test_narrow_branches_are_counted),
		cmocka_unit_test(test_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
