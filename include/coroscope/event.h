/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * The wire records: what the BPF programs push through the ring buffer and what a raw capture file
 * holds, in the order in which it became known. The collector appends records of its own (kinds from
 * 16 on) for what only the live machine can tell: names, tasks, symbols. A raw capture is therefore
 * all that the later stages need, on any machine and without privilege.
 *
 * Rules: little endian, every record a multiple of 8 bytes, kinds and enum values are never renumbered
 * or reused. Times are CLOCK_MONOTONIC nanoseconds. Only userspace/decode reads records from a file.
 */
#pragma once

#include <coroscope/limits.h>
#include <coroscope/off_cpu.h>
#include <coroscope/tracer.h>
#include <coroscope/types.h>
#include <coroscope/whose.h>

#define CS_RAW_MAGIC   0x0000574152534f43ull /* "COSRAW\0\0" */
#define CS_RAW_VERSION 1

struct cs_raw_file_header {
	__u64 magic;
	__u32 version;
	__u32 header_size;
};
CS_ASSERT_SIZE(struct cs_raw_file_header, 16);

enum cs_ev_kind {
	/* from BPF */
	CS_EV_STACK = 1, /* struct cs_ev_stack: one stack of one thread */
	CS_EV_SAME = 2,  /* struct cs_ev_same: the thread has not run since its last wall stack */
	CS_EV_TASK_CREATED = 3, /* struct cs_ev_stack: `subject` is being created by this stack */
	CS_EV_EXEC = 4,         /* struct cs_ev_hdr: the process has a new program */
	CS_EV_EXIT = 5,         /* struct cs_ev_hdr: the process is gone */
	CS_EV_CODE_SEEN = 6,    /* struct cs_ev_code_seen: stands before the stack that met it */
	CS_EV_FORK = 7,         /* struct cs_ev_fork: a watched process has a child */
	CS_EV_FILE = 8,         /* struct cs_ev_file: a program that nobody has looked at */
	CS_EV_ORIGIN = 9,    /* struct cs_ev_origin: stands before the stack that it belongs to */
	CS_EV_SPAN = 10,     /* struct cs_ev_span: stands before the stack that it belongs to */
	CS_EV_TYPE_MET = 11, /* struct cs_ev_type_met: for the collector */
	CS_EV_NATIVE = 12,   /* struct cs_ev_native: stands before the stack that it belongs to */
	CS_EV_WAKER = 13,    /* struct cs_ev_waker: stands before the stack that it belongs to */
	CS_EV_RESOURCE = 14, /* struct cs_ev_resource: what a local root is about, as of now */
	CS_EV_SPAN_CHANGE = 15, /* struct cs_ev_span_change: a span begins or ends */
	/* from the collector */
	CS_EV_CAPTURE = 16, /* struct cs_ev_capture: first record: how this capture was made */
	CS_EV_PROCESS = 17, /* struct cs_ev_process */
	CS_EV_CODE = 18, /* struct cs_ev_code: before the first record that uses the code object */
	CS_EV_TASK = 19, /* struct cs_ev_task: a task's state, valid until its next record */
	CS_EV_PASS = 20, /* struct cs_ev_pass: which tasks were alive at one moment */
	CS_EV_MAPPING = 21, /* struct cs_ev_mapping: a file in a process's address space */
	CS_EV_KSYM = 22,    /* struct cs_ev_ksym: the name of one kernel address */
	CS_EV_STATS = 23,   /* struct cs_ev_stats: the accounts; pid 0: of the whole capture */
	CS_EV_END = 24,     /* struct cs_ev_end: last record; without it the capture is partial */
	CS_EV_PASS_AGAIN =
		26,        /* struct cs_ev_pass_again: nothing ran since the process's last pass */
	CS_EV_SYMBOL = 28, /* struct cs_ev_symbol: the function at one address of a process */
	CS_EV_SPAN_LESSON = 29, /* struct cs_ev_span_lesson: for the collector, from BPF */
	CS_EV_THREAD = 25,      /* struct cs_ev_thread: a thread's name in Python, from here on */
	CS_EV_CREATIONS =
		41, /* struct cs_ev_hdr: from here on tasks that are created are told (flags 1) or missed (0) */
	CS_EV_WHOSE = 40, /* struct cs_ev_whose: whose the process is, in place of an earlier one */
};

