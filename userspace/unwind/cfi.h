/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call frame information as .eh_frame holds it: its entries, and the little program of each that gives the rules
 * for every address of a function. Sources: DWARF 5, 6.4; Linux Standard Base Core 5.0, 10.6 (.eh_frame's differences).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/rule.h"

/* The section's bytes and the address (in the file's own space) of the first. */
struct cs_eh_frame {
	const uint8_t *bytes;
	size_t size;
	uint64_t vaddr;
};

/* What many functions have in common. */
struct cs_cie {
	size_t at; /* offset in the section */
	uint64_t code_factor;
	int64_t data_factor;
	uint64_t ra_register;
	uint8_t pointer_encoding;
	bool augmented; /* entries begin with the length of more data */
	bool signal_frame;
	struct cs_cursor program;
};

/* One function, or a part of one. */
struct cs_fde {
	size_t at;           /* offset in the section */
	size_t next;         /* of the entry behind it */
	uint64_t start, end; /* addresses of its code; start < end */
	struct cs_cie cie;
	struct cs_cursor program;
};

enum cs_entry {
	CS_ENTRY_FDE,
	CS_ENTRY_CIE,
	CS_ENTRY_END, /* the terminator: what stands behind it is no call frame information */
	CS_ENTRY_DAMAGED,
};

/*
 * Parse the entry at this offset. `known` is a CIE read before (at == SIZE_MAX: none), so that the next of its functions
 * need not parse it again. ret->next is set for CS_ENTRY_FDE and CS_ENTRY_CIE; the rest only for CS_ENTRY_FDE.
 */
enum cs_entry cs_cfi_entry(const struct cs_eh_frame *frame, size_t at, const struct cs_cie *known,
			   struct cs_fde *ret);

/*
 * Run the entry's program: fn is called with the rules that hold from `vaddr` on, in ascending order, the first time with
 * fde->start. Addresses at or past fde->end are left out. Returns 0, -EINVAL for a damaged or unknown program (what was told
 * until then stands), or what fn returned if that was not 0.
 */
int cs_cfi_run(const struct cs_fde *fde,
	       int (*fn)(void *ctx, uint64_t vaddr, const struct cs_rules *rules), void *ctx);
