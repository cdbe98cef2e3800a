/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which thread runs an event loop: the loop's _thread_id (Lib/asyncio/base_events.py: threading.get_ident() while
 * it runs, else None), looked up among the interpreter's thread states, which know the kernel's id.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "python/objects.h"

#define CS_LOOPS_MAX 256 /* running loops of one process; more count as not known */

struct cs_loops {
	size_t n;
	int left;        /* thread states that this pass may still look at, of all loops together */
	bool complete;   /* the thread of every loop of this pass that runs is known */
	bool namespaced; /* the process counts its threads in a pid namespace of its own */
	struct cs_loop {
		uint64_t addr;
		bool met; /* in this pass */
		/* How its thread was found; checked before it is believed again. */
		bool foreign;  /* it keeps no _thread_id: its thread is told by what threads run */
		uint64_t slot; /* where the loop keeps _thread_id */
		uint64_t tstate; /* the thread's state, or 0: the loop does not run */
		int64_t thread_id;
		uint32_t native;
		uint32_t tid; /* as our /proc counts; 0: it does not run, or is not known */
	} items[CS_LOOPS_MAX];
};

void cs_loops_init(struct cs_loops *loops, pid_t pid);

/* Start a pass: no loop was met yet. */
void cs_loops_begin(struct cs_loops *loops);

/* Look at a loop, unless it was met already. */
void cs_loops_add(struct cs_loops *loops, const struct cs_pyobj_ctx *ctx, uint64_t addr);

/* The thread that runs a loop, or 0. */
uint32_t cs_loops_tid(const struct cs_loops *loops, uint64_t addr);

/* The threads of all running loops. Returns how many; 0 if there are none or not all are known. */
size_t cs_loops_tids(const struct cs_loops *loops, uint32_t tids[CS_LOOPS_MAX]);
