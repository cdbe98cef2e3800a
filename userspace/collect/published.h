/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which processes publish their threads' spans, and where: a file of theirs exports the thread-local variable `otel_thread_ctx_v1` (OTEP 4947 of the
 * OpenTelemetry specification). What is published is read by the kernel side (bpf/published_span.bpf.h).
 */
#pragma once

#include <coroscope/proc_info.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proc/mem.h"
#include "python/interp.h"
#include "python/tracer.h"

/* Files that were looked at: most have no such variable, and are not opened again. */
struct cs_publishers;

int cs_publishers_new(struct cs_publishers **ret);         /* 0 or -ENOMEM */
void cs_publishers_free(struct cs_publishers *publishers); /* NULL is fine */
static inline void cs_publishers_freep(struct cs_publishers **publishers)
{
	cs_publishers_free(*publishers);
}

/*
 * Where the threads of the process have the variable, and which attribute tells the local root; doubted: code is loaded that may run
 * something else in a thread without a word (greenlets); the rest of *ret is 0. mem: the process's memory, just
 * forgotten. Returns 0; -ENOENT: no file of it has one; -EAGAIN: one has, and where is not told (yet); -ENOTUNIQ: several have, each its own; or
 * what cs_maps_read returns.
 */
int cs_published_find(struct cs_publishers *publishers, pid_t pid, struct cs_mem *mem,
		      struct cs_published_at *ret);

/*
 * May what its threads publish be believed? Of a program without Python, yes: who publishes promises it. In a Python a thread's active span is another
 * one whenever another context is entered there (tasks, callbacks, Context.run), and only from 3.14 on the interpreter tells a tracer of that
 * (PyContext_AddWatcher), which ddtrace uses from 4.15 on: there all was right in tests, before it 80% was wrong in threads that enter contexts. A greenlet
 * changes the context without a word: where they are loaded nothing is believed. at: as cs_published_find has told it.
 */
bool cs_published_believed(const struct cs_published_at *at, const struct cs_interp *interp,
			   const struct cs_tracer_list *tracers);

/* What is known of a watched process. Zeroes: nothing, and nothing to look for. */
struct cs_published {
	struct cs_published_at at; /* if found */
	bool found;
	uint64_t look_at_ns;        /* 0: when it maps code */
	uint64_t looked_ns;         /* the last time */
	unsigned int tries;         /* in vain, since a file of it had the variable */
	struct cs_published_at row; /* as the kernel side is told, if told */
	bool told;
};

/* Look at the process now, or when it has done what it does now that it has begun. */
void cs_published_begin(struct cs_published *published, bool fresh, uint64_t now_ns);

/* It has mapped code. */
void cs_published_poke(struct cs_published *published, const char *path, uint64_t now_ns);

/* Look, and note when to do so again; pauses are `stretch` times as long as usual. */
void cs_published_look(struct cs_published *published, struct cs_publishers *publishers, pid_t pid,
		       struct cs_mem *mem, unsigned int stretch, uint64_t now_ns);

static inline bool cs_published_is_due(const struct cs_published *published, uint64_t now_ns)
{
	return published->look_at_ns && now_ns >= published->look_at_ns;
}
