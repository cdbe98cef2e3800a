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
