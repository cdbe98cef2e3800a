/* SPDX-License-Identifier: Apache-2.0 */
/* The watched processes. */
#include "collect/crowd.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <unistd.h>

#include "collect/record.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "python/binary.h"

/* Looks at processes that are known and may have changed: at so many as often as at one. */
#define FEW_TARGETS      25u
#define CHECK_NS         250000000ull
/* One at which nothing is about to change is asked every so many turns at least whether it is due. */
#define MOST_TURNS       8u
/* Between looks at how many tasks are created; and one in so long is too few to cost a process 1% of a CPU. */
#define CREATIONS_NS     100000000ull
#define FEW_CREATIONS_NS 300000ull
/* Generations between a process and one that it descends from. */
#define MAX_ANCESTORS    64
/* Looks a turn for published spans: of 0.05 ms, or 1 ms in a process of 50 libraries that publishes. */
#define LOOKS            4u

int cs_crowd_init(struct cs_crowd *crowd, struct cs_probes *probes, struct cs_names *names)
{
	crowd->probes = probes;
	crowd->names = names;
	if (cs_publishers_new(&crowd->publishers) || cs_mem_pool_new(&crowd->pool))
		return -ENOMEM;
	return cs_files_new(probes, &crowd->files);
}

void cs_crowd_clear(struct cs_crowd *crowd)
{
	struct cs_target *target, *tmp;

	HASH_ITER (hh, crowd->targets, target, tmp) {
		HASH_DEL(crowd->targets, target);
		cs_target_free(target);
	}
	cs_mem_pool_free(TAKE_PTR(crowd->pool));
	cs_files_free(TAKE_PTR(crowd->files));
	cs_publishers_free(TAKE_PTR(crowd->publishers));
	cs_mapped_free(TAKE_PTR(crowd->mapped));
	cs_buf_free(&crowd->ahead);
}

struct cs_target *cs_crowd_find(const struct cs_crowd *crowd, pid_t pid)
{
	struct cs_target *target;

	HASH_FIND_INT(crowd->targets, &pid, target);
	return target;
}

/* Where processes come and go one probe serves all that map its file; else others must not pay for it. */
static pid_t probe_pid(const struct cs_crowd *crowd, const struct cs_target *target)
{
	return cs_crowd_discovers(crowd) || crowd->subprocesses ? -1 : target->pid;
}

/* Whatever can be found out about a target now. */
static int refresh_target(struct cs_crowd *crowd, struct cs_target *target, uint64_t now_ns)
{
	enum cs_interp_state before = target->interp.state;
	int err = cs_target_refresh(target, crowd->probes, probe_pid(crowd, target), now_ns);

	if (!err && target->interp.state == CS_INTERP_READY && before != CS_INTERP_READY)
		cs_files_learn(crowd->files, &target->interp);
	cs_target_rest(target);
	return err;
}

/* What the capture's options say of every process. */
static void configure(const struct cs_crowd *crowd, struct cs_target *target)
{
	target->no_asyncio = crowd->no_asyncio;
	target->span_events = crowd->span_events;
	target->task_probe.probing = crowd->task_events;
	target->ease = crowd->ease;
	cs_mem_use_pool(target->mem, crowd->pool);
}

static int add_target(struct cs_crowd *crowd, pid_t pid, bool python_only, bool asked_for)
{
	_cleanup_(cs_target_freep) struct cs_target *target = NULL;
	int err;

	if (cs_crowd_find(crowd, pid))
		return 0;
	err = cs_target_new(pid, cs_now_ns(), &target);
	if (err || (python_only && target->interp.state == CS_INTERP_NOT_PYTHON))
		return err;
	target->asked_for = asked_for;
	configure(crowd, target);
	err = refresh_target(crowd, target, cs_now_ns());
	if (err)
		return err;
	if (target->interp.state == CS_INTERP_READY)
		cs_files_learn(crowd->files, &target->interp);
	HASH_ADD_INT(crowd->targets, pid, target);
	TAKE_PTR(target);
	if (crowd->natives)
		cs_natives_poke(crowd->natives, pid);
	return 0;
}

