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
 *
 * What only a program can do it may define likewise:
 *   CS_TOLD_TSTATE(w)           the PyThreadState that user space told for the thread, or 0
 *   CS_WANT_GIL                 tell whether the thread holds the interpreter's lock
 *   CS_TAKE_TRACERS(w)          have what is known of the process's tracers in w->tracers; returns 0 if there is anything
 *   CS_TELLS_CHANGES            1: spans that begin or end are looked for (enum cs_span_search), which others' verification need not go through
 *   CS_NOW_NS()                 the time, CLOCK_MONOTONIC
 *   CS_CHECK_CODE(w, task, code) the check value of a code object: py_code_check()
 *   CS_MATCH_TASK(w, index)     compare the frame with the tasks that may be running: py_frame_match_task()
 *   CS_FINISH_FRAMES(w)         py_frames_finish()
 *   CS_FIND_KEY(w)              which entry of the dict in the window has w->dict.wanted as its key: py_dict_scan()
 *   CS_MEET_CODE(w, task)       tell user space about w->seen.code, met for the first time; 0 if it was told
 */
#pragma once

#include <coroscope/code_check.h>
#include <coroscope/event.h>
#include <coroscope/limits.h>
#include <coroscope/proc_info.h>
#include <coroscope/status.h>

#ifndef CS_READ
#error "define CS_READ(task, dst, size, src) before including a walker"
#endif

#ifndef CS_TOLD_TSTATE
#define CS_TOLD_TSTATE(w) 0
#endif
#ifndef CS_TELLS_CHANGES
#define CS_TELLS_CHANGES 0
#endif
#ifndef CS_TAKE_TRACERS
#define CS_TAKE_TRACERS(w) 1
#endif
#ifndef CS_NOW_NS
#define CS_NOW_NS() 0ull
#endif
#ifndef CS_WANT_GIL
#define CS_WANT_GIL 0
#endif
#ifndef CS_MEET_CODE
#define CS_MEET_CODE(w, task) 0
#endif

/* A process younger than this may be gone before its names are read. */
#define CS_YOUNG_NS    2000000000ull
#define CS_SEEN_TEXT   (CS_SEEN_NAME_BYTES + CS_SEEN_FILE_BYTES + CS_SEEN_LINES_BYTES)
/* What a stack's oldest frames take turns in. */
#define CS_ROOT_FRAMES (CS_MAX_PY_FRAMES - CS_LEAF_FRAMES)
/* Frames in one call of a global function: finding the scratch again and the call cost a sixth of a frame; the verifier sees each. */
#define CS_FRAME_BATCH 4
#define CS_NO_INDEX    (~0u)

struct task_struct;

/* The bounds of the walks, in steps. Entry frames of C code count too: nothing that a program maps as frames may cost more. */
#define CS_THREAD_STEPS (CS_MAX_TSTATES + CS_MAX_INTERPRETERS)
#define CS_FRAME_STEPS  CS_MAX_DEPTH

/* Call step up to n times; i counts. */
#define CS_REPEAT(n, step)                      \
	do {                                    \
		for (__u32 i = 0; i < (n); i++) \
			if (step)               \
				break;          \
	} while (0)

/* The dict looked at last (py_dict.bpf.h), or an instance's attributes (py_attr.bpf.h). */
struct cs_dict {
	__u64 at;      /* of an instance that has one */
	__u64 keys;    /* its keys object */
	__u64 values;  /* address of the first value; 0: entries have them */
	__u64 entries; /* address of the first one */
	__u64 nentries;
	__u64 wanted; /* key that is looked for */
	__u32 entry_bytes;
	__u32 key_at; /* in an entry; the value follows */
};

/* Where a task keeps its coroutine, its name, and what it waits for; 0: nowhere (py_task.bpf.h). */
struct cs_task_at {
	__u64 coro, name, waiter;
};

/* Of the active span: an id. */
struct cs_span_number {
	__u64 at;     /* of an int that has it; 0: it is here, or not known */
	__u64 hi, lo; /* 0: not known */
};
#define CS_SPAN_NUMBERS 8

/* What a search for a span is for. */
enum cs_span_search {
	CS_SPAN_SEARCH_ACTIVE = 0, /* the span that is active in a Context, of any tracer */
	CS_SPAN_SEARCH_BEGUN = CS_SPAN_BEGUN, /* ... that a variable's new value leads to */
	CS_SPAN_SEARCH_ENDED = CS_SPAN_ENDED, /* ... that a variable's value is, if it has ended */
	CS_SPAN_SEARCH_LEFT = CS_SPAN_LEFT,   /* ... that it leads to, whether or not it has */
};

