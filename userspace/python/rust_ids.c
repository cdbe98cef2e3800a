/* SPDX-License-Identifier: Apache-2.0 */
/* Which words of a Rust span are its ids: those that its Context has as well. */
#include <string.h>

#include "python/rust_private.h"

/* A Context's ids from its slots. */
static bool slots_witness(const struct cs_rust_view *look, uint64_t context, uint64_t *ret_id,
			  uint64_t *ret_trace)
{
	const struct cs_rust *rust = look->rust;
	const uint64_t *words = look->now.words;
	uint64_t hi, lo, high, id, ref, type;

	if (cs_pyobj_type_addr(look->ctx, context, &type) || type != rust->context.type ||
	    !cs_rust_read_ref(look->ctx, context, rust->context.span_id, &ref) ||
	    cs_pyobj_unsigned(look->ctx, ref, &high, &id) || high ||
	    !cs_rust_read_ref(look->ctx, context, rust->context.trace_id, &ref) ||
	    cs_pyobj_unsigned(look->ctx, ref, &hi, &lo))
		return false;
	*ret_id = *ret_trace = 0;
	for (unsigned int i = 2; i < rust->words; i++) {
		*ret_id |= (uint64_t)(words[i] == id) << i;
		if (i + 1 < rust->words && words[i] == lo && words[i + 1] == hi)
			*ret_trace |= 1ull << i;
	}
	return true;
}

/* What the span and its Context, two Rust objects, have in common: kept in equal, for which all must be as the first ones said. */
static uint64_t equal_words(const struct cs_rust *rust, uint64_t word, const uint64_t *other)
{
	uint64_t equal = 0;

	if (word < CS_RUST_MIN_RANDOM || word == UINT64_MAX)
		return 0;
	for (unsigned int j = 2; j < rust->context_words; j++)
		equal |= (uint64_t)(word == other[j]) << j;
	return equal;
}

/* Words that are alone, not the halves of one number, in the span or in its Context. */
static bool are_apart(const uint64_t *equal)
{
	for (unsigned int i = 2; i + 1 < CS_RUST_WORDS; i++) {
		if (equal[i] && equal[i] << 1 & equal[i + 1])
			return false;
	}
	return true;
}

/* Two words in common: the ids, if that of the trace has 64 bits. */
static void short_words(struct cs_rust *rust, const uint64_t *words, const uint64_t *equal)
{
	uint64_t zero = 0;

	for (unsigned int i = 2; i + 1 < rust->words; i++)
		zero |= (uint64_t)(equal[i] && !words[i + 1]) << i;
	rust->short_zero &= zero;
	for (unsigned int i = 0; i < CS_RUST_WORDS; i++)
		rust->short_equal[i] &= equal[i];
}

/*
 * A Context that has less in common with the span than three words, two ids, or two that are apart, is one that it came with: it says nothing of this
 * span's.
 */
static bool words_witness(const struct cs_rust_view *look, uint64_t context)
{
	uint64_t other[CS_RUST_WORDS], equal[CS_RUST_WORDS] = {0}, tagged = 0;
	struct cs_rust *rust = look->rust;
	unsigned int n = 0;

	if (!cs_rust_read_words(look->ctx, context, rust->context.type, other, rust->context_words))
		return false;
	if (!cs_rust_is_there((struct cs_rust_view *)look))
		return false;
	for (unsigned int j = 4; j + 1 < rust->context_words; j++)
		tagged |= (uint64_t)(other[j - 2] == 1) << j;
	for (unsigned int i = 2; i < CS_RUST_WORDS; i++) {
		equal[i] = equal_words(rust, look->now.words[i], other);
		n += equal[i] != 0;
	}
	if (n < 2 || (n == 2 && !are_apart(equal)))
		return false;
	rust->tagged &= tagged;
	if (n == 2)
		short_words(rust, look->now.words, equal);
	for (unsigned int i = 0; n > 2 && i < CS_RUST_WORDS; i++)
		rust->equal[i] &= equal[i];
	return true;
}

/* The ids are these words of a span; a Context has them where `equal` says. Returns whether that makes sense. */
static bool take_ids(struct cs_rust *rust, const uint64_t *equal, unsigned int trace,
		     unsigned int id)
{
	unsigned int j = (unsigned int)__builtin_ctzll(equal[trace]);

	if (!cs_rust_has_bit(rust->tagged, j) || !(equal[id] & rust->tagged))
		return false;
	rust->trace.left = 1ull << trace;
	rust->id.left = 1ull << id;
	rust->context.trace_id = (uint16_t)(CS_RUST_WORD * j);
	rust->context.span_id = cs_rust_offset(equal[id]);
	return true;
}