/*
 * The same for one that has only just begun its program: its interpreter is not there yet, and is looked for until it is. With ease it is
 * looked at later: a crowd of short-lived ones costs a capture most of its time.
 */
static int add_fresh(struct cs_crowd *crowd, pid_t pid)
{
	struct cs_target *target;
	int err;

	if (crowd->ease <= 1 || cs_crowd_find(crowd, pid))
		return add_target(crowd, pid, false, false);
	err = cs_target_await(pid, crowd->ease, cs_now_ns(), &target);
	if (err)
		return err;
	configure(crowd, target);
	HASH_ADD_INT(crowd->targets, pid, target);
	if (crowd->natives)
		cs_natives_poke(crowd->natives, pid);
	return 0;
}

int cs_crowd_add(struct cs_crowd *crowd, pid_t pid)
{
	return add_target(crowd, pid, false, true);
}

/* Call fn for every process there is; it returns 0 to go on. Returns what it returned, or -errno. */
static int each_process(struct cs_crowd *crowd, int (*fn)(struct cs_crowd *crowd, pid_t pid))
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct dirent *entry;
	int err = 0;

	if (!proc)
		return -errno;
	while (!err && (entry = readdir(proc))) {
		if (isdigit((unsigned char)entry->d_name[0]))
			err = fn(crowd, (pid_t)strtol(entry->d_name, NULL, 10));
	}
	return err;
}

/* Processes come and go while we look: one that cannot be read is sampled without names. */
static int hard_error(int err)
{
	return err == -ENOMEM || err == -E2BIG ? err : 0;
}

static int add_if_chosen(struct cs_crowd *crowd, pid_t pid)
{
	bool all = crowd->all_processes;

	if (pid == getpid() && !all)
		return 0;
	if (!cs_selection_chooses(&crowd->selection, pid))
		return 0;
	if (crowd->natives)
		cs_natives_poke(crowd->natives, pid);
	return hard_error(add_target(crowd, pid, all, false));
}

int cs_crowd_add_all(struct cs_crowd *crowd)
{
	return each_process(crowd, add_if_chosen);
}

static pid_t parent_of(pid_t pid)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[64], line[512];
	const char *rest;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file || !fgets(line, sizeof(line), file))
		return 0;
	/* "pid (comm) S ppid": the name may hold anything */
	rest = strrchr(line, ')');
	return rest && strlen(rest) > 4 ? (pid_t)strtol(rest + 4, NULL, 10) : 0;
}

/* Is a watched process among the ancestors? */
static int add_if_child(struct cs_crowd *crowd, pid_t pid)
{
	struct cs_target *target = NULL;
	pid_t at = parent_of(pid);

	for (int depth = 0; at > 1 && depth < MAX_ANCESTORS && !target; depth++) {
		target = cs_crowd_find(crowd, at);
		at = parent_of(at);
	}
	return target ? hard_error(add_target(crowd, pid, false, false)) : 0;
}

int cs_crowd_add_children(struct cs_crowd *crowd)
{
	return each_process(crowd, add_if_child);
}

/* Code was mapped by a process that is sampled. */
static void on_code(struct cs_crowd *crowd, pid_t pid, bool watched)
{
	if (!crowd->natives || (!watched && !crowd->all_processes))
		return;
	cs_natives_poke(crowd->natives, pid);
	crowd->poked = true;
}

