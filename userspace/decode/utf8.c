/* SPDX-License-Identifier: Apache-2.0 */
/* Making and repairing UTF-8. */
#include "decode/utf8.h"

#define REPLACEMENT 0xfffdu

int cs_utf8_append(struct cs_buf *out, uint32_t code_point)
{
	uint8_t bytes[4];

	if (code_point > 0x10ffff || (code_point >> 11) == 0xd800 >> 11)
		code_point = REPLACEMENT;
	if (code_point < 0x80) {
		bytes[0] = (uint8_t)code_point;
		return cs_buf_append(out, bytes, 1);
	}
	bytes[3] = 0x80 | (code_point & 0x3f);
	bytes[2] = 0x80 | (code_point >> 6 & 0x3f);
	bytes[1] = 0x80 | (code_point >> 12 & 0x3f);
	if (code_point < 0x800) {
		bytes[2] = (uint8_t)(0xc0 | code_point >> 6);
		return cs_buf_append(out, bytes + 2, 2);
	}
	if (code_point < 0x10000) {
		bytes[1] = (uint8_t)(0xe0 | code_point >> 12);
		return cs_buf_append(out, bytes + 1, 3);
	}
	bytes[0] = (uint8_t)(0xf0 | code_point >> 18);
	return cs_buf_append(out, bytes, 4);
}

int cs_utf8_repair(const char *str, size_t len, struct cs_buf *scratch, struct cs_text *ret_text)
{
	const uint8_t *at = (const uint8_t *)str;
	const uint8_t *end = at + len;
	size_t n;
	int err;

	while (at < end && (n = cs_utf8_len(at, (size_t)(end - at))))
		at += n;
	if (at == end) {
		*ret_text = (struct cs_text){str, len};
		return 0;
	}
	scratch->len = 0;
	for (at = (const uint8_t *)str; at < end; at += n ? n : 1) {
		n = cs_utf8_len(at, (size_t)(end - at));
		err = n ? cs_buf_append(scratch, at, n) : cs_utf8_append(scratch, REPLACEMENT);
		if (err)
			return err;
	}
	*ret_text = (struct cs_text){scratch->data, scratch->len};
	return 0;
}
