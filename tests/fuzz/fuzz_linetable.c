/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer harness: code objects as the sampler met them, and their tables of lines (the three formats of 3.8 to 3.15).
 *
 * An input is the kind of table, an instruction (4 bytes), and a table, which is at the same time what stands behind the header
 * of a record.
 */
#include <coroscope/event.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/cleanup.h"
#include "python/code.h"
#include "symbolize/linetable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FIRST_LINE 7
#define HEAD_BYTES 5

static void read_lines(uint32_t kind, int32_t lasti, const uint8_t *table, size_t len)
{
	/* before the first instruction, far beyond the table, or as the input says */
	const int32_t instructions[] = {INT32_MIN, -1, 0, 2, 200, INT32_MAX, lasti};

	for (size_t i = 0; i < ARRAY_SIZE(instructions); i++) {
		uint32_t line = cs_linetable_line(kind, table, len, FIRST_LINE, instructions[i]);

		CHECK(instructions[i] >= 0 || line == FIRST_LINE);
		cs_linetable_covers(kind, table, len, instructions[i]);
	}
}

static void read_seen(const uint8_t *data, size_t size)
{
	const struct cs_interp interp = {.pid = 1, .major = 3, .minor = 12};
	_cleanup_free_ struct cs_ev_code_seen *seen = NULL;
	_cleanup_buf_ struct cs_buf out = {0};
	const struct cs_ev_code *code;

	/* the kernel side writes no record that is shorter, or longer than this */
	if (size < sizeof(*seen) || size > CS_MAX_RECORD)
		return;
	seen = malloc(size);
	CHECK(seen);
	memcpy(seen, data, size);
	seen->hdr.size = (uint32_t)size;
	if (cs_code_from_seen(&interp, seen, &out)) {
		CHECK(!out.len);
		return;
	}
	code = (const void *)out.data;
	CHECK(code->hdr.size == out.len && out.len % 8 == 0);
	CHECK(sizeof(*code) + code->name_len + code->file_len + code->linetable_len <= out.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int32_t lasti;

	if (size < HEAD_BYTES)
		return 0;
	memcpy(&lasti, data + 1, sizeof(lasti));
	read_lines(data[0] % 5, lasti, data + HEAD_BYTES, size - HEAD_BYTES);
	read_seen(data + HEAD_BYTES, size - HEAD_BYTES);
	return 0;
}
