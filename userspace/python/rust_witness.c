/* SPDX-License-Identifier: Apache-2.0 */
/* What one look at a live span tells of its fields. Spans change and go while they are looked at: what is not the same at the end of a look tells nothing. */
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "python/rust_private.h"

/* No pointer is larger; random ids nearly always are. */
#define MIN_RANDOM     (1ull << 48)
/* A reference count of a live object; the first word of a free one is a pointer. */
#define MAX_REFERENCES (1ull << 31)
/* Two clocks that are one, read in turn. */
#define CLOCK_SLACK_NS 1000000
/* A span that lasts longer is not waited for. */
#define WATCH_NS       1000000000ll

/* SpanTypes of ddtrace/ext/__init__.py. */
static const char *const span_types[] = {
	"cache",   "cassandra", "cosmosdb", "elasticsearch", "grpc",     "graphql",   "http",
	"mongodb", "redis",     "sql",      "serverless",    "template", "test",      "web",
	"worker",  "auth",      "system",   "llm",           "valkey",   "websocket", "ray",
};

/* One look at a span. */
struct look {
	struct cs_rust *rust;
	const struct cs_pyobj_ctx *ctx;
	const struct cs_tracers *row;
	struct cs_rust_look now;
};

static bool get_bit(uint64_t bits, unsigned int i)
{
	return bits >> i & 1;
}

/* A witness saw the field among these. If it contradicts the others all begin anew. */
static void heed(struct cs_rust *rust, struct cs_rust_field *field, uint64_t seen)
{
	field->left &= seen;
	field->witnesses++;
	if (field->left)
		return;
	cs_rust_forget(field);
	rust->nconflicts++;
}

static int64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* The words of an object that is of this type; false if it is not. */
static bool read_words(const struct cs_pyobj_ctx *ctx, uint64_t at, uint64_t type, uint64_t *words,
		       unsigned int n)
{
	uint64_t is;

	memset(words, 0, CS_RUST_WORDS * sizeof(*words));
	return at && at % CS_RUST_WORD == 0 && !cs_pyobj_type_addr(ctx, at, &is) && is == type &&
	       !cs_mem_read(ctx->mem, at, words, n * sizeof(*words));
}

/* What stays as it is from a span's beginning to its end, and tells it from others: ids, and when it began. */
static uint64_t print_of(const struct cs_rust *rust, const uint64_t *words)
{
	uint64_t print = 0;

	for (unsigned int i = 2; i < rust->words; i++) {
		if (words[i] >= MIN_RANDOM && words[i] != UINT64_MAX)
			print = (print << 1 | print >> 63) ^ words[i];
	}
	return print;
}

/* The span again: is it the same, and alive? */
static bool is_still_there(struct look *look)
{
	const struct cs_rust *rust = look->rust;
	uint64_t words[CS_RUST_WORDS];

	cs_mem_forget(look->ctx->mem);
	return read_words(look->ctx, look->now.at, rust->span.type, words, rust->words) &&
	       words[0] && words[0] < MAX_REFERENCES &&
	       print_of(rust, words) == print_of(rust, look->now.words);
}

static bool read_ref(const struct cs_pyobj_ctx *ctx, uint64_t at, uint64_t offset, uint64_t *ret)
{
	return offset && !cs_mem_read_u64(ctx->mem, at + offset, ret) && *ret;
}

