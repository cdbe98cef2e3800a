/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files made up of sections: written by hand, as libelf will not write broken ones. */
#include "unit/proc/made_elf.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static size_t put(struct cs_buf *out, const void *bytes, size_t n)
{
	size_t at;

	while (out->len % 8)
		assert_int_equal(cs_buf_append(out, "", 1), 0);
	at = out->len;
	assert_int_equal(cs_buf_append(out, bytes, n), 0);
	return at;
}

struct cs_buf made_elf(const struct made_section *sections, size_t n)
{
	Elf64_Ehdr head = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_ehsize = sizeof(head),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = (uint16_t)(n + 2),
		.e_shstrndx = (uint16_t)(n + 1),
	};
	Elf64_Shdr table[16] = {0};
	struct cs_buf out = {0};
	char names[512] = "";
	size_t used = 1;

	assert_true(n + 2 <= 16);
	put(&out, &head, sizeof(head));
	for (size_t i = 0; i < n; i++) {
		Elf64_Shdr *it = &table[i + 1];

		it->sh_name = (uint32_t)used;
		used += (size_t)sprintf(names + used, "%s", sections[i].name) + 1;
		it->sh_type = sections[i].type;
		it->sh_offset = put(&out, sections[i].bytes, sections[i].len);
		it->sh_size = sections[i].len;
		it->sh_addralign = it->sh_type == SHT_NOTE ? 4 : 8;
		if (it->sh_type == SHT_SYMTAB) {
			it->sh_link = (uint32_t)i + 2;
			it->sh_entsize = sizeof(Elf64_Sym);
		}
	}
	table[n + 1].sh_type = SHT_STRTAB;
	table[n + 1].sh_offset = put(&out, names, used);
	table[n + 1].sh_size = used;
	head.e_shoff = put(&out, table, (n + 2) * sizeof(*table));
	memcpy(out.data, &head, sizeof(head));
	return out;
}

void made_file(const char *path, const struct cs_buf *bytes)
{
	char folder[512];
	int fd;

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		mkdir(folder, 0755);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes->data, bytes->len), bytes->len);
	close(fd);
}

struct cs_elf *made_open(struct cs_buf bytes)
{
	int fd = memfd_create("made", MFD_CLOEXEC);
	struct cs_elf *elf;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes.data, bytes.len), bytes.len);
	assert_int_equal(cs_elf_open_fd(fd, &elf), 0);
	cs_buf_free(&bytes);
	return elf;
}

void made_symbols(const char *name, struct made_section sections[MADE_SYMBOLS])
{
	static Elf64_Sym symbols[2];
	static char strings[8192];
	size_t len = (size_t)snprintf(strings + 1, sizeof(strings) - 1, "%s", name) + 2;

	symbols[1] = (Elf64_Sym){.st_name = 1,
				 .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
				 .st_shndx = 1,
				 .st_value = 0x1000,
				 .st_size = 0x100};
	sections[0] = (struct made_section){".symtab", SHT_SYMTAB, symbols, sizeof(symbols)};
	sections[1] = (struct made_section){".strtab", SHT_STRTAB, strings, len};
}

struct made_section made_build_id(const uint8_t id[20])
{
	static struct {
		Elf64_Nhdr head;
		char name[4];
		uint8_t id[20];
	} note;

	note.head = (Elf64_Nhdr){4, 20, NT_GNU_BUILD_ID};
	memcpy(note.name, "GNU", 4);
	memcpy(note.id, id, sizeof(note.id));
	return (struct made_section){".note.gnu.build-id", SHT_NOTE, &note, sizeof(note)};
}
