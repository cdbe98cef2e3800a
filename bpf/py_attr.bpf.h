/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An attribute of an instance, by its name. Names are interned, so user space tells the address of the str that every
 * class has for it; nothing is hashed or compared by letters. An instance keeps values of its own beside the names that its class
 * has, or has a dict (see attrs_at in py_offsets.h; userspace/python/dict.c does the same with more care and time).
 */
#pragma once

#include "walk.bpf.h"

/* Attributes of one instance that are looked at: of asyncio's own tasks there are about ten. */
#define CS_MAX_ATTRS 24

/* Py_TPFLAGS_INLINE_VALUES; the byte of PyDictValues that says whether they count, and its length. */
#define CS_TPFLAGS_INLINE_VALUES (1ull << 2)
#define CS_VALUES_VALID_AT       3
#define CS_VALUES_HEADER         8

#define CS_ATTR_ENTRY 24 /* of the longer kind of entries: hash, key, value */

/* Find the keys object and the values (0: none of its own) of an instance of this type. Returns the address of the former, or 0. */
static __always_inline __u64 py_attrs_keys(struct cs_walk *w, struct task_struct *task, __u64 obj,
					   __u64 type, __u64 *values)
{
	__u64 before = obj - (__u64)(__s64)w->traits.managed_dict_before, dict = 0, word = 0;
	__u8 valid = 0;

	*values = 0;
	if (w->traits.attrs_at == CS_ATTRS_DICT) {
		if (CS_READ(task, &word, sizeof(word), type + w->off.type_dictoffset) || !word ||
		    CS_READ(task, &dict, sizeof(dict), obj + word))
			return 0;
	} else if (w->traits.attrs_at == CS_ATTRS_VALUES_BEFORE) {
		if (CS_READ(task, values, sizeof(*values), before - 8) ||
		    (!*values && CS_READ(task, &dict, sizeof(dict), before)))
			return 0;
	} else if (w->traits.attrs_at == CS_ATTRS_TAGGED_BEFORE) {
		if (CS_READ(task, &word, sizeof(word), before))
			return 0;
		if (word & 1)
			*values = word + 1;
		else
			dict = word;
	} else {
		if (CS_READ(task, &word, sizeof(word), type + w->off.type_flags))
			return 0;
		if ((word & CS_TPFLAGS_INLINE_VALUES) &&
		    (CS_READ(task, &word, sizeof(word), type + w->off.type_basicsize) ||
		     CS_READ(task, &valid, sizeof(valid), obj + word + CS_VALUES_VALID_AT)))
			return 0;
		if (valid)
			*values = obj + word + CS_VALUES_HEADER;
		else if (CS_READ(task, &dict, sizeof(dict), before))
			return 0;
	}
	word = 0;
	if (*values)
		return CS_READ(task, &word, sizeof(word), type + w->off.heaptype_cached_keys)
			       ? 0
			       : word;
	if (!dict || CS_READ(task, values, sizeof(*values), dict + w->off.dict_values) ||
	    CS_READ(task, &word, sizeof(word), dict + w->off.dict_keys))
		return 0;
	if (*values && w->traits.attrs_at == CS_ATTRS_INLINE)
		*values += CS_VALUES_HEADER;
	return word;
}

/* Where the entries of a keys object begin, and of what kind they are. Returns 0, or 1 if it cannot be told. */
static __always_inline int py_attrs_entries(struct cs_walk *w, struct task_struct *task, __u64 keys)
{
	struct cs_attrs *attrs = &w->attrs;
	__u64 size = 0;
	__u8 kind = 0, log2_bytes = 0;

	if (w->traits.keys_by_size) {
		if (CS_READ(task, &size, sizeof(size), keys + w->off.keys_size))
			return 1;
		size = size <= 0xff ? size : size <= 0xffff ? 2 * size : 4 * size;
	} else {
		if (CS_READ(task, &kind, sizeof(kind), keys + w->off.keys_kind) ||
		    CS_READ(task, &log2_bytes, sizeof(log2_bytes),
			    keys + w->off.keys_log2_index_bytes))
			return 1;
		size = 1ull << (log2_bytes & 31);
	}
	attrs->entries = keys + w->off.keys_indices + size;
	/* DICT_KEYS_GENERAL has hashes, too */
	attrs->entry_size = kind ? 16 : CS_ATTR_ENTRY;
	attrs->key_at = kind ? 0 : 8;
	return 0;
}

/* Read the attributes of an instance of this type. Returns 0, or 1 if they cannot be read. */
static __always_inline int py_attrs_read(struct cs_walk *w, struct task_struct *task, __u64 obj,
					 __u64 type)
{
	__u64 values = 0, keys = py_attrs_keys(w, task, obj, type, &values), n = 0;
	struct cs_attrs *attrs = &w->attrs;
	__u32 bytes;

	attrs->values = values;
	if (!keys || py_attrs_entries(w, task, keys) ||
	    CS_READ(task, &n, sizeof(n), keys + w->off.keys_nentries))
		return 1;
	attrs->n = n > CS_MAX_ATTRS ? CS_MAX_ATTRS : n;
	bytes = attrs->n * attrs->entry_size;
	if (bytes > CS_MAX_ATTRS * CS_ATTR_ENTRY)
		bytes = CS_MAX_ATTRS * CS_ATTR_ENTRY;
	return CS_READ(task, w->window, bytes, attrs->entries) != 0;
}

/* Where the value of the attribute with this name stands; 0: there is none. */
static __always_inline __u64 py_attr_at(const struct cs_walk *w, __u64 name)
{
	const struct cs_attrs *attrs = &w->attrs;

	for (__u32 i = 0; i < CS_MAX_ATTRS; i++) {
		__u32 at = i * attrs->entry_size + attrs->key_at;

		if (i >= attrs->n)
			break;
		if (*(const __u64 *)(w->window + (at & (CS_FRAME_WINDOW - 8))) == name)
			return attrs->values ? attrs->values + 8ull * i : attrs->entries + at + 8;
	}
	return 0;
}
