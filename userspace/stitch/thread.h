/* SPDX-License-Identifier: Apache-2.0 */
/* What stitching remembers of one thread: its event loop's base frames and its last wall stack. */
#pragma once

#include <coroscope/limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "decode/decode.h"
#include "stitch/kept_span.h"

/* The span that was active in the stack of this time. */
struct cs_thread_span {
	uint64_t ts_ns;
	struct cs_kept_span kept;
};

struct cs_thread {
	uint32_t tid;
	uint64_t seen_ns;                 /* time of its last record */
	char name[CS_COMM_BYTES * 3 + 1]; /* the kernel's */
	char *python_name;                /* owned; NULL: none */
	struct cs_py_frame
		base[CS_MAX_PY_FRAMES]; /* root first, down to the innermost event loop */
	uint32_t nbase;
	/* The task that waits for what the thread does in its stack of this time, and the frame that called the job's function. */
	uint64_t origin_task, origin_coro, origin_ns;
	uint32_t origin_frame;
	/* The native frames of its stack of this time, newest first. */
	uint64_t native_ns;
	uint64_t native[CS_MAX_NATIVE_FRAMES];
	uint32_t nnative;
	uint64_t native_entries[CS_MAX_PY_FRAMES / 64];
	enum cs_status native_status;
	/* Who woke it, in its stack of this time. */
	uint64_t waker_ns;
	char waker[CS_COMM_BYTES * 3 + 16]; /* "name [pid]"; "": an interrupt, or not told */
	bool waker_interrupt;
	uint64_t waker_kernel[CS_MAX_WAKER_FRAMES];
	uint32_t nwaker;
	struct cs_thread_span span, last_span; /* of the newest stack; of `last` */
	uint64_t last_ns;                      /* time of `last` */
	struct cs_event_stack *last; /* owned, one block: the last wall stack, for CS_EV_SAME */
	UT_hash_handle hh;
};

/* Returns the thread, made if new, or NULL without memory. */
struct cs_thread *cs_thread_get(struct cs_thread **threads, uint32_t tid);

/* The name it has in Python, else the kernel's; lives as long as the thread has it. */
static inline const char *cs_thread_name(const struct cs_thread *thread)
{
	return thread->python_name ? thread->python_name : thread->name;
}

void cs_threads_free(struct cs_thread **threads);

/* Free those that were not seen since then. */
void cs_threads_forget(struct cs_thread **threads, uint64_t since_ns);

/* Keep a copy of the stack as the thread's last wall stack. Returns 0 or -ENOMEM. */
int cs_thread_remember(struct cs_thread *thread, const struct cs_event_stack *stack);
