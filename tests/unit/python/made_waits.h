/* SPDX-License-Identifier: Apache-2.0 */
/* A made-up task, another that is suspended on a future, the ways from one to the other, and the search along them. */
#pragma once

#include "made_calls.h"
#include "python/waiters.h"

struct made_waits {
	struct made made;
	struct made_calls calls;
	struct cs_asyncio asyncio;
	struct cs_types types;
	struct cs_pytask_keys keys;
	struct cs_waiters waiters;
	uint64_t task;                           /* without callbacks */
	uint64_t future, waiter;                 /* who is suspended on it */
	struct cs_task_link links[CS_MAX_LINKS]; /* what was found, n of them */
	uint32_t n;
	bool cut;
};

void made_waits_begin(struct made_waits *waits, int minor);
void made_waits_end(struct made_waits *waits);
uint64_t made_new_task(struct made_waits *waits);
/* Begin a new reading: nothing is known. */
void made_reading(struct made_waits *waits);
/* Look for those that wait for a task, within this reading. */
void made_look(struct made_waits *waits, uint64_t task);
/* Look for those that wait for waits->task, which gets one more callback. */
void made_look_through(struct made_waits *waits, uint64_t callback);

/* Callbacks of a task that complete this future. */
uint64_t made_gather(struct made_waits *waits, uint64_t future);
uint64_t made_wait(struct made_waits *waits, uint64_t future);
uint64_t made_wait_for(struct made_waits *waits, uint64_t future);
/* The future has a callback, too, which leads back. */
uint64_t made_shield(struct made_waits *waits, uint64_t future);
/* Of a group whose body has ended, if `future` is one. */
uint64_t made_task_group(struct made_waits *waits, uint64_t future);
uint64_t made_set_result(struct made_waits *waits, uint64_t future);
/* Not asyncio's. */
uint64_t made_user_closure(struct made_waits *waits, uint64_t future);
/* An object that has the future, and a method that knows it. */
uint64_t made_user_object(struct made_waits *waits, const char *method, uint64_t future);
/* gather, whose task was woken up and waits for something else by now. */
uint64_t made_wait_ended(struct made_waits *waits, uint64_t future);
