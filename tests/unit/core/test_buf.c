/* SPDX-License-Identifier: Apache-2.0 */
/* What of a foreign text reaches a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"

static void check_escaped(const char *text, size_t len, const char *also, const char *expected)
{
	_cleanup_buf_ struct cs_buf buf = {0};

	assert_int_equal(cs_buf_append_escaped(&buf, text, len, also), 0);
	assert_string_equal(cs_buf_str(&buf), expected);
}

static void ordinary_text_stays(void **state)
{
	static const char text[] = "Grüße; 数 \xe2\x80\x94 \xe2\x82\xac";

	check_escaped(text, strlen(text), "", text);
	check_escaped("", 0, ";", "");
	check_escaped("a;b", 3, ";", "a\\x3bb");
}

static void control_characters_are_shown(void **state)
{
	check_escaped("\033[2J\n\x7f", 6, "", "\\x1b[2J\\x0a\\x7f");
	check_escaped("\xc2\x9b"
		      "31m",
		      5, "", "\\x9b31m");
	check_escaped("\xc2\xa0", 2, "", "\xc2\xa0");
}

/* U+2027 and U+202F, U+2065 and U+206A are the neighbours of what is not let through. */
static void direction_is_not_turned(void **state)
{
	check_escaped("a\xe2\x80\xae"
		      "b",
		      5, "", "a\\u202eb");
	check_escaped("\xe2\x80\xa8\xe2\x80\xa9", 6, "", "\\u2028\\u2029");
	check_escaped("\xe2\x81\xa6\xe2\x81\xa9", 6, "", "\\u2066\\u2069");
	check_escaped("\xe2\x80\xa7\xe2\x80\xaf", 6, "", "\xe2\x80\xa7\xe2\x80\xaf");
	check_escaped("\xe2\x81\xa5\xe2\x81\xaa", 6, "", "\xe2\x81\xa5\xe2\x81\xaa");
	check_escaped("\xe2\x80\xae", 2, "", "\xe2\x80");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_text_stays),
		cmocka_unit_test(control_characters_are_shown),
		cmocka_unit_test(direction_is_not_turned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
