/* SPDX-License-Identifier: Apache-2.0 */
/* An open ELF file, as the files of this module see it. */
#pragma once

#include <gelf.h>

#include "proc/elf.h"

struct cs_elf {
	int fd;
	Elf *elf;
	bool is_exec;      /* ET_EXEC: loaded where the file says */
	uint32_t relative; /* the machine's relocation type for "bias + addend" */
	size_t nphdrs;
};

/* The i-th program header if it is a loaded segment whose numbers cannot wrap. */
bool cs_elf_segment(struct cs_elf *elf, size_t i, GElf_Phdr *ret);

/* The next section of this name after *scn, or the first after NULL: to *scn and *ret. False when there is none. */
bool cs_elf_next_section(struct cs_elf *elf, const char *name, Elf_Scn **scn, GElf_Shdr *ret);

/* The bytes of a section of this name that the file has, at most `max` and at least one; valid as long as the file is open. NULL if there is none. */
Elf_Data *cs_elf_section_data(struct cs_elf *elf, const char *name, size_t max);
