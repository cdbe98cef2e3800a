/* SPDX-License-Identifier: Apache-2.0 */
/* python/layout.c: rows are found by version, and published offsets are believed only if they can be true. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "python/layout.h"

static void rows_are_found_by_exact_version(void **state)
{
	for (int minor = 0; minor < 30; minor++) {
		const struct cs_py_layout *row = cs_py_layout_find(3, minor, "gil");

		assert_int_equal(row != NULL, minor >= 8 && minor <= 15);
		if (row)
			assert_int_equal(row->minor, minor);
		assert_null(cs_py_layout_find(2, minor, "gil"));
	}
}

/* A table whose every struct has 128 bytes and whose every offset is 16. */
static struct cs_py_published plausible(void)
{
	static const int sizes[] = {3, 6, 19, 28, 34, 46, 56, 61, 64, 67};
	struct cs_py_published table = {.version = 0x030d00f0};

	for (size_t i = 3; i < CS_PY_PUBLISHED_WORDS; i++)
		table.words[i] = 16;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		table.words[sizes[i]] = 128;
	table.words[44] = 64;
	return table;
}

static void published_offsets_replace_the_row(void **state)
{
	struct cs_py_offsets off = cs_py_layout_find(3, 13, "gil")->off;
	struct cs_py_published table = plausible();

	assert_int_equal(cs_py_published_apply(&table, &off), 0);
	assert_int_equal(off.interp_next, 16);
	assert_int_equal(off.unicode_length, 16);
	/* ... where they are published. */
	assert_int_equal(off.task_coro, cs_py_layout_find(3, 13, "gil")->off.task_coro);
}

static void impossible_offsets_change_nothing(void **state)
{
	static const struct {
		int word;
		uint64_t value;
	} impossible[] = {
		{8, 121},        /* interpreter_state.next: not aligned */
		{8, 128},        /* ... behind its struct */
		{8, ~0ull - 7},  /* ... far behind */
		{6, 1ull << 40}, /* interpreter_state: absurd size */
		{28, 4096},      /* interpreter_frame: larger than what one read brings */
		{31, 4},         /* interpreter_frame.instr_ptr: not aligned */
		{33, 128},       /* interpreter_frame.owner: behind its struct */
		{70, 129},       /* asciiobject_size: larger than a unicode object */
		{3, 0},          /* runtime_state: no size */
	};
	const struct cs_py_offsets *row = &cs_py_layout_find(3, 13, "gil")->off;

	for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
		struct cs_py_published table = plausible();
		struct cs_py_offsets off = *row;

		table.words[impossible[i].word] = impossible[i].value;
		assert_int_equal(cs_py_published_apply(&table, &off), -EINVAL);
		assert_memory_equal(&off, row, sizeof(off));
	}
}

static void readers_can_work_with_every_row(void **state)
{
	const struct cs_py_layout *row;

	for (size_t i = 0; (row = cs_py_layout_at(i)); i++) {
		assert_true(cs_py_layout_is_sane(&row->off, &row->traits));
		assert_ptr_equal(cs_py_layout_find(3, row->minor, row->flavour), row);
	}
	assert_null(cs_py_layout_find(3, 13, "free-threaded debug"));
}

/* Each number lies inside its struct; together they would make readers look outside of what they have read. */
static void offsets_that_contradict_each_other_are_found(void **state)
{
	const struct cs_py_layout *row = cs_py_layout_find(3, 13, "gil");
	struct cs_py_offsets off;
	const struct {
		uint32_t *field;
		uint32_t value;
	} wrong[] = {
		{&off.gen_frame_state, 4000},   {&off.gen_iframe, 8},
		{&off.gen_iframe, 184},         {&off.frame_localsplus, 16},
		{&off.frame_executable, 120},   {&off.object_type, 0xfffffff8u},
		{&off.unicode_state, 46},       {&off.unicode_length, 4000},
		{&off.unicode_ascii_data, 8},   {&off.tstate_thread_id, 256},
		{&off.code_firstlineno, 400},   {&off.code_qualname, 4000},
		{&off.frame_owner, UINT32_MAX},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		off = row->off;
		*wrong[i].field = wrong[i].value;
		assert_false(cs_py_layout_is_sane(&off, &row->traits));
	}
}

/* What _asyncio of 3.14.10 publishes, with another word before task_name. */
static const uint64_t asyncio_words[CS_PY_ASYNCIO_WORDS] = {
	176, 144, 96, 108, 109, 136, 160, 225864, 10888, 936, 864, 872, 880,
};

static void asyncio_knows_its_tasks_best(void **state)
{
	struct cs_py_offsets off = cs_py_layout_find(3, 14, "gil")->off;

	assert_int_equal(cs_py_asyncio_apply(asyncio_words, &off), 0);
	assert_int_equal(off.task_size, 176);
	assert_int_equal(off.task_fut_waiter, 128);
	assert_int_equal(off.task_coro, 136);
	assert_int_equal(off.task_name, 144);
	assert_int_equal(off.task_node, 160);
	assert_int_equal(off.interp_tasks_head, 10888);
	assert_int_equal(off.tstate_tasks_head, 880);
}

static void impossible_tasks_change_nothing(void **state)
{
	static const struct {
		int word;
		uint64_t value;
	} impossible[] = {
		{0, 0},         {1, 172},        {5, 0},    {5, 12},   {6, 168},
		{8, ~0ull - 7}, {9, 1ull << 40}, {11, 932}, {12, 924},
	};
	const struct cs_py_offsets *row = &cs_py_layout_find(3, 14, "gil")->off;

	for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
		uint64_t words[CS_PY_ASYNCIO_WORDS];
		struct cs_py_offsets off = *row;

		memcpy(words, asyncio_words, sizeof(words));
		words[impossible[i].word] = impossible[i].value;
		assert_int_equal(cs_py_asyncio_apply(words, &off), -EINVAL);
		assert_memory_equal(&off, row, sizeof(off));
	}
}

static void a_table_is_known_by_its_cookie(void **state)
{
	static uint64_t words[CS_PY_PUBLISHED_WORDS];
	struct cs_py_published table;
	struct cs_mem *mem;

	assert_int_equal(cs_mem_new(getpid(), &mem), 0);
	assert_int_equal(cs_py_published_read(mem, (uint64_t)(uintptr_t)words, &table), -ENOENT);
	assert_int_equal(cs_py_published_read(mem, 0, &table), -EFAULT);
	memcpy(words, "xdebugpy", 8);
	words[1] = 0x030d00f0;
	words[2] = 1;
	cs_mem_forget(mem);
	assert_int_equal(cs_py_published_read(mem, (uint64_t)(uintptr_t)words, &table), 0);
	assert_int_equal(table.version, 0x030d00f0);
	assert_true(table.free_threaded);
	cs_mem_free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_found_by_exact_version),
		cmocka_unit_test(published_offsets_replace_the_row),
		cmocka_unit_test(impossible_offsets_change_nothing),
		cmocka_unit_test(readers_can_work_with_every_row),
		cmocka_unit_test(offsets_that_contradict_each_other_are_found),
		cmocka_unit_test(asyncio_knows_its_tasks_best),
		cmocka_unit_test(impossible_tasks_change_nothing),
		cmocka_unit_test(a_table_is_known_by_its_cookie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
