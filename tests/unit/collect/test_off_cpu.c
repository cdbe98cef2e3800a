/* SPDX-License-Identifier: Apache-2.0 */
/* The frames of the switch itself, which every block has, are left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collect/off_cpu.h"
#include "core/cleanup.h"

enum { FROM = 1000, TO = 2000, HOOK = 500, SCHEDULE = 1500, CALLER = 5000 };

static uint32_t count(const uint64_t kernel[8])
{
	uint32_t n = 0;

	while (n < 8 && kernel[n])
		n++;
	return n;
}

static void test_trim(void **state)
{
	static const struct {
		uint64_t kernel[8], left[8];
	} cases[] = {
		{{HOOK, SCHEDULE, CALLER, 1}, {CALLER, 1}},
		{{HOOK, HOOK, SCHEDULE, SCHEDULE, CALLER}, {CALLER}},
		{{SCHEDULE, CALLER}, {CALLER}},
		/* what sleeps deeper below is its caller's business */
		{{SCHEDULE, CALLER, SCHEDULE, CALLER}, {CALLER, SCHEDULE, CALLER}},
		{{HOOK, SCHEDULE}, {0}},
		{{FROM, TO}, {TO}},
		/* no switch is known there: all of it stays */
		{{HOOK, CALLER}, {HOOK, CALLER}},
		{{0}, {0}},
	};

	const struct cs_kallsyms_range range = {FROM, TO};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t n = count(cases[i].kernel), cut = cs_trim_count(cases[i].kernel, n, range);

		assert_int_equal(n - cut, count(cases[i].left));
		assert_memory_equal(cases[i].kernel + cut, cases[i].left,
				    (n - cut) * sizeof(uint64_t));
	}
	/* nothing is known of the scheduler */
	assert_int_equal(cs_trim_count(cases[0].kernel, 4, (struct cs_kallsyms_range){0}), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_trim)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
