/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to an ELF file, answered through libelf.
 *
 * The file belongs to the process that is looked at and may be forged, or change while it is read: it is
 * read with pread, never mapped (a truncated file would be a SIGBUS), and no section above MAX_SECTION
 * is loaded.
 */
#include "proc/elf.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"

#define MAX_SECTION ((uint64_t)256 << 20)
#define MAX_PHDRS   256
#define PAGE_MASK   (~(uint64_t)4095)

struct cs_elf {
	int fd;
	Elf *elf;
	bool is_exec; /* ET_EXEC: loaded where the file says */
	size_t nphdrs;
};

void cs_elf_close(struct cs_elf *elf)
{
	if (!elf)
		return;
	elf_end(elf->elf);
	cs_cleanup_close(&elf->fd);
	free(elf);
}

static int open_regular(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	return S_ISREG(st.st_mode) ? TAKE_FD(fd) : -ENOEXEC;
}

static bool header_is_known(const GElf_Ehdr *ehdr)
{
	return ehdr->e_ident[EI_CLASS] == ELFCLASS64 && ehdr->e_ident[EI_DATA] == ELFDATA2LSB &&
	       (ehdr->e_machine == EM_X86_64 || ehdr->e_machine == EM_AARCH64) &&
	       (ehdr->e_type == ET_EXEC || ehdr->e_type == ET_DYN);
}

int cs_elf_open(const char *path, struct cs_elf **ret)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = calloc(1, sizeof(*elf));
	GElf_Ehdr ehdr;

	if (!elf)
		return -ENOMEM;
	elf->fd = open_regular(path);
	if (elf->fd < 0)
		return elf->fd;
	elf_version(EV_CURRENT);
	elf->elf = elf_begin(elf->fd, ELF_C_READ, NULL);
	if (!elf->elf || elf_kind(elf->elf) != ELF_K_ELF || !gelf_getehdr(elf->elf, &ehdr) ||
	    !header_is_known(&ehdr) || elf_getphdrnum(elf->elf, &elf->nphdrs) ||
	    elf->nphdrs > MAX_PHDRS)
		return -ENOEXEC;
	elf->is_exec = ehdr.e_type == ET_EXEC;
	*ret = TAKE_PTR(elf);
	return 0;
}

static Elf_Data *section_data(Elf_Scn *scn, const GElf_Shdr *shdr)
{
	return shdr->sh_size <= MAX_SECTION ? elf_getdata(scn, NULL) : NULL;
}

static int symbol_in(struct cs_elf *elf, Elf_Scn *scn, const GElf_Shdr *shdr, const char *name,
		     GElf_Sym *ret)
{
	Elf_Scn *strings = elf_getscn(elf->elf, shdr->sh_link);
	Elf_Data *data = section_data(scn, shdr);
	GElf_Shdr strings_hdr;
	size_t n;

	if (!data || !gelf_getshdr(strings, &strings_hdr) || !section_data(strings, &strings_hdr))
		return -ENOENT;
	n = data->d_size / sizeof(Elf64_Sym);
	for (size_t i = 0; i < n && gelf_getsym(data, (int)i, ret); i++) {
		const char *found;

		if (ret->st_shndx == SHN_UNDEF)
			continue;
		found = elf_strptr(elf->elf, shdr->sh_link, ret->st_name);
		if (found && !strcmp(found, name))
			return 0;
	}
	return -ENOENT;
}

int cs_elf_symbol(struct cs_elf *elf, const char *name, uint64_t *ret_value, uint64_t *ret_size)
{
	static const uint32_t tables[] = {SHT_DYNSYM, SHT_SYMTAB};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		Elf_Scn *scn = NULL;

		while ((scn = elf_nextscn(elf->elf, scn))) {
			GElf_Shdr shdr;
			GElf_Sym sym;

			if (!gelf_getshdr(scn, &shdr) || shdr.sh_type != tables[i] ||
			    symbol_in(elf, scn, &shdr, name, &sym))
				continue;
			*ret_value = sym.st_value;
			*ret_size = sym.st_size;
			return 0;
		}
	}
	return -ENOENT;
}

