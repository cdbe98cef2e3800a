/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the stitcher's samples have become which of the profile's: by a digest of all that they are shown by. */
#include "cli/known_samples.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "python/digest.h"

/*
 * Direct mapped: tasks come and go for as long as a capture lasts, and what is not known any more is found anew.
 */
#define KNOWN_BITS 15

struct known {
	uint64_t digest;
	uint32_t index;
	uint32_t age; /* of the names when it was added; 0: nothing is here */
};

struct cs_known_samples {
	struct known samples[1u << KNOWN_BITS];
	uint32_t age;    /* counts the times that all was forgotten, from 1 */
	uint64_t digest; /* of the sample that was looked for last */
};

int cs_known_samples_new(struct cs_known_samples **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	(*ret)->age = 1;
	return 0;
}

void cs_known_samples_free(struct cs_known_samples *known)
{
	free(known);
}

static uint64_t add_text(uint64_t digest, const char *text)
{
	return text ? cs_digest(digest, text, strlen(text)) : cs_digest_word(digest, 0);
}

static uint64_t add_python(uint64_t digest, const struct cs_py_frame *frame)
{
	return cs_digest_word(
		cs_digest_word(cs_digest_word(digest, frame->code), (uint32_t)frame->lasti),
		frame->check);
}

/* All that labels are made of, and that the way to the root begins with. */
static uint64_t add_span(uint64_t digest, const struct cs_event_span *span)
{
	if (!span)
		return cs_digest_word(digest, 0);
	digest = cs_digest_word(cs_digest_word(digest, span->span_id), span->root_id);
	digest = cs_digest_word(cs_digest_word(digest, span->parent_id), span->trace_hi);
	digest = cs_digest_word(digest, span->trace_lo);
	return cs_digest(digest, span->type.str, span->type.len);
}

static uint64_t digest_of(const struct cs_stitched *sample)
{
	const uint64_t words[] = {sample->tree,    sample->pid,       sample->tid, sample->root_tid,
				  sample->task_id, sample->origin_id, sample->n};
	uint64_t digest = cs_digest(0, words, sizeof(words));

	digest = add_text(digest, sample->thread_name);
	digest = add_text(digest, sample->root_thread_name);
	digest = add_text(digest, sample->task_name);
	digest = add_text(digest, sample->origin_name);
	digest = add_span(digest, sample->span);
	for (uint32_t i = 0; i < sample->n; i++) {
		const struct cs_part *part = &sample->parts[i];

		digest = cs_digest_word(digest, part->kind | (uint64_t)part->mark << 8 |
							(uint64_t)part->status << 16 |
							(uint64_t)part->parents << 32);
		digest = cs_digest_word(digest, part->addr);
		digest = cs_digest_word(digest, part->task);
		digest = add_python(digest, &part->python);
		digest = add_python(digest, &part->site);
		digest = add_text(digest, part->name);
	}
	return digest;
}

/* Where the sample that was looked for last is, if it is anywhere. */
static struct known *place(struct cs_known_samples *known)
{
	/* a product's upper bits are its best */
	return &known->samples[known->digest >> (64 - KNOWN_BITS)];
}

int64_t cs_known_samples_find(struct cs_known_samples *known, const struct cs_stitched *sample)
{
	const struct known *it;

	known->digest = digest_of(sample);
	it = place(known);
	return it->age == known->age && it->digest == known->digest ? (int64_t)it->index : -ENOENT;
}

void cs_known_samples_add(struct cs_known_samples *known, uint32_t index)
{
	*place(known) = (struct known){known->digest, index, known->age};
}

void cs_known_samples_forget(struct cs_known_samples *known)
{
	known->age++;
}

void cs_known_samples_heed(struct cs_known_samples *known, const struct cs_event *event)
{
	switch (event->kind) {
	case CS_EV_STACK:
	case CS_EV_SAME:
	case CS_EV_ORIGIN:
	case CS_EV_NATIVE:
	case CS_EV_SPAN:
	case CS_EV_WAKER:
	case CS_EV_TASK_CREATED:
	case CS_EV_TASK:
	case CS_EV_PASS:
		return; /* they tell of moments, and name only tasks and threads */
	default:
		cs_known_samples_forget(known);
	}
}
