/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where Task.__init__ of the C module _asyncio lies, told from files alone. A uprobe belongs to a file and can be
 * attached before any process maps it; a program that is just starting would otherwise have created its first
 * tasks by the time the module is found in its memory and the probe is attached.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "python/interp.h"

/* Bytes to look at to tell a function's first instruction: endbr64 and a push with a prefix. */
#define CS_PROBE_BYTES 6

/*
 * How many bytes behind a function's start a uprobe is cheap, or -1: the kernel emulates push, nop, jmp and
 * call (arch/x86/kernel/uprobes.c); everything else is single-stepped, 15 to 25 us in a virtual machine.
 */
int cs_probe_skip(const uint8_t insn[CS_PROBE_BYTES]);

/*
 * Find the file that has _asyncio for a READY interpreter, a shared object of its lib-dynload folder or else the
 * interpreter itself, and in it the file offset to attach a probe of Task.__init__ to: what cs_asyncio_find() says
 * in `probe` (by another path of the same file) once the module is loaded. Nothing needs to be
 * mapped, and no symbols are needed.
 *
 * Returns 0; -ENOENT (no such file, none that opens from here, or not exactly one such site in it); -EOPNOTSUPP (the
 * first instruction would be single-stepped); or -ENOMEM. On failure nothing is stored.
 * Source: TaskType (3.11) and Task_spec (3.12 and later) in Modules/_asynciomodule.c.
 */
int cs_task_site_find(const struct cs_interp *interp, struct cs_probe_site *ret);

/*
 * The file of the module _asyncio, where an installation keeps it, as a path that opens from here. Only version, pid and `binary` of the
 * interpreter are used. Returns 0 or -ENOENT: it is built in, or elsewhere.
 */
int cs_task_module_find(const struct cs_interp *interp, char *dst, size_t size);
