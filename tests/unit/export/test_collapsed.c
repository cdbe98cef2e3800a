/* SPDX-License-Identifier: Apache-2.0 */
/* Collapsed stacks: what is added up, in which order lines come, what is escaped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/cleanup.h"
#include "export/exporter.h"
#include "unit/export/made_profile.h"

static void check(struct cs_profile *profile, const char *expected)
{
	_cleanup_buf_ struct cs_buf out = {0};

	assert_int_equal(cs_export_collapsed.write(profile, &out), 0);
	assert_string_equal(cs_buf_str(&out), expected);
}

static void add(struct cs_profile *profile, const char *name, uint32_t thread_id, uint64_t wall_ns)
{
	const uint64_t values[CS_VALUE_MAX_] = {1, 1, wall_ns};
	struct cs_labels labels = {.thread_id = thread_id};
	uint32_t frame = made_frame(profile, CS_FRAME_PYTHON, name, "", 0);

	assert_int_equal(cs_profile_add(profile, &frame, 1, &labels, values), 0);
}

static void test_whole(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(false);

	check(profile, "python3 app.py (42);thread main (42);"
		       "BaseEventLoop._run_once (asyncio/base_events.py:1922);<task fetch-1>;"
		       "fetch (/srv/app.py:17);do_sys_poll_[k] 3\n"
		       "python3 app.py (42);thread main (42);"
		       "BaseEventLoop._run_once (asyncio/base_events.py:1922);<task fetch-1>;"
		       "fetch (/srv/app.py:19) 3\n"
		       "python3 app.py (42);thread worker (43) 3\n"
		       "python3 app.py (42);thread worker (43);libz.so.1+0x20 3\n");
}

static void test_empty(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);

	check(profile, "");
}

/* Three times 0.4 intervals are one interval, not three times "at least one". */
static void test_sum_then_round(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(true);

	add(profile, "b", 1, MADE_INTERVAL_NS / 10 * 4);
	add(profile, "b", 2, MADE_INTERVAL_NS / 10 * 4);
	add(profile, "a", 1, 1);
	add(profile, "b", 3, MADE_INTERVAL_NS / 10 * 4);
	check(profile, "a 1\nb 1\n");
}

static void test_escapes(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);

	add(profile, "a;b\nc\\d\te\x7f\x1b[m \xc3\xa9\xc2\x9b\xc2\xa0", 0, 0);
	check(profile, "a\\x3bb\\x0ac\\d\\x09e\\x7f\\x1b[m \xc3\xa9\\x9b\xc2\xa0 1\n");
}

static void test_nul(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);
	const uint64_t values[CS_VALUE_MAX_] = {1, 1, 1};
	struct cs_frame frame = {.kind = CS_FRAME_PYTHON};
	struct cs_labels labels = {0};
	uint32_t index;

	frame.name = (uint32_t)cs_profile_string(profile, "a\0b", 3);
	index = (uint32_t)cs_profile_frame(profile, &frame);
	assert_int_equal(cs_profile_add(profile, &index, 1, &labels, values), 0);
	check(profile, "a\\x00b 1\n");
}

/* Blocked time counts in microseconds, the interval of such captures. */
static void test_off_cpu(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);
	const uint64_t values[CS_VALUE_MAX_] = {2, 0, 5400, 0, 5400};
	const uint32_t frame = made_frame(profile, CS_FRAME_MARK, "[futex]", "", 0);
	const struct cs_labels labels = {.process_id = 1};

	cs_profile_meta_mut(profile)->off_cpu = true;
	cs_profile_meta_mut(profile)->interval_ns = 1000;
	assert_int_equal(cs_profile_add(profile, &frame, 1, &labels, values), 0);
	check(profile, "[futex] 5\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_sum_then_round),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_off_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