struct cs_ev_hdr {
	__u32 size; /* of the whole record, header included; a multiple of 8 */
	__u16 kind;
	__u16 flags;
	__u64 ts_ns;
	__u32 pid; /* tgid as the first pid namespace counts */
	__u32 tid;
};
CS_ASSERT_SIZE(struct cs_ev_hdr, 24);

/* Low byte of the flags of CS_EV_STACK: what took it */
enum cs_stack_origin {
	CS_ORIGIN_CPU = 0,     /* the interrupted thread of a CPU tick */
	CS_ORIGIN_WALL = 1,    /* a thread off the CPU, visited by the wall clock */
	CS_ORIGIN_OFF_CPU = 2, /* a thread that was off the CPU, from when it left it on */
};

/* High byte, of CS_ORIGIN_OFF_CPU: enum cs_wait_reason, and these */
#define CS_STACK_REASON_SHIFT 8
#define CS_STACK_REASON_MASK  0x3f

enum cs_stack_flags {
	CS_STACKF_BEFORE =
		1 << 14, /* it was off the CPU when the capture began: counted from there */
	CS_STACKF_STILL = 1 << 15, /* ... when it ended: counted up to there */
};

/* One Python frame, newest first. */
struct cs_py_frame {
	__u64 code;  /* address of the PyCodeObject, or CS_CODE_STALE */
	__s32 lasti; /* bytes from the first instruction to the current one; negative: not started */
	__u32 check; /* see code_check.h; CS_CODE_NOT_CHECKED: met often */
};
CS_ASSERT_SIZE(struct cs_py_frame, 16);

enum cs_name_kind {
	CS_NAME_NONE = 0,
	CS_NAME_LATIN1 = 1, /* one byte a character (ASCII included) */
	CS_NAME_UCS2 = 2,
	CS_NAME_UCS4 = 4,
	CS_NAME_NUMBER = 8, /* __u64: the N of a default name "Task-N" that was never asked for */
};

/* The asyncio task that a thread is running, read in the same interrupt as its stack. */
struct cs_running_task {
	__u64 task; /* 0: none found */
	__u64 coro;
	__u16 root_frame; /* index into frames of the task's outermost coroutine */
	__u8 name_kind;   /* enum cs_name_kind */
	__u8 name_cut;    /* 1: the name is longer than CS_TASK_NAME_BYTES */
	__u32 name_bytes;
	__u8 name[CS_TASK_NAME_BYTES];
};
CS_ASSERT_SIZE(struct cs_running_task, 88);

/* Did the thread hold the interpreter's lock? */
enum cs_gil {
	CS_GIL_NOT_TOLD = 0, /* not asked for, or there is none */
	CS_GIL_HELD = 1,
	CS_GIL_NOT_HELD = 2,
};

/*
 * What tells apart the steps of one task, and the calls of one callback, in one thread. Every entering and leaving of a context moves
 * PyThreadState.context_ver (Python/context.c, 3.8 to 3.15), nothing else does, and every event loop runs each callback, a task's step too, in its
 * context (Handle._run; uvloop's handles likewise): unchanged, it is the same step. Code in a step may enter contexts itself: changed, it may be another one.
 * The frame that has called the task's root frame stands still during a step. Its first local is the Handle in asyncio, and the next step's
 * is made while this one lives: changed, it is another step.
 */
struct cs_step {
	__u32 context_ver; /* the low bits; 0: not told */
	__u32 caller;      /* bits 4 to 35 of that local's address; 0: not told */
};
CS_ASSERT_SIZE(struct cs_step, 8);

struct cs_ev_stack {
	struct cs_ev_hdr hdr;
	__u64 weight_ns; /* time this stack stands for */
	union {
		struct cs_step step; /* CS_EV_STACK */
		__u64 blocked_ns; /* of CS_ORIGIN_OFF_CPU: how long; weight_ns stands for others, too */
		__u64 subject; /* CS_EV_TASK_CREATED: address of the new task */
	};
	__u64 tstate; /* address of the PyThreadState, or 0 */
	union {
		__u64 user_ip;          /* CS_EV_STACK: user-space instruction pointer, or 0 */
		struct cs_step creator; /* CS_EV_TASK_CREATED: the step that creates it */
	};
	__u16 nframes;
	__u16 nkernel;
	__u8 status;    /* enum cs_status: how the walk of Python frames ended */
	__u8 gil;       /* enum cs_gil */
	__u16 nskipped; /* frames left out behind frames[CS_LEAF_FRAMES - 1], whatever the status */
	char comm[CS_COMM_BYTES];
	struct cs_running_task running;
	struct cs_py_frame frames[]; /* nframes, then __u64 kernel[nkernel], both newest first */
};
CS_ASSERT_SIZE(struct cs_ev_stack, 168);

