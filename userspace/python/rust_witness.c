/* SPDX-License-Identifier: Apache-2.0 */
/* What one look at a live span tells of its fields. Spans change and go while they are looked at: what is not the same at the end of a look tells nothing. */
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "python/rust_private.h"

/* A reference count of a live object; the first word of a free one is a pointer. */
#define MAX_REFERENCES  (1ull << 31)
/* Two clocks that are one, read in turn. */
#define CLOCK_SLACK_NS  1000000
/* No span is so short; of flags and counts nearly any would do as the duration of one that has only begun. */
#define MIN_DURATION_NS 1000
/* A span that lasts longer is not waited for. */
#define WATCH_NS        1000000000ll

/* SpanTypes of ddtrace/ext/__init__.py. */
static const char *const span_types[] = {
	"cache",   "cassandra", "cosmosdb", "elasticsearch", "grpc",     "graphql",   "http",
	"mongodb", "redis",     "sql",      "serverless",    "template", "test",      "web",
	"worker",  "auth",      "system",   "llm",           "valkey",   "websocket", "ray",
};

/* What one look tells: fields that may be it. */
struct seen {
	uint64_t parents, roots, contexts, types, none, endpoints;
};

bool cs_rust_heed(struct cs_rust_field *field, uint64_t seen)
{
	unsigned int nconflicts = field->nconflicts + 1;

	field->left &= seen;
	field->witnesses++;
	if (field->left)
		return true;
	cs_rust_forget(field);
	field->nconflicts = nconflicts;
	return false;
}

void cs_rust_heed_needed(struct cs_rust *rust, struct cs_rust_field *field, uint64_t seen)
{
	rust->nconflicts += !cs_rust_heed(field, seen);
}

static int64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

bool cs_rust_read_words(const struct cs_pyobj_ctx *ctx, uint64_t at, uint64_t type, uint64_t *words,
			unsigned int n)
{
	uint64_t is;

	memset(words, 0, CS_RUST_WORDS * sizeof(*words));
	return at && at % CS_RUST_WORD == 0 && !cs_pyobj_type_addr(ctx, at, &is) && is == type &&
	       !cs_mem_read(ctx->mem, at, words, n * sizeof(*words));
}

uint64_t cs_rust_print(const struct cs_rust *rust, const uint64_t *words)
{
	uint64_t print = 0;

	for (unsigned int i = 2; i < rust->words; i++) {
		if (words[i] >= CS_RUST_MIN_RANDOM && words[i] != UINT64_MAX)
			print = (print << 1 | print >> 63) ^ words[i];
	}
	return print;
}

bool cs_rust_is_there(struct cs_rust_view *look)
{
	const struct cs_rust *rust = look->rust;
	uint64_t words[CS_RUST_WORDS];

	cs_mem_forget(look->ctx->mem);
	return cs_rust_read_words(look->ctx, look->now.at, rust->span.type, words, rust->words) &&
	       words[0] && words[0] < MAX_REFERENCES &&
	       cs_rust_print(rust, words) == cs_rust_print(rust, look->now.words);
}

bool cs_rust_read_ref(const struct cs_pyobj_ctx *ctx, uint64_t at, uint64_t offset, uint64_t *ret)
{
	return offset && !cs_mem_read_u64(ctx->mem, at + offset, ret) && *ret;
}

/* Does the duration d tell an end between two looks, with any word that may be the start? */
static bool ended_between(const struct cs_rust *rust, const struct cs_rust_look *before,
			  const struct cs_rust_look *after, uint64_t d)
{
	int64_t from = before->real_ns - CLOCK_SLACK_NS, to = after->real_ns + CLOCK_SLACK_NS;

	if (d < MIN_DURATION_NS || d > INT64_MAX / 2)
		return false;
	for (unsigned int i = 2; i < rust->words; i++) {
		int64_t start = (int64_t)before->words[i];

		if (before->words[i] == after->words[i] && start > INT64_MAX / 8 && start <= to &&
		    start + (int64_t)d >= from && start + (int64_t)d <= to)
			return true;
	}
	return false;
}

/* A span that is watched, again: has it ended since? */
static void end_witness(struct cs_rust *rust, const struct cs_rust_look *before,
			const struct cs_rust_look *after)
{
	const uint64_t *was = before->words, *is = after->words;
	uint64_t tag = 0, minus = 0;

	for (unsigned int i = 2; i < rust->words; i++) {
		if (was[i] == UINT64_MAX && is[i] != UINT64_MAX &&
		    ended_between(rust, before, after, is[i]))
			minus |= 1ull << i;
		if (!was[i] && is[i] == 1 && i + 1 < rust->words &&
		    ended_between(rust, before, after, is[i + 1]))
			tag |= 1ull << i;
	}
	if (!tag && !minus)
		return;
	/* one of them is none: no span tells both */
	if (tag && minus)
		rust->nconflicts++;
	else if (tag)
		cs_rust_heed_needed(rust, &rust->tag, tag);
	else
		cs_rust_heed_needed(rust, &rust->minus, minus);
}

