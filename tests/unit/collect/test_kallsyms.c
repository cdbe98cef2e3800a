/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the running kernel's functions, against the kernel's own list: skipped where it hides its addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "collect/kallsyms.h"
#include "core/cleanup.h"

#define SKIP 77

static void freep(struct cs_kallsyms **syms)
{
	cs_kallsyms_free(*syms);
}

/* The address of a function that every kernel has, read without the code under test. */
static uint64_t address_of(const char *wanted)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/kallsyms", "re");
	char line[512], type, name[256];
	uint64_t addr;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 " %c %255s", &addr, &type, name) == 3 &&
		    (type == 'T' || type == 't') && strcmp(name, wanted) == 0)
			return addr;
	}
	fail_msg("no %s in /proc/kallsyms", wanted);
	return 0;
}

static void test_find(void **state)
{
	static const char *const names[] = {"schedule", "vfs_read", "do_exit"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		uint64_t addr = address_of(names[i]);
		const char *found;

		assert_string_equal(cs_kallsyms_find(*state, addr), names[i]);
		assert_string_equal(cs_kallsyms_find(*state, addr + 1), names[i]);
		found = cs_kallsyms_find(*state, addr - 1); /* the end of the one before */
		assert_non_null(found);
		assert_string_not_equal(found, names[i]);
	}
}

/* By name: whole, or with a compiler's ending, but not as the beginning of another. */
static void test_named(void **state)
{
	struct cs_kallsyms_range range = {0};

	assert_string_equal(cs_kallsyms_named(*state, "schedule", &range), "schedule");
	assert_int_equal(range.from, address_of("schedule"));
	assert_true(range.to > range.from);
	assert_string_equal(cs_kallsyms_find(*state, range.to - 1), "schedule");
	assert_string_not_equal(cs_kallsyms_find(*state, range.to), "schedule");
	assert_null(cs_kallsyms_named(*state, "schedul", &range));
	assert_int_equal(range.from, address_of("schedule"));
}

static void test_outside(void **state)
{
	assert_null(cs_kallsyms_find(*state, 0));
	assert_null(cs_kallsyms_find(*state, 1));
	assert_non_null(cs_kallsyms_find(*state, UINT64_MAX));
}

static void test_free_nothing(void **state)
{
	cs_kallsyms_free(NULL);
}

int main(void)
{
	_cleanup_(freep) struct cs_kallsyms *syms = NULL;
	int err = cs_kallsyms_load(&syms);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_find, syms),
		cmocka_unit_test_prestate(test_named, syms),
		cmocka_unit_test_prestate(test_outside, syms),
		cmocka_unit_test(test_free_nothing),
	};

	if (err) {
		printf("SKIP: the kernel's symbols cannot be read (%s): run as root, or with "
		       "sysctl kernel.kptr_restrict=0 kernel.perf_event_paranoid=1\n",
		       strerror(-err));
		return err == -EACCES || err == -ENOENT ? SKIP : 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
