/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * Why a thread is off the CPU, and how its blocks are thinned out when there are too many. Ids of reasons are stored in raw captures:
 * never renumber, never reuse; append only.
 */
#pragma once

#include <coroscope/types.h>

/* X(name, id, what a stack shows): what is not certain is BLOCKED. */
#define CS_WAIT_REASON(X)               \
	X(BLOCKED, 0, "blocked")        \
	X(PREEMPTED, 1, "preempted")    \
	X(GIL, 2, "GIL")                \
	X(FUTEX, 3, "futex")            \
	X(SLEEP, 4, "sleep")            \
	X(POLL, 5, "poll")              \
	X(PIPE, 6, "pipe")              \
	X(SOCKET, 7, "socket")          \
	X(FILE, 8, "file I/O")          \
	X(IO, 9, "other I/O")           \
	X(PAGE_FAULT, 10, "page fault") \
	X(CHILD, 11, "child process")   \
	X(SIGNAL, 12, "signal")         \
	X(STOPPED, 13, "stopped")

enum cs_wait_reason {
#define X(name, id, text) CS_WAIT_REASON_##name = id,
	CS_WAIT_REASON(X)
#undef X
		CS_WAIT_REASON_MAX_,
};

/*
 * Threads are found in sets of a table: no hash is inserted into while the scheduler holds its locks. Some 65,000 threads that have
 * blocked at least once; those without room are counted.
 */
#define CS_OFF_SETS 16384
#define CS_OFF_WAYS 4

/* One thread. It keeps its place until it ends. */
struct cs_off_slot {
	__u32 tid;   /* 0: free */
	__u16 state; /* as the scheduler left it: the low bits of task_struct.__state; 0: it could have gone on running */
	__u16 before;    /* 1: blocked since before the capture */
	__u64 since_ns;  /* off the CPU from then on; 0: it runs */
	__u64 above_ns;  /* this block is shown if it lasts longer */
	__u64 stands_ns; /* ... and then stands for this much, if it is shorter */
};
CS_ASSERT_SIZE(struct cs_off_slot, 32);

struct cs_off_set {
	struct cs_off_slot slots[CS_OFF_WAYS];
};

/* How much is thinned out now; see bpf/off_rate.bpf.h. */
struct cs_off_rate {
	__u64 begun_ns;  /* of the window under way */
	__u64 kept;      /* blocks shown in it */
	__u64 excess;    /* ... in earlier ones, beyond the budget */
	__u64 stands_ns; /* what a shorter block will stand for */
};
