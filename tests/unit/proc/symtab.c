/* SPDX-License-Identifier: Apache-2.0 */
/* proc/symtab.c on this test's own executable and on the C library, whose functions know where they are. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "proc/symtab.h"

__attribute__((noinline)) static int tripled(int n)
{
	return n * 3;
}

/* The table of the file that holds the function, and the function's address in it. */
static struct cs_symtab *symtab_of(const void *function, uint64_t *ret_vaddr)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	struct cs_symtab *symtab;
	Dl_info info;

	assert_int_not_equal(dladdr(function, &info), 0);
	assert_int_equal(cs_elf_open(info.dli_fname, &elf), 0);
	assert_int_equal(cs_symtab_load(elf, NULL, &symtab), 0);
	*ret_vaddr = (uint64_t)((const char *)function - (const char *)info.dli_fbase);
	return symtab;
}

static void own_functions_have_names(void **state)
{
	uint64_t vaddr;
	_cleanup_(cs_symtab_freep) struct cs_symtab *symtab =
		symtab_of((const void *)tripled, &vaddr);

	assert_int_equal(tripled(2), 6);
	assert_string_equal(cs_symtab_find(symtab, vaddr), "tripled");
	assert_string_equal(cs_symtab_find(symtab, vaddr + 1), "tripled");
	assert_null(cs_symtab_find(symtab, 0));
	assert_null(cs_symtab_find(symtab, UINT64_MAX));
}

/* The other way round. */
static void functions_are_found_by_name(void **state)
{
	uint64_t vaddr;
	_cleanup_(cs_symtab_freep) struct cs_symtab *symtab =
		symtab_of((const void *)tripled, &vaddr);
	struct cs_elf_range range;

	assert_true(cs_symtab_where(symtab, "tripled", &range));
	assert_int_equal(range.vaddr, vaddr);
	assert_in_range(range.size, 1, 4096);
	assert_false(cs_symtab_where(symtab, "triple", &range));
}

/* Of one address, the name that programs use. Functions that no sanitizer puts its own before. */
static void library_functions_have_names(void **state)
{
	static const char *const names[] = {"getpagesize", "raise"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		uint64_t vaddr;
		_cleanup_(cs_symtab_freep) struct cs_symtab *symtab =
			symtab_of(dlsym(RTLD_DEFAULT, names[i]), &vaddr);

		assert_string_equal(cs_symtab_find(symtab, vaddr), names[i]);
		assert_string_equal(cs_symtab_find(symtab, vaddr + 8), names[i]);
		assert_true(cs_symtab_count(symtab) > 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_functions_have_names),
		cmocka_unit_test(functions_are_found_by_name),
		cmocka_unit_test(library_functions_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
