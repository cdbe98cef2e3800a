/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer harness: .eh_frame as anybody may have made it, to a table. The table's rows must be in order, its index must lead
 * into it, and every address must have an answer.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
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
	free(copy);
	return 0;
}
