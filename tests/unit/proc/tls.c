/* SPDX-License-Identifier: Apache-2.0 */
/* proc/tls.c on variables of this program and its libraries, linked and loaded later, and on damaged files. */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "proc/tls.h"

static __thread char aligned[3] __attribute__((aligned(64)));
__attribute__((visibility("default"))) __thread void *tls_in_program;

/* What a reader outside would do; the generation is checked by those who have it (bpf/published_span.bpf.h). */
static char *place_in(const struct cs_tls_place *place, char *thread_pointer)
{
	struct {
		char *block;
		uint64_t more;
	} *vector = *(void **)(thread_pointer + 8);

	if (!place->module)
		return thread_pointer + place->at;
	assert_true((uint64_t)vector[-1].block >= place->module);
	assert_true((uint64_t)vector[0].block >= place->generation);
	return vector[place->module].block + place->at;
}

static char *own_thread_pointer(void)
{
	char *ret;

	__asm__("mov %%fs:0, %0" : "=r"(ret));
	return ret;
}

struct asked {
	const struct cs_tls_place *place;
	void *(*where)(void);
};

static void *ask(void *arg)
{
	const struct asked *asked = arg;
	void *there = asked->where();

	assert_ptr_equal(place_in(asked->place, own_thread_pointer()), there);
	return NULL;
}

static void check_in_threads(const struct cs_tls_place *place, void *(*where)(void))
{
	struct asked asked = {place, where};
	pthread_t thread;

	ask(&asked);
	assert_int_equal(pthread_create(&thread, NULL, ask, &asked), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static int look_up(void *handle, const char *name, struct cs_tls_place *ret)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	_cleanup_(cs_mem_freep) struct cs_mem *mem = NULL;
	struct cs_tls_variable variable;
	struct link_map *map;

	assert_int_equal(dlinfo(handle, RTLD_DI_LINKMAP, &map), 0);
	assert_int_equal(cs_elf_open(map->l_name, &elf), 0);
	assert_int_equal(cs_tls_find(elf, name, &variable), 0);
	assert_int_equal(variable.size, sizeof(void *));
	assert_int_equal(cs_tls_find(elf, "tls_absent", &variable), -ENOENT);
	assert_int_equal(cs_tls_find(elf, name, &variable), 0);
	assert_int_equal(cs_mem_new(getpid(), &mem), 0);
	return cs_tls_in_library(elf, &variable, map->l_addr, mem, true, ret);
}

static void check_library(const char *kind, bool in_vector)
{
	void *(*where)(void);
	char path[4096], name[64];
	struct cs_tls_place place;
	void *handle;

	snprintf(path, sizeof(path), "%s/lib%s.so", LIBRARIES, kind);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	assert_non_null(handle);
	snprintf(name, sizeof(name), "%s_where", kind);
	*(void **)&where = dlsym(handle, name);
	assert_non_null(where);
	assert_int_equal(look_up(handle, kind, &place), 0);
	assert_int_equal(place.module != 0, in_vector);
	check_in_threads(&place, where);
}

static void linked_libraries(void **state)
{
	check_library("tls_linked_gnu", true);
	check_library("tls_linked_gnu2", false);
	check_library("tls_linked_exec", false);
}

static void libraries_loaded_later(void **state)
{
	check_library("tls_later_gnu", true);
	check_library("tls_later_gnu2", false);
	check_library("tls_later_gnu2_large", true);
}

static void variables_without_a_symbol(void **state)
{
	check_library("tls_later_own_gnu", true);
	check_library("tls_later_own_gnu2", true);
}

static void *where_in_program(void)
{
	aligned[1]++;
	return &tls_in_program;
}

static void the_programs_own(void **state)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	struct cs_tls_variable variable;
	struct cs_tls_place place;

	assert_int_equal(cs_elf_open("/proc/self/exe", &elf), 0);
	assert_int_equal(cs_tls_find(elf, "tls_in_program", &variable), 0);
	assert_int_equal(cs_tls_in_program(elf, &variable, &place), 0);
	assert_int_equal(place.module, 0);
	check_in_threads(&place, where_in_program);
}

