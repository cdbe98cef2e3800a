/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel side knows of one process: the value of the `procs` map, keyed by tgid. User space
 * fills it after validating every number; the programs only look it up.
 */
#pragma once

#include <coroscope/limits.h>
#include <coroscope/py_offsets.h>
#include <coroscope/types.h>

enum cs_proc_flags {
	CS_PROC_PYTHON = 1 << 0,      /* offsets are valid: walk Python frames */
	CS_PROC_STALE = 1 << 1,       /* the process called exec: nothing below is true any more */
	CS_PROC_UNSUPPORTED = 1 << 2, /* a Python that is not walked */
	CS_PROC_FOLLOW = 1 << 3, /* its children get rows, and whatever it executes is looked at */
	CS_PROC_MADE_HERE =
		1 << 4, /* the kernel side made this row from `files`, or from a parent's */
	CS_PROC_CHECK_ALL =
		1
		<< 5, /* it gives code objects' memory to others: check every frame of every stack */
	CS_PROC_TRACED = 1 << 6,    /* the map `tracers` tells how to find its spans */
	CS_PROC_PUBLISHES = 1 << 7, /* its threads publish their spans: `published` tells where */
};

/*
 * Where each thread of a process has `otel_thread_ctx_v1`, in which it publishes its active span (published_span.bpf.h): as the C library lays out
 * thread-local variables.
 */
struct cs_published_at {
	__u64 at; /* from the thread pointer on (wraps), or with a module from its block on */
	__u64 generation; /* with a module: a thread's vector of blocks that is older does not know it */
	__u32 module; /* its block's place in that vector; 0: the variable is at the thread pointer */
	__u8 root_key; /* one more than the number of the attribute that tells the local root; 0: none does */
	__u8 kind;    /* enum cs_tracer_kind: who publishes */
	__u8 doubted; /* 1: it may be out of date: only counted */
	__u8 pad;
};
CS_ASSERT_SIZE(struct cs_published_at, 24);

/*
 * What asyncio's tasks are in this process. Those that are written in Python have attributes; their names are told by the address of the
 * one str that all code of the interpreter has for each.
 */
struct cs_task_types {
	__u64 in_c; /* address of the type of those of the C module; 0: not loaded */
	__u64 in_python; /* ... of those that are written in Python; 0: not known, then the rest is 0, too */
	__u64 coro_key, name_key, waiter_key;
	__u64 callbacks_key; /* of futures; where the C module is, nothing of asyncio's makes those in Python */
};

/*
 * How to get from what a worker thread of concurrent.futures works on to the task that waits for it. It is told by the classes as
 * they are in this process; where it leads is checked at its end.
 */
struct cs_work_way {
	__u64 code; /* address of the code object of a callback that completes another future; 0: none */
	__u32 cell;     /* which cell of its closure holds that */
	__u32 from_end; /* 1: counted back from behind the last one, one more than `cell` */
};

struct cs_work {
	__u64 run_code; /* address of the code object of _WorkItem.run, whose first local is the work item; 0: not known */
	__u64 chain_code;   /* ... of the callback that asyncio puts on the item's future */
	__u64 release_code; /* ... of what wait_for puts on a future, with its own as the first argument; 0: it does not (3.12+) */
	struct cs_work_way ways[CS_WORK_WAYS]; /* gather, wait, shield */
	__u32 cell; /* of that callback's closure: which of its cells holds asyncio's future */
	__u32 nsteps;
	__s32 steps
		[CS_WORK_STEPS]; /* from the item to that callback: the next address stands so many bytes from the last */
};

struct cs_proc_info {
	__u32 flags;
	__u32 generation; /* of this description: a stack taken under another one may lack what this one knows */
	__u64 mm; /* identity of the address space that it describes; 0: the kernel side has not told it */
	__u64 since_ns; /* the program began (exec, fork) while we watched; 0: before, or not known */
	__u64 interpreters_head; /* address of _PyRuntime.interpreters.head */
	__u64 current_tasks; /* address of asyncio's _current_tasks dict; 0: none, or not loaded */
	__u64 gil; /* address of the process's _gil_runtime_state; 0: each interpreter knows its own, or there is none */
	struct cs_task_types types;
	struct cs_work work;
	struct cs_published_at published;
	struct cs_py_offsets off;
	struct cs_py_traits traits;
};

/* A thread of a process: the key of the map `tstates`, whose value is the address of its PyThreadState. */
struct cs_tstate_key {
	__u32 tgid;
	__u32 pad;
	__u64 thread_pointer; /* PyThreadState.thread_id */
};
CS_ASSERT_SIZE(struct cs_tstate_key, 16);

/*
 * What is known of a file that processes execute (the value of the map `files`, by cs_file_id), so that the next process that begins it has a row with its exec, without
 * user space. row.flags without CS_PROC_PYTHON and CS_PROC_UNSUPPORTED: no interpreter in there. Addresses in row
 * (interpreters_head, gil) are the file's own.
 */
struct cs_file_info {
	__u64 size;       /* of the file when it was looked at: another size is another file */
	__u64 mtime_ns;   /* 0: not compared */
	__u64 text_vaddr; /* p_vaddr of the file's lowest executable segment */
	__u32 asks; /* 1: the interpreter is not in this file but comes with it: user space looks at each process */
	__u32 pad;
	struct cs_proc_info row;
};
