/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dicts and instance attributes of another process.
 *
 * A dict has a keys object: header, index bytes, then entries, {hash, key, value} in general tables and
 * {key, value} where all keys are strings. Entries are scanned in order instead of through the index,
 * whose hashes are randomised per process. In a split table (and for the attributes of an instance) the keys
 * object is shared and the values are an array of their own, in the same order.
 * Source: Objects/dictobject.c; Objects/dict-common.h of 3.8 to 3.10, Include/internal/pycore_dict.h of 3.11 to 3.15.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "python/digest.h"
#include "python/objects.h"

#define KIND_GENERAL 0 /* DICT_KEYS_GENERAL; 1 and 2 are string-only, combined and split */
#define KIND_MAX     2

/* sys.modules of the largest applications holds some ten thousand. */
#define MAX_ENTRIES    131072u
/* Of one instance: those that use themselves as a dict are left alone. */
#define MAX_ATTRS      1024u
#define MAX_LOG2_SIZE  20u
#define MAX_LOG2_BYTES 24u

/* Bytes of an instance without its attributes; real classes stay far below. */
#define MAX_INSTANCE 65536

/* Entries looked at in one go: their keys are fetched together. */
#define BATCH 64

/* tp_flags: instances have a dict pointer and values before (3.11, 3.12) or behind them (3.13+). */
#define FLAG_INLINE_VALUES (1ull << 2)
#define FLAG_MANAGED_DICT  (1ull << 4)

/* The values of an instance of 3.11 lie one word before its dict (Include/internal/pycore_object.h). */
#define VALUES_BEFORE_DICT 8

/* PyDictValues from 3.13 on: four bytes (the last says whether the values count) and padding. */
#define VALUES_HEADER   8
#define VALUES_VALID_AT 3

/*
 * Where keys were found: a module that one process has imported, or a name in it, mostly has the same place in the next process of the same
 * interpreter, and in itself. Whatever stands there is compared as any other entry, so what is remembered saves reading, and is never believed.
 */
#define PLACES    512u
#define AT_PLACES 4u

struct place {
	uint64_t of;               /* a name, in an interpreter's file */
	uint32_t index[AT_PLACES]; /* of entries, the last found first */
};

static _Thread_local struct place places[PLACES];

struct keys {
	uint64_t entries;
	uint32_t entry_size;
	uint32_t key_at; /* offset of the key in an entry; the value follows it */
	uint64_t n;
};

/* Up to 3.10: no kind, no logarithms; an index entry is as wide as the size needs. */
static int keys_open_by_size(const struct cs_pyobj_ctx *ctx, uint64_t addr, struct keys *ret)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint64_t size, n;
	int err;

	if ((err = cs_mem_read_u64(ctx->mem, addr + off->keys_size, &size)) ||
	    (err = cs_mem_read_u64(ctx->mem, addr + off->keys_nentries, &n)))
		return err;
	if (size > 1ull << MAX_LOG2_SIZE || (size & (size - 1)) || n > MAX_ENTRIES || n > size)
		return -EINVAL;
	*ret = (struct keys){
		.entries = addr + off->keys_indices +
			   size * (size <= 0xff     ? 1
				   : size <= 0xffff ? 2
						    : 4),
		.entry_size = 24,
		.key_at = 8,
		.n = n,
	};
	return 0;
}

static int keys_open(const struct cs_pyobj_ctx *ctx, uint64_t addr, struct keys *ret)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	uint8_t log2_size, log2_bytes, kind;
	uint64_t n;
	int err;

	if (ctx->interp->info.traits.keys_by_size)
		return keys_open_by_size(ctx, addr, ret);
	if ((err = cs_mem_read(ctx->mem, addr + off->keys_log2_size, &log2_size, 1)) ||
	    (err = cs_mem_read(ctx->mem, addr + off->keys_log2_index_bytes, &log2_bytes, 1)) ||
	    (err = cs_mem_read(ctx->mem, addr + off->keys_kind, &kind, 1)) ||
	    (err = cs_mem_read_u64(ctx->mem, addr + off->keys_nentries, &n)))
		return err;
	if (log2_size > MAX_LOG2_SIZE || log2_bytes > MAX_LOG2_BYTES || kind > KIND_MAX ||
	    n > MAX_ENTRIES || n > 1ull << log2_size)
		return -EINVAL;
	ret->entries = addr + off->keys_indices + (1ull << log2_bytes);
	ret->entry_size = kind == KIND_GENERAL ? 24 : 16;
	ret->key_at = kind == KIND_GENERAL ? 8 : 0;
	ret->n = n;
	return 0;
}

