/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An attribute of an instance, by its name. Names are interned, so user space tells the address of the str that every
 * class has for it; nothing is hashed or compared by letters. An instance keeps values of its own beside the names that its class
 * has, or has a dict (see attrs_at in py_offsets.h; userspace/python/dict.c does the same with more care and time).
 */
#pragma once

#include "py_dict.bpf.h"
#include "walk.bpf.h"

/* Py_TPFLAGS_INLINE_VALUES; the byte of PyDictValues that says whether they count, and its length. */
#define CS_TPFLAGS_INLINE_VALUES (1ull << 2)
#define CS_VALUES_VALID_AT       3
#define CS_VALUES_HEADER         8

/* Where instances of this type have their dict or their values; 0: only before them. Returns 0, or 1 if it cannot be read. */
static __always_inline int py_attrs_place(struct cs_walk *w, struct task_struct *task, __u64 type,
					  __u64 *ret)
{
	__u64 flags = 0;

	*ret = 0;
	if (w->traits.attrs_at == CS_ATTRS_DICT)
		return CS_READ(task, ret, sizeof(*ret), type + w->off.type_dictoffset) != 0;
	if (w->traits.attrs_at != CS_ATTRS_INLINE)
		return 0;
	if (CS_READ(task, &flags, sizeof(flags), type + w->off.type_flags))
		return 1;
	return (flags & CS_TPFLAGS_INLINE_VALUES) &&
	       CS_READ(task, ret, sizeof(*ret), type + w->off.type_basicsize);
}

/* Have w->dict.values be the instance's values, or else w->dict.at its dict. Returns 0, or 1 if neither can be read. */
static __always_inline int py_attrs_find(struct cs_walk *w, struct task_struct *task, __u64 obj,
					 __u64 place)
{
	__u64 before = obj - (__u64)(__s64)w->traits.managed_dict_before;
	__u8 valid = 0;

	w->dict.values = 0;
	w->dict.at = 0;
	if (w->traits.attrs_at == CS_ATTRS_DICT) {
		if (!place)
			return 1;
		before = obj + place;
	} else if (w->traits.attrs_at == CS_ATTRS_INLINE) {
		if (place && CS_READ(task, &valid, sizeof(valid), obj + place + CS_VALUES_VALID_AT))
			return 1;
		if (valid) {
			w->dict.values = obj + place + CS_VALUES_HEADER;
			return 0;
		}
	} else if (w->traits.attrs_at == CS_ATTRS_VALUES_BEFORE) {
		if (CS_READ(task, &w->dict.values, sizeof(w->dict.values), before - 8))
			return 1;
		if (w->dict.values)
			return 0;
	}
	if (CS_READ(task, &w->dict.at, sizeof(w->dict.at), before))
		return 1;
	if (w->traits.attrs_at == CS_ATTRS_TAGGED_BEFORE && (w->dict.at & 1)) {
		w->dict.values = w->dict.at + 1;
		w->dict.at = 0;
	}
	return !w->dict.values && !w->dict.at;
}

/* The names in the dict w->dict.at, whose values may be beside it. Returns 0, or 1 if they cannot be read. */
static __always_inline int py_attrs_in_dict(struct cs_walk *w, struct task_struct *task)
{
	if (CS_READ(task, &w->dict.values, sizeof(w->dict.values),
		    w->dict.at + w->off.dict_values) ||
	    CS_READ(task, &w->dict.keys, sizeof(w->dict.keys), w->dict.at + w->off.dict_keys))
		return 1;
	if (w->dict.values && w->traits.attrs_at == CS_ATTRS_INLINE)
		w->dict.values += CS_VALUES_HEADER;
	return 0;
}

/* Have the names of an instance of this type in the window. Returns 0, or 1 if they cannot be read. */
static __always_inline int py_attrs_load(struct cs_walk *w, struct task_struct *task, __u64 obj,
					 __u64 type)
{
	__u64 place = 0;

	if (py_attrs_place(w, task, type, &place) || py_attrs_find(w, task, obj, place))
		return 1;
	if (w->dict.at) {
		if (py_attrs_in_dict(w, task))
			return 1;
	} else if (CS_READ(task, &w->dict.keys, sizeof(w->dict.keys),
			   type + w->off.heaptype_cached_keys)) {
		return 1;
	}
	return py_dict_load(w, task, w->dict.keys);
}

/* Where the value of the attribute with this name stands, of the instance that was loaded; 0: there is none. */
static __always_inline __u64 py_attr_at(struct cs_walk *w, __u64 name)
{
	__u32 i = py_dict_find(w, name);

	if (i == CS_NO_INDEX)
		return 0;
	return w->dict.values
		       ? w->dict.values + 8ull * i
		       : w->dict.entries + (__u64)i * w->dict.entry_bytes + w->dict.key_at + 8;
}
