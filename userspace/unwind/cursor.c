/* SPDX-License-Identifier: Apache-2.0 */
/* Reading bounded bytes. */
#include "unwind/cursor.h"

#include <dwarf.h>

uint64_t cs_cursor_unsigned(struct cs_cursor *cursor, size_t bytes)
{
	uint64_t value = 0;

	if (cursor->bad || (size_t)(cursor->end - cursor->at) < bytes) {
		cursor->bad = true;
		return 0;
	}
	for (size_t i = 0; i < bytes; i++)
		value |= (uint64_t)cursor->at[i] << (8 * i);
	cursor->at += bytes;
	return value;
}

int64_t cs_cursor_signed(struct cs_cursor *cursor, size_t bytes)
{
	uint64_t value = cs_cursor_unsigned(cursor, bytes);
	unsigned int unused = 64 - 8 * (unsigned int)bytes;

	return (int64_t)(value << unused) >> unused;
}

/* Both kinds differ in what stands above the last byte's seven bits. */
static uint64_t leb(struct cs_cursor *cursor, bool is_signed)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint64_t byte = cs_cursor_unsigned(cursor, 1);

		value |= (byte & 127) << shift;
		if (byte & 128)
			continue;
		if (is_signed && byte & 64 && shift + 7 < 64)
			value |= UINT64_MAX << (shift + 7);
		return value;
	}
	cursor->bad = true;
	return 0;
}

uint64_t cs_cursor_uleb(struct cs_cursor *cursor)
{
	return leb(cursor, false);
}

int64_t cs_cursor_sleb(struct cs_cursor *cursor)
{
	return (int64_t)leb(cursor, true);
}

struct cs_cursor cs_cursor_take(struct cs_cursor *cursor, uint64_t bytes)
{
	struct cs_cursor part = *cursor;

	if (cursor->bad || bytes > (uint64_t)(cursor->end - cursor->at)) {
		cursor->bad = true;
		part.bad = true;
		return part;
	}
	part.end = part.at + bytes;
	cursor->at = part.end;
	return part;
}

static uint64_t raw_pointer(struct cs_cursor *cursor, uint8_t format)
{
	switch (format) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		return cs_cursor_unsigned(cursor, 8);
	case DW_EH_PE_udata4:
		return cs_cursor_unsigned(cursor, 4);
	case DW_EH_PE_sdata4:
		return (uint64_t)cs_cursor_signed(cursor, 4);
	case DW_EH_PE_udata2:
		return cs_cursor_unsigned(cursor, 2);
	case DW_EH_PE_sdata2:
		return (uint64_t)cs_cursor_signed(cursor, 2);
	case DW_EH_PE_uleb128:
		return cs_cursor_uleb(cursor);
	case DW_EH_PE_sleb128:
		return (uint64_t)cs_cursor_sleb(cursor);
	default:
		cursor->bad = true;
		return 0;
	}
}

uint64_t cs_cursor_pointer(struct cs_cursor *cursor, uint8_t encoding, uint64_t vaddr,
			   uint64_t data)
{
	uint64_t value = raw_pointer(cursor, encoding & 15);

	switch (encoding & 0xf0) {
	case DW_EH_PE_absptr:
		return value;
	case DW_EH_PE_pcrel:
		return value + vaddr;
	case DW_EH_PE_datarel:
		return value + data;
	default:
		cursor->bad = true;
		return 0;
	}
}
