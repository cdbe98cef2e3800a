/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reading of the asyncio tasks of a process, or of a share of them: the sets and lists, the weak references in them, then some hundred
 * tasks at a time, their coroutines, what these await, and so on. Every object's type is checked.
 *
 * A process that was at rest throughout is read once. From the moment on at which it was not, each block of tasks during which something ran is
 * read twice, the second time right after the first, and what is not the same in both is dropped and counted.
 */
#pragma once

#include <coroscope/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "python/coro.h"
#include "python/entries.h"
#include "python/objects.h"
#include "python/pytask.h"
#include "python/share.h"
#include "python/tracer.h"
#include "python/types.h"
#include "python/waiters.h"

struct cs_walk_task {
	uint64_t addr, coro, waiter, loop, name;
	uint64_t digest;               /* of all that its record says */
	uint64_t attrs;                /* of all its attributes, if it is written in Python */
	uint64_t callback0, callbacks; /* see struct cs_waited */
	uint64_t context;
	uint64_t next;        /* object of the await chain to look at next; 0: the chain ends */
	uint32_t first, last; /* its frames, as indices into cs_walk.frames */
	uint32_t nframes;
	uint32_t name_at, leaf_at; /* texts of name and leaf type, offsets into cs_walk.texts */
	uint32_t link_at;          /* its links, nlinks of them, an index into cs_walk.links */
	uint32_t span_at; /* index into cs_walk.spans, if its flags say that there is one */
	uint16_t name_len, leaf_len;
	uint16_t flags; /* enum cs_task_flags */
	uint8_t state;  /* enum cs_task_state; 0: dropped */
	uint8_t nlinks;
	bool in_python; /* it is written in Python */
};

/* A frame of an await chain; chains grow side by side, so they are lists. */
struct cs_walk_frame {
	struct cs_py_frame frame;
	uint32_t next;
	uint64_t coro; /* whose frame it is */
	struct cs_coro_place place;
};

/* A weak reference up to the address of its object; tasks are read in one piece too (CS_TASK_CHUNK). */
#define CS_WALK_WEAKREF_CHUNK 64

/* Tasks that are read together: with their coroutines they fill a good part of a processor's own cache. */
#define CS_WALK_BLOCK 256

struct cs_walk {
	struct cs_walk_task *tasks; /* ntasks of them; owned, as all arrays here */
	size_t ntasks, tasks_cap;
	struct cs_walk_frame *frames;
	size_t nframes, frames_cap;
	size_t nwrappers; /* steps of all chains that were no frame */
	struct cs_entries entries;
	uint64_t *refs;   /* entries to be read: weak references, or tasks */
	uint32_t nunread; /* entries that were not this pass's share */
	size_t nrefs, refs_cap;
	uint32_t active[CS_WALK_BLOCK]; /* tasks whose chains are being followed */
	struct cs_task_link *links;     /* who waits, in other ways than by an await */
	size_t nlinks, links_cap;
	struct cs_active_span *spans; /* of the tasks that have one */
	size_t nspans, spans_cap;
	struct cs_buf texts;
	uint32_t ndropped;          /* tasks of which nothing is known */
	uint32_t nmoved;            /* tasks of which only the links are */
	struct cs_types types;      /* met in this reading */
	struct cs_pytask_keys keys; /* likewise */
	struct cs_waiters waiters;
	struct cs_mem *again; /* for the second reading; NULL until there is one */
	uint64_t waiter;      /* that was compared last in this block, or 0 */
	bool waiter_same;
	bool all_same;    /* every page of the block's second reading is as it was in the first */
	bool twice;       /* some blocks were read twice, or might have been */
	uint32_t nrested; /* blocks that were not, since the process was at rest again */
};

/* How to read. */
struct cs_walk_plan {
	struct cs_share *share; /* how many tasks, and which: the reading begins a pass of it */
	bool twice;             /* every block */
	/* Has nothing run in the process since the reading began, or since `rests` said so? Asked after each block. */
	bool (*quiet)(void *arg);
	/* Is it at rest now? Asked before a block when something has run. */
	bool (*rests)(void *arg);
	void *arg;
	const struct cs_span_source *spans; /* NULL: nobody asks for spans */
};

void cs_walk_free(struct cs_walk *walk);

/*
 * Read tasks, with an empty cache to begin with. The caller has made sure that the layout's tasks and weak
 * references fit into their chunks. Returns 0, -EFAULT or -EINVAL (the sets themselves cannot
 * be read), -ESRCH, -EPERM or -ENOMEM.
 */
int cs_walk_read(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		 const struct cs_asyncio *asyncio, const struct cs_walk_plan *plan);
