/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up CPython objects. */
#include "made_objects.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

#define ARENA_BYTES ((size_t)4 << 20)
#define BEFORE      48 /* more than any instance has in front of it */

/* tp_flags of classes, and what their instances look like without their values */
#define FLAG_VALUES    (1ull << 2)
#define FLAG_MANAGED   (1ull << 4)
#define FLAG_LIST      (1ull << 25)
#define FLAG_TUPLE     (1ull << 26)
#define INSTANCE_BYTES 32
#define INSTANCE_DICT  16 /* where they keep their dict, up to 3.10 */

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
	made->type_tuple = made_type(made, "tuple", FLAG_TUPLE, 0, 0);
	made->type_list = made_type(made, "list", FLAG_LIST, 0, 0);
	made->type_future = made_type(made, "_asyncio.Future", 0, 0, layout->off.task_fut_waiter);
	made->type_task =
		made_type(made, "_asyncio.Task", 0, made->type_future, layout->off.task_size);
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

uint64_t made_name(struct made *made, const char *text)
{
	for (size_t i = 0; i < made->nnames; i++) {
		const char *chars = (const char *)(uintptr_t)made->names[i] +
				    made->interp.info.off.unicode_ascii_data;

		/* zeroes follow */
		if (!strcmp(chars, text))
			return made->names[i];
	}
	assert_true(made->nnames < MADE_NAMES);
	return made->names[made->nnames++] = made_str(made, text);
}

/* The table of a dict, without its entries. *ret_entries: where they begin. */
static uint64_t made_table(struct made *made, size_t n, uint32_t entry_size, uint64_t *ret_entries)
{
	const struct cs_py_offsets *off = &made->interp.info.off;
	uint8_t log2 = 5;
	uint32_t indices;
	uint64_t keys;

	/* two thirds at most are in use */
	while (n > ((size_t)2 << log2) / 3)
		log2++;
	indices = (1u << log2) * (log2 < 8 ? 1 : 2);
	keys = made_bytes(made, off->keys_indices + indices + n * entry_size);
	if (made->interp.info.traits.keys_by_size) {
		made_put(made, keys, off->keys_size, 1u << log2);
	} else {
		made_put8(made, keys, off->keys_log2_size, log2);
		made_put8(made, keys, off->keys_log2_index_bytes, log2 < 8 ? log2 : log2 + 1);
	}
	made_put(made, keys, off->keys_nentries, n);
	*ret_entries = keys + off->keys_indices + indices;
	return keys;
}

uint64_t made_keys(struct made *made, const char *const *names, const uint64_t *values, size_t n,
		   bool general)
{
	uint64_t keys, entries;

	general |= made->interp.info.traits.keys_by_size;
	keys = made_table(made, n, general ? 24 : 16, &entries);
	if (!general)
		made_put8(made, keys, made->interp.info.off.keys_kind, 1);
	for (size_t i = 0; i < n; i++) {
		uint32_t at = (uint32_t)i * (general ? 24 : 16) + (general ? 8 : 0);

		made_put(made, entries, at, made_name(made, names[i]));
		made_put(made, entries, at + 8, values ? values[i] : 0);
	}
	return keys;
}

uint64_t made_dict_of(struct made *made, const uint64_t *keys, const uint64_t *values, size_t n)
{
	uint64_t dict = made_object(made, made->type_dict, 64), entries;

	made_put(made, dict, made->interp.info.off.dict_keys, made_table(made, n, 24, &entries));
	for (size_t i = 0; i < n; i++) {
		made_put(made, entries, (uint32_t)i * 24 + 8, keys[i]);
		made_put(made, entries, (uint32_t)i * 24 + 16, values[i]);
	}
	return dict;
}

uint64_t made_namespace(struct made *made, const char *const *names, const uint64_t *values,
			size_t n)
{
	uint64_t dict = made_object(made, made->type_dict, 64);

	made_put(made, dict, made->interp.info.off.dict_keys,
		 made_keys(made, names, values, n, true));
	return dict;
}

uint64_t made_class(struct made *made, const char *name, uint64_t methods, uint64_t base)
{
	const struct cs_py_offsets *off = &made->interp.info.off;
	uint64_t type = made_type(made, name, CS_PYTYPE_HEAP | FLAG_MANAGED | FLAG_VALUES, base,
				  INSTANCE_BYTES);

	made_put(made, type, off->type_dict, methods);
	if (made->interp.info.traits.attrs_at == CS_ATTRS_DICT)
		made_put(made, type, off->type_dictoffset, INSTANCE_DICT);
	return type;
}

uint64_t made_instance_of(struct made *made, uint64_t class, const char *const *names,
			  const uint64_t *values, size_t n)
{
	const struct cs_py_traits *traits = &made->interp.info.traits;
	uint64_t obj = made_object(made, class, INSTANCE_BYTES + 8 + 8 * n), at;
	uint64_t dict_at = obj - (uint64_t)traits->managed_dict_before;

	if (traits->attrs_at == CS_ATTRS_DICT) {
		made_put(made, obj, INSTANCE_DICT, made_namespace(made, names, values, n));
		return obj;
	}
	made_put(made, class, made->interp.info.off.heaptype_cached_keys,
		 made_keys(made, names, NULL, n, false));
	if (traits->attrs_at == CS_ATTRS_INLINE) {
		made_put8(made, obj, INSTANCE_BYTES + 3, 1);
		at = obj + INSTANCE_BYTES + 8;
	} else {
		at = made_bytes(made, 8 * n);
		if (traits->attrs_at == CS_ATTRS_VALUES_BEFORE)
			made_put(made, dict_at - 8, 0, at);
		else
			made_put(made, dict_at, 0, at - 1);
	}
	for (size_t i = 0; i < n; i++)
		made_put(made, at, 8 * (uint32_t)i, values[i]);
	return obj;
}

uint64_t made_tuple(struct made *made, const uint64_t *items, size_t n)
{
	const struct cs_py_offsets *off = &made->interp.info.off;
	uint64_t tuple = made_object(made, made->type_tuple, off->tuple_items + 8 * n);

	made_put(made, tuple, off->object_var_size, n);
	for (size_t i = 0; i < n; i++)
		made_put(made, tuple, off->tuple_items + 8 * (uint32_t)i, items[i]);
	return tuple;
}

uint64_t made_list(struct made *made, const uint64_t *items, size_t n)
{
	const struct cs_py_offsets *off = &made->interp.info.off;
	uint64_t list = made_object(made, made->type_list, 64), array = made_bytes(made, 8 * n + 8);

	made_put(made, list, off->object_var_size, n);
	made_put(made, list, off->list_items, array);
	for (size_t i = 0; i < n; i++)
		made_put(made, array, 8 * (uint32_t)i, items[i]);
	return list;
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