/* Something was mapped: by a target that is no Python yet or waits for asyncio, or by a process that may have become one. */
static void on_mapped(void *ctx, pid_t pid, const char *path)
{
	struct cs_crowd *crowd = ctx;
	struct cs_target *target = cs_crowd_find(crowd, pid);

	on_code(crowd, pid, target != NULL);
	if (target) {
		cs_published_poke(&target->published, path, cs_now_ns());
		target->settled = false;
	}
	if (target && target->interp.state != CS_INTERP_READY && cs_py_binary_is_named(path))
		cs_target_poke(target, cs_now_ns());
	else if (target && target->interp.state == CS_INTERP_READY && !target->tasks &&
		 strstr(path, "_asyncio"))
		cs_target_poke(target, cs_now_ns());
	else if (!target && cs_crowd_discovers(crowd) && strstr(path, "libpython") &&
		 cs_selection_chooses(&crowd->selection, pid))
		add_fresh(crowd, pid);
	else
		return;
	crowd->poked = crowd->poked || crowd->ease <= 1;
}

void cs_crowd_watch_mappings(struct cs_crowd *crowd)
{
	if (cs_mapped_new(on_mapped, crowd, &crowd->mapped))
		cs_debug(
			"the kernel does not tell what is mapped: what is loaded late is noticed late");
}

/* The process has become another program. */
static void start_over(struct cs_crowd *crowd, struct cs_target *target)
{
	cs_target_untell_threads(target, crowd->probes);
	cs_target_forget(target, cs_now_ns());
	cs_names_forget(crowd->names, target->pid);
}

/* A process that nobody watches has begun a program that the kernel side knows. */
static void meet_program(struct cs_crowd *crowd, pid_t pid)
{
	struct cs_target *target;
	struct cs_proc_info row;

	if (cs_probes_row(crowd->probes, pid, &row) ||
	    !(row.flags & (CS_PROC_PYTHON | CS_PROC_UNSUPPORTED)))
		return;
	add_fresh(crowd, pid);
	target = cs_crowd_find(crowd, pid);
	if (target)
		target->fresh = true;
}

/* ... or one that it does not know. */
static void meet_file(struct cs_crowd *crowd, const struct cs_ev_file *ev)
{
	pid_t pid = (pid_t)ev->hdr.pid;
	struct cs_target *target;

	if (!cs_files_met(crowd->files, pid, &ev->id))
		return;
	add_target(crowd, pid, false, false);
	target = cs_crowd_find(crowd, pid);
	if (target) {
		target->fresh = true;
		cs_target_poke(target, cs_now_ns());
	}
}

/* A watched process has a child: what is known of the one holds for the other. */
static int meet_child(struct cs_crowd *crowd, const struct cs_target *parent,
		      const struct cs_ev_fork *ev)
{
	pid_t pid = (pid_t)ev->child;
	struct cs_target *child;
	int err;

	if (cs_crowd_find(crowd, pid))
		return 0;
	err = cs_target_fork(parent, pid, ev->hdr.ts_ns, &child);
	if (err)
		return hard_error(err);
	cs_mem_use_pool(child->mem, crowd->pool);
	HASH_ADD_INT(crowd->targets, pid, child);
	return 0;
}

/* Its code is another's now: what is known of it may be either's. */
static void forget_code(struct cs_crowd *crowd, pid_t pid)
{
	if (!crowd->natives)
		return;
	cs_natives_forget(crowd->natives, pid);
	cs_natives_poke(crowd->natives, pid);
}

