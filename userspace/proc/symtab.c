/* SPDX-License-Identifier: Apache-2.0 */
/* Names of functions by address. */
#include "proc/symtab.h"

#include <coroscope/limits.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "proc/elf_private.h"

#define MAX_SYMBOLS ((size_t)1 << 21)
#define MAX_STRINGS ((size_t)256 << 20)
/* Names are copied, and many symbols may share one long one */
#define MAX_NAMES   ((size_t)256 << 20)

struct symbol {
	uint64_t start, size;
	uint32_t name; /* offset into names */
	bool local, weak;
};

struct cs_symtab {
	struct symbol *items; /* ascending by start, one for each */
	size_t n, cap;
	struct cs_buf names; /* terminated strings */
};

void cs_symtab_free(struct cs_symtab *symtab)
{
	if (!symtab)
		return;
	free(symtab->items);
	cs_buf_free(&symtab->names);
	free(symtab);
}

static bool is_function(const GElf_Sym *sym, const char *name)
{
	unsigned int type = GELF_ST_TYPE(sym->st_info);

	if (sym->st_shndx == SHN_UNDEF || sym->st_shndx >= SHN_LORESERVE || !name || !*name)
		return false;
	/* the assembler's functions have no type */
	return type == STT_FUNC || type == STT_GNU_IFUNC || (type == STT_NOTYPE && sym->st_size);
}

static int add(struct cs_symtab *symtab, const GElf_Sym *sym, const char *name)
{
	struct symbol *items;

	if (symtab->n == symtab->cap) {
		size_t cap = symtab->cap ? symtab->cap * 2 : 1024;

		items = reallocarray(symtab->items, cap, sizeof(*items));
		if (!items)
			return -ENOMEM;
		symtab->items = items;
		symtab->cap = cap;
	}
	symtab->items[symtab->n++] = (struct symbol){
		.start = sym->st_value,
		.size = sym->st_size,
		.name = (uint32_t)symtab->names.len,
		.local = GELF_ST_BIND(sym->st_info) == STB_LOCAL,
		.weak = GELF_ST_BIND(sym->st_info) == STB_WEAK,
	};
	return cs_buf_append(&symtab->names, name, strnlen(name, CS_MAX_SYMBOL)) ||
			       cs_buf_append(&symtab->names, "", 1)
		       ? -ENOMEM
		       : 0;
}

static int add_section(struct cs_symtab *symtab, struct cs_elf *elf, Elf_Scn *scn,
		       const GElf_Shdr *shdr)
{
	Elf_Scn *strings = elf_getscn(elf->elf, shdr->sh_link);
	GElf_Shdr strings_hdr;
	Elf_Data *data;
	int err = 0;

	if (shdr->sh_size > MAX_STRINGS || !gelf_getshdr(strings, &strings_hdr) ||
	    strings_hdr.sh_size > MAX_STRINGS)
		return 0;
	data = elf_getdata(scn, NULL);
	for (size_t i = 0; data && !err && i < data->d_size / sizeof(Elf64_Sym); i++) {
		GElf_Sym sym;
		const char *name;

		if (symtab->n == MAX_SYMBOLS || symtab->names.len > MAX_NAMES ||
		    !gelf_getsym(data, (int)i, &sym))
			break;
		name = elf_strptr(elf->elf, shdr->sh_link, sym.st_name);
		if (is_function(&sym, name))
			err = add(symtab, &sym, name);
	}
	return err;
}

/* Every table of this type. Returns how many there were, or -ENOMEM. */
static int add_tables(struct cs_symtab *symtab, struct cs_elf *elf, uint32_t type)
{
	Elf_Scn *scn = NULL;
	int found = 0, err;

	while ((scn = elf_nextscn(elf->elf, scn))) {
		GElf_Shdr shdr;

		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type != type)
			continue;
		err = add_section(symtab, elf, scn, &shdr);
		if (err)
			return err;
		found++;
	}
	return found;
}

