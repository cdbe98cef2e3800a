/* SPDX-License-Identifier: Apache-2.0 */
/* Which file gets which table, on this program's own file, copies of it, and the vDSO; the kernel's maps are made up (made_tables.h). */
#include "collect/unwind_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/bpf.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "proc/elf.h"
#include "unit/collect/made_tables.h"

#define BUDGET  ((size_t)64 << 20)
#define LONG_NS 60000000000ull

struct fixture {
	struct cs_unwind_files *files;
	char dir[64];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	made_tables_begin();
	snprintf(f->dir, sizeof(f->dir), "/tmp/coroscope-unwind-XXXXXX");
	return !mkdtemp(f->dir) || cs_unwind_files_new(MADE_FILES, BUDGET, &f->files);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	cs_unwind_files_free(f->files);
	made_tables_end();
	rmdir(f->dir);
	free(f);
	return 0;
}

static int known_function(void)
{
	return 42;
}

static uint64_t address_of(int (*function)(void))
{
	return (uint64_t)(uintptr_t)function;
}

/* All tables that were asked for are made, and known. */
static void settle(const struct fixture *f)
{
	cs_unwind_files_wait(f->files, LONG_NS);
	cs_unwind_files_heed(f->files);
}

/* The file that is mapped at this address; *ret_vaddr, unless NULL: the address in the file's own space. */
static struct cs_unwind_file *file_at(struct fixture *f, uint64_t addr, uint64_t *ret_vaddr)
{
	_cleanup_maps_ struct cs_maps maps = {0};
	const struct cs_mapping *mapping;
	struct cs_unwind_file *file;
	uint64_t first;

	assert_int_equal(cs_maps_read(getpid(), &maps), 0);
	mapping = cs_maps_find(&maps, addr);
	assert_non_null(mapping);
	assert_int_equal(cs_unwind_files_get(f->files, getpid(), mapping, &file), 0);
	settle(f);
	if (ret_vaddr) {
		assert_int_equal(cs_unwind_file_vaddr(file, mapping, &first), 0);
		*ret_vaddr = addr - mapping->start + first;
	}
	return file;
}

/* Another file, mapped as this one's code is: this very program's bytes, or others. */
static struct cs_unwind_file *file_of_copy(struct fixture *f, const char *name, const char *bytes)
{
	_cleanup_close_ int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	_cleanup_maps_ struct cs_maps maps = {0};
	_cleanup_close_ int to = -1;
	struct cs_unwind_file *file;
	const struct cs_mapping *own;
	char path[128];
	struct stat st;
	void *at;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	to = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0755);
	assert_int_equal(fstat(from, &st), 0);
	if (bytes)
		assert_int_equal(write(to, bytes, strlen(bytes)), strlen(bytes));
	else
		assert_int_equal(sendfile(to, from, NULL, (size_t)st.st_size), st.st_size);
	assert_int_equal(cs_maps_read(getpid(), &maps), 0);
	own = cs_maps_find(&maps, address_of(known_function));
	assert_non_null(own);
	at = mmap(NULL, own->end - own->start, PROT_READ | PROT_EXEC, MAP_PRIVATE, to,
		  bytes ? 0 : (off_t)own->offset);
	assert_ptr_not_equal(at, MAP_FAILED);
	file = file_at(f, (uint64_t)(uintptr_t)at, NULL);
	munmap(at, own->end - own->start);
	unlink(path);
	return file;
}

static struct cs_unwind_file *asked_for(struct fixture *f, uint64_t addr)
{
	_cleanup_maps_ struct cs_maps maps = {0};
	struct cs_unwind_file *file;

	assert_int_equal(cs_maps_read(getpid(), &maps), 0);
	assert_int_equal(cs_unwind_files_get(f->files, getpid(), cs_maps_find(&maps, addr), &file),
			 0);
	return file;
}

