/* SPDX-License-Identifier: Apache-2.0 */
/* Compression of files and requests. */
#pragma once

#include <stddef.h>

#include "core/buf.h"

/*
 * Append len bytes as one gzip member without a time, so that equal bytes stay equal. Returns 0, -EFBIG (over 2 GiB) or
 * -ENOMEM, then out is as it was.
 */
int cs_export_gzip(const void *bytes, size_t len, struct cs_buf *out);
