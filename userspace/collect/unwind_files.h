/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files whose code runs somewhere: their unwind tables, given to the kernel side once however many processes map them,
 * and their symbols.
 */
#pragma once

#include <coroscope/native.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proc/maps.h"

/* The function that runs Python frames: exported by every build, in parts of which names begin alike. */
#define CS_EVAL_SYMBOL "_PyEval_EvalFrameDefault"

struct cs_unwind_files;
struct cs_unwind_file; /* one of them; lives until cs_unwind_files_drop says that it is not in use */

/* map_fd: of `native_files`, borrowed. budget_bytes: of all tables together. Returns 0 or -ENOMEM. */
int cs_unwind_files_new(int map_fd, size_t budget_bytes, struct cs_unwind_files **ret);
void cs_unwind_files_free(struct cs_unwind_files *files); /* NULL is fine */
static inline void cs_unwind_files_freep(struct cs_unwind_files **files)
{
	cs_unwind_files_free(*files);
}

/*
 * The file that a process has mapped as code; its table is made if it is new. NULL if it cannot be opened or is no
 * 64-bit ELF file. Borrowed.
 */
struct cs_unwind_file *cs_unwind_files_get(struct cs_unwind_files *files, pid_t pid,
					   const struct cs_mapping *mapping);

/*
 * Hand over the tables of new files: all at once, as the kernel waits a grace period each time, some 10 ms. Before anybody is told
 * of their places.
 */
void cs_unwind_files_flush(struct cs_unwind_files *files);

/* The number of its table (coroscope/native.h), or one of enum cs_native_table. */
uint32_t cs_unwind_file_number(const struct cs_unwind_file *file);

/* Address in the file's own space of the first byte that the mapping shows of it. Returns 0 or -ENOENT (no code is there). */
int cs_unwind_file_vaddr(const struct cs_unwind_file *file, const struct cs_mapping *mapping,
			 uint64_t *ret);

/*
 * The function at this address of the file, or NULL. The symbols are read when first asked for: by `path` as the process sees it,
 * if it is still the same file.
 */
const char *cs_unwind_file_symbol(struct cs_unwind_file *file, pid_t pid, const char *path,
				  uint64_t vaddr);

/* The linker's build id; of no bytes if it has none. */
const uint8_t *cs_unwind_file_build_id(const struct cs_unwind_file *file, size_t *ret_len);

/* Does the file hold CPython's interpreter loop? As far as its symbols have been read. */
bool cs_unwind_file_is_interpreter(const struct cs_unwind_file *file);

/* Mark and sweep: after a mark of all, those that nobody touched since are dropped. */
void cs_unwind_files_mark(struct cs_unwind_files *files);
void cs_unwind_file_touch(struct cs_unwind_file *file);
void cs_unwind_files_drop(struct cs_unwind_files *files);

struct cs_unwind_stats {
	size_t files, bytes, eh_bytes; /* tables, what they take, what they were made from */
	size_t refused;                /* files without one because of a bound or the budget */
};
struct cs_unwind_stats cs_unwind_files_stats(const struct cs_unwind_files *files);