/* What was stripped off: the whole table if it is kept somewhere, else the small one. Returns how many tables, or -ENOMEM. */
static int add_stripped(struct cs_symtab *symtab, struct cs_elf *elf,
			const struct cs_elf_home *home)
{
	_cleanup_(cs_elf_closep) struct cs_elf *debug = NULL, *small = NULL;
	int found = 0;

	if (!cs_debug_file_open(elf, home, &debug))
		found = add_tables(symtab, debug, SHT_SYMTAB);
	if (!found && !cs_debug_data_open(elf, &small))
		found = add_tables(symtab, small, SHT_SYMTAB);
	return found;
}

/*
 * Names of one function: what programs call it, not what the library calls it inside. In the C library a name without underscores is often
 * weak beside one with them (read), and so is an old one beside the usual (gsignal for raise).
 */
static bool is_better(const struct cs_symtab *symtab, const struct symbol *a,
		      const struct symbol *b)
{
	const char *left = symtab->names.data + a->name, *right = symtab->names.data + b->name;
	size_t left_under = strspn(left, "_"), right_under = strspn(right, "_");

	if (!a->size != !b->size)
		return a->size;
	if (a->local != b->local)
		return b->local;
	if (left_under != right_under)
		return left_under < right_under;
	if (a->weak != b->weak)
		return b->weak;
	return strcmp(left, right) < 0;
}

static int compare(const void *a, const void *b)
{
	const struct symbol *left = a, *right = b;

	return (left->start > right->start) - (left->start < right->start);
}

/* In order, the best of those that begin at one address. */
static void settle(struct cs_symtab *symtab)
{
	size_t kept = 0;

	if (symtab->n)
		qsort(symtab->items, symtab->n, sizeof(*symtab->items), compare);
	for (size_t i = 0; i < symtab->n; i++) {
		const struct symbol *it = &symtab->items[i];

		if (!kept || symtab->items[kept - 1].start != it->start)
			symtab->items[kept++] = *it;
		else if (is_better(symtab, it, &symtab->items[kept - 1]))
			symtab->items[kept - 1] = *it;
	}
	symtab->n = kept;
}

int cs_symtab_load(struct cs_elf *elf, const struct cs_elf_home *home, struct cs_symtab **ret)
{
	_cleanup_(cs_symtab_freep) struct cs_symtab *symtab = calloc(1, sizeof(*symtab));
	int found;

	if (!symtab)
		return -ENOMEM;
	found = add_tables(symtab, elf, SHT_SYMTAB);
	if (!found)
		found = add_stripped(symtab, elf, home);
	if (found >= 0)
		found = add_tables(symtab, elf, SHT_DYNSYM);
	if (found < 0)
		return found;
	settle(symtab);
	*ret = TAKE_PTR(symtab);
	return 0;
}

const char *cs_symtab_find(const struct cs_symtab *symtab, uint64_t vaddr)
{
	size_t lo = 0, hi = symtab->n;
	const struct symbol *it;

	while (lo < hi) {
		size_t middle = lo + (hi - lo) / 2;

		if (symtab->items[middle].start <= vaddr)
			lo = middle + 1;
		else
			hi = middle;
	}
	if (!lo)
		return NULL;
	it = &symtab->items[lo - 1];
	/* One without a size goes as far as the next. */
	if (it->size ? vaddr - it->start >= it->size : lo == symtab->n)
		return NULL;
	return symtab->names.data + it->name;
}

bool cs_symtab_where(const struct cs_symtab *symtab, const char *name, struct cs_elf_range *ret)
{
	for (size_t i = 0; i < symtab->n; i++)
		if (!strcmp(symtab->names.data + symtab->items[i].name, name)) {
			*ret = (struct cs_elf_range){symtab->items[i].start, symtab->items[i].size};
			return true;
		}
	return false;
}

size_t cs_symtab_count(const struct cs_symtab *symtab)
{
	return symtab->n;
}
