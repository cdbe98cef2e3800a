/* SPDX-License-Identifier: Apache-2.0 */
/* Names that programs give their threads. */
#include "collect/thread_names.h"

#include <coroscope/event.h>
#include <coroscope/limits.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include "collect/record.h"
#include "collect/target.h"
#include "core/cleanup.h"
#include "proc/threads.h"
#include "python/threads.h"

#define MS         1000000ull
/* Between two readings: while somebody has no name yet (a thread may run before it is listed), and else. */
#define SOON_NS    (50 * MS)
#define LATER_NS   (2000 * MS)
/* A reading may take this part of the time. */
#define SHARE      100
/* A thread that was not met for so long is forgotten. */
#define GONE_NS    (10000 * MS)
/* Readings in which a thread without a name is looked for: it may be none of Python's. */
#define TRIES      4
/* In a reading: thread states' ids that are asked for, where several claim to be the same thread. */
#define MAX_DOUBTS 64

struct cs_thread_name {
	uint32_t tid;
	unsigned int tries; /* left */
	uint64_t inner;     /* its id inside the process's pid namespace; 0: not known yet */
	uint64_t met_ns;
	char name[sizeof(((struct cs_py_thread *)0)->name)];
	struct cs_py_thread
		claim; /* in this reading: who says to be this thread; native 0: nobody yet */
	UT_hash_handle hh;
};

struct reading {
	struct cs_target *target;
	bool nested; /* the process counts its threads in a pid namespace of its own */
	uint64_t now_ns;
	struct cs_buf *out;
	unsigned int doubts; /* that may still be looked into */
};

void cs_thread_names_clear(struct cs_thread_names *names)
{
	struct cs_thread_name *it, *tmp;

	HASH_ITER (hh, names->threads, it, tmp) {
		HASH_DEL(names->threads, it);
		free(it);
	}
	*names = (struct cs_thread_names){0};
}

/* Returns 0 or -ENOMEM. */
static int meet(struct cs_thread_names *names, uint32_t tid, uint64_t now_ns)
{
	struct cs_thread_name *it;

	HASH_FIND(hh, names->threads, &tid, sizeof(tid), it);
	if (!it) {
		if (HASH_COUNT(names->threads) >= CS_MAX_THREADS)
			return 0;
		it = calloc(1, sizeof(*it));
		if (!it)
			return -ENOMEM;
		it->tid = tid;
		it->tries = TRIES;
		HASH_ADD(hh, names->threads, tid, sizeof(it->tid), it);
		names->next_ns = names->rested_ns;
	}
	/* it may be another thread by now, and readers have forgotten what this number was called */
	if (it->met_ns && now_ns - it->met_ns > GONE_NS) {
		*it->name = '\0';
		it->inner = 0;
		it->tries = TRIES;
		names->next_ns = names->rested_ns;
	}
	it->met_ns = now_ns;
	return 0;
}

static int record_name(struct reading *reading, struct cs_thread_name *it, const char *name)
{
	size_t len = strlen(name);
	struct cs_ev_thread *ev;

	it->tries = 0;
	if (!strcmp(it->name, name))
		return 0;
	memcpy(it->name, name, len + 1);
	ev = cs_record_begin(reading->out, CS_EV_THREAD, reading->now_ns, reading->target->pid,
			     sizeof(*ev), len);
	if (!ev)
		return -ENOMEM;
	ev->hdr.tid = it->tid;
	ev->name_len = (uint16_t)len;
	memcpy(ev->text, name, len);
	return 0;
}

static int is_its_ident(void *arg, uint64_t thread_id, uint64_t tstate)
{
	(void)tstate;
	return *(const uint64_t *)arg == thread_id;
}

/* Is there a thread's state with this ident? False also where too many are asked for. */
static bool has_state(struct reading *reading, const struct cs_pyobj_ctx *ctx, uint64_t ident)
{
	if (!reading->doubts)
		return false;
	reading->doubts--;
	return cs_py_tstates_each(ctx, is_its_ident, &ident) == 1;
}

/*
 * gevent's Threads are greenlets, and all that run in one thread say that they are it: the first of them is the thread's own. But one that was not made in
 * Python stays listed when it has ended, and its number may be another's by now, which has a state.
 */
