/* SPDX-License-Identifier: Apache-2.0 */
/* proc/elf.c on this test's own executable, on the C library, and on damaged copies. */
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "proc/elf.h"
#include "proc/maps.h"

const char cs_test_marker[] = "a marker that only this test has";
uint64_t cs_test_word = 0x1122334455667788;

/* Open the file mapped at addr; *ret_bias is its load bias. */
static struct cs_elf *open_mapped(const void *addr, uint64_t *ret_bias)
{
	_cleanup_maps_ struct cs_maps maps = {0};
	const struct cs_mapping *mapping, *first;
	struct cs_elf *elf;
	char path[512];

	assert_int_equal(cs_maps_read(getpid(), &maps), 0);
	mapping = cs_maps_find(&maps, (uint64_t)(uintptr_t)addr);
	assert_non_null(mapping);
	for (first = maps.items; first->inode != mapping->inode; first++)
		;
	assert_int_equal(cs_maps_open_path(getpid(), mapping, path, sizeof(path)), 0);
	assert_int_equal(cs_elf_open(path, &elf), 0);
	assert_int_equal(cs_elf_load_bias(elf, first->start, first->offset, ret_bias), 0);
	/* Mappings of code give the same answer as the file's first. */
	for (; first < maps.items + maps.n; first++) {
		uint64_t bias;

		if (first->inode != mapping->inode || !first->executable)
			continue;
		assert_int_equal(cs_elf_load_bias(elf, first->start, first->offset, &bias), 0);
		assert_int_equal(bias, *ret_bias);
	}
	return elf;
}

static void own_symbols_are_where_they_are(void **state)
{
	uint64_t bias, value, size, word, offset;
	_cleanup_(cs_elf_closep) struct cs_elf *elf =
		open_mapped(own_symbols_are_where_they_are, &bias);
	char needle[14], text[64];

	/* Not a literal: that would be found as well. */
	memcpy(needle, cs_test_marker, sizeof(needle) - 1);
	needle[sizeof(needle) - 1] = '\0';
	assert_int_equal(cs_elf_symbol(elf, "cs_test_word", &value, &size), 0);
	assert_int_equal(size, sizeof(cs_test_word));
	assert_int_equal(value + bias, (uint64_t)(uintptr_t)&cs_test_word);
	assert_int_equal(cs_elf_read(elf, value, &word, sizeof(word)), 0);
	assert_int_equal(word, cs_test_word);
	assert_int_equal(cs_elf_file_offset(elf, value, &offset), 0);
	assert_int_equal(cs_elf_find_rodata(elf, needle, text, sizeof(text)), 0);
	assert_string_equal(text, cs_test_marker);
	assert_int_equal(cs_elf_find_rodata(elf, needle, text, 9), 0);
	assert_string_equal(text, "a marker");
}

static void the_c_library_has_dynamic_symbols(void **state)
{
	void *wanted = dlsym(RTLD_DEFAULT, "getppid");
	uint64_t bias, value, size, offset;
	_cleanup_(cs_elf_closep) struct cs_elf *elf = open_mapped(wanted, &bias);
	char code[16];

	assert_int_equal(cs_elf_symbol(elf, "getppid", &value, &size), 0);
	assert_int_equal(value + bias, (uint64_t)(uintptr_t)wanted);
	assert_int_equal(cs_elf_read(elf, value, code, sizeof(code)), 0);
	assert_memory_equal(code, wanted, sizeof(code));
	assert_int_equal(cs_elf_file_offset(elf, value, &offset), 0);
}

static void what_is_not_there_is_said(void **state)
{
	uint64_t bias, value, size;
	_cleanup_(cs_elf_closep) struct cs_elf *elf =
		open_mapped(own_symbols_are_where_they_are, &bias);
	struct cs_elf *none;
	char text[8];

	assert_int_equal(cs_elf_symbol(elf, "no_such_symbol", &value, &size), -ENOENT);
	/* Undefined here: it is the C library's. */
	assert_int_equal(cs_elf_symbol(elf, "process_vm_writev", &value, &size), -ENOENT);
	assert_int_equal(cs_elf_file_offset(elf, ~0ull, &value), -ENOENT);
	assert_int_equal(cs_elf_read(elf, ~0ull - 4, text, 8), -ENOENT);
	assert_int_equal(cs_elf_load_bias(elf, 0x1000, 1ull << 40, &bias), -ENOENT);
	assert_int_equal(cs_elf_open("/no/such/file", &none), -ENOENT);
	assert_int_equal(cs_elf_open("/proc/self/status", &none), -ENOEXEC);
	assert_int_equal(cs_elf_open("/dev/null", &none), -ENOEXEC);
	assert_int_equal(cs_elf_open("/", &none), -ENOEXEC);
}

static void read_all(const char *path, struct cs_buf *buf)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	char block[4096];
	size_t n;

	assert_non_null(file);
	while ((n = fread(block, 1, sizeof(block), file)))
		assert_int_equal(cs_buf_append(buf, block, n), 0);
}

/* Ask everything of a file that may be nonsense: only crashes and sanitizers can complain. */
static void interrogate(const char *data, size_t len)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	_cleanup_close_ int fd = memfd_create("damaged", MFD_CLOEXEC);
	char path[64], bytes[64];
	uint64_t value = 0, size;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (cs_elf_open(path, &elf))
		return;
	cs_elf_symbol(elf, "cs_test_word", &value, &size);
	cs_elf_symbol(elf, "no_such_symbol", &value, &size);
	cs_elf_read(elf, value, bytes, sizeof(bytes));
	cs_elf_load_bias(elf, 0x7f0000000000, 0, &value);
	cs_elf_find_rodata(elf, "a marker", bytes, sizeof(bytes));
}

static void damaged_files_do_no_harm(void **state)
{
	enum { ROUNDS = 200, SECTION_HEADERS_AT = 40 };
	_cleanup_buf_ struct cs_buf file = {0};
	uint64_t sections;

	read_all("/proc/self/exe", &file);
	memcpy(&sections, file.data + SECTION_HEADERS_AT, sizeof(sections));
	assert_true(sections < file.len);
	for (size_t i = 0; i < 40; i++)
		interrogate(file.data, file.len * i / 40);
	srand(1);
	for (size_t i = 0; i < ROUNDS; i++) {
		/* Half of the damage in the file and program headers, half in the section headers. */
		size_t at = i % 2 ? (size_t)rand() % 1024
				  : sections + (size_t)rand() % (file.len - sections);
		char was = file.data[at];

		file.data[at] = (char)rand();
		interrogate(file.data, file.len);
		if (i % 8 == 0)
			file.data[at] = was;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_symbols_are_where_they_are),
		cmocka_unit_test(the_c_library_has_dynamic_symbols),
		cmocka_unit_test(what_is_not_there_is_said),
		cmocka_unit_test(damaged_files_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
