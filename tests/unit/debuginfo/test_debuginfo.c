/* SPDX-License-Identifier: Apache-2.0 */
/* What a library's debug information says of an address in it, and whom nobody asks. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "debuginfo/debuginfo.h"
#include "proc/elf.h"
#include "unit/debuginfo/sample.h"

struct fixture {
	struct cs_code_address address; /* within sample_outer */
	uint8_t build_id[CS_BUILD_ID_BYTES];
};

static const char *called_from;

static void see(const void *from)
{
	called_from = from;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	Dl_info info;
	int n;

	*state = f;
	unsetenv("DEBUGINFOD_URLS");
	assert_int_equal(sample_outer(see), 4);
	if (!dladdr(called_from, &info) || cs_elf_open(info.dli_fname, &elf))
		return -1;
	n = cs_elf_build_id(elf, f->build_id, sizeof(f->build_id));
	f->address = (struct cs_code_address){
		.pid = (uint32_t)getpid(),
		.path = info.dli_fname,
		.build_id = f->build_id,
		.build_id_len = (size_t)n,
		/* within the call */
		.vaddr = (uint64_t)(called_from - 1 - (const char *)info.dli_fbase),
	};
	return n > 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static size_t ask(bool inlines, const struct cs_code_address *address,
		  struct cs_code_function found[CS_MAX_INLINED], struct cs_debuginfo **debuginfo)
{
	struct cs_lookup lookup;

	assert_int_equal(cs_debuginfo_new(inlines, debuginfo), 0);
	lookup = cs_debuginfo_lookup(*debuginfo);
	return lookup.find(lookup.ctx, address, found);
}

static void inlined_functions_and_lines(void **state)
{
	static const char *const names[] = {"sample_inner", "sample_middle", "sample_outer"};
	_cleanup_(cs_debuginfo_freep) struct cs_debuginfo *debuginfo = NULL;
	struct cs_code_function found[CS_MAX_INLINED];
	struct fixture *f = *state;

	f->address.named = true;
	assert_int_equal(ask(true, &f->address, found, &debuginfo), 3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(found[i].name, names[i]);
		assert_int_equal(found[i].line, sample_lines[i]);
		assert_non_null(strstr(found[i].file, "unit/debuginfo/sample.c"));
	}
	assert_int_equal(cs_debuginfo_stats(debuginfo).found, 1);
}

static void names_only(void **state)
{
	_cleanup_(cs_debuginfo_freep) struct cs_debuginfo *debuginfo = NULL;
	struct cs_code_function found[CS_MAX_INLINED];
	struct fixture *f = *state;

	assert_int_equal(ask(false, &f->address, found, &debuginfo), 1);
	assert_string_equal(found[0].name, "sample_outer");
	assert_null(found[0].file);
	assert_int_equal(found[0].line, 0);
}

static void names_that_are_known(void **state)
{
	_cleanup_(cs_debuginfo_freep) struct cs_debuginfo *debuginfo = NULL;
	struct cs_code_function found[CS_MAX_INLINED];
	struct fixture *f = *state;

	f->address.named = true;
	assert_int_equal(ask(false, &f->address, found, &debuginfo), 0);
	assert_int_equal(
		cs_debuginfo_stats(debuginfo).found + cs_debuginfo_stats(debuginfo).missing, 0);
}

/* The file was replaced since the capture, or is not there. */
static void another_file(void **state)
{
	_cleanup_(cs_debuginfo_freep) struct cs_debuginfo *debuginfo = NULL, *second = NULL;
	struct cs_code_function found[CS_MAX_INLINED];
	struct fixture *f = *state;

	f->build_id[0] ^= 1;
	assert_int_equal(ask(true, &f->address, found, &debuginfo), 0);
	assert_int_equal(cs_debuginfo_stats(debuginfo).missing, 1);
	f->build_id[0] ^= 1;
	f->address.path = "/nonexistent";
	assert_int_equal(ask(true, &f->address, found, &second), 0);
}

static void addresses_outside(void **state)
{
	_cleanup_(cs_debuginfo_freep) struct cs_debuginfo *debuginfo = NULL, *second = NULL;
	struct cs_code_function found[CS_MAX_INLINED];
	struct fixture *f = *state;

	f->address.vaddr = 0;
	assert_int_equal(ask(true, &f->address, found, &debuginfo), 0);
	f->address.vaddr = UINT64_MAX;
	assert_int_equal(ask(true, &f->address, found, &second), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(inlined_functions_and_lines, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_that_are_known, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(addresses_outside, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
