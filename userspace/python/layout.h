/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CPython's structs look like: the generated rows (cs_py_layout_find, in interp.h), and what the
 * interpreter says of itself. From 3.13 on _PyRuntime begins with a _Py_DebugOffsets; it lies in the
 * target's memory and is checked before anything is taken from it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/mem.h"
#include "python/binary.h"
#include "python/interp.h"

#define CS_PY_PUBLISHED_WORDS \
	111 /* of 3.15, the longest; the table's own layout is per minor version */

struct cs_py_published {
	uint32_t version; /* PY_VERSION_HEX */
	bool free_threaded;
	uint64_t words[CS_PY_PUBLISHED_WORDS];
};

/* Does this version publish, in a table that is understood here? */
bool cs_py_publishes(int minor);

/*
 * Read the table at _PyRuntime: of a version that is not understood only its head. Returns 0, -ENOENT (no table
 * there), or what cs_mem_read returns.
 */
int cs_py_published_read(struct cs_mem *mem, uint64_t runtime, struct cs_py_published *ret);

/*
 * Take the published offsets over those of the row. Returns 0, or -EINVAL when a number cannot be true or the table is of
 * a version that is not understood; *off is unchanged then. What was taken must still pass cs_py_layout_is_sane.
 */
int cs_py_published_apply(const struct cs_py_published *published, struct cs_py_offsets *off);

/*
 * Can the readers work with these offsets? They pick fields out of chunks of fixed size, and rely on the order of some. Whatever
 * was published must pass; the rows do.
 */
bool cs_py_layout_is_sane(const struct cs_py_offsets *off, const struct cs_py_traits *traits);

/*
 * Take what _asyncio publishes of its tasks and of where threads and interpreters keep them (the words of the
 * section .AsyncioDebug, 3.14 and later). Returns 0, or -EINVAL with *off unchanged.
 */
int cs_py_asyncio_apply(const uint64_t words[CS_PY_ASYNCIO_WORDS], struct cs_py_offsets *off);

/* Rows in their order, for listings; NULL behind the last. */
const struct cs_py_layout *cs_py_layout_at(size_t i);

/* Add one row, borrowed: a test shows that a new version needs nothing else. NULL takes it away. */
void cs_py_layout_add_for_test(const struct cs_py_layout *layout);
