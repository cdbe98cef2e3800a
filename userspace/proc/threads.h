/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of a process, by the ids that they know themselves. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Fill ids with what gettid() returns in each thread: its id in the innermost pid namespace, which in a
 * container is not the one we see. 0 where the thread ended meanwhile. Returns how many, at most max; 0 if
 * there is no such process. Source: NSpid in proc_pid_status(5), Linux 4.1 and later.
 */
size_t cs_threads_list(pid_t pid, uint64_t *ids, size_t max);
