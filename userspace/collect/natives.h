/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The native side of processes: which code is mapped where (told to the kernel side, which unwinds by it), and which function an
 * address was in (told to the capture). A process is looked at when it maps code, or when a sample of it could not be unwound.
 */
#pragma once

#include <coroscope/event.h>
#include <stdint.h>
#include <sys/types.h>

#include "collect/unwind_files.h"
#include "core/buf.h"

struct cs_natives;

/* The descriptors are of the maps `native_files` and `native_procs`, borrowed. Returns 0 or -ENOMEM. */
int cs_natives_new(int files_fd, int procs_fd, struct cs_natives **ret);
void cs_natives_free(struct cs_natives *natives); /* NULL is fine */
static inline void cs_natives_freep(struct cs_natives **natives)
{
	cs_natives_free(*natives);
}

/* The process has mapped code: look at it at the next turn. */
void cs_natives_poke(struct cs_natives *natives, pid_t pid);

/* It has become another program, or is gone. */
void cs_natives_forget(struct cs_natives *natives, pid_t pid);

/*
 * Name the addresses in fresh records by what is known of their processes, before that changes: append CS_EV_SYMBOL and
 * CS_EV_MAPPING records to out. Returns 0 or -ENOMEM.
 */
int cs_natives_name(struct cs_natives *natives, const struct cs_buf *fresh, uint64_t now_ns,
		    struct cs_buf *out);

/*
 * Once a turn, after the names: look at who was poked, or could not be unwound. That takes some 0.5 ms a process, so of many some are left for the
 * next turn: none is begun any more when budget_ns of CPU time are used up, but one is looked at in any case. Who is left is also looked at when a
 * sample of it is named.
 */
void cs_natives_turn(struct cs_natives *natives, uint64_t now_ns, uint64_t budget_ns);

/*
 * The same before the first turn: first those that run now. For whom there is no time is taken to sleep until poked again, and comes after the others
 * in the turns. Tables are waited for, wait_ns at most; what is made later is told in the turns.
 */
void cs_natives_start(struct cs_natives *natives, uint64_t now_ns, uint64_t budget_ns,
		      uint64_t wait_ns);

/* Wait until all tables that were asked for are made, no longer than this; the next turn tells of them. */
void cs_natives_wait(struct cs_natives *natives, uint64_t wait_ns);

struct cs_unwind_stats cs_natives_stats(const struct cs_natives *natives);

/* Times that a file got no table because of a bound or the budget. */
size_t cs_natives_refused(const struct cs_natives *natives);
