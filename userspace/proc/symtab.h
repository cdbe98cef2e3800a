/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the functions of an ELF file by address: of its own symbol tables, and if it has been stripped of what was stripped off
 * (debug_file.h). Names are as the linker has them, not demangled. Files are hostile: counts, names and addresses are checked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/debug_file.h"
#include "proc/elf.h"

struct cs_symtab;

/* home: where the file is, or NULL. Returns 0 or -ENOMEM; without any symbol the table is empty. `elf` may be closed then. */
int cs_symtab_load(struct cs_elf *elf, const struct cs_elf_home *home, struct cs_symtab **ret);
void cs_symtab_free(struct cs_symtab *symtab); /* NULL is fine */
static inline void cs_symtab_freep(struct cs_symtab **symtab)
{
	cs_symtab_free(*symtab);
}

/* The function that holds this address of the file: its name (owned by the table), or NULL. */
const char *cs_symtab_find(const struct cs_symtab *symtab, uint64_t vaddr);

/* Where the function of this name is, if there is one. Looks at all. */
bool cs_symtab_where(const struct cs_symtab *symtab, const char *name, struct cs_elf_range *ret);

size_t cs_symtab_count(const struct cs_symtab *symtab);
