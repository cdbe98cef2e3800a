/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's walkers over the memory of made_python.c. What they call a task is the memory; before each
 * read the destination is checked to be one of the walk's own fields, since no sanitizer sees a read that
 * runs from one field of a struct into the next.
 */
#pragma once

#include <sys/cdefs.h>

#include "made_python.h"

static struct {
	bool want_gil;
	__u64 told;         /* the state that user space told */
	unsigned int nseen; /* code objects told of */
	bool ring_full;
	const struct cs_tracers *tracers;
	bool to_root;     /* as a task's creation is walked */
	bool again;       /* ... after another one of the same thread */
	__u64 seen_bytes; /* of text of the last one */
	struct cs_span_told
		*places; /* where spans are kept that were told, WALK_PLACES; NULL: nowhere */
} walk_host;
#define WALK_PLACES 4096

struct cs_walk;
struct task_struct;
static inline int walk_meet_code(struct cs_walk *w, struct task_struct *task);
static inline int walk_take_tracers(struct cs_walk *w);
static inline struct cs_span_told *walk_span_place(uint64_t at);

#define CS_READ(task, dst, size, src) made_read((struct made_python *)(task), dst, size, src)
#define CS_TOLD_TSTATE(w)             walk_host.told
#define CS_WANT_GIL                   walk_host.want_gil
#define CS_TELLS_CHANGES              1
#define CS_TAKE_TRACERS(w)            walk_take_tracers(w)
#define CS_MEET_CODE(w, task)         walk_meet_code(w, task)
#define CS_SPAN_PLACE(w, at)          walk_span_place(at)
#include "bpf/py_stack.bpf.h"

/* The fields that a read may fill. */
#define WALK_TARGETS(X)       \
	X(window)             \
	X(ev.running.name)    \
	X(origin.waiter.name) \
	X(interp)             \
	X(tstate)             \
	X(frame)              \
	X(code_words)         \
	X(head)               \
	X(text_words)         \
	X(seen_text) X(span_at) X(dict.at) X(dict.keys) X(dict.values)

static inline int walk_take_tracers(struct cs_walk *w)
{
	if (walk_host.tracers)
		w->tracers = *walk_host.tracers;
	return !walk_host.tracers;
}

static inline struct cs_span_told *walk_span_place(uint64_t at)
{
	return walk_host.places ? &walk_host.places[(at * CS_SPAN_MIX >> 40) % WALK_PLACES] : NULL;
}

/* What a program pushes into the ring. */
static inline int walk_meet_code(struct cs_walk *w, struct task_struct *task)
{
	walk_host.seen_bytes = py_code_describe(w, task);
	walk_host.nseen++;
	return walk_host.ring_full;
}

static inline bool walk_dst_allowed(const void *ctx, const void *dst, size_t size)
{
	const struct cs_walk *w = ctx;
	const char *at = dst;

	if (at + size <= (const char *)w || at >= (const char *)(w + 1))
		return true; /* a local variable: the sanitizer's business */
#define X(field)                                                     \
	if (at >= (const char *)&w->field &&                         \
	    at + size <= (const char *)&w->field + sizeof(w->field)) \
		return true;
	WALK_TARGETS(X)
#undef X
	return false;
}

/* Walk the thread as the programs do; `known` is the cached thread state or 0. */
static inline void walk_thread(struct cs_walk *w, struct made_python *py, __u64 known)
{
	struct task_struct *task = (struct task_struct *)py;

	py->dst_allowed = walk_dst_allowed;
	py->dst_ctx = w;
	py->reads = 0;
	walk_record(w, walk_host.to_root ? CS_EV_TASK_CREATED : CS_EV_STACK, 1000);
	if (walk_host.to_root && walk_host.again)
		walk_start(w, &py->info, py->now_ns);
	else
		walk_begin(w, &py->info, py->tgid, py->now_ns);
	w->thread_pointer = MADE_THREAD_POINTER;
	py_stack_thread(w, task, 0, known);
	if (walk_host.to_root)
		py_stack_creator(w, task, 0, walk_host.again);
	else
		py_stack_walk(w, task, 0);
	py_stack_span(w, task, 0);
	w->ev.hdr.size = sizeof(w->ev) + w->ev.nframes * sizeof(struct cs_py_frame);
}
