/* SPDX-License-Identifier: Apache-2.0 */
/* The text of frames, and which part of a path is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/cleanup.h"
#include "export/exporter.h"
#include "unit/export/made_profile.h"

static void check(enum cs_frame_kind kind, const char *name, const char *file, uint32_t line,
		  const char *expected)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);
	_cleanup_buf_ struct cs_buf text = {0};
	uint32_t frame = made_frame(profile, kind, name, file, line);

	assert_int_equal(cs_export_frame_text(profile, cs_profile_get_frame(profile, frame), &text),
			 0);
	assert_string_equal(cs_buf_str(&text), expected);
}

static void check_path(const char *file, const char *expected)
{
	_cleanup_buf_ struct cs_buf text = {0};

	assert_int_equal(cs_buf_printf(&text, "f (%s:7)", expected), 0);
	check(CS_FRAME_PYTHON, "f", file, 7, cs_buf_str(&text));
}

static void test_kinds(void **state)
{
	check(CS_FRAME_PYTHON, "A.run", "/srv/app.py", 12, "A.run (/srv/app.py:12)");
	check(CS_FRAME_PYTHON, "A.run", "/srv/app.py", 0, "A.run (/srv/app.py)");
	check(CS_FRAME_PYTHON, "run", "", 12, "run");
	check(CS_FRAME_TASK, "<task Task-1 (finished)>", "", 0, "<task Task-1 (finished)>");
	check(CS_FRAME_MARK, "[truncated]", "", 0, "[truncated]");
	check(CS_FRAME_PROCESS, "python3 (12)", "", 0, "python3 (12)");
	check(CS_FRAME_NATIVE, "libc.so.6+0x10", "", 0, "libc.so.6+0x10");
	check(CS_FRAME_KERNEL, "schedule", "", 0, "schedule_[k]");
}

static void test_paths(void **state)
{
	check_path("/usr/lib/python3.11/asyncio/runners.py", "asyncio/runners.py");
	check_path("/opt/lib64/python3.13t/asyncio/runners.py", "asyncio/runners.py");
	check_path("/v/lib/python3.12/site-packages/a/b.py", "a/b.py");
	check_path("/usr/lib/python3/dist-packages/a.py", "a.py");
	check_path("/x/site-packages/v/lib/python3.12/a.py", "a.py");
	check_path("/srv/python3.11/app.py", "/srv/python3.11/app.py");
	check_path("/usr/lib/pythonista/app.py", "/usr/lib/pythonista/app.py");
	check_path("/usr/lib/python/app.py", "/usr/lib/python/app.py");
	check_path("lib/python3.11/a.py", "a.py");
	check_path("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap>");
	check_path("app.py", "app.py");
}

/* A path may hold anything. */
static void test_zero_bytes(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);
	_cleanup_buf_ struct cs_buf text = {0};
	struct cs_frame frame = {.kind = CS_FRAME_PYTHON, .line = 3};

	frame.name = (uint32_t)cs_profile_string(profile, "f\0g", 3);
	frame.file = (uint32_t)cs_profile_string(profile, "/lib/python3.8/a\0b.py", 21);
	assert_int_equal(cs_export_frame_text(profile, &frame, &text), 0);
	assert_int_equal(text.len, 3 + 2 + 6 + 3);
	assert_memory_equal(text.data, "f\0g (a\0b.py:3)", text.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_zero_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
