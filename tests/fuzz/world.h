/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that fuzzers of Python's readers read: a small interpreter in this process, made of a row of the layout
 * table and whole enough for every reader to get to its end, in which the input then changes words.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "unit/python/made_objects.h"

#define WORLD_PATCHES 64
#define WORLD_TASKS   4 /* up to 3.13; then two of them are in lists as well */
#define WORLD_LINKS   7 /* tasks that wait for one of them, each in its own way */

struct world {
	struct made made;
	uint64_t runtime, interpreter; /* addresses, as all below */
	uint64_t thread;               /* what a thread pointer points to */
	uint64_t code, text, dict, set, eager, loop, coro, task_type;
	struct world_undo { /* what patches have overwritten */
		uint64_t *word, right;
	} undo[WORLD_PATCHES];
	size_t nundo;
};

/* The world of 3.8 to 3.15 that this byte chooses. Made once: making one takes longer than reading it. */
struct world *world_get(uint8_t choice);

/*
 * Change the words that the input says. A patch has 12 bytes: which word (3 bytes), how (1), what (8). What is left over at the
 * end counts for nothing.
 */
void world_patch(struct world *world, const uint8_t *data, size_t size);
/* Undo them. */
void world_mend(struct world *world);

/*
 * Everything that user space reads of objects and threads, and of tasks. What the headers promise is checked. Returns whether all
 * was there, as it is in a world that was not patched.
 */
bool world_read_objects(struct world *world);
bool world_read_tasks(struct world *world);

/* One input, which is a version and patches: `read` gets the world as it says, and fails in none that was not patched. Returns 0. */
int world_run(const uint8_t *data, size_t size, bool (*read)(struct world *world));
