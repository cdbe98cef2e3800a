/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of layouts.inc, and the offsets that 3.13 and later publish about themselves. Published numbers are as
 * hostile as the rest of the target's memory: each must lie, aligned, inside a struct of sane size.
 *
 * Source: struct _Py_DebugOffsets in Include/internal/pycore_runtime.h of 3.13, pycore_debug_offsets.h of 3.14 and 3.15.
 */
#include "python/layout.h"

#include <coroscope/code_check.h>
#include <coroscope/limits.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/cleanup.h"
#include "python/coro.h"

static const struct cs_py_layout layouts[] = {
#include "python/layouts.inc"
};

static const struct cs_py_layout *made_up; /* for the test that shows what a new version takes */

void cs_py_layout_add_for_test(const struct cs_py_layout *layout)
{
	made_up = layout;
}

const struct cs_py_layout *cs_py_layout_at(size_t i)
{
	return i < ARRAY_SIZE(layouts) ? &layouts[i] : NULL;
}

static bool is_row_of(const struct cs_py_layout *row, int minor, const char *flavour)
{
	return row && row->minor == minor && !strcmp(row->flavour, flavour);
}

const struct cs_py_layout *cs_py_layout_find(int major, int minor, const char *flavour)
{
	for (size_t i = 0; major == 3 && i < ARRAY_SIZE(layouts); i++) {
		if (is_row_of(&layouts[i], minor, flavour))
			return &layouts[i];
	}
	return major == 3 && is_row_of(made_up, minor, flavour) ? made_up : NULL;
}

/* One demand: so many bytes at this offset end before the limit. */
struct demand {
	uint32_t offset, bytes, limit;
};

static bool all_met(const struct demand *demands, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (demands[i].offset > demands[i].limit ||
		    demands[i].limit - demands[i].offset < demands[i].bytes)
			return false;
	}
	return true;
}

/* The fields of a frame, which from 3.11 on are followed by its variables, and of the generator around it. */
static bool frame_is_sane(const struct cs_py_offsets *off, bool is_object)
{
	const uint32_t end = is_object ? CS_FRAME_CHUNK : off->frame_localsplus;
	const struct demand demands[] = {
		{off->frame_executable, 8, end},
		{off->frame_globals, 8, end},
		{off->frame_previous, 8, end},
		{off->frame_instr_ptr, 8, end},
		{off->frame_owner, 1, end},
		{off->frame_stacktop, 4, end},
		{off->frame_stackpointer, 8, end},
		{off->frame_tlbc_index, 4, end},
		{off->frame_gen, 8, end},
		{off->frame_state, 1, end},
		{off->frame_valuestack, 8, end},
		{0, end, CS_FRAME_CHUNK},
		{off->object_type, 8, is_object ? off->gen_frame : off->gen_iframe},
		{off->gen_iframe, is_object ? 0 : off->frame_localsplus, CS_CORO_CHUNK},
		{off->gen_frame_state, is_object ? 0 : 1, off->gen_iframe},
	};

	return all_met(demands, ARRAY_SIZE(demands));
}

bool cs_py_layout_is_sane(const struct cs_py_offsets *off, const struct cs_py_traits *traits)
{
	const struct demand demands[] = {
		{off->tstate_next, 8, CS_TSTATE_CHUNK},
		{off->tstate_interp, 8, CS_TSTATE_CHUNK},
		{off->tstate_thread_id, 8, CS_TSTATE_CHUNK},
		{off->tstate_frame, 8, CS_TSTATE_CHUNK},
		{off->tstate_context_ver, 8, CS_TSTATE_CHUNK},
		{off->unicode_length, 8, off->unicode_ascii_data},
		{off->unicode_hash, 8, off->unicode_ascii_data},
		{off->unicode_state, 4, off->unicode_ascii_data},
	};

	return all_met(demands, ARRAY_SIZE(demands)) &&
	       frame_is_sane(off, traits->frame_is_object) && cs_code_check_size(off);
}

/* The versions whose tables are known, in the order of the columns below. */
#define FIRST_PUBLISHING_MINOR 13
static const uint8_t table_words[] = {73, 95, 111};

/* An interpreter is the largest. */
#define MAX_ASYNCIO_STRUCT (16u << 20)

enum { WORD_COOKIE = 0, WORD_VERSION = 1, WORD_FREE_THREADED = 2, WORDS_HEAD = 3 };

/*
 * X(struct of the table, largest size believed, word that holds its size in 3.13, 3.14 and 3.15). 0: not published.
 */
