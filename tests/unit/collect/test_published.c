/* SPDX-License-Identifier: Apache-2.0 */
/* Who publishes spans: this program, which has the variable itself, and a library that it loads; when that is looked at, and when believed. */
#include "collect/published.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/cleanup.h"

#define MS 1000000ull

__attribute__((visibility("default"))) __thread void *otel_thread_ctx_v1;

static uint64_t own_thread_pointer(void)
{
	uint64_t ret;

	__asm__("mov %%fs:0, %0" : "=r"(ret));
	return ret;
}

static int find(pid_t pid, struct cs_published_at *ret)
{
	_cleanup_(cs_publishers_freep) struct cs_publishers *publishers = NULL;
	_cleanup_(cs_mem_freep) struct cs_mem *mem = NULL;
	int err;

	assert_int_equal(cs_publishers_new(&publishers), 0);
	assert_int_equal(cs_mem_new(pid, &mem), 0);
	err = cs_published_find(publishers, pid, mem, ret);
	/* files are known by now */
	cs_mem_forget(mem);
	assert_int_equal(cs_published_find(publishers, pid, mem, ret), err);
	return err;
}

static void test_own(void **state)
{
	struct cs_published_at at;

	assert_int_equal(find(getpid(), &at), 0);
	assert_int_equal(at.module, 0);
	assert_ptr_equal((void *)(own_thread_pointer() + at.at), &otel_thread_ctx_v1);
	assert_int_equal(at.root_key, 0);
	assert_int_equal(at.doubted, 0);
}

static void test_none(void **state)
{
	struct cs_published_at at;
	int begun[2], status;
	pid_t child;

	/* closed by the exec */
	assert_int_equal(pipe2(begun, O_CLOEXEC), 0);
	child = fork();

	if (!child) {
		execl("/bin/sleep", "sleep", "60", (char *)NULL);
		_exit(1);
	}
	assert_true(child > 0);
	close(begun[1]);
	assert_int_equal(read(begun[0], &status, 1), 0);
	close(begun[0]);
	assert_int_equal(find(child, &at), -ENOENT);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	assert_int_not_equal(find(child, &at), 0);
}

/* Two files have it. */
static void test_library(void **state)
{
	void *library = dlopen(PUBLISHER, RTLD_NOW), *deep;
	struct cs_published_at at;
	void **(*slot)(void);

	assert_non_null(library);
	*(void **)&slot = dlsym(library, "publisher_slot");
	assert_ptr_equal(slot(), &otel_thread_ctx_v1);
	assert_int_equal(find(getpid(), &at), 0);
	assert_ptr_equal((void *)(own_thread_pointer() + at.at), &otel_thread_ctx_v1);
	dlclose(library);
	/* ... each its own: which is to be believed? */
	deep = dlopen(PUBLISHER_ALONE, RTLD_NOW);
	assert_non_null(deep);
	*(void **)&slot = dlsym(deep, "publisher_slot");
	assert_ptr_not_equal(slot(), &otel_thread_ctx_v1);
	assert_int_equal(find(getpid(), &at), -ENOTUNIQ);
	dlclose(deep);
}

struct times {
	struct cs_publishers *publishers;
	struct cs_mem *mem;
	struct cs_published published;
};

static void look(struct times *times, pid_t pid, unsigned int stretch, uint64_t now_ns)
{
	cs_published_look(&times->published, times->publishers, pid, times->mem, stretch, now_ns);
}

static void test_when(void **state)
{
	struct times times = {0};
	struct cs_published *published = &times.published;

	assert_int_equal(cs_publishers_new(&times.publishers), 0);
	assert_int_equal(cs_mem_new(getpid(), &times.mem), 0);
	assert_false(cs_published_is_due(published, UINT64_MAX));
	cs_published_begin(published, false, 100 * MS);
	assert_true(cs_published_is_due(published, 100 * MS));
	cs_published_begin(published, true, 100 * MS);
	assert_false(cs_published_is_due(published, 110 * MS));
	assert_true(cs_published_is_due(published, 120 * MS));
	look(&times, getpid(), 1, 120 * MS);
	assert_true(published->found);
	/* some seconds later it may be gone */
	assert_false(cs_published_is_due(published, 9000 * MS));
	assert_true(cs_published_is_due(published, 10120 * MS));
	/* code without a file does not matter, other code does, but not all the time */
	cs_published_poke(published, "//anon", 200 * MS);
	assert_false(cs_published_is_due(published, 9000 * MS));
	cs_published_poke(published, "/lib.so", 200 * MS);
	assert_false(cs_published_is_due(published, 300 * MS));
	assert_true(cs_published_is_due(published, 370 * MS));
	cs_published_poke(published, "/lib.so", 360 * MS);
	assert_true(cs_published_is_due(published, 370 * MS));
	look(&times, getpid(), 3, 400 * MS);
	assert_false(cs_published_is_due(published, 30000 * MS));
	assert_true(cs_published_is_due(published, 30400 * MS));
	/* a process that is gone is not looked at again */
	look(&times, 1 << 30, 1, 500 * MS);
	assert_false(published->found);
	assert_false(cs_published_is_due(published, UINT64_MAX));
	cs_mem_free(times.mem);
	cs_publishers_free(times.publishers);
}

static void test_believed(void **state)
{
	const struct cs_published_at plain = {0}, doubted = {.doubted = 1};
	struct cs_interp none = {.state = CS_INTERP_NOT_PYTHON};
	struct cs_interp new = {.state = CS_INTERP_READY, .major = 3, .minor = 14};
	struct cs_interp old = {.state = CS_INTERP_READY, .major = 3, .minor = 13};
	struct cs_interp starting = {.state = CS_INTERP_STARTING, .major = 3, .minor = 14};
	struct cs_tracer_list empty = {0}, dd = {.n = 1};
	static const char *const too_old[] = {"", "4.14.9", "3.20", "x", "4"};

	assert_true(cs_published_believed(&plain, &none, &empty));
	/* greenlets are Python's */
	assert_true(cs_published_believed(&doubted, &none, &empty));
	assert_false(cs_published_believed(&plain, &new, &empty));
	dd.items[0] = (struct cs_tracer){.kind = CS_TRACER_DDTRACE, .version = "4.15.0"};
	assert_false(cs_published_believed(&plain, &new, &dd));
	strcpy(dd.items[0].lack, "not known");
	assert_true(cs_published_believed(&plain, &new, &dd));
	assert_false(cs_published_believed(&doubted, &new, &dd));
	assert_false(cs_published_believed(&plain, &old, &dd));
	assert_false(cs_published_believed(&plain, &starting, &dd));
	strcpy(dd.items[0].version, "5.0rc1");
	assert_true(cs_published_believed(&plain, &new, &dd));
	for (size_t i = 0; i < ARRAY_SIZE(too_old); i++) {
		strcpy(dd.items[0].version, too_old[i]);
		assert_false(cs_published_believed(&plain, &new, &dd));
	}
	strcpy(dd.items[0].version, "4.16");
	dd.items[0].kind = CS_TRACER_OTEL;
	assert_false(cs_published_believed(&plain, &new, &dd));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own),      cmocka_unit_test(test_none),
		cmocka_unit_test(test_library),  cmocka_unit_test(test_when),
		cmocka_unit_test(test_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
