/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of a protobuf-c message under construction: everything in it lives until the message was packed, so it is
 * released at once. Whether any allocation failed is asked for once, at the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct cs_memory_block;

struct cs_memory {
	struct cs_memory_block *blocks;
	bool failed; /* an allocation has; stays set */
};

/* n zeroed things of size bytes; NULL, and failed set, without memory. n may be 0. */
void *cs_memory_get(struct cs_memory *memory, size_t n, size_t size);
/* An array of pointers to n zeroed messages, as protobuf-c wants repeated fields; NULL without memory. */
void *cs_memory_messages(struct cs_memory *memory, size_t n, size_t size);
void cs_memory_free(struct cs_memory *memory);