/* Look again at all that are watched. A free object keeps its words until its memory is used again. */
static void look_again(struct cs_rust *rust, const struct cs_pyobj_ctx *ctx)
{
	struct cs_rust_look now;

	cs_mem_forget(ctx->mem);
	for (unsigned int i = 0; i < CS_RUST_WATCHED; i++) {
		struct cs_rust_look *watched = &rust->watched[i];

		if (!watched->at)
			continue;
		now = (struct cs_rust_look){.at = watched->at};
		if (!cs_rust_read_words(ctx, now.at, rust->span.type, now.words, rust->words) ||
		    cs_rust_print(rust, now.words) != cs_rust_print(rust, watched->words)) {
			watched->at = 0;
			continue;
		}
		now.real_ns = real_ns();
		now.first_ns = watched->first_ns;
		end_witness(rust, watched, &now);
		*watched = now;
	}
}

/*
 * Watch this one too, if there is room: many spans begin while one goes on, and none would be seen to end if each took the place of another. One
 * that lasts for long gives way.
 */
static void watch(struct cs_rust *rust, const struct cs_rust_look *look)
{
	struct cs_rust_look *place = NULL;

	for (unsigned int i = 0; i < CS_RUST_WATCHED; i++) {
		struct cs_rust_look *watched = &rust->watched[i];

		if (watched->at == look->at)
			return;
		if (!watched->at || look->real_ns - watched->first_ns > WATCH_NS)
			place = watched;
	}
	if (!place)
		return;
	*place = *look;
	place->first_ns = look->real_ns;
}

/* Which words are addresses of objects of this type? */
static uint64_t refs_to(const struct cs_rust_view *look, const uint64_t *words, uint64_t type)
{
	uint64_t refs = 0, numbers = cs_rust_numbers(look->rust), is;

	for (unsigned int i = 2; i < look->rust->words; i++) {
		if (!cs_rust_has_bit(numbers, i) && words[i] >= 4096 &&
		    words[i] < CS_RUST_MIN_RANDOM && words[i] % CS_RUST_WORD == 0 &&
		    !cs_pyobj_type_addr(look->ctx, words[i], &is) && is == type)
			refs |= 1ull << i;
	}
	return refs;
}

/* The words of the span that the first of these refers to. */
static bool read_ref_words(const struct cs_rust_view *look, const uint64_t *words, uint64_t refs,
			   uint64_t *ret)
{
	const struct cs_rust *rust = look->rust;

	return cs_rust_read_words(look->ctx, words[__builtin_ctzll(refs)], rust->span.type, ret,
				  rust->words);
}

static bool has_word(const struct cs_rust *rust, const uint64_t *words, uint64_t wanted,
		     unsigned int but)
{
	for (unsigned int i = 2; i < rust->words; i++) {
		if (i != but && words[i] == wanted)
			return true;
	}
	return false;
}

/* Has the span of these words that one's id besides its own, as a parent's? */
static bool has_id_of(const struct cs_rust *rust, const uint64_t *words, const uint64_t *other)
{
	unsigned int id = (unsigned int)__builtin_ctzll(rust->id.left);

	return has_word(rust, words, other[id], id);
}

/* Does the span of these words refer to its parent? */
static bool has_parent(const struct cs_rust_view *look, const uint64_t *words)
{
	uint64_t refs = refs_to(look, words, look->rust->span.type), other[CS_RUST_WORDS];

	for (unsigned int n = 0; refs && n < CS_RUST_MAX_REFS; n++, refs &= refs - 1) {
		if (read_ref_words(look, words, refs, other) && has_id_of(look->rust, words, other))
			return true;
	}
	return false;
}

/*
 * The parent is the one whose id the span has as well, and the root one that has none. A span that refers to no parent tells nothing, whatever else it
 * refers to: where it has no value, as a duration before its end, there may be an address of long ago.
 */
static bool see_relations(const struct cs_rust_view *look, uint64_t refs, struct seen *seen)
{
	uint64_t other[CS_RUST_WORDS];

	if (__builtin_popcountll(refs) > CS_RUST_MAX_REFS)
		return false;
	for (; refs; refs &= refs - 1) {
		if (!read_ref_words(look, look->now.words, refs, other))
			return false;
		if (has_id_of(look->rust, look->now.words, other))
			seen->parents |= refs & -refs;
		if (!has_parent(look, other))
			seen->roots |= refs & -refs;
	}
	if (seen->parents)
		seen->contexts = refs_to(look, look->now.words, look->rust->context.type);
	return true;
}

static bool is_span_type(const struct cs_pyobj_ctx *ctx, uint64_t text)
{
	for (size_t i = 0; i < ARRAY_SIZE(span_types); i++) {
		if (cs_pyobj_str_equals(ctx, text, span_types[i]))
			return true;
	}
	return false;
}

static bool is_endpoint(const struct cs_pyobj_ctx *ctx, uint64_t str)
{
	static const char *const methods[] = {"GET ",   "POST ",    "PUT ",   "DELETE ", "HEAD ",
					      "PATCH ", "OPTIONS ", "TRACE ", "CONNECT "};
	char text[16];

	if (cs_pyobj_str(ctx, str, text, sizeof(text), NULL, NULL))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (!strncmp(text, methods[i], strlen(methods[i])))
			return true;
	}
	return false;
}

