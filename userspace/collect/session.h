/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One capture, from attaching to the last record. The caller says when: cs_session_turn at every interval. A turn
 * refreshes the targets, visits sleeping threads and suspended tasks (wall mode), drains the ring, names what is
 * new, and appends everything to the spool.
 */
#pragma once

#include <coroscope/event.h>
#include <coroscope/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "collect/ease.h"
#include "collect/probes.h"
#include "collect/selection.h"
#include "collect/span_probes.h"
#include "collect/spool.h"
#include "whose/book.h"

struct cs_session;

/* What of asyncio is captured. */
enum cs_async {
	CS_ASYNC_ALL = 0,     /* suspended tasks are samples, too (wall mode) */
	CS_ASYNC_RUNNING = 1, /* the tree of tasks, but only what runs is a sample */
	CS_ASYNC_OFF = 2,     /* threads only: no probe, no passes */
};

struct cs_session_options {
	enum cs_capture_mode mode;
	uint64_t interval_ns; /* 1e9 / rate */
	size_t ring_bytes;
	bool all_processes;
	bool subprocesses; /* children of the processes that are added are watched too */
	bool no_idle;      /* wall mode without sleeping threads and suspended tasks */
	enum cs_async async;
	enum cs_probing span_events;     /* when spans begin and end */
	enum cs_probing task_events;     /* who creates each task */
	bool native;                     /* native frames of what runs */
	bool only_gil;                   /* only samples of threads that hold the GIL */
	bool off_wakers;                 /* CS_MODE_OFF_CPU: who ended a block, too */
	uint64_t off_min_ns, off_budget; /* CS_MODE_OFF_CPU: see struct cs_probes_options */
	struct cs_selection selection;   /* if given: every process that it chooses */
	bool no_iterator;    /* read sleeping threads from user space even if the kernel could */
	const char *command; /* the command line, for the record */
	struct cs_kubelet_options kubelet; /* url NULL: it is not asked whose pods are; borrowed */
};

/* Load the programs. Returns 0 or -errno; see cs_probes_load for *ret_log. */
int cs_session_new(const struct cs_session_options *options, struct cs_spool *spool,
		   struct cs_session **ret, char **ret_log);
void cs_session_free(struct cs_session *session); /* detaches everything; NULL is fine */
static inline void cs_session_freep(struct cs_session **session)
{
	cs_session_free(*session);
}

/* Watch a process. Returns 0, -ESRCH, -EPERM, -E2BIG or -ENOMEM; 0 too if it is watched already. */
int cs_session_add(struct cs_session *session, pid_t pid);

/*
 * Watch every Python process there is, or every process that the selection chooses; with all_processes the others are sampled
 * without being watched.
 */
int cs_session_add_all(struct cs_session *session);

/* Watch what the watched processes have begun already. */
int cs_session_add_children(struct cs_session *session);

/* Write the capture's first record and start the clocks. Returns 0 or -errno. */
int cs_session_start(struct cs_session *session);

/* One turn. Returns 0, or -errno when the spool could not be written. */
int cs_session_turn(struct cs_session *session);

/* Sleep until the next turn is due, something cannot wait for it, or a signal comes. */
void cs_session_wait(struct cs_session *session);

/* Stop the clocks, take the last records, write accounts and the end. Returns 0 or -errno of the spool. */
int cs_session_finish(struct cs_session *session, enum cs_end_reason reason);

/*
 * For a capture without an end: a period ends with the accounts so far (a CS_EV_STATS), the next begins with a CS_EV_CAPTURE. In it
 * everything is looked at so many times more seldom than the options say. Both write out all that was appended so far. Return 0 or -errno.
 */
int cs_session_end_period(struct cs_session *session);
int cs_session_begin_period(struct cs_session *session, struct cs_ease ease);

/* As cs_probes_kernel_time. */
int cs_session_kernel_time(const struct cs_session *session, struct cs_kernel_time *ret);

/* Watched processes of one kind. */
struct cs_population {
	int major, minor; /* of their interpreter; 0: none, or not known */
	enum cs_interp_state state;
	unsigned int n;
};

/* Why the kubelet did not tell of pods when it was asked last, one line of printable text; "": it did, or is not asked. Borrowed till the next turn. */
const char *cs_session_kubelet_error(const struct cs_session *session);

/* Watched processes that still live, by kind; those of any more kinds count as of the last. Returns how many kinds there are. */
#define CS_POPULATIONS 64
size_t cs_session_population(const struct cs_session *session,
			     struct cs_population ret[CS_POPULATIONS]);

/* The same, all together. */
unsigned int cs_session_alive(const struct cs_session *session);

/* Is what this process does captured, as far as it is seen? */
bool cs_session_watches(const struct cs_session *session, pid_t pid);

/* Probes that are attached where tasks are created. */
unsigned int cs_session_probes(const struct cs_session *session);

/* The accounts so far: the kernel's and the collector's. Returns 0 or -errno. */
int cs_session_counters(const struct cs_session *session, uint64_t counters[CS_COUNTER_MAX_]);
