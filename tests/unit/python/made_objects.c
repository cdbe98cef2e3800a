/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up CPython objects. */
#include "made_objects.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

#define ARENA_BYTES ((size_t)4 << 20)
#define BEFORE      48 /* more than any instance has in front of it */

void made_put(struct made *made, uint64_t addr, uint32_t offset, uint64_t word)
{
	memcpy((void *)(uintptr_t)(addr + offset), &word, sizeof(word));
	cs_mem_forget(made->ctx.mem);
}

void made_put32(struct made *made, uint64_t addr, uint32_t offset, uint32_t word)
{
	memcpy((void *)(uintptr_t)(addr + offset), &word, sizeof(word));
	cs_mem_forget(made->ctx.mem);
}

void made_put8(struct made *made, uint64_t addr, uint32_t offset, uint8_t byte)
{
	*(uint8_t *)(uintptr_t)(addr + offset) = byte;
	cs_mem_forget(made->ctx.mem);
}

uint64_t made_bytes(struct made *made, size_t size)
{
	char *at = made->arena + made->used + BEFORE;

	made->used += (size + BEFORE + 15) & ~(size_t)15;
	assert_true(made->used < ARENA_BYTES);
	return (uint64_t)(uintptr_t)at;
}

uint64_t made_object(struct made *made, uint64_t type, size_t size)
{
	uint64_t obj = made_bytes(made, size);

	made_put(made, obj, 0, 1); /* the reference count */
	made_put(made, obj, made->interp.info.off.object_type, type);
	return obj;
}

uint64_t made_type(struct made *made, const char *name, uint64_t flags, uint64_t base,
		   uint64_t basicsize)
{
	const struct cs_py_offsets *off = &made->interp.info.off;
	uint64_t type = made_object(made, made->meta, 1024);
	uint64_t text = made_bytes(made, strlen(name) + 1);

	memcpy((void *)(uintptr_t)text, name, strlen(name));
	made_put(made, type, off->type_name, text);
	made_put(made, type, off->type_flags, flags);
	made_put(made, type, off->type_base, base);
	made_put(made, type, off->type_basicsize, basicsize);
	return type;
}

void made_begin(struct made *made, int minor)
{
	const struct cs_py_layout *layout = cs_py_layout_find(3, minor, "gil");
	struct cs_mem *mem;

	assert_non_null(layout);
	*made = (struct made){.interp = {.pid = getpid(), .state = CS_INTERP_READY, .major = 3}};
	made->interp.minor = minor;
	made->interp.info.off = layout->off;
	made->interp.info.traits = layout->traits;
	made->arena = aligned_alloc(4096, ARENA_BYTES);
	assert_non_null(made->arena);
	memset(made->arena, 0, ARENA_BYTES);
	assert_int_equal(cs_mem_new(getpid(), &mem), 0);
	made->ctx = (struct cs_pyobj_ctx){&made->interp, mem};

	made->meta = made_type(made, "type", CS_PYTYPE_TYPE, 0, 0);
	made_put(made, made->meta, layout->off.object_type, made->meta);
	made->type_str = made_type(made, "str", CS_PYTYPE_UNICODE, 0, 0);
	made->type_int = made_type(made, "int", CS_PYTYPE_LONG, 0, 0);
	made->type_dict = made_type(made, "dict", CS_PYTYPE_DICT, 0, 0);
	made->type_bytes = made_type(made, "bytes", CS_PYTYPE_BYTES, 0, 0);
	made->type_set = made_type(made, "set", 0, 0, 0);
	made->type_none = made_type(made, "NoneType", 0, 0, 0);
	made->type_weakref = made_type(made, "weakref.ReferenceType", 0, 0, 0);
	made->type_task = made_type(made, "_asyncio.Task", 0, 0, layout->off.task_size);
	made->type_code = made_type(made, "code", 0, 0, 0);
	made->interp.type_coro = made_type(made, "coroutine", 0, 0, 0);
	made->interp.type_gen = made_type(made, "generator", 0, 0, 0);
	made->interp.type_async_gen = made_type(made, "async_generator", 0, 0, 0);
}

void made_end(struct made *made)
{
	cs_mem_free(made->ctx.mem);
	free(made->arena);
}

uint64_t made_str_of(struct made *made, const void *chars, size_t n, unsigned int width)
{
	const struct cs_py_offsets *off = &made->interp.info.off;
	uint64_t obj = made_object(made, made->type_str, off->unicode_compact_data + n * width);
	bool ascii = width == 1;

	for (size_t i = 0; i < n && ascii; i++)
		ascii = ((const uint8_t *)chars)[i] < 0x80;
	made_put(made, obj, off->unicode_length, n);
	made_put32(made, obj, off->unicode_state, width << 2 | 1 << 5 | (ascii ? 1 << 6 : 0));
	memcpy((void *)(uintptr_t)(obj +
				   (ascii ? off->unicode_ascii_data : off->unicode_compact_data)),
	       chars, n * width);
	return obj;
}

uint64_t made_str(struct made *made, const char *text)
{
	return made_str_of(made, text, strlen(text), 1);
}

uint64_t made_int(struct made *made, int64_t value)
{
	const struct cs_py_offsets *off = &made->interp.info.off;
	int shift = made->interp.info.traits.long_tag_shift;
	uint64_t obj = made_object(made, made->type_int, 64);
	uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
	uint64_t n = 0;

	for (; left; left >>= 30)
		made_put32(made, obj, off->long_digits + 4 * (uint32_t)n++,
			   left & ((1u << 30) - 1));
	if (shift)
		made_put(made, obj, off->long_tag, n << shift | (value < 0 ? 2 : value ? 0 : 1));
	else
		made_put(made, obj, off->long_tag, value < 0 ? -n : n);
	return obj;
}

uint64_t made_keys(struct made *made, const char *const *names, const uint64_t *values, size_t n,
		   bool general)
{
	const struct cs_py_offsets *off = &made->interp.info.off;
	uint32_t entry = general ? 24 : 16;
	uint64_t keys = made_bytes(made, off->keys_indices + 32 + n * entry);

	made_put8(made, keys, off->keys_log2_size, 5);
	made_put8(made, keys, off->keys_log2_index_bytes, 5);
	made_put8(made, keys, off->keys_kind, general ? 0 : 1);
	made_put(made, keys, off->keys_nentries, n);
	for (size_t i = 0; i < n; i++) {
		uint32_t at = off->keys_indices + 32 + (uint32_t)i * entry + (general ? 8 : 0);

		made_put(made, keys, at, made_str(made, names[i]));
		made_put(made, keys, at + 8, values ? values[i] : 0);
	}
	return keys;
}

uint64_t made_set(struct made *made, const uint64_t *entries, size_t n, size_t nslots)
{
	const struct cs_py_offsets *off = &made->interp.info.off;
	uint64_t set = made_object(made, made->type_set, 200);
	uint64_t table = made_bytes(made, nslots * 16);

	made_put(made, set, off->set_mask, nslots - 1);
	made_put(made, set, off->set_table, table);
	for (size_t i = 0; i < n; i++) {
		made_put(made, table, (uint32_t)i * 16, entries[i]);
		made_put(made, table, (uint32_t)i * 16 + 8, 1234);
	}
	return set;
}
