/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's own walkers in user space. */
#include "collect/walk_user.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/cdefs.h>

/* What the walkers call a task is here the process's memory. */
#define CS_READ(task, dst, size, src) cs_mem_read((struct cs_mem *)(task), src, dst, size)
struct cs_walk;
static int take_tracers(struct cs_walk *w);
#define CS_TAKE_TRACERS(w) take_tracers(w)
#define CS_NOW_NS()        cs_now_ns()
#include "collect/record.h"
#include "../../bpf/py_stack.bpf.h"

#include "core/cleanup.h"
#include "proc/threads.h"

/*
 * The C library's own note of a thread's id, in the descriptor that pthread_self() points to on x86-64: glibc's struct pthread.tid
 * (nptl/descr.h: behind a tcbhead_t of 704 bytes and a list_t), musl's (src/internal/pthread_impl.h).
 */
static const uint32_t pthread_tid_at[] = {0x2d0, 0x30};

/* Kernel id of the thread with this state, 0 if it cannot be told. Interpreters up to 3.10 do not note it. */
static pid_t state_tid(const struct cs_interp *interp, struct cs_mem *mem, uint64_t tstate)
{
	const struct cs_py_offsets *off = &interp->info.off;
	uint64_t value = 0;
	pid_t tid = 0;

	if (off->tstate_native_thread_id)
		return cs_mem_read_u64(mem, tstate + off->tstate_native_thread_id, &value)
			       ? 0
			       : cs_thread_outer(interp->pid, value);
	if (cs_mem_read_u64(mem, tstate + off->tstate_thread_id, &value))
		return 0;
	for (size_t i = 0; !tid && i < ARRAY_SIZE(pthread_tid_at); i++) {
		uint32_t noted = 0;

		/* a number that is no thread of the process is not believed */
		if (!cs_mem_read(mem, value + pthread_tid_at[i], &noted, sizeof(noted)) && noted)
			tid = cs_thread_outer(interp->pid, noted);
	}
	return tid;
}

int cs_walk_list(const struct cs_interp *interp, struct cs_mem *mem, struct cs_tstate *out,
		 unsigned int max)
{
	const struct cs_py_offsets *off = &interp->info.off;
	uint64_t at = 0, tstate = 0;
	unsigned int n = 0;

	if (cs_mem_read_u64(mem, interp->info.interpreters_head, &at))
		return -EFAULT;
	for (int i = 0; at && i < CS_MAX_INTERPRETERS; i++) {
		if (cs_mem_read_u64(mem, at + off->interp_threads_head, &tstate))
			break;
		while (tstate && n < max) {
			out[n].addr = tstate;
			out[n].tid = state_tid(interp, mem, tstate);
			if (cs_mem_read_u64(mem, tstate + off->tstate_next, &tstate))
				return (int)n;
			n++;
		}
		if (cs_mem_read_u64(mem, at + off->interp_next, &at))
			break;
	}
	return (int)n;
}

int cs_walk_thread(const struct cs_interp *interp, struct cs_mem *mem,
		   const struct cs_tstate *tstate, const char *comm, uint64_t ts_ns,
		   uint64_t weight_ns, struct cs_buf *out)
{
	_cleanup_free_ struct cs_walk *w = calloc(1, sizeof(*w));
	struct task_struct *task = (struct task_struct *)mem;
	uint64_t thread_pointer;
	size_t size;

	if (!w)
		return -ENOMEM;
	walk_record(w, CS_EV_STACK, weight_ns);
	walk_begin(w, &interp->info, (__u32)interp->pid, 0);
	/* the thread is known by its state here, not by its thread pointer */
	if (!cs_mem_read_u64(mem, tstate->addr + w->off.tstate_thread_id, &thread_pointer)) {
		w->thread_pointer = thread_pointer;
		py_stack_thread(w, task, 0, tstate->addr);
	}
	py_stack_walk(w, task, 0);
	size = sizeof(w->ev) + w->ev.nframes * sizeof(struct cs_py_frame);
	w->ev.hdr.size = (uint32_t)size;
	w->ev.hdr.flags = CS_ORIGIN_WALL;
	w->ev.hdr.ts_ns = ts_ns;
	w->ev.hdr.pid = (uint32_t)interp->pid;
	w->ev.hdr.tid = (uint32_t)tstate->tid;
	snprintf(w->ev.comm, sizeof(w->ev.comm), "%s", comm);
	/* the frames follow the fixed part in the walk's memory, as the record wants them */
	return cs_buf_append(out, &w->ev, size);
}

struct cs_span_walk {
	struct cs_walk walk;
	const struct cs_tracers *tracers; /* borrowed */
};

/* Only the walks over spans ask for it. */
static int take_tracers(struct cs_walk *w)
{
	w->tracers = *((const struct cs_span_walk *)w)->tracers;
	return 0;
}

int cs_span_walk_new(const struct cs_interp *interp, const struct cs_tracers *tracers,
		     struct cs_span_walk **ret)
{
	struct cs_span_walk *span_walk = calloc(1, sizeof(*span_walk));

	if (!span_walk)
		return -ENOMEM;
	span_walk->tracers = tracers;
	walk_record(&span_walk->walk, CS_EV_STACK, 0);
	walk_begin(&span_walk->walk, &interp->info, (__u32)interp->pid, 0);
	*ret = span_walk;
	return 0;
}

void cs_span_walk_free(struct cs_span_walk *span_walk)
{
	free(span_walk);
}

bool cs_span_walk_read(struct cs_span_walk *span_walk, struct cs_mem *mem, uint64_t context,
		       struct cs_active_span *ret)
{
	struct cs_walk *w = &span_walk->walk;

	w->context = context;
	w->span.span.span_id = 0;
	w->resource.root_id = 0;
	w->span_failed = 0;
	py_span_find(w, (struct task_struct *)mem, 0);
	*ret = w->span.span;
	return ret->span_id != 0;
}

bool cs_span_walk_published(struct cs_span_walk *span_walk, struct cs_mem *mem,
			    const struct cs_published_at *at, uint64_t thread_pointer,
			    struct cs_active_span *ret)
{
	struct cs_walk *w = &span_walk->walk;

	w->thread_pointer = thread_pointer;
	published_read(w, (struct task_struct *)mem, at);
	*ret = w->span.span;
	return ret->span_id != 0;
}

int cs_span_walk_tell(struct cs_span_walk *span_walk, uint64_t ts_ns, struct cs_buf *out)
{
	struct cs_ev_resource *resource = &span_walk->walk.resource;

	if (!resource->root_id)
		return 0;
	resource->hdr = (struct cs_ev_hdr){
		.size = sizeof(*resource),
		.kind = CS_EV_RESOURCE,
		.ts_ns = ts_ns,
		.pid = span_walk->walk.tgid,
	};
	return cs_buf_append(out, resource, sizeof(*resource));
}

uint64_t cs_span_walk_stranger(struct cs_span_walk *span_walk, uint64_t *ret_object)
{
	uint64_t type = span_walk->walk.met_type;

	span_walk->walk.met_type = 0;
	*ret_object = span_walk->walk.met_object;
	return type;
}

bool cs_walk_same(const struct cs_buf *a, const struct cs_buf *b)
{
	size_t from = offsetof(struct cs_ev_stack, nframes);

	return a->len == b->len && a->len >= from &&
	       !memcmp(a->data + from, b->data + from, a->len - from);
}

int cs_walk_status(const struct cs_buf *record)
{
	return ((const struct cs_ev_stack *)record->data)->status;
}
