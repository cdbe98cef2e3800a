/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON inside an HTML page, written piece by piece: the first error is kept and ends the writing, so that a writer reads as
 * one piece.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

struct cs_json {
	struct cs_buf *out; /* borrowed */
	int err;            /* 0, or why nothing more is written */
};

void cs_json_bytes(struct cs_json *json, const char *bytes, size_t n);
void cs_json_raw(struct cs_json *json, const char *str);
void cs_json_u64(struct cs_json *json, uint64_t value);

/*
 * A JSON string. '<', '>' and '&' are escaped because an HTML parser looks for the end of the script element before anyone reads
 * JSON; bytes that are not UTF-8 become U+FFFD, one each.
 */
void cs_json_text(struct cs_json *json, const char *str, size_t len);
void cs_json_str(struct cs_json *json, const char *str); /* NULL: "" */
