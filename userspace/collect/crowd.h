/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watched processes: who is there at the start, who comes by exec, fork or a late mapping, who goes. The kernel side
 * tells by records that the session hands on; nothing is polled but a look every quarter second for records that were lost. With ease
 * (ease.h) all of this is later.
 */
#pragma once

#include <coroscope/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "collect/files.h"
#include "collect/mapped.h"
#include "collect/names.h"
#include "collect/natives.h"
#include "collect/probes.h"
#include "collect/selection.h"
#include "collect/target.h"
#include "core/buf.h"

struct cs_crowd {
	struct cs_probes *probes;         /* borrowed */
	struct cs_names *names;           /* borrowed */
	struct cs_natives *natives;       /* borrowed; NULL: native frames are not asked for */
	struct cs_files *files;           /* owned */
	struct cs_publishers *publishers; /* owned */
	struct cs_mem_pool *pool;         /* for what is read of them; owned */
	struct cs_mapped *mapped;         /* owned; NULL if the kernel does not tell */
	struct cs_target *targets;        /* owned; a uthash table by pid */
	bool all_processes, subprocesses;
	bool no_asyncio; /* tasks are not asked for */
	enum cs_probing span_events, task_events;
	struct cs_selection selection;
	struct cs_buf
		ahead; /* records that must stand before this turn's: who came, accounts of who went */
	bool poked;    /* the last hearing told something that matters */
	bool met;      /* of some, tracers' objects were met in this turn */
	bool watches;      /* some have spans that are watched */
	unsigned int ease; /* of what is asleep, see ease.h; 0: 1 */
	uint64_t checked_ns;
	uint64_t creations, creations_ns; /* of all processes, when that was looked at last */
};

/* probes and names are borrowed. Returns 0 or -ENOMEM. */
int cs_crowd_init(struct cs_crowd *crowd, struct cs_probes *probes, struct cs_names *names);
void cs_crowd_clear(struct cs_crowd *crowd); /* detaches everything */

/* Are processes met that nobody named? */
static inline bool cs_crowd_discovers(const struct cs_crowd *crowd)
{
	return crowd->all_processes || cs_selection_given(&crowd->selection);
}

/* The target, or NULL; lives until the next call that is not const. */
struct cs_target *cs_crowd_find(const struct cs_crowd *crowd, pid_t pid);

/* Watch a process. Returns 0 (also if it is watched already), -ESRCH, -EPERM, -E2BIG or -ENOMEM. */
int cs_crowd_add(struct cs_crowd *crowd, pid_t pid);

/* Watch every Python process there is, or every process that the selection chooses. Returns 0 or -errno. */
int cs_crowd_add_all(struct cs_crowd *crowd);

/* Watch what the watched processes have begun already. Returns 0 or -errno. */
int cs_crowd_add_children(struct cs_crowd *crowd);

/* From now on what is mapped late is noticed. */
void cs_crowd_watch_mappings(struct cs_crowd *crowd);

/* What was mapped since the last time. Returns true if some of it matters: a turn should not wait. */
bool cs_crowd_hear(struct cs_crowd *crowd);

/* After a turn's records: look at what of tracers' objects was met in it. */
void cs_crowd_look_at_met(struct cs_crowd *crowd);

/* Look again at spans that processes' tracers are learned from. Returns whether there were any: then soon once more. */
bool cs_crowd_watch_spans(struct cs_crowd *crowd);

/* Once a turn: find out more about everybody, describe who is new. Returns 0 or -ENOMEM. */
int cs_crowd_refresh(struct cs_crowd *crowd);

/*
 * What a record means for who is watched. An exec of a watched process makes it another program: what was sampled before
 * must have been written. Returns 0 or -ENOMEM.
 */
int cs_crowd_heed(struct cs_crowd *crowd, const struct cs_ev_hdr *record);

/* Processes that nobody looked at yet show up in fresh records. Returns 0 or -ENOMEM. */
int cs_crowd_meet(struct cs_crowd *crowd, const struct cs_buf *fresh);

/* Whoever ended is written off with its accounts; its row and its probe go. Returns 0 or -ENOMEM. */
int cs_crowd_bury(struct cs_crowd *crowd);

/* Is somebody expected to load an interpreter or asyncio at any moment? */
bool cs_crowd_in_a_hurry(const struct cs_crowd *crowd, uint64_t now_ns);