/* For whom a worker thread works: of the stack of the same thread with the same time, which follows. */
struct cs_ev_origin {
	struct cs_ev_hdr hdr;
	/* The task that waits for what the thread works on. root_frame: as many of the stack's newest frames are the job's. */
	struct cs_running_task waiter;
};
CS_ASSERT_SIZE(struct cs_ev_origin, 112);

/* The native frames of the stack of the same thread with the same time, which follows. */
struct cs_ev_native {
	struct cs_ev_hdr hdr;
	__u16 n;
	__u8 status; /* enum cs_status: how the walk ended */
	__u8 pad[5];
	/*
	 * Of the stack's Python frames, as they are in it: bit i of word i / 64 says that native code called frames[i], so
	 * that it begins a run of the interpreter's loop, and the frame behind it another one.
	 */
	__u64 entries[CS_MAX_PY_FRAMES / 64];
	/* Newest first: where each frame executes; of a caller, within its call. */
	__u64 addresses[];
};
CS_ASSERT_SIZE(struct cs_ev_native, 64);

/* The span that was active in the stack of the same thread with the same time, which follows. */
struct cs_ev_span {
	struct cs_ev_hdr hdr;
	struct cs_active_span span;
};
CS_ASSERT_SIZE(struct cs_ev_span, 88);

/*
 * The resource of a local root that answers requests ("GET /users"): of one of ddtrace's whose type is "web", the name of one of OpenTelemetry's of
 * the kind SERVER. Told again when it has changed, and from time to time: the last one holds.
 */
struct cs_ev_resource {
	struct cs_ev_hdr hdr;
	__u64 root_id, trace_lo;
	__u16 bytes; /* of the text, Latin-1 */
	__u16 cut;   /* 1: it is longer */
	__u32 pad;
	char text[CS_RESOURCE_BYTES];
};
CS_ASSERT_SIZE(struct cs_ev_resource, 144);

enum cs_span_change {
	CS_SPAN_BEGUN =
		1, /* it became active for the first time, or has been told so long ago that this was forgotten */
	CS_SPAN_ENDED = 2,
	CS_SPAN_LEFT = 3, /* it is not active any more, which is when it mostly ends */
};

enum cs_span_outcome { CS_SPAN_NOT_TOLD = 0, CS_SPAN_OK = 1, CS_SPAN_ERROR = 2 };

enum cs_span_change_flags {
	CS_SPAN_RESOURCE_CUT = 1 << 0,
	CS_SPAN_SERVICE_CUT = 1 << 1,
	CS_SPAN_SERVER = 1 << 2, /* OpenTelemetry: its kind is SERVER */
};

/*
 * A tracer's ContextVar was set: of the span that is active from now on, or was until now. In the thread that set it. Its type is told where it is its own local
 * root; its service, of one of ddtrace's that is none, when it has ended.
 */
struct cs_ev_span_change {
	struct cs_ev_hdr hdr; /* flags: enum cs_span_change */
	struct cs_active_span span;
	__u64 duration_ns; /* CS_SPAN_ENDED; 0: not known */
	__u64 start_ns; /* CS_SPAN_BEGUN, CLOCK_REALTIME: when it began, as it says itself; 0: not known */
	__u8 outcome; /* enum cs_span_outcome; not of CS_SPAN_BEGUN */
	__u8 flags;   /* enum cs_span_change_flags */
	__u8 resource_bytes, service_bytes;
	__u32 pad;
	char resource[CS_RESOURCE_BYTES]; /* Latin-1, as the type */
	char service[CS_SERVICE_BYTES];
};
CS_ASSERT_SIZE(struct cs_ev_span_change, 240);

/* On the way to a span an object was met whose type the map `tracers` does not know. */
struct cs_ev_type_met {
	struct cs_ev_hdr hdr;
	__u64 type;
	__u64 object; /* the instance: it may be gone when this is read */
};
CS_ASSERT_SIZE(struct cs_ev_type_met, 40);

