/* SPDX-License-Identifier: Apache-2.0 */
/* The little of UTF-8 (RFC 3629) that makes foreign text safe to pass on. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/utf8.h"
#include "decode/decode.h"

/* Append one code point; U+FFFD for a surrogate or one beyond Unicode. Returns 0 or -ENOMEM. */
int cs_utf8_append(struct cs_buf *out, uint32_t code_point);

/*
 * *ret_text is str itself if it is valid, else a copy in scratch with U+FFFD for every byte that is
 * part of no character. Control characters stay: only an exporter knows what they mean in its
 * format. 0 or -ENOMEM.
 */
int cs_utf8_repair(const char *str, size_t len, struct cs_buf *scratch, struct cs_text *ret_text);