/* What was told of a span that began (py_span_told.bpf.h); fields that end in _at: the objects that told it, 0: none that tells it again. */
struct cs_span_told {
	__u64 digest; /* of where the span lies; 0: none */
	__u64 check;  /* of all that follows; 0: it is not known yet */
	__u64 trace_at, root_at, parent_at;
	__u64 span_id, root_id, parent_id, trace_hi, trace_lo;
};

struct cs_walk {
	/* copied from cs_proc_info, so that steps need no second lookup */
	struct cs_py_offsets off;
	struct cs_py_traits traits;
	__u64 interpreters_head;
	__u64 current_tasks;
	__u64 gil;
	struct cs_task_types types;
	struct cs_work work;
	__u32 tgid;
	__u32 slot; /* of the program's scratch that holds this walk */

	/* thread search */
	__u64 thread_pointer;
	__u64 interp;
	__u64 tstate;
	__u64 mine;     /* found so far, where another one may be better */
	__u64 exc_info; /* of the thread state read last: what it handles */
	__u32 tstate_size;
	__u32 young;    /* the program has only just begun */
	__u32 searched; /* the search saw every thread: one that it did not find has no state */

	struct cs_dict dict;
	struct cs_task_at at; /* of the task looked at last */

	/* running task */
	__u64 entries; /* address of the dict's entries */
	__u32 nentries;
	__u32 ncandidates;
	/* what the process's event loops call their current tasks */
	__u64 candidate_task[CS_MAX_CURRENT_TASKS];
	__u64 candidate_coro[CS_MAX_CURRENT_TASKS];
	__u64 candidate_frame[CS_MAX_CURRENT_TASKS];
	__u64 candidate_name_at[CS_MAX_CURRENT_TASKS];
	__u64 name_at; /* where the running task has its name */
	/* the last creation's step; 0: none. Its task is the only candidate, with its name still in the record: */
	__u32 creator_ver;
	__u32 creator_name_bytes;
	__u8 creator_name_kind, creator_name_cut;

	/* code objects, kept from walk to walk: which were met, as what, and how often since as the same */
	__u64 met_salt; /* keeps processes apart in met[] */
	__u64 met[CS_MET_CODES];
	__u32 met_check[CS_MET_CODES];
	__u8 met_same[CS_MET_CODES];
	__u8 head[CS_HEAD_CHUNK];  /* of the str or int object read last */
	__u32 str_head, long_head; /* how much of it is read */
	/* a type of CPython's own, and its flags; of the process with this salt */
	__u64 flags_type, flags, flags_salt;
	__u64 code_words[CS_CODE_CHUNK / 8];
	__u64 text_words[CS_CODE_TEXT_CHUNK / 8];
	__u32 code_size; /* of the bytes that a check value is made of; 0: they cannot be checked */
	__u32 exact;     /* names are to be exact: check every frame, tell what is met */

	/* frames */
	__u32 nseen; /* Python frames so far */
	/* which of the newest frames native code called: bits, see struct cs_ev_native */
	__u64 runs[CS_MAX_PY_FRAMES / 64];
	__u32 to_root; /* only what the running task does is asked for: the walk ends at its root frame */
	__u32 unusual; /* frames are objects, or their positions are not simply addresses in the code object */
	__u64 code_mask; /* bits of a reference to a code object that are its address */
	__u64 frame;
	__u64 cycle_frame; /* one of the frames passed; met again, they go in a circle */
	__u64 work_item;   /* what the thread works on for others (py_work.bpf.h); 0: nothing met */
	__u32 work_index;  /* its frame, counted from the newest */
	__u32 root_index;  /* of the running task's root frame, counted from the newest */
	__u32 chunk_size;
	__u32 chunk_at;     /* of the frame in the window */
	__u32 in_generator; /* the last frame read belongs to a generator */
	__u32 needs_caller; /* the last frame read was not called by native code, so it is not the oldest */
	__u64 window_at;    /* address that was read into the window */
	__u64 window_bytes; /* 0: nothing was */
	__u8 window[CS_FRAME_WINDOW];
	struct cs_py_frame root[CS_ROOT_FRAMES]; /* the oldest ones while they are put in order */

	/* a code object met; its texts are put one behind the other */
	struct cs_ev_code_seen seen;
	__u8 seen_text[CS_SEEN_TEXT];

	struct cs_ev_origin origin; /* pushed before the record if it has a task */
	__u64 origin_name_at;       /* where that has its name */
	__u64 work_future; /* on the way there: the future reached, and which of its callbacks is next */
	__u32 work_n;