enum cs_lesson {
	CS_LESSON_NONE = 0,
	CS_LESSON_BEGUN = 1,  /* the span is only just made */
	CS_LESSON_ENDED = 2,  /* it has ended, whichever way */
	CS_LESSON_FAILED = 3, /* ... by an exception, which it was told of */
};

/* A Rust object as it was when its thread made it active, or ended it: read in the midst of that. Is in no file. */
struct cs_ev_span_lesson {
	struct cs_ev_hdr hdr; /* flags: enum cs_lesson */
	__u64 type;
	__u64 object;
	__u64 nwords;
	__u64 words[CS_SPAN_LESSON_WORDS];
};
CS_ASSERT_SIZE(struct cs_ev_span_lesson, 48 + 8 * CS_SPAN_LESSON_WORDS);

enum cs_waker_kind {
	CS_WAKER_NOT_TOLD = 0, /* whether it was an interrupt is not known */
	CS_WAKER_THREAD = 1,
	CS_WAKER_INTERRUPT =
		2, /* of a device or a timer: the thread named is only the one that it interrupted */
};

/* Who ended the block whose stack of the same thread with the same time follows. */
struct cs_ev_waker {
	struct cs_ev_hdr hdr; /* flags: enum cs_waker_kind */
	__u32 by_pid, by_tid;
	char comm[CS_COMM_BYTES];
	__u32 n;
	__u32 pad;
	__u64 kernel[]; /* newest first */
};
CS_ASSERT_SIZE(struct cs_ev_waker, 56);

/* Visits that found a thread as its last wall stack says; the time is the last one's. */
struct cs_ev_same {
	struct cs_ev_hdr hdr; /* flags: how many visits */
	__u64 weight_ns;      /* of all of them */
};
CS_ASSERT_SIZE(struct cs_ev_same, 32);

/*
 * A code object as the sampler met it: captured in the interrupt, because a short-lived process is gone when names are
 * read, and so is a short-lived code object. Texts are in their storage kind (enum cs_name_kind). What did not fit is
 * cut; what could not be read is empty (its kind is CS_NAME_NONE), and asked for later if the process still lives.
 */
struct cs_ev_code_seen {
	struct cs_ev_hdr hdr;
	__u64 code;
	__u32 check; /* see code_check.h */
	__u32 firstlineno;
	__u32 name_chars, file_chars; /* whole lengths in characters; the text holds what fits */
	__u32 linetable_len;          /* whole length in bytes */
	__u16 name_bytes, file_bytes; /* in text */
	__u16 linetable_bytes;
	__u8 name_kind, file_kind;
	__u32 pad;
	char text
		[]; /* name (co_qualname, else co_name), file, line table; each from a multiple of 8 */
};
CS_ASSERT_SIZE(struct cs_ev_code_seen, 64);

/* hdr.pid is the parent. The child has a copy of the parent's row from here on. */
struct cs_ev_fork {
	struct cs_ev_hdr hdr;
	__u32 child;
	__u32 pad;
};
CS_ASSERT_SIZE(struct cs_ev_fork, 32);

/* A watched process begins a program whose file the map `files` does not know, or not well enough. */
struct cs_ev_file {
	struct cs_ev_hdr hdr;
	struct cs_file_id id;
};
CS_ASSERT_SIZE(struct cs_ev_file, 40);

enum cs_capture_mode { CS_MODE_CPU = 0, CS_MODE_WALL = 1, CS_MODE_OFF_CPU = 2 };

struct cs_ev_capture {
	struct cs_ev_hdr hdr;
	__u64 realtime_ns; /* CLOCK_REALTIME at hdr.ts_ns */
	__u64 interval_ns; /* of one tick as requested; CS_MODE_OFF_CPU: what text formats count in */
	__u32 mode;        /* enum cs_capture_mode */
	__u32 ncpu;
	__u16 host_len;
	__u16 command_len;
	__u32 pad;
	char text[]; /* host, command; not terminated */
};
CS_ASSERT_SIZE(struct cs_ev_capture, 56);

struct cs_ev_process {
	struct cs_ev_hdr hdr;
	__u8 py_major, py_minor, py_micro; /* 0.0.0: not Python or not known */
	__u8 status;                       /* enum cs_status: COMPLETE, NOT_PYTHON, UNSUPPORTED */
	__u16 comm_len;
	__u16 cmdline_len; /* arguments joined by blanks */
	__u16 note_len;    /* what a user should know, e.g. "Python 3.9 is not supported yet" */
	__u16 pad[3];
	char text[]; /* comm, cmdline, note */
};
CS_ASSERT_SIZE(struct cs_ev_process, 40);

