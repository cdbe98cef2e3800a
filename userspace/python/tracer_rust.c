/* SPDX-License-Identifier: Apache-2.0 */
/* What is believed of the fields of ddtrace's Rust objects. */
#include <stdio.h>
#include <string.h>
#include <sys/param.h>

#include "core/cleanup.h"
#include "python/rust_private.h"

/* After so many looks what is not certain stays so as long as spans can be read. */
#define MAX_LOOKS    2000
/* A Context may have nothing that tells which of its fields is its meta: after so many that had not, it is not waited for. */
#define MAX_CONTEXTS 100
/* Looks come seldomer with time: at all that is met at first, since many requests that wait are met at once; then one a millisecond, and at last ... */
#define LOOKS_A_MS   50
#define SELDOMEST_NS 100000000

void cs_rust_begin(struct cs_rust *rust, const struct cs_span_class *span, unsigned int words)
{
	const struct cs_span_class context = rust->context;
	unsigned int context_words = rust->context_words;

	if (rust->span.type == span->type)
		return;
	*rust = (struct cs_rust){.span = *span, .words = MIN(words, CS_RUST_WORDS)};
	rust->context = context;
	rust->context_words = context_words;
	cs_rust_forget(&rust->id);
	cs_rust_forget(&rust->trace);
	cs_rust_forget(&rust->tag);
	cs_rust_forget(&rust->minus);
	cs_rust_forget(&rust->parent);
	cs_rust_forget(&rust->root);
	cs_rust_forget(&rust->parent_context);
	cs_rust_forget(&rust->type);
	cs_rust_forget(&rust->resource);
	cs_rust_forget(&rust->meta);
	memset(rust->equal, 0xff, sizeof(rust->equal));
	rust->tagged = UINT64_MAX;
	memset(rust->short_equal, 0xff, sizeof(rust->short_equal));
	rust->short_zero = UINT64_MAX;
	cs_rust_forget(&rust->short_trace);
}

void cs_rust_begin_context(struct cs_rust *rust, const struct cs_span_class *context,
			   unsigned int words)
{
	words = MIN(words, CS_RUST_WORDS);
	if (rust->context.type == context->type && rust->context_words == words)
		return;
	if (rust->context.type)
		*rust = (struct cs_rust){};
	rust->context = *context;
	rust->context_words = words;
}

static bool is_learning(const struct cs_rust *rust)
{
	return rust->nlooks < MAX_LOOKS && rust->nconflicts < CS_RUST_MAX_CONFLICTS;
}

bool cs_rust_waits(const struct cs_rust *rust)
{
	struct cs_span_class span;

	return rust->words && rust->span.type && is_learning(rust) && !cs_rust_span(rust, &span);
}

uint64_t cs_rust_pause_ns(const struct cs_rust *rust, uint64_t type)
{
	uint64_t pause = 1000000ull * (rust->nlooks / LOOKS_A_MS);

	/* Contexts are active far more rarely than spans, and few of them have a meta that tells */
	if (type == rust->context.type)
		return 1000000;
	return pause < SELDOMEST_NS ? pause : SELDOMEST_NS;
}

/*
 * Where the local root is told: in a slot, or in up to three fields that were never seen to be something else: the root, the one that entered the
 * service, and, as long as no trace was three deep, the parent. Where they say the same it makes no difference which it is.
 */
static void add_root(const struct cs_rust *rust, struct cs_span_class *class)
{
	__u16 *const fields[] = {&class->root, &class->root_too, &class->root_three};
	uint64_t left = rust->root.left & ~cs_rust_numbers(rust);

	if (class->root || !cs_rust_agreed(&rust->root))
		return;
	if (cs_rust_certain(&rust->parent))
		left &= ~rust->parent.left;
	if (!left || (size_t)__builtin_popcountll(left) > ARRAY_SIZE(fields))
		return;
	for (size_t i = 0; left && i < ARRAY_SIZE(fields); i++, left &= left - 1)
		*fields[i] = cs_rust_offset(left);
}

static void add_field(const struct cs_rust_field *field, __u16 *ret)
{
	if (!*ret && cs_rust_certain(field))
		*ret = cs_rust_offset(field->left);
}