	/* the active span (py_context.bpf.h) */
	struct cs_tracers
		tracers; /* copied: a search takes many steps, and a look into a table costs more than most of them */
	__u64 context;              /* of the thread, as its state had it */
	__u32 span_var, span_stage; /* where the search is; see py_span_step */
	__u64 span_at;              /* the node or object that is looked at; 0: there is none */
	__u64 met_type;             /* that stood in the way and is not known; 0: none */
	__u64 met_object;           /* of it */
	__u64 met_wake;             /* user space waits for it */
	__u64 span_root;            /* of the span at hand: the reference to it */
	__u64 span_type_at;         /* the text of the type of the span's local root */
	__u32 span_ended;
	__u64 meta_root;    /* what a propagated context says of its local root, */
	__u64 meta_type;    /* and of that one's type */
	__u32 meta_entry;   /* of those that are in the window, the next, */
	__u32 meta_entries; /* and how many; 0: there is no meta to look at */
	__u64 span_attrs[CS_OTEL_ATTR_MAX_];
	__u32 traced;         /* spans are to be read */
	__u32 span_search;    /* enum cs_span_search */
	__u32 span_class;     /* number of the class that was looked up last */
	__u32 span_gives_way; /* the span before has ended, and has no parent */
	__u32 span_next;      /* enum py_span_next: what is looked at */
	__u32 span_found;     /* it is, and what tells of it is in these: */
	__u32 span_is_root;   /* it is its own local root, as far as flags say so */
	struct cs_span_number span_numbers[CS_SPAN_NUMBERS]; /* enum py_span_number */
	__u32 span_failed;      /* something on the way could not be read */
	struct cs_ev_span span; /* pushed before the record if it has an id */
	__u64 span_resource_at; /* what the local root of the span at hand is about, an object; 0: not known */
	__u64 roots_told
		[CS_ROOTS_TOLD]; /* resources that were told not long ago: a digest of each */
	struct cs_ev_resource resource; /* pushed before the record if it has a root */

	/* attributes of a published span (published_span.bpf.h), which are in the window: the next one, where they end, who tells the root, and that */
	__u32 published_at, published_end, published_key;
	__u64 published_root;

	/* a span that begins or ends (py_span_change.bpf.h) */
	__u64 span_error_at, span_service_at; /* objects; 0: not known */
	__u32 span_bytes; /* of an object that are read before its type is known; 0: that is read first */
	__u32 span_anew; /* what was told is not believed */
	__u32 span_known; /* w->told is of the span at hand, or of the one above it: its id is to prove it */
	__u32 span_todo;                /* bits: numbers that are to be read */
	__u64 span_object, span_digest; /* the span at hand */
	__u64 span_trace_at, span_root_at, span_parent_at;
	/* the span that was active before, and goes on: perhaps the one above the one that begins; 0: none */
	__u64 above_at, above_digest, above_id, above_trace_at, above_root_at;
	struct cs_span_told told;
	__u32 span_is_server;
	__u32 span_outcome; /* enum cs_span_outcome, where the span itself says it in a number */
	__u32 span_text;    /* which of its texts is next */
	struct cs_ev_span_change change;
	/* the call that ends it (py_span_error.bpf.h): for which span, whether it was found, whose generator's it is, the status so far */
	__u64 scope_subject, scope_gen, scope_status;
	__u32 scope_found;
	__u32 scope_exception; /* the number of the local that has the exception */
	__u32 lesson_is_sure;  /* user space knows it, but may be contradicted */
	__u32 lesson;          /* enum cs_lesson: what its class is to be learned from */
	struct cs_ev_span_lesson lessons;

	/* the record; kernel frames are put right behind the last Python frame */
	struct cs_ev_stack ev;
	struct cs_py_frame frames[CS_MAX_PY_FRAMES];
	__u64 kernel[CS_MAX_KERNEL_FRAMES];
};

/* What the search for a span is for; a constant where only samples are taken. */
static __always_inline __u32 walk_span_search(const struct cs_walk *w)
{
	return CS_TELLS_CHANGES ? w->span_search : CS_SPAN_SEARCH_ACTIVE;
}

/* A word of the frame at a masked, aligned offset: user space validated it, the verifier is shown it. */
static __always_inline __u64 walk_chunk_u64(const struct cs_walk *w, __u32 offset)
{
	return *(const __u64 *)(w->window + ((w->chunk_at + offset) & (CS_FRAME_WINDOW - 8)));
}

/* Likewise of four bytes. */
static __always_inline __u32 walk_chunk_u32(const struct cs_walk *w, __u32 offset)
{
	return *(const __u32 *)(w->window + ((w->chunk_at + offset) & (CS_FRAME_WINDOW - 4)));
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

	last = walk_max(last, walk_max(off->frame_globals, off->frame_gen));
	last = walk_max(last, off->frame_tlbc_index);

	return last >= CS_FRAME_CHUNK - 8 ? CS_FRAME_CHUNK : (last + 8) & ~7u;
}

/* A word of the object's head, at a masked, aligned offset. */
static __always_inline __u64 walk_head_u64(const struct cs_walk *w, __u32 offset)
{
	return *(const __u64 *)(w->head + (offset & (CS_HEAD_CHUNK - 8)));
}

