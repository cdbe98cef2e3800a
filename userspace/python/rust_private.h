/* SPDX-License-Identifier: Apache-2.0 */
/* What the witnesses of a Rust object's fields (rust_witness.c, of ids rust_ids.c) and those who believe them (tracer_rust.c) share. */
#pragma once

#include "python/tracer_rust.h"

#define CS_RUST_WORD          8u
/* No pointer is larger; random ids nearly always are. */
#define CS_RUST_MIN_RANDOM    (1ull << 48)
/* A span refers to so few others. */
#define CS_RUST_MAX_REFS      8
/* After so many looks that disagree it is not believed: of ids and ends nothing at all, of another field that one. */
#define CS_RUST_MAX_CONFLICTS 32
/* Of two readings of which only one can be true: the one that has so many times the other's witnesses. */
#define CS_RUST_RATHER        4
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

/*
 * How a span says that it has ended, NULL if that is not known: a tag of its duration, or that this is no longer -1. What looks like the other once is a
 * coincidence, and would be one for ever if a single witness could forbid all others.
 */
static inline const struct cs_rust_field *cs_rust_end(const struct cs_rust *rust)
{
	const struct cs_rust_field *tag = &rust->tag, *minus = &rust->minus;

	if (cs_rust_certain(tag) && tag->witnesses >= CS_RUST_RATHER * minus->witnesses)
		return tag;
	if (cs_rust_certain(minus) && minus->witnesses >= CS_RUST_RATHER * tag->witnesses)
		return minus;
	return NULL;
}

static inline bool cs_rust_knows_end(const struct cs_rust *rust)
{
	return rust->span.ended || cs_rust_end(rust);
}

/* Words of a span that are known to be numbers. One of them, its duration, is whatever lay there before as long as it has none, an address perhaps. */
static inline uint64_t cs_rust_numbers(const struct cs_rust *rust)
{
	const struct cs_rust_field *end = cs_rust_end(rust);
	uint64_t numbers = end ? end->left : 0;

	if (end == &rust->tag)
		numbers |= end->left << 1;
	if (cs_rust_certain(&rust->id))
		numbers |= rust->id.left;
	return numbers;
}

/* One look at a span. */
struct cs_rust_view {
	struct cs_rust *rust;
	const struct cs_pyobj_ctx *ctx;
	const struct cs_tracers *row;
	struct cs_rust_look now;
};

static inline bool cs_rust_has_bit(uint64_t bits, unsigned int i)
{
	return bits >> i & 1;
}

/* A witness saw the field among these. If it contradicts the others it begins anew; returns whether it does not. */
bool cs_rust_heed(struct cs_rust_field *field, uint64_t seen);

/* Of a field without which no span is read. */
void cs_rust_heed_needed(struct cs_rust *rust, struct cs_rust_field *field, uint64_t seen);

/* The words of an object that is of this type; false if it is not. */
bool cs_rust_read_words(const struct cs_pyobj_ctx *ctx, uint64_t at, uint64_t type, uint64_t *words,
			unsigned int n);

/* What stays as it is from a span's beginning to its end, and tells it from others: ids, and when it began. */
uint64_t cs_rust_print(const struct cs_rust *rust, const uint64_t *words);

/* The span again: is it the same, and alive? */
bool cs_rust_is_there(struct cs_rust_view *look);

/* Where the error is, in bytes; 0: that is not certain. */
uint16_t cs_rust_error(const struct cs_rust *rust);

bool cs_rust_read_ref(const struct cs_pyobj_ctx *ctx, uint64_t at, uint64_t offset, uint64_t *ret);

/* What its Context tells of a span's ids, if it has not been a witness already. */
void cs_rust_ids_witness(struct cs_rust_view *look);

/*
 * From 4.14 on a child makes no Context of its own until it is asked for it, and most of what is met in a server are children; but those above
 * them have one, which their Rust object or a slot refers to, and which live as long.
 */
void cs_rust_ids_above(const struct cs_rust_view *look, uint64_t refs);

/* Which of the two is the trace's id: a child has it as the spans have that it refers to. */
void cs_rust_short_trace_witness(struct cs_rust_view *look, uint64_t refs);
