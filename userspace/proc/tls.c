/* SPDX-License-Identifier: Apache-2.0 */
/* A symbol by the hash tables of the dynamic section, its place by what relocations have left in the process. */
#include "proc/tls.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "proc/elf_private.h"

#define MAX_DYN     256
#define MAX_NAME    64
/* Symbols of one bucket: linkers make buckets of a few. */
#define MAX_CHAIN   4096
#define MAX_RELA    (1u << 20)
#define RELA_BATCH  256
/* Static blocks of all files together: 64 MiB of thread-local data is beyond what a thread's stack could hold. */
#define MAX_STATIC  ((uint64_t)64 << 20)
/* Of a variable in its block. */
#define MAX_OFFSET  ((uint64_t)64 << 20)
/* Numbers are given to files with thread-local data, and taken again. */
#define MAX_MODULES 65536
#define BLOOM_BITS  64

/* What of the dynamic section is needed; 0: not there. */
struct dynamic {
	uint64_t gnu_hash, hash, symbols, strings;
	struct table {
		uint64_t addr, size;
	} rela, plt;
};

static bool find_segment(struct cs_elf *elf, uint32_t type, GElf_Phdr *ret)
{
	for (size_t i = 0; i < elf->nphdrs; i++) {
		if (gelf_getphdr(elf->elf, (int)i, ret) && ret->p_type == type)
			return true;
	}
	return false;
}

static void note_entry(struct dynamic *dynamic, const Elf64_Dyn *dyn)
{
	uint64_t value = dyn->d_un.d_val;

	switch (dyn->d_tag) {
	case DT_GNU_HASH:
		dynamic->gnu_hash = value;
		break;
	case DT_HASH:
		dynamic->hash = value;
		break;
	case DT_SYMTAB:
		dynamic->symbols = value;
		break;
	case DT_STRTAB:
		dynamic->strings = value;
		break;
	case DT_RELA:
		dynamic->rela.addr = value;
		break;
	case DT_RELASZ:
		dynamic->rela.size = value;
		break;
	case DT_JMPREL:
		dynamic->plt.addr = value;
		break;
	case DT_PLTRELSZ:
		dynamic->plt.size = value;
		break;
	}
}

static int read_dynamic(struct cs_elf *elf, struct dynamic *ret)
{
	GElf_Phdr seg;
	Elf64_Dyn dyn;

	*ret = (struct dynamic){0};
	if (!find_segment(elf, PT_DYNAMIC, &seg))
		return -ENOENT;
	for (uint64_t i = 0; i < MAX_DYN; i++) {
		if (cs_elf_read(elf, seg.p_vaddr + i * sizeof(dyn), &dyn, sizeof(dyn)) ||
		    dyn.d_tag == DT_NULL)
			break;
		note_entry(ret, &dyn);
	}
	return ret->symbols && ret->strings ? 0 : -ENOENT;
}

/* Is the n-th symbol a thread-local variable of this name, defined here? */
static bool is_symbol(struct cs_elf *elf, const struct dynamic *dynamic, uint32_t n,
		      const char *name, struct cs_tls_variable *ret)
{
	size_t len = strlen(name) + 1;
	char found[MAX_NAME];
	Elf64_Sym sym;

	if (len > sizeof(found) ||
	    cs_elf_read(elf, dynamic->symbols + (uint64_t)n * sizeof(sym), &sym, sizeof(sym)) ||
	    sym.st_shndx == SHN_UNDEF || ELF64_ST_TYPE(sym.st_info) != STT_TLS ||
	    cs_elf_read(elf, dynamic->strings + sym.st_name, found, len) ||
	    memcmp(found, name, len))
		return false;
	*ret = (struct cs_tls_variable){n, sym.st_value, sym.st_size};
	return true;
}

static uint32_t gnu_hash_of(const char *name)
{
	uint32_t hash = 5381;

	for (; *name; name++)
		hash = hash * 33 + (unsigned char)*name;
	return hash;
}

/* Of most files the filter alone says that they do not have it: two reads. */
static int find_by_gnu_hash(struct cs_elf *elf, const struct dynamic *dynamic, const char *name,
			    struct cs_tls_variable *ret)
{
	struct {
		uint32_t nbuckets, first, nbloom, shift;
	} head;
	uint32_t hash = gnu_hash_of(name), n, value;
	uint64_t bloom, buckets, word;

