/* SPDX-License-Identifier: Apache-2.0 */
/* What a well-formed character of UTF-8 (RFC 3629) is. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Bytes of the well-formed character at the start of str (1 to 4), or 0 if there is none. */
size_t cs_utf8_len(const uint8_t *str, size_t len);