#define PUBLISHED_STRUCTS(X)                             \
	X(runtime_state, 16u << 20, 3, 3, 3)             \
	X(interpreter_state, 16u << 20, 6, 6, 6)         \
	X(thread_state, 64u << 10, 19, 22, 22)           \
	X(interpreter_frame, CS_FRAME_CHUNK, 28, 31, 39) \
	X(code_object, 4096, 34, 39, 47)                 \
	X(pyobject, 64, 44, 50, 58)                      \
	X(type_object, 4096, 46, 52, 60)                 \
	X(heap_type_object, 4096, 0, 0, 66)              \
	X(set_object, 4096, 0, 62, 74)                   \
	X(dict_object, 4096, 56, 66, 78)                 \
	X(long_object, 4096, 61, 71, 83)                 \
	X(bytes_object, 4096, 64, 74, 86)                \
	X(unicode_object, 4096, 67, 77, 89)              \
	X(gen_object, 4096, 0, 83, 99)

/*
 * X(struct, member, bytes that are read there, our field, word in 3.13, 3.14 and 3.15). No bytes: the number is itself
 * a size. The words and names are compared with the interpreters' headers by tests/layouts.
 */
#define PUBLISHED_FIELDS(X)                                                             \
	X(runtime_state, interpreters_head, 8, runtime_interpreters_head, 5, 5, 5)      \
	X(interpreter_state, next, 8, interp_next, 8, 8, 8)                             \
	X(interpreter_state, threads_head, 8, interp_threads_head, 9, 9, 9)             \
	X(interpreter_state, imports_modules, 8, interp_modules, 11, 12, 12)            \
	X(interpreter_state, ceval_gil, 8, interp_gil, 14, 15, 15)                      \
	X(thread_state, next, 8, tstate_next, 21, 24, 24)                               \
	X(thread_state, interp, 8, tstate_interp, 22, 25, 25)                           \
	X(thread_state, current_frame, 8, tstate_frame, 23, 26, 26)                     \
	X(thread_state, thread_id, 8, tstate_thread_id, 24, 27, 30)                     \
	X(thread_state, native_thread_id, 8, tstate_native_thread_id, 25, 28, 31)       \
	X(interpreter_frame, previous, 8, frame_previous, 29, 32, 40)                   \
	X(interpreter_frame, executable, 8, frame_executable, 30, 33, 41)               \
	X(interpreter_frame, instr_ptr, 8, frame_instr_ptr, 31, 34, 42)                 \
	X(interpreter_frame, localsplus, 8, frame_localsplus, 32, 35, 43)               \
	X(interpreter_frame, owner, 1, frame_owner, 33, 36, 44)                         \
	X(interpreter_frame, stackpointer, 8, frame_stackpointer, 0, 37, 45)            \
	X(code_object, filename, 8, code_filename, 35, 40, 48)                          \
	X(code_object, name, 8, code_name, 36, 41, 49)                                  \
	X(code_object, qualname, 8, code_qualname, 37, 42, 50)                          \
	X(code_object, linetable, 8, code_linetable, 38, 43, 51)                        \
	X(code_object, firstlineno, 4, code_firstlineno, 39, 44, 52)                    \
	X(code_object, co_code_adaptive, 2, code_instructions, 43, 48, 56)              \
	X(pyobject, ob_type, 8, object_type, 45, 51, 59)                                \
	X(type_object, tp_name, 8, type_name, 47, 53, 61)                               \
	X(type_object, tp_flags, 8, type_flags, 49, 55, 63)                             \
	X(type_object, tp_basicsize, 8, type_basicsize, 0, 0, 64)                       \
	X(type_object, tp_dictoffset, 8, type_dictoffset, 0, 0, 65)                     \
	X(heap_type_object, ht_cached_keys, 8, heaptype_cached_keys, 0, 0, 67)          \
	X(set_object, mask, 8, set_mask, 0, 65, 77)                                     \
	X(set_object, table, 8, set_table, 0, 64, 76)                                   \
	X(dict_object, ma_keys, 8, dict_keys, 57, 67, 79)                               \
	X(dict_object, ma_values, 8, dict_values, 58, 68, 80)                           \
	X(long_object, lv_tag, 8, long_tag, 62, 72, 84)                                 \
	X(long_object, ob_digit, 4, long_digits, 63, 73, 85)                            \
	X(bytes_object, ob_size, 8, object_var_size, 65, 75, 87)                        \
	X(bytes_object, ob_sval, 1, bytes_data, 66, 76, 88)                             \
	X(unicode_object, state, 4, unicode_state, 68, 78, 90)                          \
	X(unicode_object, length, 8, unicode_length, 69, 79, 91)                        \
	X(unicode_object, asciiobject_size, 0, unicode_ascii_data, 70, 80, 92)          \
	X(unicode_object, compactunicodeobject_size, 0, unicode_compact_data, 0, 0, 93) \
	X(gen_object, gi_iframe, 8, gen_iframe, 0, 85, 101)                             \
	X(gen_object, gi_frame_state, 1, gen_frame_state, 0, 86, 102)

