/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPython objects of another process, read with checks: types, strings, integers, dicts, instance
 * attributes, sets, weak references. Everything is hostile: an object is believed only after its type
 * was looked at, and every length is bounded before it is used.
 *
 * All functions return 0; -EINVAL (another type, or an absurd value), -EFAULT (unreadable), -ENOENT (not
 * there), or what cs_mem_read returns when the process is gone. On failure nothing is stored.
 * Source: Include/cpython/ and Include/internal/ of CPython 3.8 to 3.15.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/mem.h"
#include "python/interp.h"

struct cs_pyobj_ctx {
	const struct cs_interp *interp; /* a READY one: offsets and traits hold */
	struct cs_mem *mem;
};

/* PyTypeObject.tp_flags (Include/object.h), the ones that tell types apart. */
#define CS_PYTYPE_HEAP    (1ull << 9)
#define CS_PYTYPE_LONG    (1ull << 24)
#define CS_PYTYPE_BYTES   (1ull << 27)
#define CS_PYTYPE_UNICODE (1ull << 28)
#define CS_PYTYPE_DICT    (1ull << 29)
#define CS_PYTYPE_TYPE    (1ull << 31)

#define CS_PYTYPE_NAME 128

struct cs_pytype {
	uint64_t addr, flags, base, init;
	uint64_t basicsize;
	char name[CS_PYTYPE_NAME]; /* tp_name, cut; bytes outside ASCII show as '?' */
};

/* A type object, believed only if its own type is one. */
int cs_pytype_read(const struct cs_pyobj_ctx *ctx, uint64_t type, struct cs_pytype *ret);

/* Is this type base, or derived from it through tp_base? */
bool cs_pytype_derives(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type, uint64_t base);

/* The type object of obj, by address (unchecked) or read and checked. */
int cs_pyobj_type_addr(const struct cs_pyobj_ctx *ctx, uint64_t obj, uint64_t *ret);
int cs_pyobj_type(const struct cs_pyobj_ctx *ctx, uint64_t obj, struct cs_pytype *ret);

/* Is obj an instance of a type with this flag? */
bool cs_pyobj_has_flag(const struct cs_pyobj_ctx *ctx, uint64_t obj, uint64_t flag);

/*
 * A str as valid UTF-8 in dst, terminated, cut at a character to size - 1 bytes. Surrogates and what is
 * no code point become U+FFFD. *ret_len and *ret_cut may be NULL.
 */
int cs_pyobj_str(const struct cs_pyobj_ctx *ctx, uint64_t obj, char *dst, size_t size,
		 size_t *ret_len, bool *ret_cut);

/*
 * Characters of 1, 2 or 4 bytes as valid UTF-8 in dst, terminated, cut at a character to size - 1 bytes; size is at least 1.
 * Returns the length.
 */
size_t cs_pyobj_utf8(const char *text, size_t nchars, uint32_t width, char *dst, size_t size,
		     bool *ret_cut);

/*
 * The last bytes of a str's characters as they are stored, at most size of them, in dst, which is zero behind them. Returns 0 with the
 * number of characters of the whole, or what cs_mem_read returns, or -EINVAL.
 */
int cs_pyobj_str_tail(const struct cs_pyobj_ctx *ctx, uint64_t obj, void *dst, size_t size,
		      uint64_t *ret_nchars);

/* Is obj the str text, which must be ASCII? */
bool cs_pyobj_str_equals(const struct cs_pyobj_ctx *ctx, uint64_t obj, const char *text);

/* An int. -ERANGE if it does not fit. */
int cs_pyobj_long(const struct cs_pyobj_ctx *ctx, uint64_t obj, int64_t *ret);

/* A positive int of up to 128 bits, as ids are. -EINVAL for all others. */
int cs_pyobj_unsigned(const struct cs_pyobj_ctx *ctx, uint64_t obj, uint64_t *ret_hi,
		      uint64_t *ret_lo);

/* Where the content of a bytes object lies, and its length. */
int cs_pyobj_bytes(const struct cs_pyobj_ctx *ctx, uint64_t obj, uint64_t *ret_data,
		   uint64_t *ret_len);

/* The value stored under an ASCII str key of a dict (or of a subclass of it). -ENOENT: none. */
int cs_pyobj_dict_get(const struct cs_pyobj_ctx *ctx, uint64_t dict, const char *key,
		      uint64_t *ret);

/* The dict of a module in sys.modules. -ENOENT: not imported. */
int cs_pyobj_module_dict(const struct cs_pyobj_ctx *ctx, uint64_t modules, const char *name,
			 uint64_t *ret);

/* Receives the key and the value of an entry, both as addresses of objects. Returns 0 to go on. */
typedef int cs_pyobj_entry_fn(void *arg, uint64_t key, uint64_t value);

/* Call fn for each entry of a dict. Returns what it returned, or an error. */
int cs_pyobj_dict_each(const struct cs_pyobj_ctx *ctx, uint64_t dict, cs_pyobj_entry_fn *fn,
		       void *arg);

/*
 * Where an instance's own storage (inline values, or its dict) keeps an attribute: the address of the pointer
 * to the value. It stays there until the instance or its dict is rearranged. -ENOENT: it has none.
 */
int cs_pyobj_attr_slot(const struct cs_pyobj_ctx *ctx, uint64_t obj, const char *name,
		       uint64_t *ret);

/* The attribute itself. -ENOENT: none there. */
int cs_pyobj_attr(const struct cs_pyobj_ctx *ctx, uint64_t obj, const char *name, uint64_t *ret);

/*
 * The same for all instances of a class that have not been rearranged: the address of an attribute's value is found by reading a word
 * so many bytes from the instance, then one so many bytes from what was read, and so on. Returns the number of steps,
 * -ENOENT if no instance has had this attribute yet, or another error.
 */
#define CS_ATTR_STEPS 3
int cs_pytype_attr_steps(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type,
			 const char *name, int32_t steps[CS_ATTR_STEPS]);

/*
 * The number of an attribute among the values of a class's instances, the str that is its name, and the keys object that they
 * share. -ENOENT if no instance has had it yet.
 */
struct cs_attr_place {
	uint64_t keys, name, index;
};
int cs_pytype_attr_place(const struct cs_pyobj_ctx *ctx, const struct cs_pytype *type,
			 const char *name, struct cs_attr_place *ret);

/*
 * Call fn for each attribute that an instance stores itself. -ENOENT: it stores none; -E2BIG: more than a thousand. Returns what fn
 * returned, or an error.
 */
int cs_pyobj_attr_each(const struct cs_pyobj_ctx *ctx, uint64_t obj, cs_pyobj_entry_fn *fn,
		       void *arg);

/* One slot of a set's table, as PySetObject lays it out. */
struct cs_pyset_slot {
	uint64_t key; /* 0: never used */
	int64_t hash; /* -1: removed; no object hashes to it */
};

/* The table of an exact set: where it starts and how many slots, at most max_slots (else -EINVAL). */
int cs_pyobj_set_table(const struct cs_pyobj_ctx *ctx, uint64_t set, uint64_t max_slots,
		       uint64_t *ret_table, uint64_t *ret_nslots);

/* An unsigned word at a byte offset of a chunk that holds it. */
uint64_t cs_pyobj_word(const void *chunk, uint32_t offset);