/* Of the program that the process runs: it holds for what was sampled of it before, and not after an exec. */
struct cs_ev_whose {
	struct cs_ev_hdr hdr;
	__u32 nfacts;
	__u32 pad;
	/* nfacts times a struct cs_ev_fact and its text (UTF-8), without padding */
	char facts[];
};
CS_ASSERT_SIZE(struct cs_ev_whose, 32);

struct cs_ev_fact {
	__u16 fact; /* enum cs_fact */
	__u16 len;
};
CS_ASSERT_SIZE(struct cs_ev_fact, 4);

enum cs_code_flags {
	CS_CODE_UNREADABLE = 1 << 0, /* no name could be read: show [unreadable] */
	CS_CODE_ASYNCIO = 1 << 1,    /* part of the asyncio package itself */
	CS_CODE_LOOP = 1 << 2,       /* a function that runs an event loop: tasks hang above it */
	CS_CODE_SHIM = 1 << 4, /* the interpreter's own, no function of the program: not shown */
	CS_CODE_LINES_CUT =
		1 << 5, /* the line table is not whole: what lies beyond it has no line */
};

struct cs_ev_code {
	struct cs_ev_hdr hdr; /* flags: enum cs_code_flags */
	__u64 code;
	__u32 firstlineno;
	__u32 linetable_len;
	__u16 name_len;       /* co_qualname, UTF-8 */
	__u16 file_len;       /* co_filename, UTF-8 */
	__u32 linetable_kind; /* enum cs_py_linetable */
	__u32 check;          /* see code_check.h */
	__u32 pad;
	char text[]; /* name, file, line table */
};
CS_ASSERT_SIZE(struct cs_ev_code, 56);

enum cs_task_state {
	CS_TASK_CREATED = 1, /* its coroutine has not started */
	CS_TASK_WAITING = 2, /* suspended on a future */
	CS_TASK_READY = 3,   /* suspended, and scheduled to run */
	CS_TASK_RUNNING = 4, /* its coroutine was executing: its stack is the thread's */
	CS_TASK_DONE = 5,    /* its coroutine has ended */
	CS_TASK_UNREADABLE = 6,
};

enum cs_task_flags {
	CS_TASKF_CHAIN_CUT = 1 << 0,        /* the await chain is deeper than CS_MAX_CHAIN */
	CS_TASKF_CHAIN_UNREADABLE = 1 << 1, /* the chain ends in memory that could not be read */
	CS_TASKF_WAITERS_CUT = 1 << 2,      /* others than those of its links may wait for it */
	CS_TASKF_SPAN = 1 << 3,  /* the record has the span that is active in its context */
	CS_TASKF_MOVED = 1 << 4, /* it changed while it was read: what it did is not known */
};

/* How one task waits for another. */
enum cs_wait_how {
	CS_WAIT_AWAIT = 1, /* directly: it tells by its own `waiter`, in no link */
	CS_WAIT_GATHER = 2,
	CS_WAIT_WAIT = 3,
	CS_WAIT_WAIT_FOR = 4, /* up to 3.11; later ones await directly */
	CS_WAIT_AS_COMPLETED = 5,
	CS_WAIT_SHIELD = 6,
	CS_WAIT_TASK_GROUP = 7,
	CS_WAIT_THREADSAFE = 8, /* from another loop: run_coroutine_threadsafe, wrap_future */
	CS_WAIT_OTHER = 9,
};

enum cs_link_flags {
	CS_LINKF_PROBABLE =
		1
		<< 0, /* the way led through code that is not asyncio's: it may mean something else */
};

/* A task that waits for this one, which it does not await directly. */
struct cs_task_link {
	__u64 waiter; /* address of that task */
	__u8 how;     /* enum cs_wait_how */
	__u8 flags;   /* enum cs_link_flags */
	__u8 pad[6];
};
CS_ASSERT_SIZE(struct cs_task_link, 16);

