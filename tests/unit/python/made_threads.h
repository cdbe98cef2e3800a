/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up interpreters, the states of their threads, and what their threading module says of them; of every layout. */
#pragma once

#include "made_objects.h"

struct made_thread {
	uint64_t ident;
	uint64_t native;  /* 0: None, as before it has started */
	const char *name; /* NULL: no str */
	uint64_t object;  /* set by made_interpreter: the Thread */
};

/* An interpreter whose threading._active holds these; next: 0, or the one behind it in the runtime's list. */
uint64_t made_interpreter(struct made *made, struct made_thread *threads, size_t n, uint64_t next);
/* Make it the first of the runtime's list. */
void made_first(struct made *made, uint64_t interpreter);
/* A thread's state, in front of those that the interpreter has. */
uint64_t made_tstate(struct made *made, uint64_t interpreter, uint64_t thread_id);
/* Give a Thread another name. */
void made_rename(struct made *made, const struct made_thread *thread, const char *name);
