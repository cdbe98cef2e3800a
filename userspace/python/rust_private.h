/* SPDX-License-Identifier: Apache-2.0 */
/* What the witnesses of a Rust object's fields (rust_witness.c) and those who believe them (tracer_rust.c) share. */
#pragma once

#include "python/tracer_rust.h"

#define CS_RUST_WORD          8u
/* After so many looks that disagree nothing is believed. */
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

static inline bool cs_rust_certain(const struct cs_rust_field *field)
{
	return field->witnesses >= CS_RUST_ENOUGH && cs_rust_is_one(field->left);
}

static inline void cs_rust_forget(struct cs_rust_field *field)
{
	*field = (struct cs_rust_field){.left = UINT64_MAX};
}

static inline bool cs_rust_knows_end(const struct cs_rust *rust)
{
	return rust->span.ended || (cs_rust_certain(&rust->tag) && !rust->minus.witnesses) ||
	       (cs_rust_certain(&rust->minus) && !rust->tag.witnesses);
}