struct cs_ev_task {
	struct cs_ev_hdr hdr; /* flags: enum cs_task_flags; tid: of its loop's thread, 0 unknown */
	__u64 task;
	__u64 coro;
	__u64 waiter; /* task_fut_waiter: the future or task it is suspended on, or 0 */
	__u64 loop;
	__u32 state; /* enum cs_task_state */
	__u16 name_len;
	__u16 leaf_len; /* type name of what the innermost coroutine awaits, or 0 */
	__u32 nframes;
	__u32 nlinks;
	/*
	 * frames[nframes], outermost coroutine first; struct cs_task_link[nlinks]; struct cs_active_span if the flags say so; name and
	 * leaf type in UTF-8
	 */
	struct cs_py_frame frames[];
};
CS_ASSERT_SIZE(struct cs_ev_task, 72);

enum cs_coherence {
	CS_COHERENT_QUIET = 1,    /* the loop's thread was asleep throughout: one true instant */
	CS_COHERENT_PER_TASK = 2, /* each task was read twice and had not changed */
	CS_COHERENT_IN_TASK = 3,  /* the loop's thread itself copied it: one true instant */
};

struct cs_ev_pass {
	struct cs_ev_hdr hdr; /* flags: us that the loop's thread stood still for it */
	__u64 weight_ns;      /* time that each suspended task of this pass stands for */
	__u32 ntasks;
	__u32 ndropped;  /* tasks that changed or could not be read */
	__u32 coherence; /* enum cs_coherence */
	/*
	 * One task of so many was read, at random: each stands for so many, and those that are not listed are as they were last known.
	 * What has finished among these has a CS_EV_TASK record that says so. 0 (older captures) and 1: all were read.
	 */
	__u32 every;
	__u64 tasks[]; /* addresses; each has had a CS_EV_TASK record */
};
CS_ASSERT_SIZE(struct cs_ev_pass, 48);

/* The last pass of the process once more: all of it still holds. */
struct cs_ev_pass_again {
	struct cs_ev_hdr hdr;
	__u64 weight_ns;
};
CS_ASSERT_SIZE(struct cs_ev_pass_again, 32);

/* hdr.tid is the thread. */
struct cs_ev_thread {
	struct cs_ev_hdr hdr;
	__u16 name_len;
	__u16 pad[3];
	char text[]; /* the name, UTF-8 */
};
CS_ASSERT_SIZE(struct cs_ev_thread, 32);

struct cs_ev_mapping {
	struct cs_ev_hdr hdr;
	__u64 start, end, offset;
	__u32 path_len;
	__u32 build_id_len; /* 0: none, or not known */
	/* Behind it the build id, and if there is one, __u64: the address that `start` has in the file's own address space. */
	char path[];
};
CS_ASSERT_SIZE(struct cs_ev_mapping, 56);

struct cs_ev_ksym {
	struct cs_ev_hdr hdr;
	__u64 addr; /* as it occurs in a kernel stack */
	__u32 name_len;
	__u32 pad;
	char name[];
};
CS_ASSERT_SIZE(struct cs_ev_ksym, 40);

/* hdr.pid is the process. Holds until the next one for the address, or until it execs. Without a name there is none. */
enum cs_symbol_flags {
	CS_SYMBOL_EVAL = 1 << 0,        /* the loop that runs Python frames */
	CS_SYMBOL_INTERPRETER = 1 << 1, /* in the interpreter's file */
	CS_SYMBOL_LIBC = 1 << 2,        /* in the C library, where programs and threads begin */
};

struct cs_ev_symbol {
	struct cs_ev_hdr hdr; /* flags: enum cs_symbol_flags */
	__u64 addr;           /* as it occurs in a native stack */
	__u32 name_len;
	__u32 pad;
	char name[];
};
CS_ASSERT_SIZE(struct cs_ev_symbol, 40);

struct cs_ev_stats {
	struct cs_ev_hdr hdr;
	__u32 n;
	__u32 pad;
	__u64 counters[]; /* indexed by enum cs_counter */
};
CS_ASSERT_SIZE(struct cs_ev_stats, 32);

enum cs_end_reason {
	CS_END_DURATION = 0,
	CS_END_INTERRUPTED = 1, /* Ctrl-C */
	CS_END_TARGETS_GONE = 2,
	CS_END_SPOOL_FULL = 3,
};

struct cs_ev_end {
	struct cs_ev_hdr hdr;
	__u32 reason; /* enum cs_end_reason */
	__u32 pad;
};
CS_ASSERT_SIZE(struct cs_ev_end, 32);
