/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer harness: files that anybody may have made: an ELF file that calls itself an interpreter, and a process's list of
 * mappings, which holds names that the process chose. The first byte says which of them the rest is.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "core/cleanup.h"
#include "proc/elf.h"
#include "proc/maps.h"
#include "proc/mem.h"
#include "proc/tls.h"
#include "python/binary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_image(struct cs_elf *elf)
{
	_cleanup_elf_data_ struct cs_elf_data image = {0};
	uint64_t words[2];

	if (cs_elf_data_load(elf, &image))
		return;
	CHECK(image.start % 8 == 0);
	cs_elf_data_read(&image, image.start + image.size / 2, words, sizeof(words));
	CHECK(cs_elf_data_read(&image, image.start + image.size - 8, words, sizeof(words)));
}

/* Whose memory it is said to be in does not matter: nothing is there. */
static void read_variable(struct cs_elf *elf)
{
	_cleanup_(cs_mem_freep) struct cs_mem *mem = NULL;
	struct cs_tls_variable variable;
	struct cs_tls_place place;

	if (cs_tls_find(elf, "otel_thread_ctx_v1", &variable) || cs_mem_new(getpid(), &mem))
		return;
	if (!cs_tls_in_program(elf, &variable, &place))
		CHECK(!place.module && -place.at <= (uint64_t)64 << 20);
	CHECK(cs_tls_in_library(elf, &variable, 0, mem, true, &place));
}

static void read_elf(const char *path)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	uint64_t value, extent, words[2];
	char text[64];

	if (cs_elf_open(path, &elf))
		return;
	if (!cs_elf_symbol(elf, "_PyRuntime", &value, &extent)) {
		cs_elf_read(elf, value, words, sizeof(words));
		cs_elf_read_code(elf, value, words, sizeof(words), &extent);
	}
	cs_elf_load_bias(elf, 0x555555554000, 0, &value);
	if (!cs_elf_text_start(elf, &value))
		cs_elf_file_offset(elf, value, &value);
	if (!cs_elf_find_rodata(elf, "lib/python3.", text, sizeof(text)))
		CHECK(memchr(text, '\0', sizeof(text)));
	cs_elf_section(elf, ".AsyncioDebug", text, sizeof(text));
	read_image(elf);
	read_variable(elf);
}

static void read_file(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("elf", MFD_CLOEXEC);
	struct cs_py_binary binary;
	char path[64];

	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(!cs_py_binary_probe(path, "/usr/bin/python3.9", &binary));
	read_elf(path);
}

static void read_maps(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1);
	struct cs_maps maps;

	CHECK(text);
	memcpy(text, data, size);
	if (cs_maps_parse(text, &maps))
		return;
	for (size_t i = 0; i < maps.n; i++) {
		const struct cs_mapping *mapping = &maps.items[i];

		CHECK(mapping->start < mapping->end);
		CHECK(!i || mapping[-1].end <= mapping->start);
		CHECK(cs_maps_find(&maps, mapping->end - 1) == mapping);
		cs_py_binary_is_named(mapping->path);
	}
	cs_maps_free(&maps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] % 2)
		read_maps(data + 1, size - 1);
	else
		read_file(data + 1, size - 1);
	return 0;
}
