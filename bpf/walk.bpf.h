/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The state of one stack walk, and the record it fills.
 *
 * All of it lives in a map value, never on the BPF stack: the verifier then sees unknown scalars that
 * converge, and a bounded loop over frames costs a few instructions a turn instead of a copy of the state
 * (32 frames were rejected with the state on the stack, 512 pass this way). Where the reader allows it, a
 * step is wrapped into a global function of one scalar, which the verifier checks once.
 *
 * The walkers (py_thread, py_task, py_frames) read foreign memory only through CS_READ(task, dst, size, src),
 * which each program defines before it includes them: no-fault reads in an interrupt, faulting reads of
 * another task in the iterator, process_vm_readv in user space, made-up memory in the tests. It returns 0 or
 * a negative error. They hold no interpreter version: only offsets and traits.
 */
#pragma once

#include <coroscope/event.h>
#include <coroscope/limits.h>
#include <coroscope/proc_info.h>
#include <coroscope/status.h>

#ifndef CS_READ
#error "define CS_READ(task, dst, size, src) before including a walker"
#endif

struct task_struct;

struct cs_walk {
	/* copied from cs_proc_info, so that steps need no second lookup */
	struct cs_py_offsets off;
	struct cs_py_traits traits;
	__u64 interpreters_head;
	__u64 current_tasks;

	/* thread search */
	__u64 thread_pointer;
	__u64 interp;
	__u64 tstate;
	__u32 tstate_size;
	__u32 pad;

	/* running task */
	__u64 entries; /* address of the dict's entries */
	__u32 nentries;
	__u32 ncandidates;
	/* what the process's event loops call their current tasks */
	__u64 candidate_task[CS_MAX_CURRENT_TASKS];
	__u64 candidate_frame[CS_MAX_CURRENT_TASKS];

	/* frames */
	__u64 met_salt;          /* keeps processes apart in met[] */
	__u64 met[CS_MET_CODES]; /* kept from walk to walk */
	__u64 frame;
	__u32 chunk_size;
	__u32 chunk_at;     /* of the frame in the window */
	__u32 in_generator; /* the last frame read belongs to a generator */
	__u32 pad2;
	__u64 window_at;    /* address that was read into the window */
	__u64 window_bytes; /* 0: nothing was */
	__u8 window[CS_FRAME_WINDOW];

	/* the record; kernel frames are put right behind the last Python frame */
	struct cs_ev_stack ev;
	struct cs_py_frame frames[CS_MAX_PY_FRAMES];
	__u64 kernel[CS_MAX_KERNEL_FRAMES];
};

/* A word of the frame at a masked, aligned offset: user space validated it, the verifier is shown it. */
static __always_inline __u64 walk_chunk_u64(const struct cs_walk *w, __u32 offset)
{
	return *(const __u64 *)(w->window + ((w->chunk_at + offset) & (CS_FRAME_WINDOW - 8)));
}

static __always_inline __u32 walk_max(__u32 a, __u32 b)
{
	return a > b ? a : b;
}

/* Bytes of a frame that hold all fields read. Reading less misses fewer ends of mapped memory. */
static __always_inline __u32 walk_chunk_size(const struct cs_py_offsets *off)
{
	__u32 last = walk_max(walk_max(off->frame_owner, off->frame_executable),
			      walk_max(off->frame_previous, off->frame_instr_ptr));

	last = walk_max(last, off->frame_globals);

	return last >= CS_FRAME_CHUNK - 8 ? CS_FRAME_CHUNK : (last + 8) & ~7u;
}

static __always_inline void walk_begin(struct cs_walk *w, const struct cs_proc_info *info,
				       __u32 tgid)
{
	w->off = info->off;
	w->traits = info->traits;
	w->interpreters_head = info->interpreters_head;
	w->current_tasks = info->current_tasks;
	w->interp = 0;
	w->tstate = 0;
	w->entries = 0;
	w->nentries = 0;
	w->ncandidates = 0;
	w->met_salt = (__u64)tgid << 40;
	w->frame = 0;
	w->window_at = 0;
	w->window_bytes = 0;
	w->in_generator = 0;
	w->chunk_size = walk_chunk_size(&w->off);
	w->tstate_size = walk_max(w->off.tstate_thread_id, w->off.tstate_frame) + 8;
}

/* Start an empty record. */
static __always_inline void walk_record(struct cs_walk *w, enum cs_ev_kind kind, __u64 weight_ns)
{
	w->ev.hdr.kind = kind;
	w->ev.hdr.flags = 0;
	w->ev.weight_ns = weight_ns;
	w->ev.subject = 0;
	w->ev.tstate = 0;
	w->ev.user_ip = 0;
	w->ev.nframes = 0;
	w->ev.nkernel = 0;
	w->ev.status = CS_STATUS_NOT_PYTHON;
	w->ev.running.task = 0;
	w->ev.running.coro = 0;
	w->ev.running.root_frame = 0;
	w->ev.running.name_kind = CS_NAME_NONE;
	w->ev.running.name_cut = 0;
	w->ev.running.name_bytes = 0;
}
