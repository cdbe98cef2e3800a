/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own walkers (bpf/py_*.bpf.h) run in user space over process_vm_readv: for `dump`, and for the wall clock
 * where the kernel has no sleepable task iterator (before 5.18).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/buf.h"
#include "proc/mem.h"
#include "python/interp.h"
#include "python/tracer.h"

/* One thread state of an interpreter. */
struct cs_tstate {
	uint64_t addr;
	pid_t tid; /* kernel thread id as the outermost pid namespace counts; 0: it could not be told */
};

/* List the thread states of a process into out (at most max). Returns how many, or -errno. */
int cs_walk_list(const struct cs_interp *interp, struct cs_mem *mem, struct cs_tstate *out,
		 unsigned int max);

/* How the walk of such a record ended: enum cs_status. */
int cs_walk_status(const struct cs_buf *record);

/* Do two such records tell of the same stack and running task? */
bool cs_walk_same(const struct cs_buf *a, const struct cs_buf *b);

/* Reads the spans that are active in Contexts of one process. */
struct cs_span_walk;

/* tracers (borrowed) is what is known of the process's. Returns 0 or -ENOMEM. */
int cs_span_walk_new(const struct cs_interp *interp, const struct cs_tracers *tracers,
		     struct cs_span_walk **ret);
void cs_span_walk_free(struct cs_span_walk *span_walk);

/* Read the span that is active in the Context at this address. Returns whether there is one. */
bool cs_span_walk_read(struct cs_span_walk *span_walk, struct cs_mem *mem, uint64_t context,
		       struct cs_active_span *ret);

/* Read the span that the thread with this thread pointer publishes. Returns whether it publishes one. */
bool cs_span_walk_published(struct cs_span_walk *span_walk, struct cs_mem *mem,
			    const struct cs_published_at *at, uint64_t thread_pointer,
			    struct cs_active_span *ret);

/*
 * Append a CS_EV_RESOURCE record of this time if that span's local root has an endpoint that was not told not long ago. Returns 0 or
 * -ENOMEM.
 */
int cs_span_walk_tell(struct cs_span_walk *span_walk, uint64_t ts_ns, struct cs_buf *out);

/* The type of an object that stood in the way since the last call and that the tracers do not know; 0: none. */
uint64_t cs_span_walk_stranger(struct cs_span_walk *span_walk, uint64_t *ret_object);

/*
 * Append a CS_EV_STACK record (origin wall) of the thread. The caller makes sure that it does not run, or says that it
 * may have: torn. Returns 0 or -ENOMEM; a stack that cannot be read has a status that says so.
 */
int cs_walk_thread(const struct cs_interp *interp, struct cs_mem *mem,
		   const struct cs_tstate *tstate, const char *comm, uint64_t ts_ns,
		   uint64_t weight_ns, struct cs_buf *out);
