/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of a record. */
#include "decode/tail.h"

#include <errno.h>
#include <string.h>

#include "decode/utf8.h"

const void *cs_tail_take(struct cs_tail *rec, size_t n, size_t element)
{
	const char *at = rec->tail;

	if (n > rec->left / element)
		return NULL;
	rec->tail += n * element;
	rec->left -= n * element;
	return at;
}

struct cs_buf *cs_tail_scratch(struct cs_decoder *decoder)
{
	struct cs_buf *buf = &decoder->text[decoder->ntext++];

	buf->len = 0;
	return buf;
}

int cs_tail_text(struct cs_tail *rec, size_t len, size_t max, struct cs_text *ret)
{
	const char *str = cs_tail_take(rec, len, 1);

	if (!str || len > max)
		return -EBADMSG;
	return cs_utf8_repair(str, len, cs_tail_scratch(rec->decoder), ret);
}

int cs_tail_unicode(struct cs_buf *out, const uint8_t *bytes, size_t len, size_t width)
{
	uint32_t ucs4;
	uint16_t ucs2;
	size_t i;
	int err;

	for (i = 0; i < len; i += width) {
		if (width == 4) {
			memcpy(&ucs4, bytes + i, sizeof(ucs4));
		} else if (width == 2) {
			memcpy(&ucs2, bytes + i, sizeof(ucs2));
			ucs4 = ucs2;
		} else {
			ucs4 = bytes[i];
		}
		err = cs_utf8_append(out, ucs4);
		if (err)
			return err;
	}
	return 0;
}

int cs_tail_latin1(struct cs_tail *rec, const char *text, size_t len, bool cut, struct cs_text *ret)
{
	struct cs_buf *out = cs_tail_scratch(rec->decoder);
	int err = cs_tail_unicode(out, (const uint8_t *)text, len, 1);

	if (!err && cut)
		err = cs_buf_append_str(out, "...");
	*ret = (struct cs_text){out->len ? out->data : "", out->len};
	return err;
}
