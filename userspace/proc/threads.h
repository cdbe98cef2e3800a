/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of a process, by the ids that they know themselves. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Fill ids with what gettid() returns in each thread: its id in the innermost pid namespace, which in a
 * container is not the one we see. 0 where the thread ended meanwhile. Returns how many, at most max; 0 if
 * there is no such process. Source: NSpid in proc_pid_status(5), Linux 4.1 and later.
 */
size_t cs_threads_list(pid_t pid, uint64_t *ids, size_t max);

/*
 * The thread of the process that gettid() calls `inner` inside, as we see it from here. Returns its id, or 0 if there is
 * none. The same number outside containers, where it costs one look at the process.
 */
pid_t cs_thread_outer(pid_t pid, uint64_t inner);

/* The other way round: what a thread is called inside. Returns 0 if it cannot be told. */
uint64_t cs_thread_inner(pid_t pid, uint32_t tid);

/* Does the process count its threads in a pid namespace below ours? */
bool cs_threads_nested(pid_t pid);

/* Is a thread at rest? Two of these around a reading tell whether it ran in between. */
struct cs_thread_rest {
	bool off_cpu;            /* neither running nor about to */
	unsigned long long runs; /* how often it has been put on a CPU; 0 if it cannot be told */
};

/* Source: proc_pid_stat(5), and /proc/PID/schedstat of the kernel's Documentation/scheduler/sched-stats.rst. */
void cs_thread_rest(pid_t pid, pid_t tid, struct cs_thread_rest *ret);

/* The thread's name without the newline; "" if it is gone. */
void cs_thread_name(pid_t pid, pid_t tid, char *dst, size_t size);
