/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping threads from user space. */
#include "collect/sleepers.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

#include "collect/record.h"
#include "collect/walk_user.h"
#include "core/cleanup.h"
#include "proc/threads.h"

struct sleeper {
	pid_t tid;
	unsigned long long runs; /* how often it had been put on a CPU at its last stack */
	unsigned int visit; /* of its last stack, or the last visit since that found it unmoved */
	unsigned int met;   /* of the last visit that met it */
	UT_hash_handle hh;
};

struct cs_sleepers {
	pid_t pid;
	unsigned int visit;
	struct sleeper *threads;
	struct cs_tstate tstates[CS_MAX_THREADS];
};

int cs_sleepers_new(pid_t pid, struct cs_sleepers **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	(*ret)->pid = pid;
	return 0;
}

void cs_sleepers_free(struct cs_sleepers *sleepers)
{
	struct sleeper *it, *tmp;

	if (!sleepers)
		return;
	HASH_ITER (hh, sleepers->threads, it, tmp) {
		HASH_DEL(sleepers->threads, it);
		free(it);
	}
	free(sleepers);
}

static struct sleeper *sleeper_get(struct cs_sleepers *sleepers, pid_t tid)
{
	struct sleeper *it;

	HASH_FIND_INT(sleepers->threads, &tid, it);
	if (it)
		return it;
	it = calloc(1, sizeof(*it));
	if (!it)
		return NULL;
	it->tid = tid;
	HASH_ADD_INT(sleepers->threads, tid, it);
	return it;
}

static int append_same(pid_t pid, pid_t tid, uint64_t weight_ns, struct cs_buf *out)
{
	struct cs_ev_same *ev = cs_record_begin(out, CS_EV_SAME, cs_now_ns(), pid, sizeof(*ev), 0);

	if (!ev)
		return -ENOMEM;
	ev->hdr.tid = (uint32_t)tid;
	ev->hdr.flags = 1;
	ev->weight_ns = weight_ns;
	return 0;
}

/* Returns 0 or -ENOMEM; *ret_account says what became of the visit. */
static int visit_thread(struct cs_sleepers *sleepers, const struct cs_interp *interp,
			struct cs_mem *mem, const struct cs_tstate *tstate, uint64_t weight_ns,
			struct cs_buf *out, enum cs_counter *ret_account)
{
	struct sleeper *it = sleeper_get(sleepers, tstate->tid);
	struct cs_thread_rest before, after;
	size_t len = out->len;
	char comm[CS_COMM_BYTES + 1];

	if (!it)
		return -ENOMEM;
	it->met = sleepers->visit;
	cs_thread_rest(sleepers->pid, tstate->tid, &before);
	*ret_account = CS_COUNTER_WALL_RUNNING;
	if (!before.off_cpu)
		return 0;
	if (it->visit && it->runs == before.runs) {
		it->visit = sleepers->visit;
		*ret_account = CS_COUNTER_WALL_SAME;
		return append_same(sleepers->pid, tstate->tid, weight_ns, out);
	}
	cs_thread_name(sleepers->pid, tstate->tid, comm, sizeof(comm));
	if (cs_walk_thread(interp, mem, tstate, comm, cs_now_ns(), weight_ns, out))
		return -ENOMEM;
	cs_thread_rest(sleepers->pid, tstate->tid, &after);
	if (!after.off_cpu || after.runs != before.runs) {
		out->len = len;
		*ret_account = CS_COUNTER_WALL_TORN;
		return 0;
	}
	it->runs = before.runs;
	it->visit = sleepers->visit;
	*ret_account = CS_COUNTER_WALL_SAMPLES;
	return 0;
}

/* Thread ids are reused: who was not met is forgotten. */
static void forget_missing(struct cs_sleepers *sleepers)
{
	struct sleeper *it, *tmp;

	HASH_ITER (hh, sleepers->threads, it, tmp) {
		if (it->met == sleepers->visit)
			continue;
		HASH_DEL(sleepers->threads, it);
		free(it);
	}
}

int cs_sleepers_visit(struct cs_sleepers *sleepers, const struct cs_interp *interp,
		      struct cs_mem *mem, uint64_t weight_ns, struct cs_buf *out,
		      uint64_t counters[CS_COUNTER_MAX_])
{
	enum cs_counter account;
	int n, err = 0;

	sleepers->visit++;
	cs_mem_forget(mem);
	n = cs_walk_list(interp, mem, sleepers->tstates, CS_MAX_THREADS);
	for (int i = 0; !err && i < n; i++) {
		if (!sleepers->tstates[i].tid)
			continue;
		cs_mem_forget(mem);
		err = visit_thread(sleepers, interp, mem, &sleepers->tstates[i], weight_ns, out,
				   &account);
		if (err)
			break;
		counters[CS_COUNTER_WALL_THREADS]++;
		counters[account]++;
	}
	if (n >= 0)
		forget_missing(sleepers);
	return err;
}