/* The i-th program header if it is a loaded segment whose numbers cannot wrap. */
static bool segment_get(struct cs_elf *elf, size_t i, GElf_Phdr *ret)
{
	uint64_t end;

	return gelf_getphdr(elf->elf, (int)i, ret) && ret->p_type == PT_LOAD && ret->p_filesz &&
	       !__builtin_add_overflow(ret->p_offset, ret->p_filesz, &end) &&
	       !__builtin_add_overflow(ret->p_vaddr, ret->p_filesz, &end);
}

/*
 * Neighbouring segments may share a page of the file, so the segment that begins in the mapping's first
 * page is preferred to one that merely covers it. Two may even begin in one page; then the first is
 * taken, which is right for the lowest of the file's mappings: pass that one.
 */
int cs_elf_load_bias(struct cs_elf *elf, uint64_t map_start, uint64_t map_offset,
		     uint64_t *ret_bias)
{
	bool found = false;
	GElf_Phdr best = {0};

	for (size_t i = 0; i < elf->nphdrs; i++) {
		GElf_Phdr seg;
		bool begins;

		if (!segment_get(elf, i, &seg))
			continue;
		begins = (seg.p_offset & PAGE_MASK) == map_offset;
		if (!begins && (found || map_offset < (seg.p_offset & PAGE_MASK) ||
				map_offset >= seg.p_offset + seg.p_filesz))
			continue;
		best = seg;
		found = true;
		if (begins)
			break;
	}
	if (!found)
		return -ENOENT;
	*ret_bias = elf->is_exec ? 0 : map_start - map_offset - (best.p_vaddr - best.p_offset);
	return 0;
}

/* The segment whose file bytes hold vaddr. */
static int segment_find(struct cs_elf *elf, uint64_t vaddr, GElf_Phdr *ret)
{
	for (size_t i = 0; i < elf->nphdrs; i++) {
		if (segment_get(elf, i, ret) && vaddr >= ret->p_vaddr &&
		    vaddr - ret->p_vaddr < ret->p_filesz)
			return 0;
	}
	return -ENOENT;
}

int cs_elf_file_offset(struct cs_elf *elf, uint64_t vaddr, uint64_t *ret_offset)
{
	GElf_Phdr seg;

	if (segment_find(elf, vaddr, &seg))
		return -ENOENT;
	*ret_offset = seg.p_offset + (vaddr - seg.p_vaddr);
	return 0;
}

int cs_elf_read(struct cs_elf *elf, uint64_t vaddr, void *dst, size_t size)
{
	GElf_Phdr seg;
	uint64_t at;

	if (segment_find(elf, vaddr, &seg))
		return -ENOENT;
	at = vaddr - seg.p_vaddr;
	if (size > seg.p_filesz - at ||
	    pread(elf->fd, dst, size, (off_t)(seg.p_offset + at)) != (ssize_t)size)
		return -ENOENT;
	return 0;
}

int cs_elf_find_rodata(struct cs_elf *elf, const char *needle, char *dst, size_t size)
{
	Elf_Scn *scn = NULL;

	if (!size)
		return -ENOENT;
	while ((scn = elf_nextscn(elf->elf, scn))) {
		GElf_Shdr shdr;
		const char *found;
		Elf_Data *data;
		size_t n;

		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type != SHT_PROGBITS ||
		    (shdr.sh_flags & (SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR)) != SHF_ALLOC)
			continue;
		data = section_data(scn, &shdr);
		if (!data || !data->d_buf)
			continue;
		found = memmem(data->d_buf, data->d_size, needle, strlen(needle));
		if (!found)
			continue;
		n = data->d_size - (size_t)(found - (const char *)data->d_buf);
		n = strnlen(found, n < size ? n : size - 1);
		memcpy(dst, found, n);
		dst[n] = '\0';
		return 0;
	}
	return -ENOENT;
}
