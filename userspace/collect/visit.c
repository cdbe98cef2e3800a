/* SPDX-License-Identifier: Apache-2.0 */
/* One turn's look at what does not run. */
#include "collect/visit.h"

#include <errno.h>
#include <sys/param.h>

#include "collect/record.h"
#include "collect/sleepers.h"
#include "collect/walk_user.h"
#include "proc/threads.h"
#include "python/tasks.h"

#define MS            1000000ull
/* How long visits to a thread that does not run are held. */
#define HOLD_NS       (1000 * MS)
/* How long one turn may wait, all processes together, for event loops to be asleep. */
#define WAIT_NS       (2 * MS)
/* ... and for copies of those that never are. */
#define INSTANTS_NS   (2 * MS)
/* Copies of one process in one turn: each holds its loop. */
#define COPY_TRIES    3
/* A pass over tasks that took d is not repeated before 50 d: 2% of a CPU for a process ... */
#define PASS_BUDGET   50
/* ... and 4% for all processes together: with n of them not before 25 n d. */
#define PASS_SHARE    25
/* What is not used up of that is kept for so long: as many tasks begin, the pass that meets them is followed by one that knows what they wait for. */
#define PASS_AHEAD_NS (250 * MS)
/* ... with ease less, down to this: what is passed over once a minute is not known any more. */
#define MAX_EASE      64

static bool walkable(const struct cs_target *target)
{
	return target->interp.state == CS_INTERP_READY && !target->exited;
}

/* A process whose threads the iterator visits one by one; that of 5.18 to 6.0 cannot be had so (commit f0d74c4da1f0). */
static bool visit_of_one(struct cs_visit *visit, const struct cs_target *target, uint64_t weight_ns)
{
	return cs_probes_has_wall(visit->probes) &&
	       !cs_probes_visit_sleepers(visit->probes, target->pid, weight_ns, HOLD_NS);
}

/* What the iterator does, from user space. */
static int visit_from_here(struct cs_visit *visit, struct cs_target *target, uint64_t weight_ns,
			   struct cs_buf *out)
{
	int err = target->sleepers ? 0 : cs_sleepers_new(target->pid, &target->sleepers);

	return err ? err
		   : cs_sleepers_visit(target->sleepers, &target->interp, target->mem, weight_ns,
				       out, visit->counters);
}

int cs_visit_threads(struct cs_visit *visit, struct cs_target *targets, struct cs_buf *out)
{
	struct cs_target *target, *tmp;
	uint64_t now = cs_now_ns(), weight = now - visit->last_ns;
	int err = 0;

	/* rarer, at the turn next to when it is due */
	if (weight + visit->turn_ns / 2 < visit->every_ns)
		return 0;

	visit->last_ns = now;
	if (visit->all_processes && cs_probes_has_wall(visit->probes)) {
		cs_probes_visit_sleepers(visit->probes, 0, weight, HOLD_NS);
		return 0;
	}
	HASH_ITER (hh, targets, target, tmp) {
		if (err || !walkable(target) || visit_of_one(visit, target, weight))
			continue;
		if (!visit->no_idle)
			err = visit_from_here(visit, target, weight, out);
	}
	return err;
}

void cs_visit_tell_held(struct cs_visit *visit, struct cs_target *targets)
{
	struct cs_target *target, *tmp;

	if (!cs_probes_has_wall(visit->probes))
		return;
	if (visit->all_processes) {
		cs_probes_visit_sleepers(visit->probes, 0, 0, 0);
		return;
	}
	HASH_ITER (hh, targets, target, tmp)
		visit_of_one(visit, target, 0);
}

/*
 * Tasks hang above their thread's frames down to its event loop; before its first sample nobody knows those. So every
 * thread at rest is read once, for no weight.
 */