static __always_inline __u32 walk_head_u32(const struct cs_walk *w, __u32 offset)
{
	return *(const __u32 *)(w->head + (offset & (CS_HEAD_CHUNK - 4)));
}

/* Bytes of a head whose last word begins there. */
static __always_inline __u32 walk_head_size(__u32 last)
{
	return last >= CS_HEAD_CHUNK - 8 ? CS_HEAD_CHUNK : (last & ~7u) + 8;
}

static __always_inline __u32 walk_tstate_size(const struct cs_py_offsets *off)
{
	__u32 last = walk_max(walk_max(off->tstate_thread_id, off->tstate_frame),
			      walk_max(off->tstate_next, off->tstate_interp));

	last = walk_max(last, walk_max(off->tstate_context_ver, off->tstate_exc_info));
	if (off->tstate_id <= CS_TSTATE_CHUNK - 8)
		last = walk_max(last, off->tstate_id);
	return walk_max(last, off->tstate_context) + 8;
}

/* Note what is known of this process. It holds for all walks of its threads, until it is described anew. */
static __always_inline void walk_describe(struct cs_walk *w, const struct cs_proc_info *info,
					  __u32 tgid)
{
	w->off = info->off;
	w->traits = info->traits;
	w->interpreters_head = info->interpreters_head;
	w->current_tasks = info->current_tasks;
	w->gil = info->gil;
	w->types = info->types;
	w->work = info->work;
	w->tgid = tgid;
	w->met_salt =
		((__u64)tgid << 40) ^ (info->since_ns << 8); /* another program, other objects */
	w->str_head = walk_head_size(walk_max(w->off.unicode_state, w->off.unicode_length));
	w->long_head = walk_head_size(walk_max(w->off.long_tag, w->off.long_digits));
	w->code_size = cs_code_check_size(&w->off);
	w->unusual = w->traits.frame_is_object || w->traits.lasti_kind != CS_LASTI_POINTER ||
		     (w->off.code_tlbc && w->off.frame_tlbc_index);
	w->code_mask = ~(__u64)(__u16)w->traits.executable_mask;
	w->chunk_size = walk_chunk_size(&w->off);
	w->tstate_size = walk_tstate_size(&w->off);
}

/* Prepare for a thread of the process that was described; now_ns is the time, to tell how old the process is. */
static __always_inline void walk_start(struct cs_walk *w, const struct cs_proc_info *info,
				       __u64 now_ns)
{
	w->interp = 0;
	w->tstate = 0;
	w->searched = 0;
	w->entries = 0;
	w->nentries = 0;
	w->young = info->since_ns && now_ns - info->since_ns < CS_YOUNG_NS;
	w->exact = (info->flags & CS_PROC_CHECK_ALL) || w->young;
	w->to_root = 0;
	w->traced = info->flags & CS_PROC_TRACED;
	w->context = 0;
	w->exc_info = 0;
	w->frame = 0;
	w->cycle_frame = 0;
	w->root_index = CS_NO_INDEX;
	w->work_item = 0;
	w->span_search = CS_SPAN_SEARCH_ACTIVE;
	w->nseen = 0;
	w->window_at = 0;
	w->window_bytes = 0;
	w->in_generator = 0;
	w->needs_caller = 0;
}

/* Both, for a walk that has nothing in common with the last one. */
static __always_inline void walk_begin(struct cs_walk *w, const struct cs_proc_info *info,
				       __u32 tgid, __u64 now_ns)
{
	walk_describe(w, info, tgid);
	walk_start(w, info, now_ns);
	w->ncandidates = 0;
}

/* Start an empty record. */
static __always_inline void walk_record(struct cs_walk *w, enum cs_ev_kind kind, __u64 weight_ns)
{
	__builtin_memset(w->runs, 0, sizeof(w->runs));
	w->span.span.span_id = 0;
	w->resource.root_id = 0;
	w->span_failed = 0;
	w->met_type = 0;
	w->ev.hdr.kind = kind;
	w->ev.hdr.flags = 0;
	w->ev.hdr.ts_ns = 0;
	w->ev.weight_ns = weight_ns;
	w->ev.subject = 0;
	w->work_item = 0;
	w->origin.waiter.task = 0;
	w->origin_name_at = 0;
	w->ev.tstate = 0;
	w->ev.user_ip = 0;
	w->ev.nframes = 0;
	w->ev.nkernel = 0;
	w->ev.status = CS_STATUS_NOT_PYTHON;
	w->ev.gil = CS_GIL_NOT_TOLD;
	w->ev.nskipped = 0;
	w->name_at = 0;
	w->ev.running.task = 0;
	w->ev.running.coro = 0;
	w->ev.running.root_frame = 0;
	w->ev.running.name_kind = CS_NAME_NONE;
	w->ev.running.name_cut = 0;
	w->ev.running.name_bytes = 0;
}
