/* SPDX-License-Identifier: Apache-2.0 */
/* A growing array of bytes: strings under construction, records on their way to a file. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct cs_buf {
	char *data; /* owned; not terminated unless cs_buf_str was called */
	size_t len;
	size_t cap;
};

/* Release the bytes and leave an empty buffer. Accepts an empty one. */
void cs_buf_free(struct cs_buf *buf);
#define _cleanup_buf_ __attribute__((cleanup(cs_buf_free)))

/* Append n bytes. Returns 0 or -ENOMEM, then the buffer is unchanged. */
int cs_buf_append(struct cs_buf *buf, const void *bytes, size_t n);
int cs_buf_append_str(struct cs_buf *buf, const char *str);
int cs_buf_printf(struct cs_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Append text with what would steer a terminal or break a line as \xNN: the control characters, those of U+0080 to U+009F
 * included, and the bytes in `also` ("" for none); and as \uNNNN what ends a line or turns the direction of writing.
 */
int cs_buf_append_escaped(struct cs_buf *buf, const char *text, size_t len, const char *also);

/* Append n zero bytes and return where they start, or NULL without memory. Valid until the next append. */
void *cs_buf_extend(struct cs_buf *buf, size_t n);

/* The bytes as a terminated string, owned by the buffer; "" without memory. */
const char *cs_buf_str(struct cs_buf *buf);