/* Look for a key among n entries. Returns their index within them, or -ENOENT. */
static int batch_find(const struct cs_pyobj_ctx *ctx, const struct keys *keys, const char *entries,
		      size_t n, const char *name)
{
	size_t str_bytes = ctx->interp->info.off.unicode_ascii_data + strlen(name);

	for (size_t i = 0; i < n; i++)
		cs_mem_want(ctx->mem, cs_pyobj_word(entries + i * keys->entry_size, keys->key_at),
			    str_bytes);
	cs_mem_fetch(ctx->mem);
	for (size_t i = 0; i < n; i++) {
		uint64_t key = cs_pyobj_word(entries + i * keys->entry_size, keys->key_at);

		if (key && cs_pyobj_str_equals(ctx, key, name))
			return (int)i;
	}
	return -ENOENT;
}

static struct place *place_of(const struct cs_pyobj_ctx *ctx, const char *name)
{
	uint64_t of = cs_digest(cs_digest_word(ctx->interp->file.ino, ctx->interp->minor), name,
				strlen(name));
	struct place *place = &places[of % PLACES];

	if (place->of != of)
		*place = (struct place){.of = of};
	return place;
}

/* It was found there: first the next time. */
static void remember(struct place *place, uint64_t index)
{
	unsigned int at = 0;

	while (at < AT_PLACES - 1 && place->index[at] != index)
		at++;
	memmove(place->index + 1, place->index, at * sizeof(*place->index));
	place->index[0] = (uint32_t)index;
}

/* Returns whether the key is at one of the places. */
static bool place_find(const struct cs_pyobj_ctx *ctx, const struct keys *keys,
		       const struct place *place, const char *name, uint64_t *ret)
{
	uint64_t key;

	for (unsigned int i = 0; i < AT_PLACES; i++) {
		uint64_t entry = keys->entries + (uint64_t)place->index[i] * keys->entry_size;

		if (place->index[i] >= keys->n || (i && !place->index[i]) ||
		    cs_mem_read_u64(ctx->mem, entry + keys->key_at, &key) || !key ||
		    !cs_pyobj_str_equals(ctx, key, name))
			continue;
		*ret = place->index[i];
		return true;
	}
	return false;
}

/* The number of a key's entry. */
static int keys_scan(const struct cs_pyobj_ctx *ctx, const struct keys *keys, const char *name,
		     uint64_t *ret)
{
	char entries[BATCH * 24];

	for (uint64_t first = 0; first < keys->n; first += BATCH) {
		size_t n = keys->n - first < BATCH ? keys->n - first : BATCH;
		int err, i;

		err = cs_mem_read(ctx->mem, keys->entries + first * keys->entry_size, entries,
				  n * keys->entry_size);
		if (err)
			return err;
		i = batch_find(ctx, keys, entries, n, name);
		if (i >= 0) {
			*ret = first + (uint64_t)i;
			return 0;
		}
	}
	return -ENOENT;
}

static int keys_find(const struct cs_pyobj_ctx *ctx, const struct keys *keys, const char *name,
		     uint64_t *ret)
{
	/* what fits into one batch is read at once anyway */
	struct place *place = keys->n > BATCH / 4 ? place_of(ctx, name) : NULL;
	int err;

	if (place && place_find(ctx, keys, place, name, ret))
		return 0;
	err = keys_scan(ctx, keys, name, ret);
	if (!err && place)
		remember(place, *ret);
	return err;
}

/* Bytes of a PyDictValues before its first value. */
static uint64_t values_header(const struct cs_pyobj_ctx *ctx)
{
	return ctx->interp->info.traits.attrs_at == CS_ATTRS_INLINE ? VALUES_HEADER : 0;
}

/* The keys of a batch will be looked at. */
static void want_keys(const struct cs_pyobj_ctx *ctx, const struct keys *keys, uint64_t first)
{
	uint64_t n = keys->n - first < BATCH ? keys->n - first : BATCH, key;

	for (uint64_t i = first; i < first + n; i++)
		if (!cs_mem_read_u64(ctx->mem, keys->entries + i * keys->entry_size + keys->key_at,
				     &key))
			cs_mem_want(ctx->mem, key, ctx->interp->info.off.unicode_ascii_data);
	cs_mem_fetch(ctx->mem);
}

/* Call fn for each entry of a table; with values other than 0 they are in that PyDictValues. */
static int each_entry(const struct cs_pyobj_ctx *ctx, uint64_t keys_addr, uint64_t values,
		      cs_pyobj_entry_fn *fn, void *arg)
{
	char entry[24];
	struct keys keys;
	int err = keys_open(ctx, keys_addr, &keys);

	values += values ? values_header(ctx) : 0;
	for (uint64_t i = 0; !err && i < keys.n; i++) {
		uint64_t key, value;

		if (i % BATCH == 0)
			want_keys(ctx, &keys, i);
		err = cs_mem_read(ctx->mem, keys.entries + i * keys.entry_size, entry,
				  keys.entry_size);
		key = err ? 0 : cs_pyobj_word(entry, keys.key_at);
		value = err ? 0 : cs_pyobj_word(entry, keys.key_at + 8);
		if (!err && values)
			err = cs_mem_read_u64(ctx->mem, values + 8 * i, &value);
		if (!err && key && value)
			err = fn(arg, key, value);
	}
	return err;
}

