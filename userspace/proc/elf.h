/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The little that this project asks of an ELF file, read through libelf: dynamic (and, where present, static)
 * symbols, the load bias, file offsets of addresses, initialised data with its pointers filled in. Files are
 * hostile: libelf checks the structure, this module checks every number it hands out.
 */
#pragma once

#include <coroscope/limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cs_elf;

/* Open the ELF file at path (x86-64 or AArch64, 64 bits). Returns 0, -errno of open, or -ENOEXEC. */
int cs_elf_open(const char *path, struct cs_elf **ret);
/* The same for an open file, which is taken over, also if that fails. Returns 0, -ENOEXEC or -ENOMEM. */
int cs_elf_open_fd(int taken, struct cs_elf **ret);
/* Its descriptor, borrowed. */
int cs_elf_fd(const struct cs_elf *elf);
void cs_elf_close(struct cs_elf *elf); /* NULL is fine */
static inline void cs_elf_closep(struct cs_elf **elf)
{
	cs_elf_close(*elf);
}

/* Value and size of a defined symbol from .dynsym, else .symtab. Returns 0 or -ENOENT. */
int cs_elf_symbol(struct cs_elf *elf, const char *name, uint64_t *ret_value, uint64_t *ret_size);

/*
 * What to add to the file's addresses in a process where the file's lowest mapping, or any that begins as one of its segments
 * does, starts at map_start and covers file offset map_offset. 0 for a position-dependent executable. Returns 0 or -ENOENT.
 */
int cs_elf_load_bias(struct cs_elf *elf, uint64_t map_start, uint64_t map_offset,
		     uint64_t *ret_bias);

/* The file's lowest executable address (the kernel's mm->start_code, less the load bias). Returns 0 or -ENOENT. */
int cs_elf_text_start(struct cs_elf *elf, uint64_t *ret_vaddr);

/* File offset of an address of the file (a segment's p_vaddr space). Returns 0 or -ENOENT. */
int cs_elf_file_offset(struct cs_elf *elf, uint64_t vaddr, uint64_t *ret_offset);

/* Copy bytes of the file's initialised data at vaddr. Returns 0 or -ENOENT. */
int cs_elf_read(struct cs_elf *elf, uint64_t vaddr, void *dst, size_t size);

/* The same for code: only from an executable segment, and with the file offset of vaddr. Returns 0 or -ENOENT. */
int cs_elf_read_code(struct cs_elf *elf, uint64_t vaddr, void *dst, size_t size,
		     uint64_t *ret_offset);

/*
 * The file's writable data as the dynamic loader would leave it at bias 0: a pointer holds the address in the file
 * of what it points to. Only what needs no symbol is filled in (R_*_RELATIVE); a pointer through a symbol holds
 * whatever the file has there, mostly 0. Gaps between segments are zeroes.
 */
struct cs_elf_data {
	uint64_t start; /* address of the first byte, a multiple of 8 */
	size_t size;
	unsigned char *bytes; /* owned */
};

/* Returns 0, -ENOENT (no such data, above 64 MiB of it, above a million relocations, or damaged) or -ENOMEM. */
int cs_elf_data_load(struct cs_elf *elf, struct cs_elf_data *ret);
void cs_elf_data_free(struct cs_elf_data *data); /* an empty one is fine */
#define _cleanup_elf_data_ __attribute__((cleanup(cs_elf_data_free)))

/* Copy bytes of the data at vaddr. Returns 0 or -ENOENT. */
int cs_elf_data_read(const struct cs_elf_data *data, uint64_t vaddr, void *dst, size_t size);

/* Find bytes (for example a version string) in a read-only data section. Returns 0 and a copy, or -ENOENT. */
int cs_elf_find_rodata(struct cs_elf *elf, const char *needle, char *dst, size_t size);

/* Copy the section of this name, which must have exactly this size. Returns 0 or -ENOENT. */
int cs_elf_section(struct cs_elf *elf, const char *name, void *dst, size_t size);

/* A part of the file as it lies in memory, less the load bias. */
struct cs_elf_range {
	uint64_t vaddr, size;
};

/*
 * .eh_frame, from the section headers, or (stripped of those) from PT_GNU_EH_FRAME on to the end of its segment. All of it is
 * file bytes, to be had by cs_elf_read. Returns 0 or -ENOENT.
 */
int cs_elf_eh_frame(struct cs_elf *elf, struct cs_elf_range *ret);

/* From the first to the last byte of the file's executable segments. Returns 0 or -ENOENT. */
int cs_elf_text(struct cs_elf *elf, struct cs_elf_range *ret);

/* An executable segment, from the start of its first page, as the kernel maps it. */
struct cs_elf_code {
	uint64_t offset, offset_end; /* in the file */
	uint64_t vaddr;              /* of `offset` */
};

/* The file's executable segments, at most `max`. Returns how many. */
int cs_elf_code(struct cs_elf *elf, struct cs_elf_code *ret, size_t max);

/* The linker's build id (NT_GNU_BUILD_ID), of at most `size` bytes. Returns its length, or -ENOENT. */
#define CS_BUILD_ID_BYTES CS_MAX_BUILD_ID
int cs_elf_build_id(struct cs_elf *elf, uint8_t *dst, size_t size);
