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
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "proc/elf_private.h"
#include "proc/file.h"

#define MAX_SECTION ((uint64_t)256 << 20)
#define MAX_PHDRS   256
#define PAGE_MASK   (~(uint64_t)4095)

#define MAX_DATA   ((uint64_t)64 << 20)
#define MAX_DYN    256
#define MAX_RELA   (1u << 20)
#define RELA_BATCH 256

void cs_elf_close(struct cs_elf *elf)
{
	if (!elf)
		return;
	elf_end(elf->elf);
	cs_cleanup_close(&elf->fd);
	free(elf);
}

static bool header_is_known(const GElf_Ehdr *ehdr)
{
	return ehdr->e_ident[EI_CLASS] == ELFCLASS64 && ehdr->e_ident[EI_DATA] == ELFDATA2LSB &&
	       (ehdr->e_machine == EM_X86_64 || ehdr->e_machine == EM_AARCH64) &&
	       (ehdr->e_type == ET_EXEC || ehdr->e_type == ET_DYN);
}

int cs_elf_open(const char *path, struct cs_elf **ret)
{
	int fd = cs_open_regular(path);

	if (fd < 0)
		return fd == -EINVAL ? -ENOEXEC : fd;
	return cs_elf_open_fd(fd, ret);
}

int cs_elf_open_fd(int taken, struct cs_elf **ret)
{
	_cleanup_close_ int fd = taken;
	_cleanup_(cs_elf_closep) struct cs_elf *elf = calloc(1, sizeof(*elf));
	GElf_Ehdr ehdr;

	if (!elf)
		return -ENOMEM;
	elf->fd = TAKE_FD(fd);
	elf_version(EV_CURRENT);
	elf->elf = elf_begin(elf->fd, ELF_C_READ, NULL);
	if (!elf->elf || elf_kind(elf->elf) != ELF_K_ELF || !gelf_getehdr(elf->elf, &ehdr) ||
	    !header_is_known(&ehdr) || elf_getphdrnum(elf->elf, &elf->nphdrs) ||
	    elf->nphdrs > MAX_PHDRS)
		return -ENOEXEC;
	elf->is_exec = ehdr.e_type == ET_EXEC;
	elf->relative = ehdr.e_machine == EM_X86_64 ? R_X86_64_RELATIVE : R_AARCH64_RELATIVE;
	*ret = TAKE_PTR(elf);
	return 0;
}

int cs_elf_fd(const struct cs_elf *elf)
{
	return elf->fd;
}

static Elf_Data *section_data(Elf_Scn *scn, const GElf_Shdr *shdr)
{
	return shdr->sh_size <= MAX_SECTION ? elf_getdata(scn, NULL) : NULL;
}

Elf_Data *cs_elf_section_data(struct cs_elf *elf, const char *name, size_t max)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	Elf_Data *data;

	while (cs_elf_next_section(elf, name, &scn, &shdr)) {
		if (shdr.sh_type == SHT_NOBITS || shdr.sh_size > max)
			continue;
		data = section_data(scn, &shdr);
		if (data && data->d_buf && data->d_size)
			return data;
	}
	return NULL;
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

bool cs_elf_segment(struct cs_elf *elf, size_t i, GElf_Phdr *ret)
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

		if (!cs_elf_segment(elf, i, &seg))
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

int cs_elf_text_start(struct cs_elf *elf, uint64_t *ret_vaddr)
{
	uint64_t lowest = UINT64_MAX;

	for (size_t i = 0; i < elf->nphdrs; i++) {
		GElf_Phdr seg;

		if (cs_elf_segment(elf, i, &seg) && seg.p_flags & PF_X && seg.p_vaddr < lowest)
			lowest = seg.p_vaddr;
	}
	if (lowest == UINT64_MAX)
		return -ENOENT;
	*ret_vaddr = lowest;
	return 0;
}

/* The segment with these flags (PF_*) whose file bytes hold vaddr. */
static int segment_find(struct cs_elf *elf, uint64_t vaddr, uint32_t flags, GElf_Phdr *ret)
{
	for (size_t i = 0; i < elf->nphdrs; i++) {
		if (cs_elf_segment(elf, i, ret) && (ret->p_flags & flags) == flags &&
		    vaddr >= ret->p_vaddr && vaddr - ret->p_vaddr < ret->p_filesz)
			return 0;
	}
	return -ENOENT;
}

int cs_elf_file_offset(struct cs_elf *elf, uint64_t vaddr, uint64_t *ret_offset)
{
	GElf_Phdr seg;

	if (segment_find(elf, vaddr, 0, &seg))
		return -ENOENT;
	*ret_offset = seg.p_offset + (vaddr - seg.p_vaddr);
	return 0;
}

static int segment_read(struct cs_elf *elf, uint64_t vaddr, uint32_t flags, void *dst, size_t size,
			uint64_t *ret_offset)
{
	GElf_Phdr seg;
	uint64_t at;

	if (segment_find(elf, vaddr, flags, &seg))
		return -ENOENT;
	at = vaddr - seg.p_vaddr;
	*ret_offset = seg.p_offset + at;
	if (size > seg.p_filesz - at ||
	    pread(elf->fd, dst, size, (off_t)*ret_offset) != (ssize_t)size)
		return -ENOENT;
	return 0;
}

int cs_elf_read(struct cs_elf *elf, uint64_t vaddr, void *dst, size_t size)
{
	uint64_t offset;

	return segment_read(elf, vaddr, 0, dst, size, &offset);
}

