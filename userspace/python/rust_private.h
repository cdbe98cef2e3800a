/* SPDX-License-Identifier: Apache-2.0 */
/* What the witnesses of a Rust object's fields (rust_witness.c) and those who believe them (tracer_rust.c) share. */
#pragma once

#include "python/tracer_rust.h"

#define CS_RUST_WORD          8u
/* After so many looks that disagree it is not believed: of ids and ends nothing at all, of another field that one. */
#define CS_RUST_MAX_CONFLICTS 32
/* Looks for ends alone: two seconds of them. */
#define CS_RUST_MAX_WATCHES   4000

static inline bool cs_rust_is_one(uint64_t bits)
{
	return bits && !(bits & (bits - 1));
}

static inline uint16_t cs_rust_offset(uint64_t bit)
{
	return (uint16_t)(CS_RUST_WORD * (unsigned int)__builtin_ctzll(bit));
}

static inline bool cs_rust_hopeful(const struct cs_rust_field *field)
{
	return field->nconflicts < CS_RUST_MAX_CONFLICTS;
}

static inline bool cs_rust_agreed(const struct cs_rust_field *field)
{
	return field->witnesses >= CS_RUST_ENOUGH && cs_rust_hopeful(field);
}

static inline bool cs_rust_certain(const struct cs_rust_field *field)
{
	return cs_rust_agreed(field) && cs_rust_is_one(field->left);
}

static inline void cs_rust_forget(struct cs_rust_field *field)
{
	*field = (struct cs_rust_field){.left = UINT64_MAX};
}

/* Words of a span that are known to be numbers. One of them, its duration, is whatever lay there before as long as it has none, an address perhaps. */
static inline uint64_t cs_rust_numbers(const struct cs_rust *rust)
{
	uint64_t numbers = cs_rust_certain(&rust->minus) ? rust->minus.left : 0;

	if (cs_rust_certain(&rust->tag))
		numbers |= rust->tag.left | rust->tag.left << 1;
	if (cs_rust_certain(&rust->id))
		numbers |= rust->id.left;
	return numbers;
}

static inline bool cs_rust_knows_end(const struct cs_rust *rust)
{
	return rust->span.ended || (cs_rust_certain(&rust->tag) && !rust->minus.witnesses) ||
	       (cs_rust_certain(&rust->minus) && !rust->tag.witnesses);
}
