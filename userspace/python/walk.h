/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reading of all asyncio tasks of a process, level by level: the sets, the weak references in them, the
 * tasks, their coroutines, what these await, and so on. Whether the process changed meanwhile is the caller's
 * business; every object's type is checked, so that what was torn is dropped and counted.
 */
#pragma once

#include <coroscope/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "python/objects.h"
#include "python/pytask.h"
#include "python/types.h"
#include "python/waiters.h"

struct cs_walk_task {
	uint64_t addr, coro, waiter, loop, name;
	uint64_t digest;               /* of all that its record says */
	uint64_t bytes;                /* of its own bytes, said or not */
	uint64_t callback0, callbacks; /* see struct cs_waited */
	uint64_t next;        /* object of the await chain to look at next; 0: the chain ends */
	uint32_t first, last; /* its frames, as indices into cs_walk.frames */
	uint32_t nframes;
	uint32_t name_at, leaf_at; /* texts of name and leaf type, offsets into cs_walk.texts */
	uint32_t link_at;          /* its links, nlinks of them, an index into cs_walk.links */
	uint16_t name_len, leaf_len;
	uint16_t flags; /* enum cs_task_flags */
	uint8_t state;  /* enum cs_task_state; 0: dropped */
	uint8_t nlinks;
};

/* A frame of an await chain; chains grow side by side, so they are lists. */
struct cs_walk_frame {
	struct cs_py_frame frame;
	uint32_t next;
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
	uint64_t *refs;   /* set entries: weak references, or tasks */
	size_t nrefs, refs_cap;
	uint32_t active[CS_WALK_BLOCK]; /* tasks whose chains are being followed */
	struct cs_task_link *links;     /* who waits, in other ways than by an await */
	size_t nlinks, links_cap;
	struct cs_buf texts;
	uint32_t ndropped;
	struct cs_types types;      /* met in this reading */
	struct cs_pytask_keys keys; /* likewise */
	struct cs_waiters waiters;
};

void cs_walk_free(struct cs_walk *walk);

/*
 * Read all tasks, with an empty cache to begin with. The caller has made sure that the layout's tasks and weak
 * references fit into their chunks. Returns 0, -EFAULT or -EINVAL (the sets themselves cannot
 * be read), -ESRCH, -EPERM or -ENOMEM.
 */
int cs_walk_read(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		 const struct cs_asyncio *asyncio);
