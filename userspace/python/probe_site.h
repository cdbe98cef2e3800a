/* SPDX-License-Identifier: Apache-2.0 */
/* Where in a file a function of the interpreter is that a uprobe is attached to, and at which of its instructions. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proc/elf.h"
#include "python/interp.h"

/* Bytes of a function that are looked at to find an instruction to probe. */
#define CS_PROBE_BYTES 32

/*
 * How many bytes behind a function's start a uprobe is cheap, or -1: the kernel emulates push, nop, jumps and
 * call (arch/x86/kernel/uprobes.c); everything else is single-stepped, 15 to 25 us in a virtual machine. What is passed on the way leaves the function's
 * arguments in their registers.
 */
int cs_probe_skip(const uint8_t insn[CS_PROBE_BYTES]);

/* Finds the function in a file: its address there. Returns 0, -ENOENT or -ENOMEM. */
typedef int cs_probe_site_fn(struct cs_elf *elf, const void *arg, uint64_t *ret);

/*
 * The function that `find` finds in this file, opened once so that what is said of it is said of one file. Returns 0; -ENOENT; -EOPNOTSUPP (it begins with what
 * would be single-stepped); or -ENOMEM. On failure nothing is stored.
 */
int cs_probe_site_in_file(const char *path, cs_probe_site_fn *find, const void *arg,
			  struct cs_probe_site *ret);

/* The same of a function that the file of a READY interpreter exports (PyContextVar_Set). */
int cs_probe_site_exported(const struct cs_interp *interp, const char *name,
			   struct cs_probe_site *ret);

/*
 * What to put before a path of the interpreter's to open it from here: the kernel names it from here if it can be seen from here (a
 * process in a chroot), else as its own mount namespace does. And its own file's whole path; -ENOENT if that is too long.
 */
void cs_interp_root(const struct cs_interp *interp, char *dst, size_t size);
int cs_interp_path(const struct cs_interp *interp, char *dst, size_t size);
