/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of layouts.inc, and the offsets that 3.13 publishes about itself. Published numbers are as
 * hostile as the rest of the target's memory: each must lie, aligned, inside a struct of sane size.
 *
 * Source: struct _Py_DebugOffsets in Include/internal/pycore_runtime.h of 3.13 (3.13.0 to .18 agree).
 */
#include "python/layout.h"

#include <coroscope/limits.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/cleanup.h"

static const struct cs_py_layout layouts[] = {
#include "python/layouts.inc"
};

const struct cs_py_layout *cs_py_layout_find(int major, int minor)
{
	for (size_t i = 0; major == 3 && i < ARRAY_SIZE(layouts); i++) {
		if (layouts[i].minor == minor)
			return &layouts[i];
	}
	return NULL;
}

enum { WORD_COOKIE = 0, WORD_VERSION = 1, WORD_FREE_THREADED = 2 };

/* X(struct of the table, word that holds its size, largest size believed) */
#define PUBLISHED_STRUCTS(X)                     \
	X(runtime_state, 3, 16u << 20)           \
	X(interpreter_state, 6, 16u << 20)       \
	X(thread_state, 19, 64u << 10)           \
	X(interpreter_frame, 28, CS_FRAME_CHUNK) \
	X(code_object, 34, 4096)                 \
	X(pyobject, 44, 64)                      \
	X(type_object, 46, 4096)                 \
	X(dict_object, 56, 4096)                 \
	X(long_object, 61, 4096)                 \
	X(bytes_object, 64, 4096)                \
	X(unicode_object, 67, 4096)

/*
 * X(word, struct, member, bytes that are read there, our field). No bytes: the number is itself a size.
 * The words and names are compared with the interpreter's header by tests/layouts.
 */
#define PUBLISHED_FIELDS(X)                                                  \
	X(5, runtime_state, interpreters_head, 8, runtime_interpreters_head) \
	X(8, interpreter_state, next, 8, interp_next)                        \
	X(9, interpreter_state, threads_head, 8, interp_threads_head)        \
	X(11, interpreter_state, imports_modules, 8, interp_modules)         \
	X(21, thread_state, next, 8, tstate_next)                            \
	X(23, thread_state, current_frame, 8, tstate_frame)                  \
	X(24, thread_state, thread_id, 8, tstate_thread_id)                  \
	X(25, thread_state, native_thread_id, 8, tstate_native_thread_id)    \
	X(29, interpreter_frame, previous, 8, frame_previous)                \
	X(30, interpreter_frame, executable, 8, frame_executable)            \
	X(31, interpreter_frame, instr_ptr, 8, frame_instr_ptr)              \
	X(32, interpreter_frame, localsplus, 8, frame_localsplus)            \
	X(33, interpreter_frame, owner, 1, frame_owner)                      \
	X(35, code_object, filename, 8, code_filename)                       \
	X(36, code_object, name, 8, code_name)                               \
	X(37, code_object, qualname, 8, code_qualname)                       \
	X(38, code_object, linetable, 8, code_linetable)                     \
	X(39, code_object, firstlineno, 4, code_firstlineno)                 \
	X(43, code_object, co_code_adaptive, 2, code_instructions)           \
	X(45, pyobject, ob_type, 8, object_type)                             \
	X(47, type_object, tp_name, 8, type_name)                            \
	X(49, type_object, tp_flags, 8, type_flags)                          \
	X(57, dict_object, ma_keys, 8, dict_keys)                            \
	X(58, dict_object, ma_values, 8, dict_values)                        \
	X(62, long_object, lv_tag, 8, long_tag)                              \
	X(63, long_object, ob_digit, 4, long_digits)                         \
	X(65, bytes_object, ob_size, 8, object_var_size)                     \
	X(66, bytes_object, ob_sval, 1, bytes_data)                          \
	X(68, unicode_object, state, 4, unicode_state)                       \
	X(69, unicode_object, length, 8, unicode_length)                     \
	X(70, unicode_object, asciiobject_size, 0, unicode_ascii_data)

enum {
#define X(strct, word, max) SIZE_WORD_##strct = (word), SIZE_MAX_##strct = (max),
	PUBLISHED_STRUCTS(X)
#undef X
};

struct published_field {
	uint8_t word, size_word, bytes;
	uint32_t max_size;
	size_t at; /* of a __u32 in struct cs_py_offsets */
};

static const struct published_field published_fields[] = {
#define X(word, strct, member, bytes, field) \
	{word, SIZE_WORD_##strct, bytes, SIZE_MAX_##strct, offsetof(struct cs_py_offsets, field)},
	PUBLISHED_FIELDS(X)
#undef X
};

int cs_py_published_read(struct cs_mem *mem, uint64_t runtime, struct cs_py_published *ret)
{
	int err = cs_mem_read(mem, runtime, ret->words, sizeof(ret->words));

	if (err)
		return err;
	if (memcmp(&ret->words[WORD_COOKIE], "xdebugpy", 8))
		return -ENOENT;
	ret->version = (uint32_t)ret->words[WORD_VERSION];
	ret->free_threaded = ret->words[WORD_FREE_THREADED] != 0;
	return 0;
}

static bool field_is_sane(const struct published_field *field, const uint64_t *words)
{
	uint64_t offset = words[field->word], size = words[field->size_word];

	return size <= field->max_size && offset <= size && size - offset >= field->bytes &&
	       (!field->bytes || offset % field->bytes == 0);
}

int cs_py_published_apply(const struct cs_py_published *published, struct cs_py_offsets *off)
{
	struct cs_py_offsets taken = *off;

	for (size_t i = 0; i < ARRAY_SIZE(published_fields); i++) {
		const struct published_field *field = &published_fields[i];

		if (!field_is_sane(field, published->words))
			return -EINVAL;
		*(__u32 *)((char *)&taken + field->at) = (__u32)published->words[field->word];
	}
	*off = taken;
	return 0;
}
