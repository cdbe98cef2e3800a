/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer harness: .eh_frame as anybody may have made it, to a table. The table's rows must be in order, its index must lead
 * into it, and every address must have an answer. The same bytes as code: what are its parts must be pieces that .eh_frame describes.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "unwind/parts.h"
#include "unwind/unwind.h"

#define SECTION 0x10000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct cs_unwind_table *table)
{
	uint32_t nbuckets = (uint32_t)table->words[0];
	size_t rows = 1 + (size_t)nbuckets;

	CHECK(rows + table->nrows == table->nwords);
	for (size_t i = 1; i < rows; i++) {
		uint32_t lo = (uint32_t)table->words[i], hi = (uint32_t)(table->words[i] >> 32);

		CHECK(lo >= rows && lo <= hi && hi <= table->nwords);
	}
	for (size_t i = rows; i < table->nwords; i++) {
		uint32_t vaddr = (uint32_t)(table->words[i] >> 32);

		CHECK(i == rows || vaddr > (uint32_t)(table->words[i - 1] >> 32));
		CHECK(cs_unwind_find(table, vaddr) == (uint32_t)table->words[i]);
	}
	CHECK(!cs_unwind_find(table, UINT64_MAX));
}

struct code {
	const uint8_t *bytes;
	size_t size;
};

/* The input, again and again. */
static int read_code(void *ctx, uint64_t vaddr, void *dst, size_t size)
{
	const struct code *code = ctx;

	for (size_t i = 0; i < size; i++)
		((uint8_t *)dst)[i] = code->bytes[(vaddr + i) % code->size];
	return 0;
}

static void ask_parts(const uint8_t *bytes, size_t size)
{
	const struct cs_eh_frame frame = {bytes, size, SECTION};
	const struct cs_elf_range function = {SECTION, size};
	struct code code = {bytes, size};
	struct cs_elf_range parts[3];
	int n = cs_unwind_parts_of(&frame, function, read_code, &code, parts, 3);

	CHECK(n <= 3);
	for (int i = 0; i < n; i++)
		CHECK(parts[i].size && parts[i].size <= 1 << 20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cs_elf_range text = {0, 1 << 20};
	uint8_t *copy = malloc(size); /* of its exact size */
	struct cs_unwind_table table;

	if (!size || !copy) {
		free(copy);
		return 0;
	}
	memcpy(copy, data, size);
	if (!cs_unwind_section(copy, (struct cs_elf_range){SECTION, size}, text, &table)) {
		ask(&table);
		cs_unwind_table_free(&table);
	}
	ask_parts(copy, size);
	free(copy);
	return 0;
}
