/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that programs give their threads in Python. The kernel knows them from CPython 3.14 on only; before, they are attributes of
 * Thread objects. They are read when a thread is first met, and again from time to time: threads are renamed, and their
 * numbers reused.
 */
#pragma once

#include <stdint.h>
#include <uthash.h>

#include "core/buf.h"

struct cs_target;
struct cs_thread_name;

/* What a target remembers; all zero is the beginning. */
struct cs_thread_names {
	struct cs_thread_name *threads; /* by the kernel's id; owned */
	uint64_t next_ns;               /* when they are wanted again */
	uint64_t
		rested_ns; /* ... but not before this: a reading may cost a small share of a CPU only */
};

void cs_thread_names_clear(struct cs_thread_names *names);

/*
 * Append a CS_EV_THREAD record to out for each thread of fresh's stacks that turns out to have a name, or another one
 * than before. targets is the uthash table by pid. Returns 0 or -ENOMEM.
 */
int cs_thread_names_for(struct cs_target *targets, const struct cs_buf *fresh, uint64_t now_ns,
			struct cs_buf *out);
