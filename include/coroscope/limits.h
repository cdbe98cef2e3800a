/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * Every bound that both sides share, each with its reason. Loops over foreign memory stop at one of
 * these; what is cut is marked in the record, never dropped.
 */
#pragma once

/*
 * Python frames of one stack: 256 fit one per-CPU scratch of 4 KiB. Of a deeper stack the newest CS_LEAF_FRAMES and the
 * oldest (CS_MAX_PY_FRAMES - CS_LEAF_FRAMES) are kept and the middle is left out; beyond CS_MAX_DEPTH the root is not reached.
 */
#define CS_MAX_PY_FRAMES     256
#define CS_LEAF_FRAMES       192
#define CS_MAX_DEPTH         4096
/* Kernel frames of one stack: PERF_MAX_STACK_DEPTH is 127, system calls stay below 40 in practice. */
#define CS_MAX_KERNEL_FRAMES 64
/* Kernel frames of who woke a thread. Whether that was an interrupt is told by its entry at the root: packets that arrive have some 30 above it. */
#define CS_MAX_WAKER_FRAMES  40
/* Native frames of one stack; deeper ones are cut at the root and marked. */
#define CS_MAX_NATIVE_FRAMES 256
/* Pieces of code of one process, those of one file that follow each other taken as one: 8 KiB a process. */
#define CS_MAX_NATIVE_MAPS   504
/* Files with an unwind table. */
#define CS_MAX_NATIVE_FILES  4096
/* One read per thread state: its thread id and frame lie below it in every supported layout. */
#define CS_TSTATE_CHUNK      256
/* Of an interpreter frame: the furthest field used of any supported layout ends below it. */
#define CS_FRAME_CHUNK       128
/* ... of a str or an int object, before its characters and behind its first digits. */
#define CS_HEAD_CHUNK        64
/* A read costs some 50 ns however short it is: frames that lie one below the other are read so many bytes at a time. */
#define CS_FRAME_WINDOW      2048
/* One read per asyncio Task: name, coroutine and waiter of every supported layout lie below it. */
#define CS_TASK_CHUNK        192
/* Thread states of one process visited by the search in an interrupt; user space tells the others (map `tstates`). */
#define CS_MAX_TSTATES       256
/* Interpreters of one process visited by that search. */
#define CS_MAX_INTERPRETERS  64
/* Thread states of one process that user space visits. */
#define CS_MAX_THREADS       65536
/* Rows of that map, all processes together. */
#define CS_MAX_TOLD_TSTATES  65536
/* Files known to the kernel side: interpreters, and those that are none. */
#define CS_MAX_FILES         16384
/* Text of one CS_EV_CODE_SEEN: a name, a path and a line table of ordinary functions fit. */
#define CS_SEEN_NAME_BYTES   128
#define CS_SEEN_FILE_BYTES   256
#define CS_SEEN_LINES_BYTES  1024
/* Entries of asyncio's _current_tasks dict visited: one is alive per running event loop. */
#define CS_MAX_CURRENT_TASKS 32
/* Bytes of a task's name carried by a sample; longer names are cut. */
#define CS_TASK_NAME_BYTES   64
/* Bytes of a thread's name, TASK_COMM_LEN of the kernel. */
#define CS_COMM_BYTES        16
/* Processes with a row in the kernel's table. */
#define CS_MAX_PROCS         4096
/* Threads whose last stack the wall clock remembers, so that an unmoved one costs one look. */
#define CS_MAX_SLEEPERS      16384
/* Per-CPU cache of thread -> PyThreadState; direct mapped, a power of two. */
#define CS_TSTATE_CACHE      256
/* Code objects that a walk remembers having met (per CPU, direct mapped, a power of two). */
#define CS_MET_CODES         1024
/* An address that held the same code object so many times since it was met is believed to hold it; at most 255. */
#define CS_MET_SURE          128
/* Tasks of one process; above it the rest is counted as not read. */
#define CS_MAX_TASKS         (1u << 20)
/* Tasks that one pass of a capture reads, 10 to 30 ms of work; of more a random share is read, each time another one. */
#define CS_PASS_TASKS        16384
/* Coroutines of one task's await chain; deeper chains are marked [truncated]. */
#define CS_MAX_CHAIN         256
/* Reads from an executor's work item to the callback of its future: two attributes, up to three each, and a list. */
#define CS_WORK_STEPS        8
/* How tasks wait for such a future in other ways than by an await: gather, wait, shield. */
#define CS_WORK_WAYS         3
/* Callbacks looked at on the way from there to the task, and those of one future: asyncio itself puts up to two in front. */
#define CS_WORK_LOOKS        12
#define CS_WORK_CALLBACKS    3
/* Tasks that are named as waiting for one task by other ways than an await. */
#define CS_MAX_LINKS         8
/* Tasks above one another in one stitched stack; deeper chains and cycles are marked. */
#define CS_MAX_TASK_DEPTH    64
/* Largest record accepted from a raw capture: a pass of CS_MAX_TASKS addresses and its header. */
#define CS_MAX_RECORD        (1u << 24)
/* Bytes of a name, a path and a line table read from a code object. */
#define CS_MAX_NAME          1024
/* Bytes of a function's name in an ELF file: those of C++ templates are long, and a part of one cannot be demangled. */
#define CS_MAX_SYMBOL        4096
/* Bytes of a build id: 20 in practice, of SHA-1. */
#define CS_MAX_BUILD_ID      32
#define CS_MAX_PATH          4096
#define CS_MAX_LINETABLE     262144
/* Processes whose spans are read: those in which a tracer is loaded. */
#define CS_MAX_TRACED        1024
/* ContextVars of one process that tracers keep spans in. */
#define CS_MAX_TRACER_VARS   4
/* Classes of spans and contexts of one process, a power of two; the tracers that are known have six. */
#define CS_MAX_SPAN_CLASSES  16
/* Functions of tracers in which spans end, a power of two. */
#define CS_SCOPES            4
/* Words of a Rust object that are looked at, a power of two. */
#define CS_SPAN_LESSON_WORDS 64
/* Bytes of a span's type; those in use ("web", "worker", "serverless") fit. */
#define CS_SPAN_TYPE_BYTES   16
/* Bytes of a local root's resource that are told: "GET /users/{id}" and the like fit. */
#define CS_RESOURCE_BYTES    96
/* Bytes of a span's service that are told. */
#define CS_SERVICE_BYTES     32
/* Spans of which it is remembered that they were told, a power of two: what is forgotten is told again. */
#define CS_SPANS_TOLD        16384
/* Local roots of which a CPU remembers that it has told their resource, a power of two. */
#define CS_ROOTS_TOLD        64
/* Of an instance of a span's class, or of its values: the furthest field of any release that is known ends below it. */
#define CS_SPAN_CHUNK        1024
/* From what is active to the span that is told: each has ended, or leads to the next. */
#define CS_SPAN_HOPS         16
/* Of the attributes of a span that a thread publishes: the format allows 640 bytes with its head. */
#define CS_PUBLISHED_BYTES   612
/* ... and how many are looked at; those in use have four. */
#define CS_PUBLISHED_ATTRS   64
/* Levels of a Context's HAMT, five bits of 32 each, and one of keys whose hashes are equal. */
#define CS_HAMT_LEVELS       8
/* Keys of one hash that are compared. */
#define CS_HAMT_COLLISIONS   16
/* Entries of a small dict that are looked at: an OpenTelemetry Context has a few, a ddtrace Context's meta and a task some ten. */
#define CS_DICT_ENTRIES      64
