/* SPDX-License-Identifier: Apache-2.0 */
/* A growing array of bytes. */
#include "core/buf.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int buf_reserve(struct cs_buf *buf, size_t more)
{
	size_t cap = buf->cap ? buf->cap : 256;
	char *data;

	if (more > SIZE_MAX / 4 || buf->len > SIZE_MAX / 4)
		return -ENOMEM;
	while (cap < buf->len + more)
		cap *= 2;
	if (cap == buf->cap)
		return 0;
	data = realloc(buf->data, cap);
	if (!data)
		return -ENOMEM;
	buf->data = data;
	buf->cap = cap;
	return 0;
}

void cs_buf_free(struct cs_buf *buf)
{
	free(buf->data);
	*buf = (struct cs_buf){0};
}

int cs_buf_append(struct cs_buf *buf, const void *bytes, size_t n)
{
	int err = buf_reserve(buf, n);

	if (err)
		return err;
	if (n)
		memcpy(buf->data + buf->len, bytes, n);
	buf->len += n;
	return 0;
}

int cs_buf_append_str(struct cs_buf *buf, const char *str)
{
	return cs_buf_append(buf, str, strlen(str));
}

int cs_buf_printf(struct cs_buf *buf, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0)
		return -EINVAL;
	if (buf_reserve(buf, (size_t)n + 1))
		return -ENOMEM;
	va_start(args, fmt);
	vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, args);
	va_end(args);
	buf->len += (size_t)n;
	return 0;
}

/*
 * The character at three bytes of UTF-8 if it ends a line or turns the direction of what follows (U+2028 to U+202E, U+2066 to U+2069): a
 * name could otherwise pass for something else on a terminal. Else 0.
 */
static unsigned int deceiving(const unsigned char *at, size_t left)
{
	unsigned int c;

	if (left < 3 || at[0] != 0xe2 || (at[1] & 0xfe) != 0x80)
		return 0;
	c = 0x2000 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
	return (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ? c : 0;
}

int cs_buf_append_escaped(struct cs_buf *buf, const char *text, size_t len, const char *also)
{
	const unsigned char *bytes = (const unsigned char *)text;
	int err = 0;

	for (size_t i = 0; i < len && !err; i++) {
		unsigned int c = deceiving(bytes + i, len - i);

		if (c) {
			err = cs_buf_printf(buf, "\\u%04x", c);
			i += 2;
			continue;
		}
		if (bytes[i] == 0xc2 && i + 1 < len && bytes[i + 1] < 0xa0)
			err = cs_buf_printf(buf, "\\x%02x", bytes[++i]);
		else if (bytes[i] < 0x20 || bytes[i] == 0x7f || strchr(also, bytes[i]))
			err = cs_buf_printf(buf, "\\x%02x", bytes[i]);
		else
			err = cs_buf_append(buf, bytes + i, 1);
	}
	return err;
}

void *cs_buf_extend(struct cs_buf *buf, size_t n)
{
	char *at;

	if (buf_reserve(buf, n))
		return NULL;
	at = buf->data + buf->len;
	memset(at, 0, n);
	buf->len += n;
	return at;
}

const char *cs_buf_str(struct cs_buf *buf)
{
	if (buf_reserve(buf, 1))
		return "";
	buf->data[buf->len] = '\0';
	return buf->data;
}
