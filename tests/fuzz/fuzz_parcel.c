/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer harness: a file of the spool, and a server's answer. The checksum is put right, or else the fuzzer would never get
 * past it. Checked beside memory errors: that no text of a parcel could become a second line of a request, nor a server's words steer
 * a terminal.
 */
#include <string.h>
#include <zlib.h>

#include "check.h"
#include "core/cleanup.h"
#include "deliver/backend.h"
#include "deliver/parcel.h"

#define CRC_AT       8
#define CHECKED_FROM 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *text)
{
	for (; *text; text++)
		CHECK(*text >= 0x20 && *text < 0x7f);
}

static void read_file(const uint8_t *data, size_t size)
{
	_cleanup_(cs_parcel_free) struct cs_parcel parcel = {0};
	_cleanup_free_ char *file = malloc(size + 1);
	uint32_t crc;

	CHECK(file);
	memcpy(file, data, size);
	if (size > CHECKED_FROM) {
		crc = (uint32_t)crc32_z(0, (const Bytef *)file + CHECKED_FROM, size - CHECKED_FROM);
		memcpy(file + CRC_AT, &crc, sizeof(crc));
	}
	if (cs_parcel_read(file, size, &parcel))
		return;
	check_line(parcel.type);
	check_line(parcel.encoding);
	check_line(parcel.id);
	CHECK(parcel.body.len < size);
}

static void read_answers(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"otlp", "pyroscope", "datadog"};
	struct cs_verdict_text words;

	for (size_t i = 0; i < 2 * ARRAY_SIZE(names); i++) {
		cs_backend_read_answer(cs_backend_by_name(names[i / 2]), data, size, i % 2, &words);
		CHECK(memchr(words.message, '\0', sizeof(words.message)));
		for (const char *at = words.message; *at; at++)
			CHECK((unsigned char)*at >= 0x20 && *at != 0x7f);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_file(data, size);
	read_answers(data, size);
	return 0;
}