	if (cs_elf_read(elf, dynamic->gnu_hash, &head, sizeof(head)) || !head.nbuckets ||
	    !head.nbloom || head.shift >= 32)
		return -ENOENT;
	bloom = dynamic->gnu_hash + sizeof(head);
	buckets = bloom + (uint64_t)head.nbloom * sizeof(word);
	if (cs_elf_read(elf, bloom + hash / BLOOM_BITS % head.nbloom * sizeof(word), &word,
			sizeof(word)) ||
	    !(word >> hash % BLOOM_BITS & word >> (hash >> head.shift) % BLOOM_BITS & 1) ||
	    cs_elf_read(elf, buckets + (uint64_t)(hash % head.nbuckets) * 4, &n, sizeof(n)) ||
	    n < head.first)
		return -ENOENT;
	for (int i = 0; i < MAX_CHAIN; i++, n++) {
		uint64_t at = buckets + ((uint64_t)head.nbuckets + (n - head.first)) * 4;

		if (cs_elf_read(elf, at, &value, sizeof(value)))
			return -ENOENT;
		if ((value | 1) == (hash | 1) && is_symbol(elf, dynamic, n, name, ret))
			return 0;
		if (value & 1)
			return -ENOENT;
	}
	return -ENOENT;
}

static uint32_t hash_of(const char *name)
{
	uint32_t hash = 0;

	for (; *name; name++) {
		hash = (hash << 4) + (unsigned char)*name;
		hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
	}
	return hash;
}

static int find_by_hash(struct cs_elf *elf, const struct dynamic *dynamic, const char *name,
			struct cs_tls_variable *ret)
{
	struct {
		uint32_t nbuckets, nchain;
	} head;
	uint64_t buckets = dynamic->hash + sizeof(head);
	uint32_t n;

	if (cs_elf_read(elf, dynamic->hash, &head, sizeof(head)) || !head.nbuckets ||
	    cs_elf_read(elf, buckets + (uint64_t)(hash_of(name) % head.nbuckets) * 4, &n,
			sizeof(n)))
		return -ENOENT;
	for (int i = 0; i < MAX_CHAIN && n && n < head.nchain; i++) {
		if (is_symbol(elf, dynamic, n, name, ret))
			return 0;
		if (cs_elf_read(elf, buckets + ((uint64_t)head.nbuckets + n) * 4, &n, sizeof(n)))
			return -ENOENT;
	}
	return -ENOENT;
}

int cs_tls_find(struct cs_elf *elf, const char *name, struct cs_tls_variable *ret)
{
	struct dynamic dynamic;
	GElf_Ehdr ehdr;

	if (!gelf_getehdr(elf->elf, &ehdr) || ehdr.e_machine != EM_X86_64 ||
	    read_dynamic(elf, &dynamic))
		return -ENOENT;
	if (dynamic.gnu_hash)
		return find_by_gnu_hash(elf, &dynamic, name, ret);
	return dynamic.hash ? find_by_hash(elf, &dynamic, name, ret) : -ENOENT;
}

int cs_tls_in_program(struct cs_elf *elf, const struct cs_tls_variable *variable,
		      struct cs_tls_place *ret)
{
	uint64_t align, first, offset;
	GElf_Phdr seg;

	if (!find_segment(elf, PT_TLS, &seg) || seg.p_memsz > MAX_STATIC ||
	    seg.p_align > MAX_STATIC || variable->value > seg.p_memsz ||
	    seg.p_memsz - variable->value < sizeof(uint64_t))
		return -ENOENT;
	align = seg.p_align ? seg.p_align : 1;
	if (align & (align - 1))
		return -ENOENT;
	/* the program's is the first module: the loader and the linker both count from the thread pointer */
	first = -seg.p_vaddr & (align - 1);
	offset = ((seg.p_memsz - first + align - 1) & ~(align - 1)) + first;
	*ret = (struct cs_tls_place){.at = variable->value - offset};
	return 0;
}

/* A distance from the thread pointer to something below it? */
static bool is_static(uint64_t at)
{
	return at && -at <= MAX_STATIC;
}

