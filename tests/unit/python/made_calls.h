/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up futures, and what is called when they are done; of every layout. */
#pragma once

#include "made_objects.h"

#define MADE_CALLBACKS 80 /* of one future, behind its first */

/* The interpreter's types that callbacks have. */
struct made_calls {
	struct made *made;
	uint64_t type_cell, type_function, type_method, type_cfunction, type_wakeup;
	uint64_t type_builtin_method;
	uint64_t type_partial, type_deque;
};

void made_calls_begin(struct made_calls *calls, struct made *made);

/* A pending future: of made->type_future, or of a class derived from it. */
uint64_t made_future_of(struct made_calls *calls, uint64_t type);
uint64_t made_future(struct made_calls *calls);
/* One more callback. */
void made_done_callback(struct made_calls *calls, uint64_t future, uint64_t callback);
/* A task that is suspended on this future, which wakes it up. */
uint64_t made_waiter(struct made_calls *calls, uint64_t future);
/* What a future calls to wake up a task. */
uint64_t made_wakeup(struct made_calls *calls, uint64_t task);

/* Lists end with 0. */
struct made_function {
	const char *module, *qualname;
	uint64_t cells[4]; /* what is in the cells of its closure */
	uint64_t defaults[4];
	const char *names[8], *locals[8]; /* that its code mentions, and has */
};
uint64_t made_function(struct made_calls *calls, const struct made_function *function);
#define MADE_FUNCTION(calls, its_module, its_qualname, ...) \
	made_function(calls, &(const struct made_function){ \
				     .module = its_module, .qualname = its_qualname, __VA_ARGS__})

uint64_t made_method(struct made_calls *calls, uint64_t function, uint64_t self);
/* A method of a built-in type, as future.set_result. */
uint64_t made_builtin_method(struct made_calls *calls, uint64_t self);
uint64_t made_partial(struct made_calls *calls, uint64_t function, const uint64_t *args, size_t n);
/* The first item is at index `first` of its block. */
uint64_t made_deque(struct made_calls *calls, const uint64_t *items, size_t n, size_t first);
/* A class of a module. */
uint64_t made_class_of(struct made_calls *calls, const char *name, const char *module);
/* concurrent.futures.Future with this list of callbacks. */
uint64_t made_concurrent_future(struct made_calls *calls, uint64_t callbacks);
/* A task or future that is written in Python; 0: it has no such attribute. */
struct made_python_task {
	uint64_t coro, waiter, loop, name, callbacks, state;
};
uint64_t made_python_task(struct made_calls *calls, uint64_t class,
			  const struct made_python_task *task);