/* A table once, however often it is asked for, and nobody is told of it before the kernel side has it. */
static void test_one_table(void **state)
{
	struct fixture *f = *state;
	struct cs_unwind_file *file = asked_for(f, address_of(known_function));

	assert_ptr_equal(asked_for(f, address_of(known_function)), file);
	assert_int_equal(cs_unwind_file_number(file), CS_NATIVE_NOT_MADE);
	cs_unwind_files_wait(f->files, LONG_NS);
	assert_int_equal(cs_unwind_file_number(file), CS_NATIVE_NOT_MADE);
	assert_true(cs_unwind_files_heed(f->files));
	assert_false(cs_unwind_files_heed(f->files));
	assert_ptr_equal(asked_for(f, address_of(known_function)), file);
	assert_in_range(cs_unwind_file_number(file), CS_NATIVE_FIRST_TABLE,
			CS_MAX_NATIVE_FILES - 1);
	assert_int_equal(made_tables.ntold, 1);
	assert_int_equal(made_tables.told[0], cs_native_place(cs_unwind_file_number(file)));
	assert_int_equal(cs_unwind_files_stats(f->files).files, 1);
	assert_true(cs_unwind_files_stats(f->files).bytes > 0);
	assert_true(cs_unwind_files_stats(f->files).eh_bytes > 0);
}

/* What is being made stays, whether anybody maps it still or not. */
static void test_not_dropped_while_made(void **state)
{
	struct fixture *f = *state;
	struct cs_unwind_file *file = asked_for(f, address_of(known_function));

	cs_unwind_files_mark(f->files);
	cs_unwind_files_drop(f->files);
	assert_ptr_equal(asked_for(f, address_of(known_function)), file);
	settle(f);
	cs_unwind_files_drop(f->files);
	settle(f);
	assert_int_equal(made_tables.ngone, 1);
}

/* An old kernel takes tables one by one. */
static void test_without_batches(void **state)
{
	struct fixture *f = *state;
	struct cs_unwind_file *file;

	made_tables.no_batches = true;
	file = file_at(f, address_of(known_function), NULL);
	assert_int_equal(made_tables.ntold, 1);
	assert_int_equal(made_tables.told[0], cs_native_place(cs_unwind_file_number(file)));
}

/* A container's copy shares the table. */
static void test_copy(void **state)
{
	struct fixture *f = *state;
	struct cs_unwind_file *file = file_at(f, address_of(known_function), NULL);
	struct cs_unwind_file *copy = file_of_copy(f, "copy", NULL);

	assert_ptr_not_equal(copy, file);
	assert_int_equal(cs_unwind_file_number(copy), cs_unwind_file_number(file));
	assert_int_equal(cs_unwind_files_stats(f->files).files, 1);

	/* it stays as long as one of them is in use */
	cs_unwind_files_mark(f->files);
	cs_unwind_file_touch(copy);
	cs_unwind_files_drop(f->files);
	settle(f);
	assert_int_equal(made_tables.ngone, 0);
	assert_int_equal(cs_unwind_files_stats(f->files).files, 1);
	cs_unwind_files_mark(f->files);
	cs_unwind_files_drop(f->files);
	settle(f);
	assert_int_equal(made_tables.ngone, 1);
	assert_int_equal(cs_unwind_files_stats(f->files).files, 0);
	assert_int_equal(cs_unwind_files_stats(f->files).bytes, 0);
}

/* Anybody may give any build id to anything. */
static void test_forged_build_id(void **state)
{
	struct fixture *f = *state;
	struct cs_unwind_file *file = file_at(f, address_of(known_function), NULL);
	const uint64_t other = 0x1234;

	assert_int_equal(pwrite(made_tables.inner[0], &other, sizeof(other), 64), sizeof(other));
	assert_int_not_equal(cs_unwind_file_number(file_of_copy(f, "forged", NULL)),
			     cs_unwind_file_number(file));
	assert_int_equal(cs_unwind_files_stats(f->files).files, 2);
}

static struct cs_unwind_file *file_of_vdso(const struct fixture *f, const struct cs_maps *maps)
{
	struct cs_unwind_file *file = NULL;

	for (size_t i = 0; i < maps->n; i++)
		if (!strcmp(maps->items[i].path, "[vdso]"))
			assert_int_equal(
				cs_unwind_files_get(f->files, getpid(), &maps->items[i], &file), 0);
	settle(f);
	assert_non_null(file);
	return file;
}

