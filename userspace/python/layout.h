/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CPython's structs look like: the generated rows (cs_py_layout_find, in interp.h), and what the
 * interpreter says of itself. From 3.13 on _PyRuntime begins with a _Py_DebugOffsets; it lies in the
 * target's memory and is checked before anything is taken from it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proc/mem.h"
#include "python/interp.h"

#define CS_PY_PUBLISHED_WORDS 73 /* of 3.13; the table's own layout is per minor version */

struct cs_py_published {
	uint32_t version; /* PY_VERSION_HEX */
	bool free_threaded;
	uint64_t words[CS_PY_PUBLISHED_WORDS];
};

/* Read the table at _PyRuntime. Returns 0, -ENOENT (no table there), or what cs_mem_read returns. */
int cs_py_published_read(struct cs_mem *mem, uint64_t runtime, struct cs_py_published *ret);

/*
 * Take the published offsets of 3.13 over those of the row. Returns 0, or -EINVAL when a number cannot
 * be true; *off is unchanged then.
 */
int cs_py_published_apply(const struct cs_py_published *published, struct cs_py_offsets *off);
