/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines and inlined functions from the DWARF information of one file, through libdw. That trusts its input more than this project
 * does, so it is used on request only, and after the capture.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "symbolize/lookup.h"

struct cs_dwarf;

/* Of the ELF file of this descriptor, which is not taken over. Returns 0, -ENOENT (no such information) or -ENOMEM. */
int cs_dwarf_open(int fd, struct cs_dwarf **ret);
void cs_dwarf_free(struct cs_dwarf *dwarf); /* NULL is fine */

/* As the find of struct cs_lookup. What is returned holds until the next question. */
size_t cs_dwarf_find(struct cs_dwarf *dwarf, uint64_t vaddr,
		     struct cs_code_function ret[CS_MAX_INLINED]);