static int introduce_threads(struct cs_target *target, struct cs_buf *out)
{
	struct cs_tstate tstates[CS_MAX_TSTATES];
	struct cs_thread_rest before, after;
	char comm[CS_COMM_BYTES + 1];
	int n, err = 0;

	n = cs_walk_list(&target->interp, target->mem, tstates, CS_MAX_TSTATES);
	for (int i = 0; i < n && !err; i++) {
		size_t len = out->len;

		cs_thread_rest(target->pid, tstates[i].tid, &before);
		if (!before.off_cpu)
			continue;
		cs_thread_name(target->pid, tstates[i].tid, comm, sizeof(comm));
		err = cs_walk_thread(&target->interp, target->mem, &tstates[i], comm, cs_now_ns(),
				     0, out);
		cs_thread_rest(target->pid, tstates[i].tid, &after);
		if (!after.off_cpu || after.runs != before.runs)
			out->len = len;
		else
			target->introduced = true;
	}
	return err;
}

static enum cs_counter pass_counter(enum cs_coherence coherence)
{
	switch (coherence) {
	case CS_COHERENT_QUIET:
		return CS_COUNTER_PASSES_QUIET;
	case CS_COHERENT_IN_TASK:
		return CS_COUNTER_PASSES_IN_TASK;
	default:
		return CS_COUNTER_PASSES_PER_TASK;
	}
}

/* A pass took so long: when is the next one due? */
static void schedule_pass(const struct cs_visit *visit, struct cs_target *target, uint64_t now_ns,
			  uint64_t cost_ns)
{
	uint64_t turn_ns = visit->every_ns - MIN(visit->every_ns, visit->turn_ns / 2);

	target->pass_paid_ns = MAX(target->pass_paid_ns, now_ns) + cost_ns;
	target->pass_at_ns = MAX(now_ns + turn_ns, target->pass_paid_ns - PASS_AHEAD_NS);
}

static int pass_target(struct cs_visit *visit, struct cs_target *target, uint64_t budget,
		       uint64_t wait_ns, struct cs_buf *out)
{
	uint64_t now = cs_now_ns();
	uint64_t since = target->last_pass_ns ? now - target->last_pass_ns : visit->turn_ns;
	uint64_t weight = visit->tasks_weigh ? since : 0;
	struct cs_tasks_result result = {0};
	int err;

	if (!target->tasks || target->exited || now < target->pass_at_ns)
		return 0;
	cs_mem_forget(target->mem);
	if (!target->introduced && introduce_threads(target, out))
		return -ENOMEM;
	cs_mem_forget(target->mem);
	if (visit->instants)
		cs_tasks_use_instants(target->tasks, cs_instants_source(visit->instants),
				      COPY_TRIES);
	if (cs_target_use_spans(target))
		return -ENOMEM;
	err = cs_tasks_pass(target->tasks, target->mem, weight, wait_ns, out, &result);
	cs_target_meet_strangers(target, visit->probes);
	if (!err)
		err = cs_buf_append(out, target->resources.data, target->resources.len);
	target->resources.len = 0;
	cs_target_rest(target);
	schedule_pass(visit, target, now, result.cpu_ns * budget * MIN(visit->ease, MAX_EASE));
	visit->counters[CS_COUNTER_PASSES]++;
	visit->counters[CS_COUNTER_TASKS] += result.ntasks;
	visit->counters[CS_COUNTER_TASKS_DROPPED] += result.ndropped + result.nmoved;
	visit->counters[CS_COUNTER_TASKS_UNREAD] += result.nunread;
	if (err) {
		visit->counters[CS_COUNTER_PASSES_FAILED]++;
		return err == -ENOMEM ? err : 0;
	}
	visit->counters[pass_counter(result.coherence)]++;
	target->last_pass_ns = now;
	return 0;
}

int cs_visit_tasks(struct cs_visit *visit, struct cs_target *targets, struct cs_buf *out)
{
	uint64_t end = cs_now_ns() + WAIT_NS, budget = 0;
	struct cs_target *target, *tmp;

	for (target = targets; target; target = target->hh.next)
		budget += target->tasks ? PASS_SHARE : 0;
	if (budget < PASS_BUDGET)
		budget = PASS_BUDGET;
	if (visit->instants)
		cs_instants_turn(visit->instants, end + INSTANTS_NS);
	HASH_ITER (hh, targets, target, tmp) {
		uint64_t now = cs_now_ns();
		int err = pass_target(visit, target, budget, now < end ? end - now : 0, out);

		if (err)
			return err;
	}
	return 0;
}