static void claim(struct reading *reading, struct cs_thread_name *it,
		  const struct cs_py_thread *thread)
{
	const struct cs_pyobj_ctx ctx = {&reading->target->interp, reading->target->mem};

	if (!it->claim.native ||
	    (!has_state(reading, &ctx, it->claim.ident) && has_state(reading, &ctx, thread->ident)))
		it->claim = *thread;
}

static int find_thread(void *arg, const struct cs_py_thread *thread)
{
	struct reading *reading = arg;
	struct cs_thread_name *it;
	uint32_t tid = (uint32_t)thread->native;

	if (!*thread->name || !thread->native)
		return 0;
	if (!reading->nested) {
		HASH_FIND(hh, reading->target->thread_names.threads, &tid, sizeof(tid), it);
		if (it)
			claim(reading, it, thread);
		return 0;
	}
	for (it = reading->target->thread_names.threads; it; it = it->hh.next)
		if (it->inner == thread->native)
			claim(reading, it, thread);
	return 0;
}

/* After a reading: who is called what. Returns 0 or -ENOMEM. */
static int record_claims(struct reading *reading)
{
	struct cs_thread_name *it;
	int err = 0;

	for (it = reading->target->thread_names.threads; it; it = it->hh.next) {
		if (it->claim.native && !err)
			err = record_name(reading, it, it->claim.name);
		it->claim.native = 0;
	}
	return err;
}

/* Before a reading: who is gone, and who is called what inside a pid namespace. */
static void prepare(struct cs_target *target, bool nested, uint64_t now_ns)
{
	struct cs_thread_names *names = &target->thread_names;
	struct cs_thread_name *it, *tmp;

	HASH_ITER (hh, names->threads, it, tmp) {
		if (now_ns - it->met_ns > GONE_NS) {
			HASH_DEL(names->threads, it);
			free(it);
		} else if (nested && !it->inner) {
			it->inner = cs_thread_inner(target->pid, it->tid);
		}
	}
}

/* Read the names of one process. Returns 0 or -ENOMEM. */
static int read_names(struct cs_target *target, uint64_t now_ns, struct cs_buf *out)
{
	const struct cs_pyobj_ctx ctx = {&target->interp, target->mem};
	struct reading reading = {target, cs_threads_nested(target->pid), now_ns, out, MAX_DOUBTS};
	struct cs_thread_names *names = &target->thread_names;
	bool missing = false;
	int err;

	prepare(target, reading.nested, now_ns);
	cs_mem_forget(target->mem);
	cs_py_threads_each(&ctx, find_thread, &reading);
	err = record_claims(&reading);
	for (struct cs_thread_name *it = names->threads; it; it = it->hh.next) {
		it->tries -= !!it->tries;
		missing = missing || it->tries;
	}
	cs_target_rest(target);
	names->rested_ns = now_ns + (cs_now_ns() - now_ns) * SHARE * MAX(target->ease, 1);
	names->next_ns = now_ns + (missing ? cs_ease_known(target->ease, SOON_NS)
					   : cs_target_stretched(target, LATER_NS));
	return err;
}

static bool is_due(const struct cs_thread_names *names, uint64_t now_ns)
{
	return now_ns >= names->next_ns && now_ns >= names->rested_ns;
}

int cs_thread_names_for(struct cs_target *targets, const struct cs_buf *fresh, uint64_t now_ns,
			struct cs_buf *out)
{
	struct cs_target *target;
	int err = 0;

	for (size_t at = 0; !err && at < fresh->len;) {
		const struct cs_ev_hdr *hdr = (const void *)(fresh->data + at);
		pid_t pid = (pid_t)hdr->pid;

		at += hdr->size;
		if (hdr->kind != CS_EV_STACK && hdr->kind != CS_EV_SAME)
			continue;
		HASH_FIND_INT(targets, &pid, target);
		if (!target || target->interp.state != CS_INTERP_READY)
			continue;
		err = meet(&target->thread_names, hdr->tid, now_ns);
		if (!err && is_due(&target->thread_names, now_ns))
			err = read_names(target, now_ns, out);
	}
	return err;
}
