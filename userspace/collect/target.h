/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One watched process: what it is, what is attached to it, what has been told about it. A target moves forward
 * by being asked to refresh: looked at -> interpreter ready (row in the kernel's table) -> asyncio loaded
 * (creation probe attached, tasks enumerable). exec starts over.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uthash.h>

#include "collect/ease.h"
#include "collect/met.h"
#include "collect/owners.h"
#include "collect/probes.h"
#include "collect/published.h"
#include "collect/sleepers.h"
#include "collect/span_probes.h"
#include "collect/task_probe.h"
#include "collect/thread_names.h"
#include "collect/walk_user.h"
#include "core/buf.h"
#include "proc/mem.h"
#include "python/interp.h"
#include "python/tasks.h"
#include "python/tracer.h"

/* A code object whose name has been recorded. */
struct cs_code_seen {
	uint64_t code;
	uint32_t check; /* of the object that was recorded last; 0: none could be read */
	uint32_t now;   /* of what is there in this turn; 0: it cannot be read */
	uint32_t met;   /* what the sampler met there last, or what was recorded before this turn */
	bool same;      /* it was known before this turn, and is the same now */
	bool is_two;    /* in this turn the sampler met more than one object there */
	uint64_t turn_ns;  /* of the last turn that met it */
	uint64_t since_ns; /* recorded then, and not changed since */
	size_t read_at;    /* in this turn's reading, 1 + the offset of its record; 0: not read */
	struct cs_code_seen *next_wanted;
	UT_hash_handle hh;
};

struct cs_target {
	pid_t pid;
	int pidfd; /* tells its end even if the kernel's record of it was lost; -1 before Linux 5.3 */
	struct cs_interp interp;
	struct cs_asyncio asyncio;
	struct cs_tracer_list tracers;
	struct cs_mem *mem;
	struct cs_span_walk *span_walk; /* reads its tasks' spans; NULL until there is a tracer */
	struct cs_span_source span_source; /* the same, as passes know it */
	struct cs_buf
		resources; /* records of what these spans' local roots are about, of the pass at hand */
	struct cs_sleepers *sleepers; /* NULL where the kernel visits them */
	struct cs_task_probe task_probe;
	struct cs_span_probes span_probes;
	struct cs_published published;
	struct cs_code_seen *codes;
	struct cs_code_seen *wanted; /* those to be looked at in this turn */
	uint64_t reused_ns; /* when memory of its code objects was last seen to be another one's */
	bool checks_all;    /* the row says so */
	uint64_t *told;     /* thread pointers whose states the kernel side was told; owned */
	size_t ntold;
	uint64_t told_ns; /* when */
	struct cs_thread_names thread_names;
	struct cs_target_owner owner;
	uint64_t since_ns; /* when this program was first looked at */
	uint64_t known_ns; /* what is known of its interpreter is of the program that ran then */
	bool asked_for;    /* by pid, not met by chance */
	bool no_asyncio;   /* its tasks are not asked for */
	enum cs_probing span_events;
	bool fresh;            /* it began while we watched: an exec */
	unsigned int stretch;  /* how many times more seldom it is looked at than usual; 0: 1 */
	unsigned int ease;     /* of the capture, see ease.h; 0: 1 */
	bool looked_at;        /* what it is, since it began this program */
	uint64_t seen_mark;    /* see cs_asyncio_mark: at the last look */
	uint64_t modules_mark; /* when asyncio was looked for last */
	uint64_t looked_ns;    /* then */
	unsigned int
		vain; /* looks since the last that found something, or something was imported */
	uint64_t imported_ns;  /* when that mark was new */
	uint64_t tracers_mark; /* likewise, when tracers were looked for last */
	uint64_t tracers_ns;   /* then */
	struct cs_met met;
	uint64_t met_ns;        /* when a type was looked at last that they may know */
	uint64_t learned_ns;    /* when an object was that they learn from */
	bool told_tracers;      /* the kernel has the list as it is */
	uint64_t refresh_at_ns; /* 0: nothing more to find out */
	uint64_t poked_ns;      /* when it last mapped something that may matter */
	uint64_t pass_at_ns;    /* no pass over its tasks before this */
	uint64_t pass_paid_ns;  /* what passes may cost until then is used up */
	uint64_t last_pass_ns;  /* of the last accepted pass; 0: none */
	bool introduced; /* its threads' stacks have been recorded once, so that tasks have a base */
	bool told_kernel; /* the kernel has its row */
	bool exited;
	bool described; /* its CS_EV_PROCESS record is written and still true */
	/* What every turn asks of each in a crowd. */
	bool settled; /* nothing is known to be about to change: it is looked at less often */
	unsigned int passed_over; /* turns since it was looked at */
	struct cs_tasks *tasks;   /* NULL until asyncio is loaded */
	UT_hash_handle hh;
};

/* Start watching a process. Returns 0, -ESRCH, -EPERM or -ENOMEM. Nothing is attached yet. */
int cs_target_new(pid_t pid, uint64_t now_ns, struct cs_target **ret);

/* The same for a child that was forked just now: what is known of its parent holds for it. */
int cs_target_fork(const struct cs_target *parent, pid_t pid, uint64_t now_ns,
		   struct cs_target **ret);

/* Watch a process that has only just begun a program: what it is will be found out by cs_target_refresh. Returns as cs_target_new. */
int cs_target_await(pid_t pid, unsigned int ease, uint64_t now_ns, struct cs_target **ret);

/* Memory of its code objects is another one's now: every frame is to be checked for some time. */
static inline void cs_target_note_reuse(struct cs_target *target, uint64_t now_ns)
{
	target->reused_ns = now_ns;
	target->settled = false;
}

/* After it was looked at: note whether something is about to change, for which it has to be looked at in the next turn, too. */
void cs_target_settle(struct cs_target *target, uint64_t now_ns);

/* It has mapped something that may matter: find out at the next turn, or as soon as the ease has it. */
void cs_target_poke(struct cs_target *target, uint64_t now_ns);

/* A thread of an executor was met: find out at the next turn what it works for, if that is not known. */
void cs_target_meet_executor(struct cs_target *target);

/*
 * The kernel side met a thread that it did not find among the first states: tell it all of them, now and then. Returns 0
 * or -ENOMEM.
 */
int cs_target_tell_threads(struct cs_target *target, struct cs_probes *probes, uint64_t now_ns);

void cs_target_untell_threads(struct cs_target *target, struct cs_probes *probes);

/* Now and then: does its probe of new tasks cost more than it may? See cs_task_probe_check. Returns 0 or -ENOMEM. */
int cs_target_check_creations(struct cs_target *target, struct cs_probes *probes, bool count,
			      uint64_t now_ns, struct cs_buf *out);

/* Once a turn: do its spans' probes cost more than they may? */
void cs_target_check_spans(struct cs_target *target, struct cs_probes *probes, uint64_t now_ns);

/*
 * Once a turn: look whether its threads publish their spans, if that is due; tell the kernel side where, as far as that may be believed. Returns
 * whether it was looked at.
 */
bool cs_target_check_published(struct cs_target *target, struct cs_publishers *publishers,
			       struct cs_probes *probes, uint64_t now_ns);

/* Say in its row whether every frame is to be checked, if that has changed. */
void cs_target_set_checks(struct cs_target *target, struct cs_probes *probes, uint64_t now_ns);
void cs_target_free(struct cs_target *target); /* detaches; NULL is fine */
static inline void cs_target_freep(struct cs_target **target)
{
	cs_target_free(*target);
}

/*
 * Find out more, if it is time: tells the kernel and attaches what has become possible. probe_pid is the process the
 * creation probe is limited to, or -1. Returns 0 or -errno (-ESRCH: it is gone).
 */
int cs_target_refresh(struct cs_target *target, struct cs_probes *probes, pid_t probe_pid,
		      uint64_t now_ns);

/* Did it begin only just now, or map something that matters, so that an interpreter or asyncio may be ready at any moment? */
bool cs_target_young(const struct cs_target *target, uint64_t now_ns);

/*
 * On the way to a span an object was met whose type is not known. Returns whether it is now, or will be when it is met again later: what was
 * read should be read again.
 */
bool cs_target_meet_type(struct cs_target *target, struct cs_probes *probes, uint64_t type,
			 uint64_t object);

/* A span that it was shown in the midst of its beginning or its end: learn from it. */
void cs_target_learn(struct cs_target *target, struct cs_probes *probes,
		     const struct cs_ev_span_lesson *lesson);

/* The kernel side has told all of a turn: look at what it has met. Returns whether cs_target_meet_type did of any. */
bool cs_target_look_at_met(struct cs_target *target, struct cs_probes *probes);

/* A distance between looks at it, in a crowd of this size. */
static inline uint64_t cs_target_stretched(const struct cs_target *target, uint64_t ns)
{
	return ns * (target->stretch ? target->stretch : 1);
}

/* What was read of it is not needed any more in this turn: the next process is read into the same memory. */
static inline void cs_target_rest(struct cs_target *target)
{
	cs_mem_release(target->mem);
}

/* Look again at spans from which it is learned what spans look like. Returns whether there were any: then soon once more. */
bool cs_target_watch_spans(struct cs_target *target, struct cs_probes *probes);

/* Have passes read the spans of suspended tasks, if the process has a tracer. Returns 0 or -ENOMEM. */
int cs_target_use_spans(struct cs_target *target);

/* After a pass: one of its tasks' spans may be of a type that was not known. */
void cs_target_meet_strangers(struct cs_target *target, struct cs_probes *probes);

/* The process has become another program: forget everything known of it. */
void cs_target_forget(struct cs_target *target, uint64_t now_ns);

/* Has the process ended? Proof against a reused pid where there is a pidfd. */
bool cs_target_ended(const struct cs_target *target);

/* Forget which code objects have been recorded: they will be again. */
void cs_target_forget_codes(struct cs_target *target);

/* Append its CS_EV_PROCESS record. Returns 0 or -ENOMEM. */
int cs_target_describe(struct cs_target *target, uint64_t ts_ns, struct cs_buf *out);
