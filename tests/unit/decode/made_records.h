/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records to be decoded: built in an exactly sized allocation, so that AddressSanitizer sees a read beyond the end, and cut off at every byte. For tests of
 * cmocka, whose headers come first.
 */
#pragma once

#include "core/buf.h"
#include "core/cleanup.h"
#include "decode/decode.h"

/* The fixtures of all tests: they have a decoder. */
extern struct cs_decoder *decoder;
int made_decoder_set_up(void **state);
int made_decoder_tear_down(void **state);

/*
 * A record under construction: a buffer `name_buf` and, in it, the fixed part `name`. The buffer
 * has room for small tails, so that the pointer survives add(); fetch it again after longer ones.
 */
#define RECORD(type, name, record_kind)               \
	_cleanup_buf_ struct cs_buf name##_buf = {0}; \
	struct type *name = made_record(&name##_buf, sizeof(*name), record_kind)

void *made_record(struct cs_buf *record, size_t fixed_size, unsigned int kind);

void add(struct cs_buf *record, const void *bytes, size_t n);

/* Decode from a copy that ends where the record ends. keep receives it: the event points into it. */
int64_t decode(struct cs_buf *record, void **keep, struct cs_event *event);

/* Cut off anywhere, a record is incomplete (0); shortened with its header saying so, it is malformed or sane. */
void check_cuts(struct cs_buf *record);

void check_text(struct cs_text text, const char *expected);

#define check_bad(record) assert_int_equal(decode(record, &bytes, &event), -EBADMSG)
#define check_good(record)                                       \
	do {                                                     \
		int64_t used_ = decode(record, &bytes, &event);  \
		assert_int_equal(used_, (int64_t)(record)->len); \
		assert_int_equal(event.ts_ns, 12345);            \
		assert_int_equal(event.pid, 100);                \
		assert_int_equal(event.tid, 101);                \
	} while (0)
