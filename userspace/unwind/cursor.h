/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the bytes of a hostile section one after the other. A read past the end gives 0 and makes the cursor
 * bad for good, so that a caller may look once, at the end of a step.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cs_cursor {
	const uint8_t *at, *end;
	bool bad;
};

/* Fixed-size little-endian integers of 1 to 8 bytes, unsigned and sign-extended. */
uint64_t cs_cursor_unsigned(struct cs_cursor *cursor, size_t bytes);
int64_t cs_cursor_signed(struct cs_cursor *cursor, size_t bytes);

/* LEB128 integers (DWARF 5, 7.6); bits beyond the 64th make the cursor bad. */
uint64_t cs_cursor_uleb(struct cs_cursor *cursor);
int64_t cs_cursor_sleb(struct cs_cursor *cursor);

/* The next so many bytes as a cursor of their own. */
struct cs_cursor cs_cursor_take(struct cs_cursor *cursor, uint64_t bytes);

/*
 * A pointer in one of the DW_EH_PE_* encodings (Linux Standard Base, 10.5.1). `vaddr` is the address of the pointer itself, for
 * those that are relative to it; `data` what DW_EH_PE_datarel is relative to. Indirect pointers make the cursor bad.
 */
uint64_t cs_cursor_pointer(struct cs_cursor *cursor, uint8_t encoding, uint64_t vaddr,
			   uint64_t data);
