/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Made-up CPython objects in the test's own memory, laid out as a row of the layout table says, and read back
 * through cs_mem like those of any other process. Everything lives in one arena until made_end.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "python/objects.h"

#define MADE_NAMES 128

/* What there are layouts of. */
#define MADE_FIRST_MINOR 8
#define MADE_LAST_MINOR  15

struct made {
	struct cs_interp interp;
	struct cs_pyobj_ctx ctx;
	char *arena;
	size_t used;
	uint64_t names[MADE_NAMES]; /* interned, nnames of them */
	size_t nnames;
	uint64_t meta; /* the type of types */
	uint64_t type_str, type_int, type_dict, type_bytes, type_set, type_none, type_weakref;
	uint64_t type_tuple, type_list, type_future, type_task, type_code;
};

void made_begin(struct made *made, int minor);
void made_end(struct made *made);

/* Zeroed bytes, 16-byte aligned, with room in front for what precedes an instance. */
uint64_t made_bytes(struct made *made, size_t size);
/* Write to made-up memory; what was cached of it is forgotten. */
void made_put(struct made *made, uint64_t addr, uint32_t offset, uint64_t word);
void made_put32(struct made *made, uint64_t addr, uint32_t offset, uint32_t word);
void made_put8(struct made *made, uint64_t addr, uint32_t offset, uint8_t byte);

uint64_t made_type(struct made *made, const char *name, uint64_t flags, uint64_t base,
		   uint64_t basicsize);
uint64_t made_object(struct made *made, uint64_t type, size_t size);
/* A str of n characters of width bytes each; ASCII if all of them are. */
uint64_t made_str_of(struct made *made, const void *chars, size_t n, unsigned int width);
uint64_t made_str(struct made *made, const char *text);
/* An ASCII str, interned: the same one for the same text, as CPython does it with all names. */
uint64_t made_name(struct made *made, const char *text);
uint64_t made_int(struct made *made, int64_t value);
/* A keys object with n names; values may be NULL. general: entries have a hash, as all do up to 3.10. */
uint64_t made_keys(struct made *made, const char *const *names, const uint64_t *values, size_t n,
		   bool general);
/* A dict of any objects. */
uint64_t made_dict_of(struct made *made, const uint64_t *keys, const uint64_t *values, size_t n);
/* A dict of names. */
uint64_t made_namespace(struct made *made, const char *const *names, const uint64_t *values,
			size_t n);
/* A class without __slots__; methods: a namespace, or 0. */
uint64_t made_class(struct made *made, const char *name, uint64_t methods, uint64_t base);
/* An instance of a class, its attributes kept as in this version. All instances of a class have the same names. */
uint64_t made_instance_of(struct made *made, uint64_t class, const char *const *names,
			  const uint64_t *values, size_t n);
uint64_t made_tuple(struct made *made, const uint64_t *items, size_t n);
uint64_t made_list(struct made *made, const uint64_t *items, size_t n);
/* A set of nslots (a power of two) whose first n slots hold the entries. */
uint64_t made_set(struct made *made, const uint64_t *entries, size_t n, size_t nslots);
