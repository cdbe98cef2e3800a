/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readings of a process that never rests: the pages that a reading needs are copied at one instant, in the context of a thread of the
 * process, and read from the copy. Which pages those are is known from the readings before; what they lack is found out by reading
 * the process as it runs. Who makes the copy is the caller's business (collect/instants.c).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proc/mem.h"
#include "proc/page_list.h"

struct cs_instant_copy {
	struct cs_mem_image image;
	uint64_t began_ns; /* CLOCK_MONOTONIC: the instant */
	uint64_t held_ns;  /* so long the thread was kept from going on */
};

/* Who makes copies. */
struct cs_instant_source {
	void *ctx;
	size_t most; /* pages of one copy */
	/*
	 * Copy n pages (ascending addresses) of the process that the thread belongs to, at an instant when that thread is between two
	 * instructions in user space. *ret is borrowed until the next call. Returns 0, -EBUSY (the thread did not come by in time), -E2BIG
	 * (it would be held for too long) or another error.
	 */
	int (*take)(void *ctx, uint32_t tid, const uint64_t *pages, size_t n,
		    struct cs_instant_copy *ret);
};

/* What is remembered of one process. All zero: nothing, and nobody makes copies. */
struct cs_instant_reader {
	const struct cs_instant_source *source; /* borrowed, or NULL */
	struct cs_page_list pages;              /* that readings need */
	struct cs_instant_copy copy;            /* the last one */
	unsigned int
		rest; /* readings to go until a copy is asked for again: the last was too large */
};

void cs_instant_reader_free(struct cs_instant_reader *reader);

/*
 * What is cached has just been read from the running process: the next copy shall hold those pages, too. Returns how many of them it would
 * not have held, -E2BIG (too many for one copy) or -ENOMEM.
 */
int cs_instant_learn(struct cs_instant_reader *reader, const struct cs_mem *mem);

/*
 * Have a copy made in the context of this thread, and seal mem with it: what is read up to cs_instant_end is of that instant if
 * nothing was lacking, reader->copy says of which. Returns 0, or what take returned: then nothing is sealed. When a thread was held for as long as it may be, and in
 * vain, it is not asked again for some time (-EAGAIN).
 */
int cs_instant_begin(struct cs_instant_reader *reader, struct cs_mem *mem, uint32_t tid);

/* Copies turned out to be of no use: do without some. */
void cs_instant_rest(struct cs_instant_reader *reader);

/*
 * Unseal. Returns how many pages the reading lacked, as far as they are known: these the next copy will hold. 0: none, it is of the instant. Else as
 * cs_instant_learn.
 */
int cs_instant_end(struct cs_instant_reader *reader, struct cs_mem *mem);