int cs_elf_read_code(struct cs_elf *elf, uint64_t vaddr, void *dst, size_t size,
		     uint64_t *ret_offset)
{
	return segment_read(elf, vaddr, PF_X, dst, size, ret_offset);
}

/* An all-zero buffer for the writable segments, from the first to the last. */
static int data_new(struct cs_elf *elf, struct cs_elf_data *ret)
{
	uint64_t start = UINT64_MAX, end = 0;

	for (size_t i = 0; i < elf->nphdrs; i++) {
		GElf_Phdr seg;

		if (!cs_elf_segment(elf, i, &seg) || !(seg.p_flags & PF_W))
			continue;
		if (seg.p_vaddr < start)
			start = seg.p_vaddr & ~(uint64_t)7;
		if (seg.p_vaddr + seg.p_filesz > end)
			end = seg.p_vaddr + seg.p_filesz;
	}
	if (start >= end || end - start > MAX_DATA)
		return -ENOENT;
	ret->bytes = calloc(1, end - start);
	ret->start = start;
	ret->size = end - start;
	return ret->bytes ? 0 : -ENOMEM;
}

/* Where in the data n bytes at vaddr are, or NULL. */
static unsigned char *data_at(const struct cs_elf_data *data, uint64_t vaddr, size_t n)
{
	uint64_t at = vaddr - data->start;

	return at < data->size && n <= data->size - at ? data->bytes + at : NULL;
}

/* The table of relocations that the dynamic loader applies; size 0 if there is none. */
static void find_rela(struct cs_elf *elf, uint64_t *ret_addr, uint64_t *ret_size)
{
	GElf_Phdr seg = {0};
	Elf64_Dyn dyn;

	*ret_addr = *ret_size = 0;
	for (size_t i = 0; i < elf->nphdrs; i++) {
		if (gelf_getphdr(elf->elf, (int)i, &seg) && seg.p_type == PT_DYNAMIC)
			break;
	}
	if (seg.p_type != PT_DYNAMIC)
		return;
	for (uint64_t i = 0; i < MAX_DYN; i++) {
		if (cs_elf_read(elf, seg.p_vaddr + i * sizeof(dyn), &dyn, sizeof(dyn)) ||
		    dyn.d_tag == DT_NULL)
			return;
		if (dyn.d_tag == DT_RELA)
			*ret_addr = dyn.d_un.d_ptr;
		else if (dyn.d_tag == DT_RELASZ)
			*ret_size = dyn.d_un.d_val;
	}
}

/* The packed form, DT_RELR, needs no work: there the file holds the pointers themselves. */
static int data_relocate(struct cs_elf *elf, const struct cs_elf_data *data)
{
	Elf64_Rela batch[RELA_BATCH];
	uint64_t addr, size, n, now;

	find_rela(elf, &addr, &size);
	n = size / sizeof(*batch);
	if (n > MAX_RELA)
		return -ENOENT;
	for (; n; n -= now, addr += now * sizeof(*batch)) {
		now = n < RELA_BATCH ? n : RELA_BATCH;
		if (cs_elf_read(elf, addr, batch, now * sizeof(*batch)))
			return -ENOENT;
		for (uint64_t i = 0; i < now; i++) {
			unsigned char *at = data_at(data, batch[i].r_offset, sizeof(uint64_t));

			if (at && ELF64_R_TYPE(batch[i].r_info) == elf->relative)
				memcpy(at, &batch[i].r_addend, sizeof(uint64_t));
		}
	}
	return 0;
}

int cs_elf_data_load(struct cs_elf *elf, struct cs_elf_data *ret)
{
	_cleanup_elf_data_ struct cs_elf_data data = {0};
	int err = data_new(elf, &data);

	for (size_t i = 0; !err && i < elf->nphdrs; i++) {
		GElf_Phdr seg;

		if (cs_elf_segment(elf, i, &seg) && seg.p_flags & PF_W &&
		    pread(elf->fd, data_at(&data, seg.p_vaddr, seg.p_filesz), seg.p_filesz,
			  (off_t)seg.p_offset) != (ssize_t)seg.p_filesz)
			err = -ENOENT;
	}
	if (!err)
		err = data_relocate(elf, &data);
	if (err)
		return err;
	*ret = data;
	data.bytes = NULL;
	return 0;
}

void cs_elf_data_free(struct cs_elf_data *data)
{
	free(data->bytes);
	*data = (struct cs_elf_data){0};
}

int cs_elf_data_read(const struct cs_elf_data *data, uint64_t vaddr, void *dst, size_t size)
{
	const unsigned char *at = data_at(data, vaddr, size);

	if (!at)
		return -ENOENT;
	memcpy(dst, at, size);
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

bool cs_elf_next_section(struct cs_elf *elf, const char *name, Elf_Scn **scn, GElf_Shdr *ret)
{
	size_t names;

	if (elf_getshdrstrndx(elf->elf, &names))
		return false;
	while ((*scn = elf_nextscn(elf->elf, *scn))) {
		const char *found;

		if (!gelf_getshdr(*scn, ret))
			continue;
		found = elf_strptr(elf->elf, names, ret->sh_name);
		if (found && !strcmp(found, name))
			return true;
	}
	return false;
}

int cs_elf_section(struct cs_elf *elf, const char *name, void *dst, size_t size)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;

	while (cs_elf_next_section(elf, name, &scn, &shdr)) {
		Elf_Data *data;

		if (shdr.sh_type != SHT_PROGBITS || shdr.sh_size != size)
			continue;
		data = section_data(scn, &shdr);
		if (!data || !data->d_buf || data->d_size != size)
			continue;
		memcpy(dst, data->d_buf, size);
		return 0;
	}
	return -ENOENT;
}
