/* SPDX-License-Identifier: Apache-2.0 */
/* Facts are bounded, harmless, and the first one told holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "unit/whose/check_fact.h"

static void tell(struct cs_facts *facts, enum cs_fact fact, const char *text)
{
	assert_int_equal(cs_facts_tell(facts, fact, text, strlen(text)), 0);
}

static void test_first_holds(void **state)
{
	_cleanup_facts_ struct cs_facts facts = {0};

	tell(&facts, CS_FACT_SERVICE, "");
	assert_fact(&facts, SERVICE, NULL);
	tell(&facts, CS_FACT_SERVICE, "unknown_service");
	tell(&facts, CS_FACT_SERVICE, "unknown_service:python");
	assert_fact(&facts, SERVICE, NULL);
	tell(&facts, CS_FACT_SERVICE, "unknown_services");
	tell(&facts, CS_FACT_SERVICE, "second");
	assert_fact(&facts, SERVICE, "unknown_services");
	assert_int_equal(cs_facts_overrule(&facts, CS_FACT_SERVICE, "third", 5), 0);
	assert_fact(&facts, SERVICE, "third");
	assert_int_equal(cs_facts_overrule(&facts, CS_FACT_SERVICE, "", 0), 0);
	assert_fact(&facts, SERVICE, "third");
}

static void test_harmless(void **state)
{
	static const char *const cases[][2] = {
		{"a\nb\x1b[31m\x7f", "a\\x0ab\\x1b[31m\\x7f"},
		{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
		{"\xff\xc3", "\\xff\\xc3"},
		{"\xc2\x9b"
		 "31m",
		 "\\x9b31m"},
		{"\xe2\x80\xae", "\\u202e"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_facts_ struct cs_facts facts = {0};

		tell(&facts, CS_FACT_VERSION, cases[i][0]);
		assert_fact(&facts, VERSION, cases[i][1]);
	}
}

static void test_bounded(void **state)
{
	static const char *const pieces[] = {"x", "\xc3\xbc", "\xf0\x9f\x90\x8d", "\xff", "\n"};
	const size_t n = 1 << 20;
	char *text = malloc(n);

	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		for (size_t cut = CS_MAX_FACT - 8; cut < CS_MAX_FACT + 8; cut++) {
			_cleanup_facts_ struct cs_facts facts = {0};
			size_t len = strlen(pieces[i]), at = 0;
			const char *told;

			for (; at + len <= n; at += len)
				memcpy(text + at, pieces[i], len);
			assert_int_equal(cs_facts_tell(&facts, CS_FACT_SERVICE, text, i ? at : cut),
					 0);
			told = facts.at[CS_FACT_SERVICE];
			at = strlen(told);
			assert_in_range(at, CS_MAX_FACT - 10, CS_MAX_FACT);
			assert_int_equal(!strcmp(told + at - 3, "..."), i || cut > CS_MAX_FACT);
			for (size_t c = 0; c < at; c += len) {
				len = cs_utf8_len((const uint8_t *)told + c, at - c);
				assert_int_not_equal(len, 0);
			}
		}
	}
	free(text);
}

static void test_keys(void **state)
{
	static const char env[] = "deployment.environment", name[] = "service.name";

	assert_int_equal(cs_facts_by_key(name, strlen(name)), CS_FACT_SERVICE);
	assert_int_equal(cs_facts_by_key(name, strlen(name) - 1), 0);
	assert_int_equal(cs_facts_by_key(env, strlen(env)), CS_FACT_ENVIRONMENT);
	assert_int_equal(cs_facts_by_key("", 0), 0);
	assert_int_equal(cs_facts_by_key("process.executable.name", 23), 0);
	assert_int_equal(cs_facts_by_key("api.key", 7), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_holds),
		cmocka_unit_test(test_harmless),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
