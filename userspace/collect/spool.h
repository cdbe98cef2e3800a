/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the records of a capture go, buffered. Into a file: when it cannot grow, what is whole stays readable: it is cut after the
 * last complete record. Or to a function.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cs_spool;

/*
 * Create or open a capture file; what it holds is replaced when the first record is appended. path NULL: a private one (0600) under $TMPDIR or /var/tmp, removed by cs_spool_free
 * unless cs_spool_keep was called. Returns 0 or -errno.
 */
int cs_spool_new(const char *path, struct cs_spool **ret);

/* Takes whole records, in order. Returns 0 or -errno, after which it is not called again. */
typedef int cs_spool_fn(void *ctx, const char *records, size_t len);

/* No file: fn gets the records when the spool is flushed, or holds many. Returns 0 or -ENOMEM. */
int cs_spool_new_to(cs_spool_fn *fn, void *ctx, struct cs_spool **ret);
void cs_spool_free(struct cs_spool *spool); /* NULL is fine */
static inline void cs_spool_freep(struct cs_spool **spool)
{
	cs_spool_free(*spool);
}

/* Append whole records. Returns 0 or -errno of the write; after an error every append returns it again. */
int cs_spool_append(struct cs_spool *spool, const void *records, size_t size);

/* Write out what is buffered. Returns 0 or -errno. */
int cs_spool_flush(struct cs_spool *spool);

uint64_t cs_spool_size(const struct cs_spool *spool);
const char *cs_spool_path(const struct cs_spool *spool);
int cs_spool_fd(const struct cs_spool *spool);
void cs_spool_keep(struct cs_spool *spool);
