/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A dict: its keys object, and the entries behind it, of which the first ones are brought into the window. They are scanned in
 * order: hashes differ from process to process. What is known of the dict is in the walk (w->dict), not on the stack, as everywhere.
 */
#pragma once

#include "walk.bpf.h"

/* Of a hash table; no dict that is looked into has more. */
#define PY_DICT_MAX_INDICES 65536
#define PY_DICT_HEAD        64 /* of PyDictKeysObject: before its indices, which begin at 32 or 40 */
#define PY_DICT_GENERAL     0  /* DICT_KEYS_GENERAL of pycore_dict.h: keys of any type */
#define PY_DICT_SPLIT       2  /* DICT_KEYS_SPLIT: 1 and 2 have str keys only, and no hashes */
#define PY_DICT_SMALL       192 /* with its entries: five of them, and more */
/* sizeof(PyDictKeyEntry): hash, key, value; sizeof(PyDictUnicodeEntry): key, value */
#define PY_DICT_ENTRY       24
#define PY_DICT_STR_ENTRY   16

#ifndef CS_FIND_KEY
#define CS_FIND_KEY(w) py_dict_scan(w)
#endif

/* A word of the head in the window, at a masked offset. */
static __always_inline __u64 py_dict_u64(const struct cs_walk *w, __u32 offset)
{
	return *(const __u64 *)(w->window + (offset & (PY_DICT_HEAD - 8)));
}

static __always_inline __u8 py_dict_u8(const struct cs_walk *w, __u32 offset)
{
	return w->window[offset & (PY_DICT_HEAD - 1)];
}

/* Bytes of the index before the entries; 0 if it is none that is looked into. */
static __always_inline __u64 py_dict_indices(struct cs_walk *w)
{
	__u8 kind, log2_bytes;
	__u64 size;

	w->dict.entry_bytes = PY_DICT_ENTRY;
	if (w->traits.keys_by_size) {
		/* one, two or four bytes an index: DK_IXSIZE of Objects/dict-common.h and dictobject.c */
		size = py_dict_u64(w, w->off.keys_size);
		if (size > PY_DICT_MAX_INDICES)
			return 0;
		return size <= 0xff ? size : size <= 0xffff ? 2 * size : 4 * size;
	}
	kind = py_dict_u8(w, w->off.keys_kind);
	log2_bytes = py_dict_u8(w, w->off.keys_log2_index_bytes);
	if (kind > PY_DICT_SPLIT || log2_bytes > 16)
		return 0;
	if (kind != PY_DICT_GENERAL)
		w->dict.entry_bytes = PY_DICT_STR_ENTRY;
	return 1ull << (log2_bytes & 31);
}

/* Have w->dict be the entries of this keys object. Returns 0, or 1 if it cannot be read or is too large. Overwrites the window. */
static __always_inline int py_dict_open(struct cs_walk *w, struct task_struct *task, __u64 keys)
{
	__u64 size = w->off.keys_indices, indices;

	asm volatile("" : "+r"(size));
	if (size > PY_DICT_HEAD)
		size = PY_DICT_HEAD;
	if (!keys || CS_READ(task, w->window, size, keys))
		return 1;
	indices = py_dict_indices(w);
	w->dict.nentries = py_dict_u64(w, w->off.keys_nentries);
	w->dict.entries = keys + w->off.keys_indices + indices;
	w->dict.key_at = w->dict.entry_bytes - 16;
	return !indices;
}

/* The same, with the first entries in the window. */
static __always_inline int py_dict_load(struct cs_walk *w, struct task_struct *task, __u64 keys)
{
	__u64 bytes;

	if (py_dict_open(w, task, keys))
		return 1;
	if (w->dict.nentries > CS_DICT_ENTRIES)
		w->dict.nentries = CS_DICT_ENTRIES;
	bytes = w->dict.nentries * w->dict.entry_bytes;
	asm volatile("" : "+r"(bytes));
	if (bytes > CS_FRAME_WINDOW)
		return 1;
	return bytes && CS_READ(task, w->window, bytes, w->dict.entries);
}

/* The same of a small one, in one read, if that has all entries; at the end of mapped memory there may be less behind it. */
static __always_inline int py_dict_load_small(struct cs_walk *w, struct task_struct *task,
					      __u64 keys)
{
	__u64 at;

	if (!keys || CS_READ(task, w->window, PY_DICT_SMALL, keys))
		return py_dict_load(w, task, keys);
	at = py_dict_indices(w);
	w->dict.nentries = py_dict_u64(w, w->off.keys_nentries);
	if (!at)
		return 1;
	at += w->off.keys_indices;
	if (w->dict.nentries > CS_DICT_ENTRIES ||
	    at + w->dict.nentries * w->dict.entry_bytes > PY_DICT_SMALL)
		return py_dict_load(w, task, keys);
	w->dict.entries = keys + at;
	w->dict.key_at = at + w->dict.entry_bytes - 16;
	return 0;
}

/* A word of the i-th entry in the window: 0 its key, 8 its value. */
static __always_inline __u64 py_dict_entry(const struct cs_walk *w, __u32 i, __u32 at)
{
	return *(const __u64 *)(w->window + ((i * w->dict.entry_bytes + w->dict.key_at + at) &
					     (CS_FRAME_WINDOW - 8)));
}

/* Which entry in the window has the key w->dict.wanted? CS_NO_INDEX: none. */
static __always_inline __u32 py_dict_scan(const struct cs_walk *w)
{
	for (__u32 i = 0; i < CS_DICT_ENTRIES; i++) {
		if (i >= w->dict.nentries)
			break;
		if (py_dict_entry(w, i, 0) == w->dict.wanted)
			return i;
	}
	return CS_NO_INDEX;
}

/* The same of this key. The scan is a function of its own where the program makes it one: it is verified once. */
static __always_inline __u32 py_dict_find(struct cs_walk *w, __u64 key)
{
	w->dict.wanted = key;
	return key ? (__u32)CS_FIND_KEY(w) : CS_NO_INDEX;
}
