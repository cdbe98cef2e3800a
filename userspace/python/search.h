/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One search for who waits for a task: its budget, what it found, and all that it reads of one object at a time. How it goes on from
 * object to object is waiters.c. Whatever cannot be read, or is too much, is told in found.cut.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "python/waiters.h"

#define CS_SEARCH_SEEN  64
#define CS_SEARCH_ITEMS 64  /* of a list, tuple or deque */
#define CS_SEARCH_NAMES 128 /* in the code of one callback and the methods it calls */
#define CS_SEARCH_ATTRS 256 /* of one object or class */
#define CS_SEARCH_BASES 8   /* of one class */

struct cs_search {
	struct cs_waiters *all;
	struct cs_waiters_known found;
	unsigned int left; /* objects */
	uint64_t seen
		[CS_SEARCH_SEEN]; /* futures, and callables that others hold: these make circles */
	unsigned int nseen;
};

/* Nothing was found yet. What only counts below `n` is left as it is: a search is begun for each callback of each task. */
static inline void cs_search_begin(struct cs_search *search, struct cs_waiters *waiters,
				   unsigned int objects)
{
	search->all = waiters;
	search->found.n = 0;
	search->found.cut = false;
	search->left = objects;
	search->nseen = 0;
}

/* What is known of the way so far. */
struct cs_way {
	uint8_t how; /* 0: no function met */
	bool probable;
	unsigned int depth;
};

/* Addresses of names as a code object has them: such strings are interned, so the same name is the same object. */
struct cs_code_names {
	uint64_t items[CS_SEARCH_NAMES];
	unsigned int n;
};

const struct cs_py_offsets *cs_search_offsets(const struct cs_search *search);

/* May this reading look at one more word or entry? */
bool cs_search_may_read(struct cs_search *search);

/* A word of another object; what cannot be read is 0. */
uint64_t cs_search_word(struct cs_search *search, uint64_t addr);

/* The type of an object, and what it is (enum cs_type_what). Valid until the next call. */
const struct cs_type *cs_search_type(struct cs_search *search, uint64_t object);
unsigned int cs_search_what(struct cs_search *search, uint64_t object);

/* What became of a visit to a dict or to attributes: not having any is no failure. */
void cs_search_note(struct cs_search *search, int err);

/* Was this object not met before? */
bool cs_search_is_new(struct cs_search *search, uint64_t object);

/* May the search look at one more object? Then it is one step further on its way. */
bool cs_search_enter(struct cs_search *search, struct cs_way *way);

/* Note a link. Of two ways to one waiter the certain one counts. */
void cs_search_add_link(struct cs_waiters_known *found, const struct cs_task_link *link);

/* The future that a task is suspended on; 0: none, or it is no task. */
uint64_t cs_search_waits_for(struct cs_search *search, uint64_t task);

/* The first done-callback of a future, and the list of the others; 0: none. */
void cs_search_callbacks(struct cs_search *search, uint64_t future, uint64_t *ret_first,
			 uint64_t *ret_list);

/* The objects of a list or tuple. Returns how many. */
unsigned int cs_search_items(struct cs_search *search, uint64_t sequence,
			     uint64_t items[CS_SEARCH_ITEMS]);

bool cs_names_have(const struct cs_code_names *names, uint64_t name);

/* Add the names in a function's code; those in the code of the methods of a class that are wanted. */
void cs_search_add_names(struct cs_search *search, uint64_t function, struct cs_code_names *names);
void cs_search_add_method_names(struct cs_search *search, uint64_t type,
				const struct cs_code_names *wanted, struct cs_code_names *names);

/* Note what this function says of the way that leads through it. The first one gives it its name. */
void cs_search_mark(struct cs_search *search, struct cs_way *way, uint64_t function);