int cs_crowd_heed(struct cs_crowd *crowd, const struct cs_ev_hdr *record)
{
	struct cs_target *target = cs_crowd_find(crowd, (pid_t)record->pid);

	switch (record->kind) {
	case CS_EV_EXEC:
		forget_code(crowd, (pid_t)record->pid);
		if (target)
			start_over(crowd, target);
		else
			meet_program(crowd, (pid_t)record->pid);
		return 0;
	case CS_EV_FILE:
		meet_file(crowd, (const void *)record);
		return 0;
	case CS_EV_FORK:
		return target ? meet_child(crowd, target, (const void *)record) : 0;
	case CS_EV_EXIT:
		if (target)
			target->exited = true;
		else
			cs_probes_drop_process(crowd->probes, (pid_t)record->pid);
		return 0;
	case CS_EV_TASK_CREATED:
		if (target && target->tasks)
			cs_tasks_renew(target->tasks,
				       ((const struct cs_ev_stack *)record)->subject);
		return 0;
	case CS_EV_TYPE_MET:
		if (target) {
			cs_met_note(&target->met, ((const struct cs_ev_type_met *)record)->type,
				    ((const struct cs_ev_type_met *)record)->object);
			crowd->met = true;
		}
		return 0;
	case CS_EV_SPAN_LESSON:
		if (target)
			cs_target_learn(target, crowd->probes, (const void *)record);
		return 0;
	case CS_EV_STACK:
		/* the search in the kernel is short: it may be one of very many threads */
		if (target && ((const struct cs_ev_stack *)record)->status == CS_STATUS_NO_TSTATE)
			return cs_target_tell_threads(target, crowd->probes, cs_now_ns());
		return 0;
	default:
		return 0;
	}
}

void cs_crowd_look_at_met(struct cs_crowd *crowd)
{
	struct cs_target *target, *tmp;

	if (!crowd->met)
		return;
	HASH_ITER (hh, crowd->targets, target, tmp) {
		cs_target_look_at_met(target, crowd->probes);
		cs_target_rest(target);
	}
	crowd->met = false;
	crowd->watches = true;
}

int cs_crowd_meet(struct cs_crowd *crowd, const struct cs_buf *fresh)
{
	for (size_t at = 0; cs_crowd_discovers(crowd) && at < fresh->len;) {
		const struct cs_ev_stack *stack = (const void *)(fresh->data + at);
		pid_t pid = (pid_t)stack->hdr.pid;
		struct cs_target *target;

		at += stack->hdr.size;
		if (stack->hdr.kind != CS_EV_STACK || stack->status != CS_STATUS_NOT_PYTHON)
			continue;
		add_fresh(crowd, pid);
		target = cs_crowd_find(crowd, pid);
		if (target && target->looked_at && !target->described &&
		    cs_target_describe(target, cs_now_ns(), &crowd->ahead))
			return -ENOMEM;
	}
	return 0;
}

/* The records of an exit or an exec may have been lost to a full ring: look from time to time. */
static void check_on_targets(struct cs_crowd *crowd, uint64_t now_ns)
{
	struct cs_target *target, *tmp;

	if (now_ns - crowd->checked_ns < cs_ease_known(crowd->ease, CHECK_NS))
		return;
	crowd->checked_ns = now_ns;
	HASH_ITER (hh, crowd->targets, target, tmp) {
		if (cs_target_ended(target))
			target->exited = true;
		else if (target->told_kernel && cs_probes_is_stale(crowd->probes, target->pid))
			start_over(crowd, target);
	}
}

bool cs_crowd_watch_spans(struct cs_crowd *crowd)
{
	struct cs_target *target, *tmp;

	if (!crowd->watches)
		return false;
	crowd->watches = false;
	HASH_ITER (hh, crowd->targets, target, tmp) {
		crowd->watches |= cs_target_watch_spans(target, crowd->probes);
		cs_target_rest(target);
	}
	return crowd->watches;
}

bool cs_crowd_hear(struct cs_crowd *crowd)
{
	struct cs_target *target, *tmp;

	crowd->poked = false;
	if (!crowd->mapped || !cs_mapped_drain(crowd->mapped))
		return crowd->poked;
	/* some of it was lost: everybody may have */
	HASH_ITER (hh, crowd->targets, target, tmp) {
		cs_published_poke(&target->published, "/", cs_now_ns());
		target->settled = false;
		if (target->interp.state != CS_INTERP_READY || !target->tasks)
			cs_target_poke(target, cs_now_ns());
	}
	return true;
}

/* However many there are, all of them together are looked at as often as so many. */
static unsigned int stretch_of(const struct cs_crowd *crowd)
{
	return (unsigned int)cs_ease_known(crowd->ease,
					   MAX(HASH_COUNT(crowd->targets) / FEW_TARGETS, 1));
}

