/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a protobuf-c message under construction. */
#include "export/memory.h"

#include <stdint.h>
#include <stdlib.h>

struct cs_memory_block {
	struct cs_memory_block *next;
	uint64_t data[];
};

void cs_memory_free(struct cs_memory *memory)
{
	struct cs_memory_block *next;

	for (; memory->blocks; memory->blocks = next) {
		next = memory->blocks->next;
		free(memory->blocks);
	}
}

void *cs_memory_get(struct cs_memory *memory, size_t n, size_t size)
{
	struct cs_memory_block *block = NULL;
	size_t bytes;

	if (!__builtin_mul_overflow(n, size, &bytes) && bytes < SIZE_MAX - sizeof(*block))
		block = calloc(1, sizeof(*block) + bytes);
	if (!block) {
		memory->failed = true;
		return NULL;
	}
	block->next = memory->blocks;
	memory->blocks = block;
	return block->data;
}

void *cs_memory_messages(struct cs_memory *memory, size_t n, size_t size)
{
	void **pointers = cs_memory_get(memory, n, sizeof(*pointers));
	char *messages = cs_memory_get(memory, n, size);
	size_t i;

	if (!pointers || !messages)
		return NULL;
	for (i = 0; i < n; i++)
		pointers[i] = messages + i * size;
	return pointers;
}
