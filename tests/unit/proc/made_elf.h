/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files made up of sections, for tests of what reads them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "proc/elf.h"

struct made_section {
	const char *name;
	uint32_t type;     /* SHT_* ; a SHT_SYMTAB's strings are the section behind it */
	const void *bytes; /* valid until it is written */
	size_t len;
};

/* A 64-bit shared object of these sections, as a file's bytes. */
struct cs_buf made_elf(const struct made_section *sections, size_t n);

/* Put bytes into a file, which and whose folders are made. */
void made_file(const char *path, const struct cs_buf *bytes);

/* Open bytes as an ELF file. Frees them. */
struct cs_elf *made_open(struct cs_buf bytes);

/* The sections of one function `name` at 0x1000, of 0x100 bytes. */
#define MADE_SYMBOLS 2
void made_symbols(const char *name, struct made_section sections[MADE_SYMBOLS]);

/* A note with a build id of these 20 bytes. */
struct made_section made_build_id(const uint8_t id[20]);
