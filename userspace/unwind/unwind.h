/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How to get from a frame of native code to its caller's, for every address of a file: .eh_frame compiled into the table of
 * coroscope/unwind.h. Files are hostile: their numbers are checked, time and memory are bounded by their size.
 */
#pragma once

#include <coroscope/unwind.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/elf.h"

struct cs_unwind_table {
	uint64_t *words; /* owned */
	size_t nwords;
	size_t nrows;
	size_t nfunctions; /* entries of .eh_frame that are in the table */
	size_t ndamaged; /* entries left out: damaged, not in the text, or in another one's place */
	size_t eh_bytes; /* of .eh_frame */
};

/*
 * All of a file's .eh_frame, *ret_bytes owned by the caller. Returns 0, -ENOENT (there is none that can be read), -E2BIG (above 64 MiB) or -ENOMEM.
 */
int cs_unwind_read_eh_frame(struct cs_elf *elf, struct cs_elf_range *ret_section,
			    uint8_t **ret_bytes);

/*
 * The table of an ELF file. Returns 0, -ENOENT (no .eh_frame, or nothing in it), -E2BIG (above 64 MiB of .eh_frame or
 * CS_UNWIND_WORDS of table, or addresses above 4 GiB) or -ENOMEM.
 */
int cs_unwind_file(struct cs_elf *elf, struct cs_unwind_table *ret);

/*
 * The same for a section in memory whose first byte has this address: the vDSO, tests. `bytes` are copied from. Functions that do
 * not lie in `text` are left out: the table's size is bounded by that of the text.
 */
int cs_unwind_section(const void *bytes, struct cs_elf_range section, struct cs_elf_range text,
		      struct cs_unwind_table *ret);

void cs_unwind_table_free(struct cs_unwind_table *table); /* an empty one is fine */
#define _cleanup_unwind_table_ __attribute__((cleanup(cs_unwind_table_free)))

/* The lower half of the row that holds at this address of the file; 0 (CS_UNWIND_NONE) if there is none. */
uint32_t cs_unwind_find(const struct cs_unwind_table *table, uint64_t vaddr);
