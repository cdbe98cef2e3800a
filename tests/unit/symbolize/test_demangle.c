/* SPDX-License-Identifier: Apache-2.0 */
/* Names of both languages, what is none, and names that stand for endless text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "symbolize/demangle.h"

static void check(const char *name, const char *expected)
{
	_cleanup_buf_ struct cs_buf out = {0};

	assert_int_equal(cs_buf_append_str(&out, "before:"), 0);
	assert_int_equal(cs_demangle(name, strlen(name), &out), expected ? 0 : -ENOENT);
	assert_memory_equal(out.data, "before:", 7);
	assert_string_equal(cs_buf_str(&out) + 7, expected ? expected : "");
}

static void cpp(void **state)
{
	check("_Z4burnm", "burn");
	check("_ZN4work6WorkerIiE4turnEv", "work::Worker<int>::turn");
	check("_ZNKSt6vectorIiSaIiEE4sizeEv", "std::vector<int, std::allocator<int> >::size");
	check("_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()");
	/* the parts that a compiler makes of a function are one function */
	check("_Z4burnm.cold", "burn");
	check("_Z4burnm.constprop.0", "burn");
}

static void rust(void **state)
{
	check("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write");
	check("_ZN66_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..ops..drop..Drop$GT$4drop17h0123456789abcdefE",
	      "<alloc::vec::Vec<T> as core::ops::drop::Drop>::drop");
	check("_RNvCs1234_7mycrate3foo", "mycrate::foo");
	check("_RNvMNtCs1234_7mycrate4workNtB2_6Worker4turn", "<mycrate::work::Worker>::turn");
}

static void others(void **state)
{
	check("main", NULL);
	check("", NULL);
	check("_Z", NULL);
	check("_R", NULL);
	check("_Zzzz", NULL);
	check("_ZN4wor", NULL);
	check("_start", NULL);
	check("PyEval_EvalCode", NULL);
	check("LazyCompile:~first /srv/app.js:12", NULL);
}

static void every_beginning_ends(void **state)
{
	static const char *const names[] = {"_ZNKSt6vectorIiSaIiEE4sizeEv",
					    "_RNvMNtCs1234_7mycrate4workNtB2_6Worker4turn"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		for (size_t len = 0; len <= strlen(names[i]); len++) {
			_cleanup_buf_ struct cs_buf out = {0};
			int err = cs_demangle(names[i], len, &out);

			assert_true(err == 0 || err == -ENOENT);
			assert_true(!err == !!out.len);
		}
	}
}

/* Each part refers to the one before twice: 60 parts would be 2^60 texts. */
static void endless_text(void **state)
{
	_cleanup_buf_ struct cs_buf name = {0}, out = {0};

	assert_int_equal(cs_buf_append_str(&name, "_Z1fI1P"), 0);
	for (int i = 0; i < 60; i++) {
		/* S_ is P, and each P<...> that ends is the next one */
		char last[8] = "1A";

		if (i > 0 && i < 37)
			snprintf(last, sizeof(last), "S%c_",
				 i - 1 < 10 ? '0' + i - 1 : 'A' + i - 11);
		else if (i >= 37)
			snprintf(last, sizeof(last), "S1%c_",
				 i - 37 < 10 ? '0' + i - 37 : 'A' + i - 47);
		assert_int_equal(cs_buf_printf(&name, "S_I%s%sE", last, last), 0);
	}
	assert_int_equal(cs_buf_append_str(&name, "Evv"), 0);
	assert_int_equal(cs_demangle(name.data, name.len, &out), 0);
	assert_int_equal(out.len, 4096 + 3);
	assert_string_equal(cs_buf_str(&out) + 4096, "...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpp),          cmocka_unit_test(rust),
		cmocka_unit_test(others),       cmocka_unit_test(every_beginning_ends),
		cmocka_unit_test(endless_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