static void add_reference(const struct cs_rust *rust, const struct cs_rust_field *field, __u16 *ret)
{
	if (!(field->left & cs_rust_numbers(rust)))
		add_field(field, ret);
}

static bool is_whole(const struct cs_span_class *class)
{
	return class->root && !class->root_too && class->parent && class->parent_context &&
	       class->span_type && class->resource;
}

/* What a local root needs: one that came with a Context has no root until it is known where that is. */
static bool awaits_root(const struct cs_rust *rust, const struct cs_span_class *class)
{
	return (!class->root && cs_rust_hopeful(&rust->root)) ||
	       (!class->parent_context && cs_rust_hopeful(&rust->parent_context));
}

bool cs_rust_span(const struct cs_rust *rust, struct cs_span_class *ret)
{
	const struct cs_rust_field *end = cs_rust_end(rust);
	struct cs_rust_field type = rust->type;

	*ret = rust->span;
	ret->bytes = (__u16)MAX(ret->bytes, CS_RUST_WORD * rust->words);
	if (!cs_rust_knows_end(rust) || !cs_rust_certain(&rust->id) ||
	    !(ret->trace_id || cs_rust_certain(&rust->trace)) ||
	    rust->nconflicts >= CS_RUST_MAX_CONFLICTS)
		return false;
	if (!ret->ended) {
		ret->rust |= end == &rust->tag ? CS_RUST_ENDED_TAG : CS_RUST_ENDED_MINUS;
		add_field(end, &ret->ended);
	}
	ret->rust |= CS_RUST_ID | (ret->trace_id ? 0 : CS_RUST_TRACE);
	add_field(&rust->id, &ret->span_id);
	add_field(&rust->trace, &ret->trace_id);
	add_reference(rust, &rust->parent, &ret->parent);
	add_reference(rust, &rust->parent_context, &ret->parent_context);
	type.left &= rust->type_seen;
	add_reference(rust, &type, &ret->span_type);
	add_reference(rust, &rust->resource, &ret->resource);
	add_root(rust, ret);
	if (!ret->error && cs_rust_error(rust)) {
		ret->error = cs_rust_error(rust);
		ret->rust |= CS_RUST_ERROR;
	}
	if (cs_rust_wants_lessons(rust))
		ret->rust |= CS_RUST_LESSONS;
	if (!is_whole(ret) && is_learning(rust))
		ret->rust |= CS_RUST_LEARNING | (awaits_root(rust, ret) ? CS_RUST_AWAITED : 0);
	return true;
}

bool cs_rust_context(const struct cs_rust *rust, struct cs_span_class *ret)
{
	*ret = rust->context;
	if (!rust->context_words)
		return true;
	ret->bytes = (__u16)(CS_RUST_WORD * rust->context_words);
	ret->rust = CS_RUST_ID | CS_RUST_TRACE | CS_RUST_TAGGED;
	add_field(&rust->meta, &ret->meta);
	if (!ret->meta && is_learning(rust) && cs_rust_hopeful(&rust->meta))
		ret->rust |=
			CS_RUST_LEARNING | (rust->ncontexts < MAX_CONTEXTS ? CS_RUST_AWAITED : 0);
	return cs_rust_certain(&rust->id) && ret->span_id && ret->trace_id;
}

void cs_rust_tell(const struct cs_rust *rust, char *dst, size_t size)
{
	struct cs_span_class span;

	if (!rust->words || !rust->span.type)
		snprintf(dst, size, "%s", "");
	else if (!cs_rust_span(rust, &span))
		snprintf(dst, size,
			 "its Rust objects' fields are not certain: ids by %u spans, ends by %u",
			 rust->id.witnesses, rust->tag.witnesses + rust->minus.witnesses);
	else
		snprintf(
			dst, size,
			"its Rust objects' fields are certain: ids by %u spans, ends by %u%s%s%s%s%s",
			rust->id.witnesses, rust->tag.witnesses + rust->minus.witnesses,
			span.root ? "" : "; local roots not yet",
			span.parent ? "" : "; parents not yet",
			span.span_type ? "" : "; types not yet",
			span.resource ? "" : "; endpoints not yet",
			span.error ? "" : "; errors not yet (record learns them)");
}