/* Functions are not variables, and what is only used is not defined. */
static void other_symbols(void **state)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	struct cs_tls_variable variable;

	assert_int_equal(cs_elf_open("/proc/self/exe", &elf), 0);
	assert_int_equal(cs_tls_find(elf, "dlopen", &variable), -ENOENT);
	assert_int_equal(cs_tls_find(elf, "tls_linked_gnu", &variable), -ENOENT);
	assert_int_equal(cs_tls_find(elf, "", &variable), -ENOENT);
}

/* Not relocated yet: memory as the file has it. */
static void not_noted_yet(void **state)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	_cleanup_(cs_mem_freep) struct cs_mem *mem = NULL;
	struct cs_tls_variable variable;
	struct cs_tls_place place;
	void *zeroes = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(zeroes, MAP_FAILED);
	assert_int_equal(cs_elf_open(LIBRARIES "/libtls_later_gnu2.so", &elf), 0);
	assert_int_equal(cs_tls_find(elf, "tls_later_gnu2", &variable), 0);
	assert_int_equal(cs_mem_new(getpid(), &mem), 0);
	assert_int_equal(cs_tls_in_library(elf, &variable, (uint64_t)zeroes, mem, true, &place),
			 -EAGAIN);
	munmap(zeroes, 1 << 20);
}

/* The vector of another C library is another one. */
static void only_of_glibc(void **state)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	_cleanup_(cs_mem_freep) struct cs_mem *mem = NULL;
	struct cs_tls_variable variable;
	struct cs_tls_place place;
	struct link_map *map;
	void *handle = dlopen(LIBRARIES "/libtls_later_gnu.so", RTLD_NOW);

	assert_non_null(handle);
	assert_int_equal(dlinfo(handle, RTLD_DI_LINKMAP, &map), 0);
	assert_int_equal(cs_elf_open(map->l_name, &elf), 0);
	assert_int_equal(cs_tls_find(elf, "tls_later_gnu", &variable), 0);
	assert_int_equal(cs_mem_new(getpid(), &mem), 0);
	assert_int_equal(cs_tls_in_library(elf, &variable, map->l_addr, mem, true, &place), 0);
	assert_int_not_equal(cs_tls_in_library(elf, &variable, map->l_addr, mem, false, &place), 0);
}

static struct cs_elf *open_bytes(const char *bytes, size_t n)
{
	int fd = memfd_create("damaged", MFD_CLOEXEC);
	struct cs_elf *elf = NULL;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	return cs_elf_open_fd(fd, &elf) ? NULL : elf;
}

/* Every byte of the parts that are read, and the end cut off: nothing but an answer may come of it. */
static void damaged_files(void **state)
{
	_cleanup_(cs_mem_freep) struct cs_mem *mem = NULL;
	static const unsigned char bad[] = {0x00, 0x01, 0x7f, 0xff};
	FILE *file = fopen(LIBRARIES "/libtls_later_gnu2.so", "re");
	char *bytes = malloc(1 << 16);
	size_t n, tried = 0, found = 0;

	assert_non_null(file);
	assert_non_null(bytes);
	n = fread(bytes, 1, 1 << 16, file);
	fclose(file);
	assert_int_equal(cs_mem_new(getpid(), &mem), 0);
	srand(1);
	for (size_t i = 0; i < 20000; i++) {
		/* the headers, the hash table, symbols, relocations and the dynamic section are in these */
		size_t at = (size_t)rand() % n, len = i % 64 ? n : (size_t)rand() % n;
		char was = bytes[at];
		struct cs_tls_variable variable;
		struct cs_tls_place place;
		struct cs_elf *elf;

		bytes[at] = (char)bad[i % sizeof(bad)];
		elf = open_bytes(bytes, len);
		tried += elf != NULL;
		if (elf && !cs_tls_find(elf, "tls_later_gnu2", &variable)) {
			found++;
			cs_tls_in_program(elf, &variable, &place);
			cs_tls_in_library(elf, &variable, 0, mem, true, &place);
		}
		cs_elf_close(elf);
		bytes[at] = was;
	}
	free(bytes);
	assert_true(tried > 1000);
	assert_true(found > 1000 && found < tried);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linked_libraries),
		cmocka_unit_test(libraries_loaded_later),
		cmocka_unit_test(variables_without_a_symbol),
		cmocka_unit_test(the_programs_own),
		cmocka_unit_test(other_symbols),
		cmocka_unit_test(not_noted_yet),
		cmocka_unit_test(only_of_glibc),
		cmocka_unit_test(damaged_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