/*
 * Which probes of new tasks cost more than they may? As long as all processes together create so few that none can, they need not be
 * counted one by one.
 */
static int check_creations(struct cs_crowd *crowd, uint64_t now_ns)
{
	uint64_t counters[CS_COUNTER_MAX_], since_ns = now_ns - crowd->creations_ns, n;
	struct cs_target *target, *tmp;
	bool many;
	int err = 0;

	if (crowd->task_events != CS_PROBING_AUTO || since_ns < CREATIONS_NS ||
	    cs_probes_counters(crowd->probes, 0, counters))
		return 0;
	n = cs_task_probe_hits(counters);
	many = crowd->creations_ns && n - crowd->creations > since_ns / FEW_CREATIONS_NS;
	crowd->creations = n;
	crowd->creations_ns = now_ns;
	HASH_ITER (hh, crowd->targets, target, tmp)
		if (!err)
			err = cs_target_check_creations(target, crowd->probes, many, now_ns,
							&crowd->ahead);
	cs_probes_keep_budgets(crowd->probes, now_ns);
	return err;
}

int cs_crowd_refresh(struct cs_crowd *crowd)
{
	unsigned int stretch = stretch_of(crowd), every = MIN(stretch, MOST_TURNS);
	unsigned int looks = LOOKS;
	struct cs_target *target, *tmp;
	bool was_settled;
	uint64_t now;
	int err = 0;

	cs_crowd_hear(crowd);
	now = cs_now_ns(); /* what was heard of is refreshed in this turn */
	check_on_targets(crowd, now);
	err = check_creations(crowd, now);
	if (err)
		return err;
	HASH_ITER (hh, crowd->targets, target, tmp) {
		if (target->settled && ++target->passed_over < every)
			continue;
		target->passed_over = 0;
		target->stretch = stretch;
		target->ease = crowd->ease;
		if (refresh_target(crowd, target, now) == -ESRCH)
			target->exited = true;
		cs_target_set_checks(target, crowd->probes, now);
		cs_target_check_spans(target, crowd->probes, now);
		if (looks && !target->exited)
			looks -= cs_target_check_published(target, crowd->publishers, crowd->probes,
							   now);
		if (target->looked_at && !target->described && !target->exited)
			err = cs_target_describe(target, now, &crowd->ahead);
		was_settled = target->settled;
		cs_target_settle(target, now);
		/* those that settled together are not asked together */
		if (target->settled && !was_settled)
			target->passed_over = (unsigned int)target->pid % every;
		cs_target_rest(target);
		if (err)
			return err;
	}
	return 0;
}

int cs_crowd_bury(struct cs_crowd *crowd)
{
	uint64_t counters[CS_COUNTER_MAX_], now = cs_now_ns();
	struct cs_target *target, *tmp;
	int err = 0;

	HASH_ITER (hh, crowd->targets, target, tmp) {
		if (!target->exited)
			continue;
		err = cs_target_owner_tell(&target->owner, &crowd->ahead);
		if (!err && !cs_probes_counters(crowd->probes, target->pid, counters))
			err = cs_record_stats(&crowd->ahead, now, target->pid, counters);
		cs_target_untell_threads(target, crowd->probes);
		cs_probes_drop_process(crowd->probes, target->pid);
		cs_names_forget(crowd->names, target->pid);
		HASH_DEL(crowd->targets, target);
		cs_target_free(target);
		if (err)
			return err;
	}
	return 0;
}

bool cs_crowd_in_a_hurry(const struct cs_crowd *crowd, uint64_t now_ns)
{
	const struct cs_target *target;

	/* with ease it is looked at in its own time */
	for (target = crowd->ease > 1 ? NULL : crowd->targets; target; target = target->hh.next)
		if (cs_target_young(target, now_ns))
			return true;
	return false;
}
