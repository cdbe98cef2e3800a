/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the fields of ddtrace's spans are that are Rust objects (4.5 and later). Rust lays a struct out as it likes, so nothing is taken from
 * a version: live spans are witnesses, and a field's offset is believed once several of them have left only one. None
 * of what is learned here depends on the others' being right:
 *
 * - ids: a span has a Context with the same ids, which has slots up to 4.14. From 4.15 on it is a Rust object as well, and the words that
 *   both have are the ids: two next to each other that of the trace, a single one the span's. Of a trace whose id has 64 bits there is one word
 *   before a zero: it is the trace's if a child has it in common with the span above it.
 * - end: a span is watched until it ends: what was "none" then is a duration that, with the start, gives a time between the two looks.
 * - parent: of the spans it refers to the one whose id it has, too. The local root: one that has no parent by the same rule. What a
 *   root refers to tells nothing: Rust leaves in place what lay there before where it has nothing to write, which may be an older span's address.
 * - type: a text that is one of ddtrace's types, or None, in all of them.
 * - resource: of the texts that begin with a method of HTTP, as "GET /users" does, the one that is there in all that have any.
 * - error: what is 1 in all spans that were told of an exception when they ended, and 0 in all that have only begun, and in some of the others (rust_errors.c).
 *
 * Source: ddtrace/_trace/span.py of 4.3 to 4.16, and the bytes of its spans.
 */
#pragma once

#include <coroscope/event.h>
#include <coroscope/tracer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "python/objects.h"

#define CS_RUST_WORDS   CS_SPAN_LESSON_WORDS /* of a Rust object that are looked at */
#define CS_RUST_WATCHED 32
#define CS_RUST_PRINTS  8
/* Spans that must agree on an offset. */
#define CS_RUST_ENOUGH  3

/* Offsets that no witness has ruled out, in words, a bit each. */
struct cs_rust_field {
	uint64_t left;
	unsigned int witnesses;
	unsigned int nconflicts; /* looks that disagreed with all before: each begins it anew */
};

/* A span as it was at one time. */
struct cs_rust_look {
	uint64_t at;
	int64_t real_ns;  /* CLOCK_REALTIME, as spans' starts */
	int64_t first_ns; /* of the first look at it */
	uint64_t words[CS_RUST_WORDS];
};

/* Halves of words that may be the error: those that no lesson has ruled out, and how often each was 0 in a span that had ended. */
struct cs_rust_errors {
	uint64_t out[CS_RUST_WORDS / 32];
	uint8_t zeros[2 * CS_RUST_WORDS];
	unsigned int n[CS_LESSON_FAILED +
		       1]; /* lessons of each kind since it began, and of all kinds ever */
	unsigned int nlessons, nconflicts;
};

/* What is known so far. Zeroes: of no class. */
struct cs_rust {
	struct cs_span_class span, context; /* as their slots say */
	unsigned int words, context_words;  /* of the Rust object; context_words 0: it has slots */
	struct cs_rust_field id, trace, tag, minus, parent, root, parent_context, type, resource,
		meta;
	uint64_t type_seen; /* a text was there, not only None */
	/* of a Context that is a Rust object: which of its words a span's word was equal to */
	uint64_t equal[CS_RUST_WORDS], tagged;
	/* likewise where the trace's id has 64 bits only; words before a zero; and which one is the trace's */
	uint64_t short_equal[CS_RUST_WORDS], short_zero;
	struct cs_rust_field short_trace;
	uint64_t prints[CS_RUST_PRINTS]; /* of spans that were witnesses of ids, the last ones */
	struct cs_rust_look watched[CS_RUST_WATCHED];
	unsigned int nprints, nlooks, nwatches;
	unsigned int ncontexts;  /* looks at Contexts for their meta */
	unsigned int nconflicts; /* of ids and ends, without which nothing else is of use */
	struct cs_rust_errors errors;
};

/* Begin with the class of spans, or go on if it is the same; likewise of Contexts. Slots must have been learned. */
void cs_rust_begin(struct cs_rust *rust, const struct cs_span_class *span, unsigned int words);
void cs_rust_begin_context(struct cs_rust *rust, const struct cs_span_class *context,
			   unsigned int words);

/*
 * A span, or a Context, was met at this address, where it may be no more. row has the interpreter's own objects.
 */
void cs_rust_meet(struct cs_rust *rust, const struct cs_pyobj_ctx *ctx,
		  const struct cs_tracers *row, uint64_t object);

/* Is it not known yet how to read a span, so that more are wanted as soon as they are met? (What else is: CS_RUST_AWAITED of its class.) */
bool cs_rust_waits(const struct cs_rust *rust);

/*
 * Are there spans whose end is waited for? Then look again, every half millisecond or so: what an ended span says is soon overwritten.
 * Bounded: after some thousand looks none is waited for any more. Returns whether something new is certain.
 */
bool cs_rust_watches(const struct cs_rust *rust);
bool cs_rust_watch(struct cs_rust *rust, const struct cs_pyobj_ctx *ctx);

/* How long to wait until the next look at an instance of this type. */
uint64_t cs_rust_pause_ns(const struct cs_rust *rust, uint64_t type);

/*
 * A span as it was when it began or ended. Lessons are wanted as long as there are not very many; also when it is certain, because one may contradict. Returns
 * whether it is certain now and was not, or the other way round.
 */
bool cs_rust_wants_lessons(const struct cs_rust *rust);
bool cs_rust_learn(struct cs_rust *rust, const struct cs_ev_span_lesson *told);

/* Describe the class of spans, or of Contexts, as far as it is certain. Returns whether it is enough to read them. */
bool cs_rust_span(const struct cs_rust *rust, struct cs_span_class *ret);
bool cs_rust_context(const struct cs_rust *rust, struct cs_span_class *ret);

#define CS_RUST_TEXT 192
/* How sure it is, for people: "" if there is no Rust object. */
void cs_rust_tell(const struct cs_rust *rust, char *dst, size_t size);
