/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer harness: where names of native code come from. The first byte says what the rest is: an ELF file with symbols, or with
 * what was stripped off packed in it; a packed symbol table alone; a file of names of a JIT; or one name to be demangled.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "core/cleanup.h"
#include "proc/debug_file.h"
#include "proc/perf_map.h"
#include "proc/symtab.h"
#include "symbolize/demangle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int as_file(const void *data, size_t size)
{
	int fd = memfd_create("input", MFD_CLOEXEC);

	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	return fd;
}

static void ask(const struct cs_symtab *symtab)
{
	static const uint64_t addresses[] = {0, 1, 0x1000, 0x1010, UINT32_MAX, UINT64_MAX};
	struct cs_elf_range range;

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		const char *name = cs_symtab_find(symtab, addresses[i]);

		CHECK(!name || (*name && strlen(name) <= CS_MAX_SYMBOL));
	}
	cs_symtab_where(symtab, "_PyEval_EvalFrameDefault", &range);
}

static void read_elf(const void *data, size_t size)
{
	static const struct cs_elf_home home = {"/nonexistent", "/bin/x", "/nonexistent"};
	_cleanup_(cs_symtab_freep) struct cs_symtab *symtab = NULL;
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	uint8_t id[CS_BUILD_ID_BYTES];

	if (cs_elf_open_fd(as_file(data, size), &elf))
		return;
	CHECK(cs_elf_build_id(elf, id, sizeof(id)) <= (int)sizeof(id));
	CHECK(!cs_symtab_load(elf, &home, &symtab));
	ask(symtab);
}

/* The input as .gnu_debugdata of a file that is whole: most damage to a file is found before that. */
static void read_packed(const uint8_t *data, size_t size)
{
	static const char names[] = "\0.gnu_debugdata\0";
	struct {
		Elf64_Ehdr head;
		Elf64_Shdr sections[3];
		char names[sizeof(names)];
	} file = {
		.head = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			 .e_type = ET_DYN,
			 .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT,
			 .e_shoff = offsetof(__typeof__(file), sections),
			 .e_ehsize = sizeof(Elf64_Ehdr),
			 .e_shentsize = sizeof(Elf64_Shdr),
			 .e_shnum = 3,
			 .e_shstrndx = 2},
		.sections = {[1] = {.sh_name = 1,
				    .sh_type = SHT_PROGBITS,
				    .sh_offset = sizeof(file),
				    .sh_size = size},
			     [2] = {.sh_type = SHT_STRTAB,
				    .sh_offset = offsetof(__typeof__(file), names),
				    .sh_size = sizeof(names)}},
	};
	_cleanup_buf_ struct cs_buf whole = {0};

	memcpy(file.names, names, sizeof(names));
	CHECK(!cs_buf_append(&whole, &file, sizeof(file)) && !cs_buf_append(&whole, data, size));
	read_elf(whole.data, whole.len);
}

static void read_map(const uint8_t *data, size_t size)
{
	_cleanup_(cs_perf_map_freep) struct cs_perf_map *map = NULL;
	_cleanup_close_ int fd = as_file(data, size / 2);

	CHECK(!cs_perf_map_new(&map));
	cs_perf_map_read(map, fd);
	CHECK(write(fd, data + size / 2, size - size / 2) == (ssize_t)(size - size / 2));
	cs_perf_map_read(map, fd);
	for (uint64_t addr = 0; addr < 0x10000; addr += 0xff) {
		const char *name = cs_perf_map_find(map, addr);

		CHECK(!name || strlen(name) <= CS_MAX_SYMBOL);
	}
}

static void read_name(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct cs_buf out = {0};
	int err = cs_demangle((const char *)data, size, &out);

	CHECK(err ? err == -ENOENT && !out.len : out.len && out.len <= 4096 + 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	switch (data[0] % 4) {
	case 0:
		read_elf(data + 1, size - 1);
		break;
	case 1:
		read_packed(data + 1, size - 1);
		break;
	case 2:
		read_map(data + 1, size - 1);
		break;
	default:
		read_name(data + 1, size - 1);
	}
	return 0;
}
