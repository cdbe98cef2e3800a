/* SPDX-License-Identifier: Apache-2.0 */
/* A record under examination: what follows its fixed part is taken piece by piece, and every length meets the record's end here. */
#pragma once

#include <coroscope/whose.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "decode/decode.h"

/* No record holds more texts than this: one that tells whose a process is has one a fact. */
#define CS_TAIL_TEXTS CS_FACT_MAX_

struct cs_decoder {
	struct cs_buf text[CS_TAIL_TEXTS]; /* texts of the current event that had to be changed */
	unsigned int ntext;
};

/* A record under examination. */
struct cs_tail {
	struct cs_decoder *decoder;
	const void *fixed; /* the whole record, of at least the size of its kind's struct */
	const char *tail;  /* what follows that struct and is not consumed yet */
	size_t left;
};

/* The next n elements of the tail, or NULL if it ends before. Borrowed. */
const void *cs_tail_take(struct cs_tail *rec, size_t n, size_t element);

/* An empty buffer for one of the event's texts; lives as long as the event. */
struct cs_buf *cs_tail_scratch(struct cs_decoder *decoder);

/* The next len bytes as UTF-8. Returns 0, -EBADMSG (the tail ends before, or len is above max) or -ENOMEM. */
int cs_tail_text(struct cs_tail *rec, size_t len, size_t max, struct cs_text *ret);

/* Append a str of 1, 2 or 4 bytes a character, as PyUnicode_KIND of CPython 3.3 and later numbers them. Returns 0 or -ENOMEM. */
int cs_tail_unicode(struct cs_buf *out, const uint8_t *bytes, size_t len, size_t width);

/* Latin-1 as UTF-8, and a mark if that is not all of it. Returns 0 or -ENOMEM. */
int cs_tail_latin1(struct cs_tail *rec, const char *text, size_t len, bool cut,
		   struct cs_text *ret);