enum {
#define X(strct, max, w13, w14, w15) STRUCT_##strct,
	PUBLISHED_STRUCTS(X)
#undef X
};

static const struct {
	uint32_t max_size;
	uint8_t words[ARRAY_SIZE(table_words)];
} published_structs[] = {
#define X(strct, max, w13, w14, w15) {max, {w13, w14, w15}},
	PUBLISHED_STRUCTS(X)
#undef X
};

struct published_field {
	uint8_t strct, bytes;
	uint8_t words[ARRAY_SIZE(table_words)];
	size_t at; /* of a __u32 in struct cs_py_offsets */
};

static const struct published_field published_fields[] = {
#define X(strct, member, bytes, field, w13, w14, w15) \
	{STRUCT_##strct, bytes, {w13, w14, w15}, offsetof(struct cs_py_offsets, field)},
	PUBLISHED_FIELDS(X)
#undef X
};

bool cs_py_publishes(int minor)
{
	return minor >= FIRST_PUBLISHING_MINOR &&
	       minor < FIRST_PUBLISHING_MINOR + (int)ARRAY_SIZE(table_words);
}

int cs_py_published_read(struct cs_mem *mem, uint64_t runtime, struct cs_py_published *ret)
{
	int err = cs_mem_read(mem, runtime, ret->words, WORDS_HEAD * sizeof(*ret->words));
	int minor;

	if (err)
		return err;
	if (memcmp(&ret->words[WORD_COOKIE], "xdebugpy", 8))
		return -ENOENT;
	ret->version = (uint32_t)ret->words[WORD_VERSION];
	ret->free_threaded = ret->words[WORD_FREE_THREADED] != 0;
	minor = (int)(ret->version >> 16 & 0xff);
	if (ret->version >> 24 != 3 || !cs_py_publishes(minor))
		return 0; /* what follows is not understood; whoever applies it is told */
	return cs_mem_read(mem, runtime, ret->words,
			   table_words[minor - FIRST_PUBLISHING_MINOR] * sizeof(*ret->words));
}

static bool field_is_sane(const struct published_field *field, const uint64_t *words, int column)
{
	uint64_t offset = words[field->words[column]];
	uint64_t size = words[published_structs[field->strct].words[column]];

	return size <= published_structs[field->strct].max_size && offset <= size &&
	       size - offset >= field->bytes && (!field->bytes || offset % field->bytes == 0);
}

int cs_py_published_apply(const struct cs_py_published *published, struct cs_py_offsets *off)
{
	int column = (int)(published->version >> 16 & 0xff) - FIRST_PUBLISHING_MINOR;
	struct cs_py_offsets taken = *off;

	if (published->version >> 24 != 3 || column < 0 || column >= (int)ARRAY_SIZE(table_words))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(published_fields); i++) {
		const struct published_field *field = &published_fields[i];
		__u32 *to = (__u32 *)((char *)&taken + field->at);

		if (!field->words[column])
			continue;
		if (!field_is_sane(field, published->words, column))
			return -EINVAL;
		*to = (__u32)published->words[field->words[column]];
	}
	/* Published by free-threaded builds too, which may run without it. */
	if (!off->interp_gil)
		taken.interp_gil = 0;
	*off = taken;
	return 0;
}

/* X(word, word of its struct's size, bytes that are read there, our field), of Modules/_asynciomodule.c in 3.14 and 3.15. */
#define ASYNCIO_FIELDS(X)                \
	X(1, 0, 8, task_name)            \
	X(5, 0, 8, task_coro)            \
	X(6, 0, 16, task_node)           \
	X(8, 7, 16, interp_tasks_head)   \
	X(10, 9, 8, tstate_running_loop) \
	X(11, 9, 8, tstate_running_task) \
	X(12, 9, 16, tstate_tasks_head)

static bool asyncio_field_is_sane(const uint64_t *words, int word, int size_word, uint32_t bytes)
{
	uint64_t offset = words[word], size = words[size_word];

	return size <= MAX_ASYNCIO_STRUCT && offset && offset % sizeof(uint64_t) == 0 &&
	       offset <= size && size - offset >= bytes;
}

int cs_py_asyncio_apply(const uint64_t words[CS_PY_ASYNCIO_WORDS], struct cs_py_offsets *off)
{
	struct cs_py_offsets taken = *off;

#define X(word, size_word, bytes, field)                           \
	if (!asyncio_field_is_sane(words, word, size_word, bytes)) \
		return -EINVAL;                                    \
	taken.field = (__u32)words[word];
	ASYNCIO_FIELDS(X)
#undef X
	/* Not published: the word before the coroutine. */
	taken.task_fut_waiter = taken.task_coro - (off->task_coro - off->task_fut_waiter);
	taken.task_size = (__u32)words[0];
	*off = taken;
	return 0;
}
