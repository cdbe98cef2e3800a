/* SPDX-License-Identifier: Apache-2.0 */
/* Where in an ELF file its code, its unwind information and its build id are. */
#include <dwarf.h>
#include <errno.h>
#include <string.h>

#include "proc/elf_private.h"

#define MAX_NOTES 65536

/* A loaded section of this name that lies within the bytes of one segment. */
static int section_range(struct cs_elf *elf, const char *name, struct cs_elf_range *ret)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;

	while (cs_elf_next_section(elf, name, &scn, &shdr)) {
		if (!(shdr.sh_flags & SHF_ALLOC) || !shdr.sh_size ||
		    (shdr.sh_type != SHT_PROGBITS && shdr.sh_type != SHT_X86_64_UNWIND))
			continue;
		*ret = (struct cs_elf_range){shdr.sh_addr, shdr.sh_size};
		return 0;
	}
	return -ENOENT;
}

/* File bytes from vaddr to the end of its segment, 0 if it is in none. */
static uint64_t bytes_from(struct cs_elf *elf, uint64_t vaddr)
{
	for (size_t i = 0; i < elf->nphdrs; i++) {
		GElf_Phdr seg;

		if (cs_elf_segment(elf, i, &seg) && vaddr >= seg.p_vaddr &&
		    vaddr - seg.p_vaddr < seg.p_filesz)
			return seg.p_filesz - (vaddr - seg.p_vaddr);
	}
	return 0;
}

/* .eh_frame_hdr begins with a version, three encodings and a pointer to .eh_frame; linkers write only this kind of pointer. */
static int range_from_header(struct cs_elf *elf, uint64_t header, struct cs_elf_range *ret)
{
	struct {
		uint8_t version, pointer_encoding, count_encoding, table_encoding;
		int32_t pointer;
	} head;

	if (cs_elf_read(elf, header, &head, sizeof(head)) || head.version != 1 ||
	    head.pointer_encoding != (DW_EH_PE_pcrel | DW_EH_PE_sdata4))
		return -ENOENT;
	ret->vaddr = header + 4 + (uint64_t)(int64_t)head.pointer;
	ret->size = bytes_from(elf, ret->vaddr);
	return ret->size ? 0 : -ENOENT;
}

int cs_elf_eh_frame(struct cs_elf *elf, struct cs_elf_range *ret)
{
	if (!section_range(elf, ".eh_frame", ret) && ret->size <= bytes_from(elf, ret->vaddr))
		return 0;
	for (size_t i = 0; i < elf->nphdrs; i++) {
		GElf_Phdr phdr;

		if (gelf_getphdr(elf->elf, (int)i, &phdr) && phdr.p_type == PT_GNU_EH_FRAME)
			return range_from_header(elf, phdr.p_vaddr, ret);
	}
	return -ENOENT;
}

int cs_elf_text(struct cs_elf *elf, struct cs_elf_range *ret)
{
	uint64_t start = UINT64_MAX, end = 0;

	for (size_t i = 0; i < elf->nphdrs; i++) {
		GElf_Phdr seg;

		if (!cs_elf_segment(elf, i, &seg) || !(seg.p_flags & PF_X))
			continue;
		start = seg.p_vaddr < start ? seg.p_vaddr : start;
		end = seg.p_vaddr + seg.p_filesz > end ? seg.p_vaddr + seg.p_filesz : end;
	}
	if (start >= end)
		return -ENOENT;
	*ret = (struct cs_elf_range){start, end - start};
	return 0;
}

int cs_elf_code(struct cs_elf *elf, struct cs_elf_code *ret, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < elf->nphdrs && n < max; i++) {
		GElf_Phdr seg;
		uint64_t in_page;

		if (!cs_elf_segment(elf, i, &seg) || !(seg.p_flags & PF_X))
			continue;
		in_page = seg.p_offset & 4095;
		if (seg.p_vaddr < in_page)
			continue;
		ret[n++] = (struct cs_elf_code){seg.p_offset - in_page, seg.p_offset + seg.p_filesz,
						seg.p_vaddr - in_page};
	}
	return (int)n;
}

/* The build id among the notes at vaddr, or -ENOENT. */
static int build_id_in(struct cs_elf *elf, uint64_t vaddr, uint64_t size, uint8_t *dst, size_t room)
{
	uint64_t end = vaddr + size;

	while (vaddr < end && end - vaddr >= sizeof(Elf64_Nhdr) + 4) {
		Elf64_Nhdr note;
		char name[4];
		uint64_t desc;

		if (cs_elf_read(elf, vaddr, &note, sizeof(note)) ||
		    cs_elf_read(elf, vaddr + sizeof(note), name, sizeof(name)))
			return -ENOENT;
		desc = vaddr + sizeof(note) + (((uint64_t)note.n_namesz + 3) & ~3ull);
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    !memcmp(name, "GNU", 4) && note.n_descsz && note.n_descsz <= room)
			return cs_elf_read(elf, desc, dst, note.n_descsz) ? -ENOENT
									  : (int)note.n_descsz;
		vaddr = desc + (((uint64_t)note.n_descsz + 3) & ~3ull);
	}
	return -ENOENT;
}

/* A file that holds what was stripped off another one has the notes, but not the segments that they are in. */
static int build_id_in_section(struct cs_elf *elf, uint8_t *dst, size_t room)
{
	Elf_Data *data = cs_elf_section_data(elf, ".note.gnu.build-id", MAX_NOTES);
	size_t at = 0, next, name, desc;
	GElf_Nhdr note;

	for (; data && (next = gelf_getnote(data, at, &note, &name, &desc)) > 0; at = next) {
		if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 ||
		    memcmp((const char *)data->d_buf + name, "GNU", 4) || !note.n_descsz ||
		    note.n_descsz > room)
			continue;
		memcpy(dst, (const char *)data->d_buf + desc, note.n_descsz);
		return (int)note.n_descsz;
	}
	return -ENOENT;
}

int cs_elf_build_id(struct cs_elf *elf, uint8_t *dst, size_t size)
{
	for (size_t i = 0; i < elf->nphdrs; i++) {
		GElf_Phdr phdr;
		int n;

		if (!gelf_getphdr(elf->elf, (int)i, &phdr) || phdr.p_type != PT_NOTE ||
		    phdr.p_filesz > MAX_NOTES || phdr.p_vaddr > UINT64_MAX - MAX_NOTES)
			continue;
		n = build_id_in(elf, phdr.p_vaddr, phdr.p_filesz, dst, size);
		if (n > 0)
			return n;
	}
	return build_id_in_section(elf, dst, size);
}