/* The words of spans that Contexts have at one place each, in order; 0 if there are others, or more than max. */
static unsigned int agreed_words(const uint64_t *equal, unsigned int *ret, unsigned int max)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < CS_RUST_WORDS; i++) {
		if (!equal[i])
			continue;
		if (!cs_rust_is_one(equal[i]) || n == max)
			return 0;
		ret[n++] = i;
	}
	return n;
}

/* The offsets of the ids from what spans and Contexts have in common: of the trace two words in both, of the span one. */
static void judge_words(struct cs_rust *rust)
{
	unsigned int at[3], trace, id;

	if (agreed_words(rust->equal, at, 3) != 3)
		return;
	if (at[1] == at[0] + 1 && at[2] != at[1] + 1) {
		trace = at[0];
		id = at[2];
	} else if (at[2] == at[1] + 1 && at[1] != at[0] + 1) {
		trace = at[1];
		id = at[0];
	} else {
		return;
	}
	if (rust->equal[trace + 1] == rust->equal[trace] << 1)
		take_ids(rust, rust->equal, trace, id);
}

/* The same of short ids. */
static void judge_short(struct cs_rust *rust)
{
	unsigned int at[2];
	bool second;

	/* what whole ids have told stays */
	if (cs_rust_is_one(rust->id.left))
		return;
	/* one witness is enough: two random words are not equal by chance */
	if (agreed_words(rust->short_equal, at, 2) != 2 || !cs_rust_is_one(rust->short_trace.left))
		return;
	second = cs_rust_has_bit(rust->short_trace.left, at[1]);
	if ((second || cs_rust_has_bit(rust->short_trace.left, at[0])) &&
	    cs_rust_has_bit(rust->short_zero, at[second]))
		take_ids(rust, rust->short_equal, at[second], at[!second]);
}

void cs_rust_short_trace_witness(struct cs_rust_view *look, uint64_t refs)
{
	struct cs_rust *rust = look->rust;
	uint64_t other[CS_RUST_WORDS], same;
	unsigned int at[2];

	if (agreed_words(rust->short_equal, at, 2) != 2)
		return;
	for (unsigned int n = 0; refs && n < CS_RUST_MAX_REFS; n++, refs &= refs - 1) {
		if (!cs_rust_read_words(look->ctx, look->now.words[__builtin_ctzll(refs)],
					rust->span.type, other, rust->words))
			continue;
		same = 0;
		for (unsigned int i = 0; i < 2; i++)
			same |= (uint64_t)(look->now.words[at[i]] == other[at[i]]) << at[i];
		if (!cs_rust_is_one(same) || !cs_rust_is_there(look))
			continue;
		cs_rust_heed(&rust->short_trace, same);
		judge_short(rust);
		return;
	}
}

/* Has this span been a witness already? */
static bool is_witness(struct cs_rust *rust, uint64_t print)
{
	for (unsigned int i = 0; i < CS_RUST_PRINTS; i++) {
		if (rust->prints[i] == print)
			return true;
	}
	return false;
}

void cs_rust_ids_witness(struct cs_rust_view *look)
{
	struct cs_rust *rust = look->rust;
	uint64_t print = cs_rust_print(rust, look->now.words), context, id, trace;

	if (is_witness(rust, print) ||
	    !cs_rust_read_ref(look->ctx, look->now.at, rust->span.meta, &context) ||
	    context == look->row->none)
		return;
	if (!rust->context_words) {
		if (!slots_witness(look, context, &id, &trace) || !cs_rust_is_there(look))
			return;
		cs_rust_heed_needed(rust, &rust->id, id);
		if (!rust->span.trace_id)
			cs_rust_heed_needed(rust, &rust->trace, trace);
	} else {
		if (!words_witness(look, context))
			return;
		rust->id.witnesses++;
		rust->trace.witnesses++;
		judge_words(rust);
		judge_short(rust);
	}
	rust->prints[rust->nprints++ % CS_RUST_PRINTS] = print;
}

static void ids_of(const struct cs_rust_view *look, uint64_t at)
{
	struct cs_rust_view other = {look->rust, look->ctx, look->row, {.at = at}};

	if (cs_rust_read_words(look->ctx, at, look->rust->span.type, other.now.words,
			       look->rust->words))
		cs_rust_ids_witness(&other);
}

void cs_rust_ids_above(const struct cs_rust_view *look, uint64_t refs)
{
	uint64_t root;

	for (unsigned int n = 0; refs && n < CS_RUST_MAX_REFS; n++, refs &= refs - 1)
		ids_of(look, look->now.words[__builtin_ctzll(refs)]);
	if (cs_rust_read_ref(look->ctx, look->now.at, look->rust->span.root, &root))
		ids_of(look, root);
}