/* Over the budget a file is known, without a table, and counted; asked for again when another one has gone. */
static void test_budget(void **state)
{
	_cleanup_(cs_unwind_files_freep) struct cs_unwind_files *files = NULL;
	_cleanup_maps_ struct cs_maps maps = {0};
	struct fixture *f = *state, small = {0};
	struct cs_unwind_file *file;
	size_t vdso_bytes;

	assert_int_equal(cs_maps_read(getpid(), &maps), 0);
	file_of_vdso(f, &maps);
	vdso_bytes = cs_unwind_files_stats(f->files).bytes;
	made_tables_end();
	made_tables_begin();
	assert_int_equal(cs_unwind_files_new(MADE_FILES, vdso_bytes, &files), 0);
	small.files = files;
	file_of_vdso(&small, &maps);
	file = file_at(&small, address_of(known_function), NULL);
	assert_int_equal(cs_unwind_file_number(file), CS_NATIVE_UNKNOWN);
	assert_int_equal(cs_unwind_files_refused(files), 1);
	assert_int_equal(cs_unwind_files_stats(files).files, 1);
	assert_int_equal(made_tables.ninner, 1);
	/* not again and again */
	file_at(&small, address_of(known_function), NULL);
	assert_int_equal(cs_unwind_files_refused(files), 1);

	cs_unwind_files_mark(files);
	cs_unwind_file_touch(file);
	cs_unwind_files_drop(files);
	settle(&small);
	assert_ptr_equal(file_at(&small, address_of(known_function), NULL), file);
	assert_int_equal(cs_unwind_files_refused(files), 2);
}

static void test_symbols(void **state)
{
	struct fixture *f = *state;
	uint64_t vaddr;
	struct cs_unwind_file *file = file_at(f, address_of(known_function), &vaddr);
	char path[4096] = "";
	size_t len;

	assert_true(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	/* by a path that is another file's: not from there */
	assert_null(cs_unwind_file_symbol(file, getpid(), "/bin/sh", vaddr));
	assert_string_equal(cs_unwind_file_symbol(file, getpid(), path, vaddr), "known_function");
	assert_false(cs_unwind_file_is_interpreter(file));
	cs_unwind_file_build_id(file, &len);
	assert_in_range(len, 1, CS_BUILD_ID_BYTES);
}

/* A file of the kernel's own, which has no path; its symbols are read at once. */
static void test_vdso(void **state)
{
	_cleanup_maps_ struct cs_maps maps = {0};
	const struct fixture *f = *state;
	struct cs_unwind_file *file;

	assert_int_equal(cs_maps_read(getpid(), &maps), 0);
	file = file_of_vdso(f, &maps);
	assert_in_range(cs_unwind_file_number(file), CS_NATIVE_FIRST_TABLE,
			CS_MAX_NATIVE_FILES - 1);
}

/* What was dropped gives its place to the next, but no table has the number of another one: after so many the place stays empty. */
static void test_no_number_twice(void **state)
{
	_cleanup_maps_ struct cs_maps maps = {0};
	const struct fixture *f = *state;

	assert_int_equal(cs_maps_read(getpid(), &maps), 0);
	made_tables.forgets = true;
	for (uint32_t use = 0; use <= CS_PLACE_USES; use++) {
		uint32_t number = cs_unwind_file_number(file_of_vdso(f, &maps));

		if (use < CS_PLACE_USES)
			assert_int_equal(number, use << CS_PLACE_BITS | CS_NATIVE_FIRST_TABLE);
		else
			assert_int_equal(number, CS_NATIVE_FIRST_TABLE + 1);
		cs_unwind_files_mark(f->files);
		cs_unwind_files_drop(f->files);
		settle(f);
		assert_int_equal(made_tables.ngone, use + 1);
	}
}

/* Mapped as code, but no ELF file: known as such, so that it is not opened again and again. */
static void test_no_elf(void **state)
{
	const struct cs_mapping mapping = {.end = 4096, .path = ""};
	struct fixture *f = *state;
	struct cs_unwind_file *file = file_of_copy(f, "text", "no program\n");
	uint64_t vaddr;

	assert_int_equal(cs_unwind_file_number(file), CS_NATIVE_UNKNOWN);
	assert_int_equal(cs_unwind_file_vaddr(file, &mapping, &vaddr), -ENOENT);
	assert_int_equal(cs_unwind_files_stats(f->files).files, 0);
	assert_int_equal(cs_unwind_files_get(f->files, getpid(), &mapping, &file),
			 -ENOENT); /* of no file */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_table),       TEST(test_not_dropped_while_made),
		TEST(test_without_batches), TEST(test_copy),
		TEST(test_forged_build_id), TEST(test_budget),
		TEST(test_symbols),         TEST(test_vdso),
		TEST(test_no_number_twice), TEST(test_no_elf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