struct resolving {
	const struct cs_tls_variable *variable;
	uint64_t bias;
	struct cs_mem *mem;
	bool glibc;
	bool vector; /* what leads through a thread's vector of blocks is asked, else the rest */
	bool waits;  /* something is to tell it, and does not yet */
	struct cs_tls_place *ret;
};

static bool in_vector(const struct resolving *r, uint64_t module, uint64_t at, uint64_t generation)
{
	if (!r->glibc || !module || module > MAX_MODULES || at > MAX_OFFSET)
		return false;
	*r->ret = (struct cs_tls_place){at, (uint32_t)module, generation};
	return true;
}

/* A descriptor: what to call, and its argument, which is the distance itself, or tells module, offset and generation. */
static bool by_descriptor(struct resolving *r, const uint64_t pair[2], bool own, uint64_t addend)
{
	struct {
		uint64_t module, offset, generation;
	} dynamic;
	/* one without a symbol is of this file's block at `addend` */
	uint64_t more = own ? 0 : r->variable->value - addend;

	if (!pair[0])
		return false;
	if (is_static(pair[1])) {
		*r->ret = (struct cs_tls_place){.at = pair[1] + more};
		return is_static(r->ret->at);
	}
	if (cs_mem_read(r->mem, pair[1], &dynamic, sizeof(dynamic)) ||
	    (!own && dynamic.offset != addend))
		return false;
	return in_vector(r, dynamic.module, dynamic.offset + more, dynamic.generation);
}

/* What the loader has left where this relocation says. Returns whether it tells the place. */
static bool by_relocation(struct resolving *r, const Elf64_Rela *rela)
{
	uint64_t symbol = ELF64_R_SYM(rela->r_info), at = r->bias + rela->r_offset;
	bool own = symbol == r->variable->symbol;
	uint64_t addend = (uint64_t)rela->r_addend, pair[2];

	if ((symbol && !own) || (ELF64_R_TYPE(rela->r_info) == R_X86_64_DTPMOD64) != r->vector)
		return false;
	switch (ELF64_R_TYPE(rela->r_info)) {
	case R_X86_64_TLSDESC:
		r->waits = true;
		return !cs_mem_read(r->mem, at, pair, sizeof(pair)) &&
		       by_descriptor(r, pair, own, addend);
	case R_X86_64_DTPMOD64:
		r->waits = true;
		if (cs_mem_read(r->mem, at, pair, sizeof(pair)))
			return false;
		/* the other word is the variable's, or that of any other of this file */
		return in_vector(r, pair[0], own ? pair[1] : r->variable->value, 0);
	case R_X86_64_TPOFF64:
		r->waits = true;
		if (cs_mem_read(r->mem, at, pair, sizeof(*pair)))
			return false;
		*r->ret = (struct cs_tls_place){.at = own ? pair[0]
							  : pair[0] - addend + r->variable->value};
		return is_static(pair[0]) && is_static(r->ret->at);
	default:
		return false;
	}
}

static bool by_table(struct cs_elf *elf, const struct table *table, struct resolving *r)
{
	uint64_t n = table->size / sizeof(Elf64_Rela), addr = table->addr, now;
	Elf64_Rela batch[RELA_BATCH];

	for (n = n < MAX_RELA ? n : MAX_RELA; n; n -= now, addr += now * sizeof(*batch)) {
		now = n < RELA_BATCH ? n : RELA_BATCH;
		if (cs_elf_read(elf, addr, batch, now * sizeof(*batch)))
			return false;
		for (uint64_t i = 0; i < now; i++)
			if (by_relocation(r, &batch[i]))
				return true;
	}
	return false;
}

int cs_tls_in_library(struct cs_elf *elf, const struct cs_tls_variable *variable, uint64_t bias,
		      struct cs_mem *mem, bool glibc, struct cs_tls_place *ret)
{
	struct resolving r = {variable, bias, mem, glibc, false, false, ret};
	struct dynamic dynamic;

	if (read_dynamic(elf, &dynamic))
		return -ENOENT;
	/* A block beside the thread pointer is in a thread's vector only once something has asked for it there: descriptors first. */
	for (int i = 0; i < 2; i++, r.vector = true)
		if (by_table(elf, &dynamic.plt, &r) || by_table(elf, &dynamic.rela, &r))
			return 0;
	return r.waits ? -EAGAIN : -ENOENT;
}