static int dict_tables(const struct cs_pyobj_ctx *ctx, uint64_t dict, uint64_t *ret_keys,
		       uint64_t *ret_values)
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	int err;

	if (!cs_pyobj_has_flag(ctx, dict, CS_PYTYPE_DICT))
		return -EINVAL;
	err = cs_mem_read_u64(ctx->mem, dict + off->dict_keys, ret_keys);
	return err ? err : cs_mem_read_u64(ctx->mem, dict + off->dict_values, ret_values);
}

int cs_pyobj_dict_each(const struct cs_pyobj_ctx *ctx, uint64_t dict, cs_pyobj_entry_fn *fn,
		       void *arg)
{
	uint64_t keys, values;
	int err = dict_tables(ctx, dict, &keys, &values);

	return err ? err : each_entry(ctx, keys, values, fn, arg);
}

/* Where a value is kept: in its entry, or with values other than 0 in that PyDictValues. */
static int find_slot(const struct cs_pyobj_ctx *ctx, uint64_t keys_addr, uint64_t values,
		     const char *name, uint64_t *ret)
{
	struct keys keys;
	uint64_t index;
	int err;

	if ((err = keys_open(ctx, keys_addr, &keys)) || (err = keys_find(ctx, &keys, name, &index)))
		return err;
	if (values)
		*ret = values + values_header(ctx) + 8 * index;
	else
		*ret = keys.entries + index * keys.entry_size + keys.key_at + 8;
	return 0;
}

static int dict_slot(const struct cs_pyobj_ctx *ctx, uint64_t dict, const char *key, uint64_t *ret)
{
	uint64_t keys, values;
	int err = dict_tables(ctx, dict, &keys, &values);

	return err ? err : find_slot(ctx, keys, values, key, ret);
}

/* What a slot points to. */
static int slot_value(const struct cs_pyobj_ctx *ctx, uint64_t slot, uint64_t *ret)
{
	uint64_t value;
	int err = cs_mem_read_u64(ctx->mem, slot, &value);

	if (err)
		return err;
	if (!value)
		return -ENOENT;
	*ret = value;
	return 0;
}

int cs_pyobj_dict_get(const struct cs_pyobj_ctx *ctx, uint64_t dict, const char *key, uint64_t *ret)
{
	uint64_t slot;
	int err = dict_slot(ctx, dict, key, &slot);

	return err ? err : slot_value(ctx, slot, ret);
}

int cs_pyobj_module_dict(const struct cs_pyobj_ctx *ctx, uint64_t modules, const char *name,
			 uint64_t *ret)
{
	uint64_t module;
	int err = cs_pyobj_dict_get(ctx, modules, name, &module);

	return err ? err
		   : cs_mem_read_u64(ctx->mem, module + ctx->interp->info.off.module_dict, ret);
}

/* Where an instance's values are: *ret 0 if it has a dict instead, whose address is *ret_dict. */
static int find_values(const struct cs_pyobj_ctx *ctx, uint64_t obj, const struct cs_pytype *type,
		       uint64_t *ret, uint64_t *ret_dict)
{
	uint64_t word, dict_at = obj - (uint64_t)ctx->interp->info.traits.managed_dict_before;
	uint8_t valid = 0;
	int err;

	*ret = *ret_dict = 0;
	switch (ctx->interp->info.traits.attrs_at) {
	case CS_ATTRS_VALUES_BEFORE:
		err = cs_mem_read_u64(ctx->mem, dict_at - VALUES_BEFORE_DICT, ret);
		return err ? err : cs_mem_read_u64(ctx->mem, dict_at, ret_dict);
	case CS_ATTRS_TAGGED_BEFORE:
		err = cs_mem_read_u64(ctx->mem, dict_at, &word);
		if (!err)
			*(word & 1 ? ret : ret_dict) = word & 1 ? word + 1 : word;
		return err;
	case CS_ATTRS_INLINE:
		if (type->flags & FLAG_INLINE_VALUES) {
			err = cs_mem_read(ctx->mem, obj + type->basicsize + VALUES_VALID_AT, &valid,
					  1);
			if (err)
				return err;
		}
		if (valid) {
			*ret = obj + type->basicsize;
			return 0;
		}
		return cs_mem_read_u64(ctx->mem, dict_at, ret_dict);
	default:
		return -EINVAL;
	}
}

