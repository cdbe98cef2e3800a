/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files whose code runs somewhere: their unwind tables, given to the kernel side once however many processes map them,
 * and their symbols. For one thread; another one makes the tables.
 */
#pragma once

#include <coroscope/native.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "collect/unwind_tables.h"
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
 * The file that a process has mapped as code, borrowed. A thread makes the table of a new one. Returns 0, -ENOENT (it cannot be opened, or there is none),
 * -EAGAIN (too many wait for their tables: ask later) or -ENOMEM. One that is no 64-bit ELF file is known as such.
 */
int cs_unwind_files_get(struct cs_unwind_files *files, pid_t pid, const struct cs_mapping *mapping,
			struct cs_unwind_file **ret);

/* Take note of the tables that were made since. Is there any? */
bool cs_unwind_files_heed(struct cs_unwind_files *files);

/* Wait until all that were asked for are made, no longer than this. */
void cs_unwind_files_wait(struct cs_unwind_files *files, uint64_t timeout_ns);

/* The number of its table (coroscope/native.h), which the kernel side knows, or one of enum cs_native_table. */
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

/* Of the tables that are made. */
struct cs_unwind_stats cs_unwind_files_stats(const struct cs_unwind_files *files);

/* Times that a file got no table because of a bound or the budget. */
size_t cs_unwind_files_refused(const struct cs_unwind_files *files);
