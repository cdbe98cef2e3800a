/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The head of a dict: where its entries are. They are scanned in order: hashes differ from process to process. */
#pragma once

#include "walk.bpf.h"

/* Of a hash table; no dict that is looked into has more. */
#define PY_DICT_MAX_INDICES 65536
#define PY_DICT_GENERAL     0 /* DICT_KEYS_GENERAL of pycore_dict.h: keys of any type */
#define PY_DICT_SPLIT       2 /* DICT_KEYS_SPLIT: 1 and 2 have str keys only, and no hashes */

struct py_dict {
	__u64 entries, nentries;
	__u32 entry_bytes;
	__u32 key_at; /* in an entry; the value follows */
};

/* Bytes of the index before the entries; 0 if it is none that is looked into. */
static __always_inline __u64 py_dict_indices(struct cs_walk *w, struct task_struct *task,
					     __u64 keys, struct py_dict *ret)
{
	__u64 size = 0;
	__u8 kind = 0, log2_bytes = 0;

	ret->entry_bytes = 24; /* hash, key, value */
	ret->key_at = 8;
	if (w->traits.keys_by_size) {
		/* one, two or four bytes an index: DK_IXSIZE of Objects/dict-common.h and dictobject.c */
		if (CS_READ(task, &size, sizeof(size), keys + w->off.keys_size) ||
		    size > PY_DICT_MAX_INDICES)
			return 0;
		return size <= 0xff ? size : size <= 0xffff ? 2 * size : 4 * size;
	}
	if (CS_READ(task, &kind, sizeof(kind), keys + w->off.keys_kind) || kind > PY_DICT_SPLIT)
		return 0;
	if (kind != PY_DICT_GENERAL) {
		ret->entry_bytes = 16;
		ret->key_at = 0;
	}
	if (CS_READ(task, &log2_bytes, sizeof(log2_bytes), keys + w->off.keys_log2_index_bytes) ||
	    log2_bytes > 16)
		return 0;
	return 1ull << (log2_bytes & 31);
}

/* Open the keys object of a dict. Returns 0, or 1 if it cannot be read or is too large. */
static __always_inline int py_dict_open(struct cs_walk *w, struct task_struct *task, __u64 keys,
					struct py_dict *ret)
{
	__u64 indices = py_dict_indices(w, task, keys, ret);

	if (!indices ||
	    CS_READ(task, &ret->nentries, sizeof(ret->nentries), keys + w->off.keys_nentries))
		return 1;
	ret->entries = keys + w->off.keys_indices + indices;
	return 0;
}