/* Up to 3.10: the type says where its instances keep their dict. Variable-sized ones count from the end: none is asked for. */
static int find_dict(const struct cs_pyobj_ctx *ctx, uint64_t obj, const struct cs_pytype *type,
		     uint64_t *ret)
{
	uint64_t offset;
	int err = cs_mem_read_u64(ctx->mem, type->addr + ctx->interp->info.off.type_dictoffset,
				  &offset);

	if (err)
		return err;
	if (!offset || offset > type->basicsize)
		return -ENOENT;
	return cs_mem_read_u64(ctx->mem, obj + offset, ret);
}

/* The keys object of an instance's attributes, and its values: 0 if the keys have them. */
static int attr_tables(const struct cs_pyobj_ctx *ctx, uint64_t obj, uint64_t *ret_keys,
		       uint64_t *ret_values)
{
	uint64_t values = 0, dict;
	struct cs_pytype type;
	int err;

	if ((err = cs_pyobj_type(ctx, obj, &type)))
		return err;
	if (ctx->interp->info.traits.attrs_at == CS_ATTRS_DICT)
		err = find_dict(ctx, obj, &type, &dict);
	else if (type.flags & FLAG_MANAGED_DICT)
		err = find_values(ctx, obj, &type, &values, &dict);
	else
		return -ENOENT;
	if (err)
		return err;
	if (!values)
		return dict ? dict_tables(ctx, dict, ret_keys, ret_values) : -ENOENT;
	*ret_values = values;
	return cs_mem_read_u64(ctx->mem, type.addr + ctx->interp->info.off.heaptype_cached_keys,
			       ret_keys);
}

int cs_pyobj_attr_slot(const struct cs_pyobj_ctx *ctx, uint64_t obj, const char *name,
		       uint64_t *ret)
{
	uint64_t keys, values;
	int err = attr_tables(ctx, obj, &keys, &values);

	return err ? err : find_slot(ctx, keys, values, name, ret);
}

int cs_pyobj_attr_each(const struct cs_pyobj_ctx *ctx, uint64_t obj, cs_pyobj_entry_fn *fn,
		       void *arg)
{
	uint64_t keys, values;
	struct keys table;
	int err;

	if ((err = attr_tables(ctx, obj, &keys, &values)) || (err = keys_open(ctx, keys, &table)))
		return err;
	return table.n > MAX_ATTRS ? -E2BIG : each_entry(ctx, keys, values, fn, arg);
}

int cs_pytype_attr_place(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type,
			 const char *name, struct cs_attr_place *ret)
{
	struct cs_attr_place place = {0};
	struct keys keys;
	int err;

	err = cs_mem_read_u64(ctx->mem, type->addr + ctx->interp->info.off.heaptype_cached_keys,
			      &place.keys);
	if (err)
		return err;
	if (!(type->flags & CS_PYTYPE_HEAP) || !place.keys || type->basicsize > MAX_INSTANCE)
		return -ENOENT;
	if ((err = keys_open(ctx, place.keys, &keys)) ||
	    (err = keys_find(ctx, &keys, name, &place.index)) ||
	    (err = cs_mem_read_u64(ctx->mem,
				   keys.entries + place.index * keys.entry_size + keys.key_at,
				   &place.name)))
		return err;
	*ret = place;
	return 0;
}

int cs_pytype_attr_steps(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type,
			 const char *name, int32_t steps[CS_ATTR_STEPS])
{
	const struct cs_py_offsets *off = &ctx->interp->info.off;
	int32_t before = ctx->interp->info.traits.managed_dict_before;
	struct cs_attr_place place;
	uint64_t offset;
	int err, n = 0;

	if ((err = cs_mem_read_u64(ctx->mem, type->addr + off->type_dictoffset, &offset)) ||
	    (err = cs_pytype_attr_place(ctx, type, name, &place)))
		return err;
	switch (ctx->interp->info.traits.attrs_at) {
	case CS_ATTRS_VALUES_BEFORE:
		steps[n++] = -before - VALUES_BEFORE_DICT;
		steps[n++] = (int32_t)(8 * place.index);
		return n;
	case CS_ATTRS_TAGGED_BEFORE:
		steps[n++] = -before;
		steps[n++] = (int32_t)(1 + 8 * place.index);
		return n;
	case CS_ATTRS_INLINE:
		steps[n++] = (int32_t)(type->basicsize + VALUES_HEADER + 8 * place.index);
		return n;
	default:
		if (!offset || offset > type->basicsize)
			return -ENOENT;
		steps[n++] = (int32_t)offset;
		steps[n++] = (int32_t)off->dict_values;
		steps[n++] = (int32_t)(8 * place.index);
		return n;
	}
}

int cs_pyobj_attr(const struct cs_pyobj_ctx *ctx, uint64_t obj, const char *name, uint64_t *ret)
{
	uint64_t slot;
	int err = cs_pyobj_attr_slot(ctx, obj, name, &slot);

	return err ? err : slot_value(ctx, slot, ret);
}