/* A Context's ids from its slots. */
static bool slots_witness(const struct look *look, uint64_t context, uint64_t *ret_id,
			  uint64_t *ret_trace)
{
	const struct cs_rust *rust = look->rust;
	const uint64_t *words = look->now.words;
	uint64_t hi, lo, high, id, ref, type;

	if (cs_pyobj_type_addr(look->ctx, context, &type) || type != rust->context.type ||
	    !read_ref(look->ctx, context, rust->context.span_id, &ref) ||
	    cs_pyobj_unsigned(look->ctx, ref, &high, &id) || high ||
	    !read_ref(look->ctx, context, rust->context.trace_id, &ref) ||
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

	if (word < MIN_RANDOM || word == UINT64_MAX)
		return 0;
	for (unsigned int j = 2; j < rust->context_words; j++)
		equal |= (uint64_t)(word == other[j]) << j;
	return equal;
}

/* A Context that has less in common with the span than three words, two ids, is one that it came with: it says nothing of this span's. */
static bool words_witness(const struct look *look, uint64_t context)
{
	uint64_t other[CS_RUST_WORDS], equal[CS_RUST_WORDS] = {0}, tagged = 0;
	struct cs_rust *rust = look->rust;
	unsigned int n = 0;

	if (!read_words(look->ctx, context, rust->context.type, other, rust->context_words))
		return false;
	if (!is_still_there((struct look *)look))
		return false;
	for (unsigned int j = 4; j + 1 < rust->context_words; j++)
		tagged |= (uint64_t)(other[j - 2] == 1) << j;
	for (unsigned int i = 2; i < CS_RUST_WORDS; i++) {
		equal[i] = equal_words(rust, look->now.words[i], other);
		n += equal[i] != 0;
	}
	if (n < 3)
		return false;
	rust->tagged &= tagged;
	for (unsigned int i = 0; i < CS_RUST_WORDS; i++)
		rust->equal[i] &= equal[i];
	return true;
}

/* The offsets of the ids from what spans and Contexts have in common: of the trace two words in both, of the span one. */
static void judge_words(struct cs_rust *rust)
{
	unsigned int at[CS_RUST_WORDS], n = 0, trace, id, j;

	for (unsigned int i = 0; i < CS_RUST_WORDS; i++) {
		if (rust->equal[i] && !cs_rust_is_one(rust->equal[i]))
			return;
		if (rust->equal[i])
			at[n++] = i;
	}
	if (n != 3)
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
	j = (unsigned int)__builtin_ctzll(rust->equal[trace]);
	if (rust->equal[trace + 1] != 1ull << (j + 1) || !get_bit(rust->tagged, j) ||
	    !(rust->equal[id] & rust->tagged))
		return;
	rust->trace.left = 1ull << trace;
	rust->id.left = 1ull << id;
	rust->context.trace_id = (uint16_t)(CS_RUST_WORD * j);
	rust->context.span_id = cs_rust_offset(rust->equal[id]);
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

static void ids_witness(struct look *look)
{
	struct cs_rust *rust = look->rust;
	uint64_t print = print_of(rust, look->now.words), context, id, trace;

	if (is_witness(rust, print) ||
	    !read_ref(look->ctx, look->now.at, rust->span.meta, &context) ||
	    context == look->row->none)
		return;
	if (!rust->context_words) {
		if (!slots_witness(look, context, &id, &trace) || !is_still_there(look))
			return;
		heed(rust, &rust->id, id);
		if (!rust->span.trace_id)
			heed(rust, &rust->trace, trace);
	} else {
		if (!words_witness(look, context))
			return;
		rust->id.witnesses++;
		rust->trace.witnesses++;
		judge_words(rust);
	}
	rust->prints[rust->nprints++ % CS_RUST_PRINTS] = print;
}

/* Does the duration d tell an end between two looks, with any word that may be the start? */
static bool ended_between(const struct cs_rust *rust, const struct cs_rust_look *before,
			  const struct cs_rust_look *after, uint64_t d)
{
	int64_t from = before->real_ns - CLOCK_SLACK_NS, to = after->real_ns + CLOCK_SLACK_NS;

	if (d > INT64_MAX / 2)
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
		heed(rust, &rust->tag, tag);
	else
		heed(rust, &rust->minus, minus);
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
		if (!read_words(ctx, now.at, rust->span.type, now.words, rust->words) ||
		    print_of(rust, now.words) != print_of(rust, watched->words)) {
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
static uint64_t refs_to(const struct look *look, const uint64_t *words, uint64_t type)
{
	uint64_t refs = 0, is;

	for (unsigned int i = 2; i < look->rust->words; i++) {
		if (words[i] >= 4096 && words[i] < MIN_RANDOM && words[i] % CS_RUST_WORD == 0 &&
		    !cs_pyobj_type_addr(look->ctx, words[i], &is) && is == type)
			refs |= 1ull << i;
	}
	return refs;
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

/* The parent is the one whose id the span has as well, and the root one that refers to no other. */
static void relations_witness(struct look *look)
{
	struct cs_rust *rust = look->rust;
	unsigned int id = (unsigned int)__builtin_ctzll(rust->id.left);
	uint64_t refs = refs_to(look, look->now.words, rust->span.type), parents = 0, roots = 0;
	uint64_t words[CS_RUST_WORDS];

	if (!refs)
		return;
	for (unsigned int i = 2; i < rust->words; i++) {
		if (!get_bit(refs, i))
			continue;
		if (!read_words(look->ctx, look->now.words[i], rust->span.type, words, rust->words))
			return;
		if (has_word(rust, look->now.words, words[id], id))
			parents |= 1ull << i;
		if (!refs_to(look, words, rust->span.type))
			roots |= 1ull << i;
	}
	if (!is_still_there(look))
		return;
	if (!rust->span.parent)
		heed(rust, &rust->parent, parents);
	if (!rust->span.root)
		heed(rust, &rust->root, roots);
}

static void context_witness(struct look *look)
{
	struct cs_rust *rust = look->rust;
	uint64_t refs = refs_to(look, look->now.words, rust->context.type);

	if (!rust->span.parent_context && refs && is_still_there(look))
		heed(rust, &rust->parent_context, refs);
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

static void resource_witness(struct look *look, uint64_t strs)
{
	uint64_t texts = 0;

	for (unsigned int i = 2; i < look->rust->words; i++) {
		if (get_bit(strs, i) && is_endpoint(look->ctx, look->now.words[i]))
			texts |= 1ull << i;
	}
	if (texts && !look->rust->span.resource && is_still_there(look))
		heed(look->rust, &look->rust->resource, texts);
}

static void type_witness(struct look *look)
{
	struct cs_rust *rust = look->rust;
	const uint64_t *words = look->now.words;
	uint64_t strs = refs_to(look, words, look->row->str_type), texts = 0, none = 0;

	for (unsigned int i = 2; i < rust->words; i++) {
		if (words[i] == look->row->none)
			none |= 1ull << i;
		else if (get_bit(strs, i) && is_span_type(look->ctx, words[i]))
			texts |= 1ull << i;
	}
	if (rust->span.span_type || !is_still_there(look))
		return;
	rust->type_seen |= texts;
	heed(rust, &rust->type, texts | none);
	resource_witness(look, strs);
}

/* The dict of a Context in which ddtrace keeps what it propagates. */
static void meta_witness(struct look *look, uint64_t context)
{
	static const char *const keys[] = {"_dd.p.tid", "_dd.p.dm",
					   "_dd.profiling.local_root_span_id"};
	struct cs_rust *rust = look->rust;
	uint64_t words[CS_RUST_WORDS], again[CS_RUST_WORDS], metas = 0, value;

	if (!read_words(look->ctx, context, rust->context.type, words, rust->context_words))
		return;
	for (unsigned int i = 2; i < rust->context_words; i++) {
		if (words[i] < 4096 || words[i] >= MIN_RANDOM || words[i] % CS_RUST_WORD ||
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
	    read_words(look->ctx, context, rust->context.type, again, rust->context_words) &&
	    !memcmp(words + 1, again + 1, sizeof(words) - sizeof(*words)))
		heed(rust, &rust->meta, metas);
}

static void span_met(struct look *look)
{
	struct cs_rust *rust = look->rust;
	uint64_t context;

	look->now.real_ns = real_ns();
	ids_witness(look);
	if (!cs_rust_knows_end(rust))
		watch(rust, &look->now);
	if (cs_rust_certain(&rust->id)) {
		relations_witness(look);
		context_witness(look);
		type_witness(look);
	}
	if (rust->context_words && !cs_rust_certain(&rust->meta) &&
	    read_ref(look->ctx, look->now.at, rust->span.meta, &context))
		meta_witness(look, context);
}

void cs_rust_meet(struct cs_rust *rust, const struct cs_pyobj_ctx *ctx,
		  const struct cs_tracers *row, uint64_t object)
{
	struct look look = {rust, ctx, row, {.at = object}};

	if (!rust->span.type || !rust->words || !rust->context.type ||
	    rust->nconflicts >= CS_RUST_MAX_CONFLICTS)
		return;
	rust->nlooks++;
	if (!cs_rust_knows_end(rust))
		look_again(rust, ctx);
	if (read_words(ctx, object, rust->span.type, look.now.words, rust->words))
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
