/* SPDX-License-Identifier: Apache-2.0 */
/* Compression of files and requests. */
#include "export/gzip.h"

#include <errno.h>
#include <limits.h>
#include <zlib.h>

int cs_export_gzip(const void *bytes, size_t len, struct cs_buf *out)
{
	const int gzip_window_bits = 15 + 16; /* 16: with a gzip header */
	size_t start = out->len;
	z_stream stream = {0};
	size_t bound;
	int ret;

	if (len > UINT_MAX / 2)
		return -EFBIG;
	if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window_bits, 8,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	bound = deflateBound(&stream, len);
	stream.next_in = (Bytef *)bytes;
	stream.avail_in = (uInt)len;
	stream.next_out = cs_buf_extend(out, bound);
	stream.avail_out = (uInt)bound;
	ret = stream.next_out ? deflate(&stream, Z_FINISH) : Z_MEM_ERROR;
	out->len = ret == Z_STREAM_END ? start + stream.total_out : start;
	deflateEnd(&stream);
	return ret == Z_STREAM_END ? 0 : -ENOMEM;
}
