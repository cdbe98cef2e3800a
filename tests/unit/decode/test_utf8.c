/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes are UTF-8 (the borders of RFC 3629), and what becomes of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/cleanup.h"
#include "decode/utf8.h"

static size_t length(const char *str)
{
	return cs_utf8_len((const uint8_t *)str, strlen(str));
}

static void test_well_formed(void **state)
{
	assert_int_equal(length("a"), 1);
	assert_int_equal(length("\xc2\x80"), 2);
	assert_int_equal(length("\xe0\xa0\x80"), 3);
	assert_int_equal(length("\xed\x9f\xbf"), 3);
	assert_int_equal(length("\xee\x80\x80"), 3);
	assert_int_equal(length("\xf0\x90\x80\x80"), 4);
	assert_int_equal(length("\xf4\x8f\xbf\xbf"), 4);
	assert_int_equal(cs_utf8_len((const uint8_t *)"\0", 1), 1);
}

static void test_malformed(void **state)
{
	assert_int_equal(length(""), 0);
	assert_int_equal(length("\x80"), 0);
	assert_int_equal(length("\xc1\xbf"), 0);         /* longer than needed */
	assert_int_equal(length("\xe0\x9f\xbf"), 0);     /* longer than needed */
	assert_int_equal(length("\xf0\x8f\xbf\xbf"), 0); /* longer than needed */
	assert_int_equal(length("\xed\xa0\x80"), 0);     /* surrogate */
	assert_int_equal(length("\xed\xbf\xbf"), 0);     /* surrogate */
	assert_int_equal(length("\xf4\x90\x80\x80"), 0); /* beyond U+10FFFF */
	assert_int_equal(length("\xf8\x88\x80\x80\x80"), 0);
	assert_int_equal(length("\xe2\x82"), 0); /* cut off */
	assert_int_equal(length("\xe2\x82x"), 0);
}

/* Every code point that exists survives; the others become U+FFFD. */
static void test_append(void **state)
{
	_cleanup_buf_ struct cs_buf out = {0};
	uint32_t code_point;

	for (code_point = 0; code_point < 0x110010; code_point++) {
		out.len = 0;
		assert_int_equal(cs_utf8_append(&out, code_point), 0);
		assert_int_equal(cs_utf8_len((const uint8_t *)out.data, out.len), out.len);
		if ((code_point >= 0xd800 && code_point < 0xe000) || code_point > 0x10ffff)
			assert_memory_equal(out.data, "\xef\xbf\xbd", 3);
		else
			assert_int_equal(out.len, code_point < 0x80      ? 1
						  : code_point < 0x800   ? 2
						  : code_point < 0x10000 ? 3
									 : 4);
	}
}

static void check_repair(const char *from, size_t len, const char *to)
{
	_cleanup_buf_ struct cs_buf scratch = {0};
	struct cs_text text;

	assert_int_equal(cs_utf8_repair(from, len, &scratch, &text), 0);
	assert_int_equal(text.len, strlen(to));
	assert_memory_equal(text.str, to, text.len);
}

static void test_repair(void **state)
{
	_cleanup_buf_ struct cs_buf scratch = {0};
	const char *valid = "caf\xc3\xa9\n\t";
	struct cs_text text;

	assert_int_equal(cs_utf8_repair(valid, strlen(valid), &scratch, &text), 0);
	assert_ptr_equal(text.str, valid);
	check_repair("a\xff"
		     "b",
		     3,
		     "a\xef\xbf\xbd"
		     "b");
	check_repair("\xe2\x82", 2, "\xef\xbf\xbd\xef\xbf\xbd");
	check_repair("\xc3\xa9\xc3", 3, "\xc3\xa9\xef\xbf\xbd");
	check_repair("", 0, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_well_formed),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_repair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