static void see_texts(const struct cs_rust_view *look, struct seen *seen)
{
	const uint64_t *words = look->now.words;
	uint64_t strs = refs_to(look, words, look->row->str_type);

	for (unsigned int i = 2; i < look->rust->words; i++) {
		if (words[i] == look->row->none)
			seen->none |= 1ull << i;
		if (!cs_rust_has_bit(strs, i))
			continue;
		if (is_span_type(look->ctx, words[i]))
			seen->types |= 1ull << i;
		if (is_endpoint(look->ctx, words[i]))
			seen->endpoints |= 1ull << i;
	}
}

/* All of it is of one span that is still there. */
static void believe(struct cs_rust *rust, const struct seen *seen)
{
	if (seen->parents && !rust->span.parent)
		cs_rust_heed(&rust->parent, seen->parents);
	if (seen->parents && !rust->span.root)
		cs_rust_heed(&rust->root, seen->roots);
	if (seen->contexts && !rust->span.parent_context)
		cs_rust_heed(&rust->parent_context, seen->contexts);
	rust->type_seen |= seen->types;
	if (!rust->span.span_type)
		cs_rust_heed(&rust->type, seen->types | seen->none);
	if (seen->endpoints && !rust->span.resource)
		cs_rust_heed(&rust->resource, seen->endpoints);
}

/* The dict of a Context in which ddtrace keeps what it propagates, in its own form or in W3C's. */
static void meta_witness(struct cs_rust_view *look, uint64_t context)
{
	static const char *const keys[] = {"_dd.p.tid", "_dd.p.dm", "traceparent", "tracestate",
					   "_dd.profiling.local_root_span_id"};
	struct cs_rust *rust = look->rust;
	uint64_t words[CS_RUST_WORDS], again[CS_RUST_WORDS], metas = 0, value;

	if (!cs_rust_read_words(look->ctx, context, rust->context.type, words, rust->context_words))
		return;
	rust->ncontexts++;
	for (unsigned int i = 2; i < rust->context_words; i++) {
		if (words[i] < 4096 || words[i] >= CS_RUST_MIN_RANDOM || words[i] % CS_RUST_WORD ||
		    !cs_pyobj_has_flag(look->ctx, words[i], CS_PYTYPE_DICT))
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
			if (!cs_pyobj_dict_get(look->ctx, words[i], keys[k], &value) &&
			    cs_pyobj_has_flag(look->ctx, value, CS_PYTYPE_UNICODE))
				metas |= 1ull << i;
		}
	}
	cs_mem_forget(look->ctx->mem);
	if (metas &&
	    cs_rust_read_words(look->ctx, context, rust->context.type, again,
			       rust->context_words) &&
	    !memcmp(words + 1, again + 1, sizeof(words) - sizeof(*words)))
		cs_rust_heed(&rust->meta, metas);
}

static void span_met(struct cs_rust_view *look)
{
	struct cs_rust *rust = look->rust;
	struct seen seen = {0};
	uint64_t context, refs;

	look->now.real_ns = real_ns();
	if (!cs_rust_knows_end(rust))
		watch(rust, &look->now);
	cs_rust_ids_witness(look);
	refs = refs_to(look, look->now.words, rust->span.type);
	if (!cs_rust_certain(&rust->id)) {
		cs_rust_ids_above(look, refs);
		cs_rust_short_trace_witness(look, refs);
	}
	see_texts(look, &seen);
	if ((!cs_rust_certain(&rust->id) || see_relations(look, refs, &seen)) &&
	    cs_rust_is_there(look))
		believe(rust, &seen);
	if (rust->context_words && !cs_rust_certain(&rust->meta) &&
	    cs_rust_read_ref(look->ctx, look->now.at, rust->span.meta, &context))
		meta_witness(look, context);
}

void cs_rust_meet(struct cs_rust *rust, const struct cs_pyobj_ctx *ctx,
		  const struct cs_tracers *row, uint64_t object)
{
	struct cs_rust_view look = {rust, ctx, row, {.at = object}};

	if (!rust->span.type || !rust->words || !rust->context.type ||
	    rust->nconflicts >= CS_RUST_MAX_CONFLICTS)
		return;
	rust->nlooks++;
	if (!cs_rust_knows_end(rust))
		look_again(rust, ctx);
	if (cs_rust_read_words(ctx, object, rust->span.type, look.now.words, rust->words))
		span_met(&look);
	else if (rust->context_words && !cs_rust_certain(&rust->meta))
		meta_witness(&look, object);
}

bool cs_rust_watches(const struct cs_rust *rust)
{
	if (cs_rust_knows_end(rust) || rust->nwatches >= CS_RUST_MAX_WATCHES)
		return false;
	for (unsigned int i = 0; i < CS_RUST_WATCHED; i++) {
		if (rust->watched[i].at)
			return true;
	}
	return false;
}

bool cs_rust_watch(struct cs_rust *rust, const struct cs_pyobj_ctx *ctx)
{
	rust->nwatches++;
	look_again(rust, ctx);
	return cs_rust_knows_end(rust);
}
