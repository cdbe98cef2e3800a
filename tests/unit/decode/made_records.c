/* SPDX-License-Identifier: Apache-2.0 */
/* Records in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "unit/decode/made_records.h"

struct cs_decoder *decoder;

int made_decoder_set_up(void **state)
{
	return cs_decoder_new(&decoder);
}

int made_decoder_tear_down(void **state)
{
	cs_decoder_free(decoder);
	return 0;
}

void *made_record(struct cs_buf *record, size_t fixed_size, unsigned int kind)
{
	struct cs_ev_hdr *hdr = cs_buf_extend(record, 4096);

	assert_non_null(hdr);
	record->len = fixed_size;
	hdr->kind = (uint16_t)kind;
	hdr->ts_ns = 12345;
	hdr->pid = 100;
	hdr->tid = 101;
	return hdr;
}

void add(struct cs_buf *record, const void *bytes, size_t n)
{
	assert_int_equal(cs_buf_append(record, bytes, n), 0);
}

int64_t decode(struct cs_buf *record, void **keep, struct cs_event *event)
{
	struct cs_ev_hdr *hdr;

	while (record->len % 8)
		add(record, "", 1);
	hdr = (struct cs_ev_hdr *)record->data;
	hdr->size = (uint32_t)record->len;
	free(*keep);
	*keep = malloc(record->len);
	memcpy(*keep, record->data, record->len);
	return cs_decode(decoder, *keep, record->len, event);
}

void check_cuts(struct cs_buf *record)
{
	struct cs_event event;
	size_t len;

	for (len = 0; len < record->len; len++) {
		_cleanup_free_ char *copy = malloc(len ? len : 1);
		int64_t ret;

		memcpy(copy, record->data, len);
		assert_int_equal(cs_decode(decoder, copy, len, &event), 0);
		if (len < sizeof(struct cs_ev_hdr))
			continue;
		((struct cs_ev_hdr *)copy)->size = (uint32_t)len;
		ret = cs_decode(decoder, copy, len, &event);
		assert_true(ret == -EBADMSG || ret == (int64_t)len);
	}
}

void check_text(struct cs_text text, const char *expected)
{
	assert_int_equal(text.len, strlen(expected));
	assert_memory_equal(text.str, expected, text.len);
}
