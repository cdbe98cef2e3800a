/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each thread of a process has a thread-local variable that a file of it exports, told from outside. The dynamic loader has noted it beside
 * the code that uses the variable, in one of the ways of the ABI; what it noted is read from the process, and believed as far as it can be true.
 * Files and memory are hostile. x86-64 only, where a thread's blocks lie below its thread pointer.
 *
 * Source: Ulrich Drepper, "ELF Handling For Thread-Local Storage"; Alexandre Oliva, "TLS descriptors for x86"; glibc 2.31 to 2.41:
 * elf/dl-tls.c (_dl_determine_tlsoffset), sysdeps/x86_64/dl-tlsdesc.h, sysdeps/generic/dl-dtv.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proc/elf.h"
#include "proc/mem.h"

/* A variable that a file defines. */
struct cs_tls_variable {
	uint32_t symbol; /* its number in .dynsym */
	uint64_t value;  /* where it is in the file's thread-local block */
	uint64_t size;
};

/* Where a thread has it. */
struct cs_tls_place {
	uint64_t
		at; /* from the thread pointer on (wraps: it is below); with a module, from the start of its block on */
	uint32_t module;     /* which of the blocks in the thread's vector; 0: none of these */
	uint64_t generation; /* a vector that is older does not know the module; 0: not told */
};

/* Look a thread-local variable up among the file's dynamic symbols, by its hash table. Returns 0 or -ENOENT (also of damaged files). */
int cs_tls_find(struct cs_elf *elf, const char *name, struct cs_tls_variable *ret);

/*
 * Where threads of a program have a variable of the program's own file. Returns 0 or -ENOENT: the file has no thread-local block that could hold
 * it.
 */
int cs_tls_in_program(struct cs_elf *elf, const struct cs_tls_variable *variable,
		      struct cs_tls_place *ret);

/*
 * The same for a library that is loaded with this bias, from what the loader noted in its memory. glibc: the process's C library is known to be that: of
 * others only what needs no vector is told. Returns 0, -EAGAIN: the loader has not noted it yet, or -ENOENT: nothing there tells it.
 */
int cs_tls_in_library(struct cs_elf *elf, const struct cs_tls_variable *variable, uint64_t bias,
		      struct cs_mem *mem, bool glibc, struct cs_tls_place *ret);
