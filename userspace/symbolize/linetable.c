/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPython's three tables of lines.
 *
 * Up to 3.9, co_lnotab: pairs of bytes, unsigned step in the bytecode and signed step in the lines. A pair's line holds
 * from its step on.
 *
 * 3.10, co_linetable: pairs of bytes, unsigned length of a range of the bytecode and signed step in the lines before it;
 * a step of -128 says that the range has no line, and the line stays what it was.
 *
 * From 3.11 on, the location table. An entry covers 1 to 8 code units of two bytes. Its first byte is the
 * only one with the top bit set: 1 | code (4 bits) | units - 1 (3 bits). What follows depends on
 * the code:
 *
 *   0-9    same line, one byte of columns        10-12  line + (code - 10), two bytes of columns
 *   13     signed varint: line delta, no columns  14    signed varint: line delta, three varints
 *   15     no location (the line carries on to the next entry)
 *
 * A varint has six bits a byte, lowest first, bit 6 set if another follows; a signed one keeps its
 * sign in bit 0. Since entries announce themselves, columns are skipped without being decoded.
 */
#include "symbolize/linetable.h"

#include <coroscope/py_offsets.h>

#define NO_LINE (-128) /* a step of 3.10's table */

#define CODE_ONE_LINE   10
#define CODE_NO_COLUMNS 13
#define CODE_LONG       14
#define CODE_NONE       15

static bool starts_entry(uint8_t byte)
{
	return byte & 0x80;
}

/* The signed varint at the start of bytes, false if it is cut off or wider than an int. */
static bool read_svarint(const uint8_t *bytes, const uint8_t *end, int64_t *ret)
{
	uint64_t value = 0;
	unsigned int shift;

	for (shift = 0; shift <= 30; shift += 6) {
		if (bytes == end || starts_entry(*bytes))
			return false;
		value |= (uint64_t)(*bytes & 0x3f) << shift;
		if (!(*bytes++ & 0x40)) {
			*ret = value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
			return true;
		}
	}
	return false;
}

/* A line that can be one, else what to say instead. */
static uint32_t line_or(int64_t line, uint32_t firstlineno)
{
	return line >= 0 && line <= INT32_MAX ? (uint32_t)line : firstlineno;
}

static uint32_t line_by_lnotab(const uint8_t *table, size_t len, uint32_t firstlineno,
			       int32_t lasti)
{
	int64_t line = firstlineno, at = 0;

	for (size_t i = 0; i + 1 < len; i += 2) {
		at += table[i];
		if (at > lasti)
			break;
		line += (int8_t)table[i + 1];
	}
	return line_or(line, firstlineno);
}

static uint32_t line_by_ranges(const uint8_t *table, size_t len, uint32_t firstlineno,
			       int32_t lasti)
{
	int64_t line = firstlineno, end = 0;

	for (size_t i = 0; i + 1 < len; i += 2) {
		int8_t step = (int8_t)table[i + 1];

		end += table[i];
		if (step != NO_LINE)
			line += step;
		if (lasti < end)
			return step == NO_LINE ? 0 : line_or(line, firstlineno);
	}
	return firstlineno;
}

static uint32_t line_by_locations(const uint8_t *table, size_t len, uint32_t firstlineno,
				  int32_t lasti)
{
	const uint8_t *at = table;
	const uint8_t *end = table + len;
	int64_t line = firstlineno;
	int64_t units_left = (int64_t)lasti / 2;
	int64_t delta;
	unsigned int code;

	while (at < end && starts_entry(*at)) {
		code = *at >> 3 & 15;
		units_left -= (*at & 7) + 1;
		at++;
		delta = 0;
		if (code == CODE_NO_COLUMNS || code == CODE_LONG) {
			if (!read_svarint(at, end, &delta))
				return firstlineno;
		} else if (code >= CODE_ONE_LINE && code < CODE_NO_COLUMNS) {
			delta = code - CODE_ONE_LINE;
		}
		line += delta;
		if (units_left < 0) {
			if (code == CODE_NONE)
				return 0;
			return line_or(line, firstlineno);
		}
		while (at < end && !starts_entry(*at))
			at++;
	}
	return firstlineno;
}

uint32_t cs_linetable_line(uint32_t kind, const uint8_t *table, size_t len, uint32_t firstlineno,
			   int32_t lasti)
{
	if (lasti < 0)
		return firstlineno;
	switch (kind) {
	case CS_LINETABLE_LOCATIONS:
		return line_by_locations(table, len, firstlineno, lasti);
	case CS_LINETABLE_LNOTAB:
		return line_by_lnotab(table, len, firstlineno, lasti);
	case CS_LINETABLE_LINES:
		return line_by_ranges(table, len, firstlineno, lasti);
	default:
		return firstlineno;
	}
}

bool cs_linetable_covers(uint32_t kind, const uint8_t *table, size_t len, int32_t lasti)
{
	int64_t end = 0;

	if (lasti < 0)
		return true;
	if (kind != CS_LINETABLE_LOCATIONS) {
		for (size_t i = 0; i + 1 < len; i += 2)
			end += table[i];
		return lasti < end;
	}
	for (size_t i = 0; i < len; i++) {
		if (starts_entry(table[i]))
			end += 2 * ((table[i] & 7) + 1);
	}
	/* the last entry itself may be cut */
	return lasti < end - 16;
}
