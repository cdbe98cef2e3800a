/* SPDX-License-Identifier: Apache-2.0 */
/* One capture. */
#include "collect/session.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collect/due.h"
#include "collect/files.h"
#include "collect/mapped.h"
#include "collect/names.h"
#include "collect/probes.h"
#include "collect/record.h"
#include "collect/target.h"
#include "collect/visit.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "python/binary.h"

#define MS            1000000ull
/* Wall passes and draining: no finer than this however fine the CPU clock is, and no coarser. */
#define TURN_MIN_NS   (10 * MS)
#define TURN_MAX_NS   (50 * MS)
/* While a target is expected to load asyncio any moment: its first tasks want creators. */
#define TURN_HURRY_NS (2 * MS)
/* Turns that something asked for ahead of time keep this distance. */
#define TURN_GAP_NS   (1 * MS)
#define FLUSH_NS      (1000 * MS)
#define CHECK_NS      (250 * MS)
/* Generations between a process and one that it descends from. */
#define MAX_ANCESTORS 64

struct cs_session {
	struct cs_session_options options;
	struct cs_spool *spool; /* borrowed */
	struct cs_probes *probes;
	struct cs_target *targets; /* by pid */
	struct cs_names *names;
	struct cs_files *files;
	struct cs_mapped *mapped; /* NULL if the kernel does not tell */
	struct cs_buf fresh;      /* this turn's records: what the ring held, then the passes */
	struct cs_buf passes; /* over tasks; taken before the ring is drained, written after it */
	struct cs_buf ahead;  /* what must stand before all of them */
	struct cs_buf named;  /* fresh with the names that it needs */
	uint64_t turn_ns;     /* length of a turn */
	uint64_t last_ns, next_ns, flushed_ns, checked_ns;
	struct cs_visit visit;
	struct cs_due *due;            /* NULL until the clock starts */
	uint64_t own[CS_COUNTER_MAX_]; /* the collector's accounts */
};

static uint64_t turn_length(uint64_t interval_ns)
{
	if (interval_ns < TURN_MIN_NS)
		return TURN_MIN_NS;
	return interval_ns > TURN_MAX_NS ? TURN_MAX_NS : interval_ns;
}

/* Are processes met that nobody named? */
static bool discovers(const struct cs_session *session)
{
	return session->options.all_processes || cs_selection_given(&session->options.selection);
}

int cs_session_new(const struct cs_session_options *options, struct cs_spool *spool,
		   struct cs_session **ret, char **ret_log)
{
	const struct cs_probes_options probes = {
		.interval_ns = options->interval_ns,
		.ring_bytes = options->ring_bytes,
		.all_processes = options->all_processes,
		.wall = options->mode == CS_MODE_WALL && !options->no_iterator,
		.no_idle = options->no_idle,
		.want_gil = options->only_gil,
		.discover = options->all_processes || cs_selection_given(&options->selection),
		.follow = options->subprocesses,
		.selection = &options->selection,
	};
	_cleanup_(cs_session_freep) struct cs_session *session = calloc(1, sizeof(*session));
	int err;

	if (!session)
		return -ENOMEM;
	session->options = *options;
	session->spool = spool;
	session->turn_ns = turn_length(options->interval_ns);
	err = cs_names_new(&session->names);
	if (!err)
		err = cs_probes_load(&probes, &session->probes, ret_log);
	if (!err)
		err = cs_files_new(session->probes, &session->files);
	if (err)
		return err;
	session->visit = (struct cs_visit){
		.probes = session->probes,
		.all_processes = discovers(session),
		.no_idle = options->no_idle,
		.mode = options->mode,
		.turn_ns = session->turn_ns,
	};
	*ret = TAKE_PTR(session);
	return 0;
}

void cs_session_free(struct cs_session *session)
{
	struct cs_target *target, *tmp;

	if (!session)
		return;
	HASH_ITER (hh, session->targets, target, tmp) {
		HASH_DEL(session->targets, target);
		cs_target_free(target);
	}
	cs_files_free(session->files);
	cs_mapped_free(session->mapped);
	cs_probes_free(session->probes);
	cs_names_free(session->names);
	cs_due_free(session->due);
	cs_buf_free(&session->fresh);
	cs_buf_free(&session->passes);
	cs_buf_free(&session->ahead);
	cs_buf_free(&session->named);
	free(session);
}

/* Where processes come and go one probe serves all that map its file; else others must not pay for it. */
static pid_t probe_pid(const struct cs_session *session, const struct cs_target *target)
{
	return discovers(session) || session->options.subprocesses ? -1 : target->pid;
}

/* Whatever can be found out about a target now. */
static int refresh_target(struct cs_session *session, struct cs_target *target, uint64_t now_ns)
{
	enum cs_interp_state before = target->interp.state;
	int err = cs_target_refresh(target, session->probes, probe_pid(session, target), now_ns);

	if (!err && target->interp.state == CS_INTERP_READY && before != CS_INTERP_READY)
		cs_files_learn(session->files, &target->interp);
	return err;
}

static int add_target(struct cs_session *session, pid_t pid, bool python_only, bool asked_for)
{
	_cleanup_(cs_target_freep) struct cs_target *target = NULL;
	int err;

	HASH_FIND_INT(session->targets, &pid, target);
	if (target) {
		target = NULL;
		return 0;
	}
	err = cs_target_new(pid, cs_now_ns(), &target);
	if (err || (python_only && target->interp.state == CS_INTERP_NOT_PYTHON))
		return err;
	target->asked_for = asked_for;
	err = refresh_target(session, target, cs_now_ns());
	if (err)
		return err;
	if (target->interp.state == CS_INTERP_READY)
		cs_files_learn(session->files, &target->interp);
	HASH_ADD_INT(session->targets, pid, target);
	TAKE_PTR(target);
	return 0;
}

int cs_session_add(struct cs_session *session, pid_t pid)
{
	return add_target(session, pid, false, true);
}

/* Call fn for every process there is; it returns 0 to go on. Returns what it returned, or -errno. */
static int each_process(struct cs_session *session,
			int (*fn)(struct cs_session *session, pid_t pid))
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct dirent *entry;
	int err = 0;

	if (!proc)
		return -errno;
	while (!err && (entry = readdir(proc))) {
		if (isdigit((unsigned char)entry->d_name[0]))
			err = fn(session, (pid_t)strtol(entry->d_name, NULL, 10));
	}
	return err;
}

/* Processes come and go while we look: one that cannot be read is sampled without names. */
static int hard_error(int err)
{
	return err == -ENOMEM || err == -E2BIG ? err : 0;
}

static int add_if_chosen(struct cs_session *session, pid_t pid)
{
	bool all = session->options.all_processes;

	if (pid == getpid() && !all)
		return 0;
	if (!cs_selection_chooses(&session->options.selection, pid))
		return 0;
	return hard_error(add_target(session, pid, all, false));
}

int cs_session_add_all(struct cs_session *session)
{
	return each_process(session, add_if_chosen);
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
static int add_if_child(struct cs_session *session, pid_t pid)
{
	struct cs_target *target = NULL;
	pid_t at = parent_of(pid);

	for (int depth = 0; at > 1 && depth < MAX_ANCESTORS && !target; depth++) {
		HASH_FIND_INT(session->targets, &at, target);
		at = parent_of(at);
	}
	return target ? hard_error(add_target(session, pid, false, false)) : 0;
}

int cs_session_add_children(struct cs_session *session)
{
	return each_process(session, add_if_child);
}

/* Something was mapped: by a target that is no Python yet or waits for asyncio, or by a process that may have become one. */
static void on_mapped(void *ctx, pid_t pid, const char *path)
{
	struct cs_session *session = ctx;
	struct cs_target *target;

	HASH_FIND_INT(session->targets, &pid, target);
	if (target && target->interp.state != CS_INTERP_READY && cs_py_binary_is_named(path))
		cs_target_poke(target, cs_now_ns());
	else if (target && target->interp.state == CS_INTERP_READY && !target->tasks &&
		 strstr(path, "_asyncio"))
		cs_target_poke(target, cs_now_ns());
	else if (!target && discovers(session) && strstr(path, "libpython") &&
		 cs_selection_chooses(&session->options.selection, pid))
		add_target(session, pid, false, false);
}

int cs_session_start(struct cs_session *session)
{
	int err;

	cs_names_load_kernel(session->names);
	if (cs_mapped_new(on_mapped, session, &session->mapped))
		cs_debug(
			"the kernel does not tell what is mapped: what is loaded late is noticed late");
	err = cs_probes_watch_processes(session->probes);
	if (!err)
		err = cs_record_capture(
			&session->fresh, session->options.interval_ns, session->options.mode,
			(uint32_t)sysconf(_SC_NPROCESSORS_ONLN), session->options.command);
	if (!err)
		err = cs_spool_append(session->spool, session->fresh.data, session->fresh.len);
	session->fresh.len = 0;
	/* A disk that has no room for this has none for the rest. */
	if (!err)
		err = cs_spool_flush(session->spool);
	if (!err)
		err = cs_due_start(session->options.interval_ns, &session->due);
	if (!err)
		err = cs_probes_start_clock(session->probes);
	session->visit.last_ns = cs_now_ns();
	session->next_ns = session->visit.last_ns + session->turn_ns;
	return err;
}

void cs_session_wait(const struct cs_session *session)
{
	struct pollfd wake = {.fd = cs_probes_wake_fd(session->probes), .events = POLLIN};
	uint64_t now = cs_now_ns(), gap = session->last_ns + TURN_GAP_NS;
	struct timespec timeout = {0};

	if (now < gap) {
		timeout.tv_nsec = (long)(gap - now);
		nanosleep(&timeout, NULL);
		now = gap;
	}
	if (now >= session->next_ns)
		return;
	timeout.tv_sec = (time_t)((session->next_ns - now) / 1000000000u);
	timeout.tv_nsec = (long)((session->next_ns - now) % 1000000000u);
	ppoll(&wake, 1, &timeout, NULL);
}

/* However this process ends, the capture file holds all but the last second. */
static int flush_now_and_then(struct cs_session *session)
{
	uint64_t now = cs_now_ns();

	if (now - session->flushed_ns < FLUSH_NS)
		return 0;
	session->flushed_ns = now;
	return cs_spool_flush(session->spool);
}

/* Name what is new, then write names and records. */
static int write_fresh(struct cs_session *session)
{
	struct cs_names_lost lost = {0};
	int err = cs_names_for(session->names, session->targets, &session->fresh, cs_now_ns(),
			       &session->named, &lost);

	session->own[CS_COUNTER_CODES_UNREADABLE] += lost.unreadable;
	session->own[CS_COUNTER_FRAMES_STALE] += lost.stale;

	if (!err)
		err = cs_spool_append(session->spool, session->ahead.data, session->ahead.len);
	if (!err)
		err = cs_spool_append(session->spool, session->named.data, session->named.len);
	if (!err)
		err = flush_now_and_then(session);
	if (err)
		session->own[CS_COUNTER_SPOOL_FULL]++;
	session->ahead.len = 0;
	session->fresh.len = 0;
	session->named.len = 0;
	return err;
}

/* The process has become another program. */
static void start_over(struct cs_session *session, struct cs_target *target)
{
	cs_target_forget(target, cs_now_ns());
	cs_names_forget(session->names, target->pid);
}

static struct cs_target *find_target(const struct cs_session *session, pid_t pid)
{
	struct cs_target *target;

	HASH_FIND_INT(session->targets, &pid, target);
	return target;
}

/* A watched process has become another program. Returns 0 or -errno. */
static int heed_exec(struct cs_session *session, struct cs_target *target)
{
	int err;

	/*
	 * What was sampled before it belongs to the old program, whose memory is gone; names found after it
	 * must stand behind it.
	 */
	cs_names_freeze(session->names, target->pid);
	err = write_fresh(session);
	cs_target_untell_threads(target, session->probes);
	start_over(session, target);
	return err;
}

/* A process that nobody watches has begun a program that the kernel side knows. */
static void meet_program(struct cs_session *session, pid_t pid)
{
	struct cs_proc_info row;

	if (cs_probes_row(session->probes, pid, &row) ||
	    !(row.flags & (CS_PROC_PYTHON | CS_PROC_UNSUPPORTED)))
		return;
	add_target(session, pid, false, false);
	if (find_target(session, pid))
		find_target(session, pid)->fresh = true;
}

/* ... or one that it does not know. */
static void meet_file(struct cs_session *session, const struct cs_ev_file *ev)
{
	pid_t pid = (pid_t)ev->hdr.pid;
	struct cs_target *target;

	if (!cs_files_met(session->files, pid, &ev->id))
		return;
	add_target(session, pid, false, false);
	target = find_target(session, pid);
	if (target) {
		target->fresh = true;
		cs_target_poke(target, cs_now_ns());
	}
}

/* A watched process has a child: what is known of the one holds for the other. */
static int meet_child(struct cs_session *session, const struct cs_target *parent,
		      const struct cs_ev_fork *ev)
{
	pid_t pid = (pid_t)ev->child;
	struct cs_target *child;
	int err;

	if (find_target(session, pid))
		return 0;
	err = cs_target_fork(parent, pid, ev->hdr.ts_ns, &child);
	if (!err)
		HASH_ADD_INT(session->targets, pid, child);
	return err == -ENOMEM ? err : 0;
}

/* What a record means for the collector itself. Returns 0 or -errno. */
static int heed(struct cs_session *session, const struct cs_ev_hdr *record)
{
	struct cs_target *target = find_target(session, (pid_t)record->pid);

	switch (record->kind) {
	case CS_EV_EXEC:
		if (target)
			return heed_exec(session, target);
		meet_program(session, (pid_t)record->pid);
		return 0;
	case CS_EV_FILE:
		meet_file(session, (const void *)record);
		return 0;
	case CS_EV_FORK:
		return target ? meet_child(session, target, (const void *)record) : 0;
	case CS_EV_EXIT:
		if (target)
			target->exited = true;
		else
			cs_probes_drop_process(session->probes, (pid_t)record->pid);
		return 0;
	case CS_EV_TASK_CREATED:
		if (target && target->tasks)
			cs_tasks_renew(target->tasks,
				       ((const struct cs_ev_stack *)record)->subject);
		return 0;
	case CS_EV_STACK:
		/* the search in the kernel is short: it may be one of very many threads */
		if (target && ((const struct cs_ev_stack *)record)->status == CS_STATUS_NO_TSTATE)
			return cs_target_tell_threads(target, session->probes, cs_now_ns());
		return 0;
	default:
		return 0;
	}
}

/* With --gil, samples of threads without it are counted and left out. */
static bool is_left_out(const struct cs_session *session, const struct cs_ev_hdr *record)
{
	return session->options.only_gil && record->kind == CS_EV_STACK &&
	       ((const struct cs_ev_stack *)record)->gil != CS_GIL_HELD;
}

static int keep_record(void *ctx, const struct cs_ev_hdr *record)
{
	struct cs_session *session = ctx;
	int err = 0;

	if (is_left_out(session, record))
		session->own[CS_COUNTER_WITHOUT_GIL]++;
	else
		err = cs_buf_append(&session->fresh, record, record->size);
	return err ? err : heed(session, record);
}

/* A process that nobody looked at yet shows up in a sample: what is it? */
static int meet_newcomers(struct cs_session *session)
{
	for (size_t at = 0; discovers(session) && at < session->fresh.len;) {
		const struct cs_ev_stack *stack = (const void *)(session->fresh.data + at);
		pid_t pid = (pid_t)stack->hdr.pid;
		struct cs_target *target;

		at += stack->hdr.size;
		if (stack->hdr.kind != CS_EV_STACK || stack->status != CS_STATUS_NOT_PYTHON)
			continue;
		add_target(session, pid, false, false);
		target = find_target(session, pid);
		if (target && !target->described &&
		    cs_target_describe(target, cs_now_ns(), &session->ahead))
			return -ENOMEM;
	}
	return 0;
}

/* The records of an exit or an exec may have been lost to a full ring: look from time to time. */
static void check_on_targets(struct cs_session *session, uint64_t now_ns)
{
	struct cs_target *target, *tmp;

	if (now_ns - session->checked_ns < CHECK_NS)
		return;
	session->checked_ns = now_ns;
	HASH_ITER (hh, session->targets, target, tmp) {
		if (cs_target_ended(target))
			target->exited = true;
		else if (target->told_kernel && cs_probes_is_stale(session->probes, target->pid))
			start_over(session, target);
	}
}

static int refresh_targets(struct cs_session *session)
{
	struct cs_target *target, *tmp;
	uint64_t now = cs_now_ns();
	int err = 0;

	check_on_targets(session, now);
	HASH_ITER (hh, session->targets, target, tmp) {
		if (refresh_target(session, target, now) == -ESRCH)
			target->exited = true;
		cs_target_set_checks(target, session->probes, now);
		if (!target->described && !target->exited)
			err = cs_target_describe(target, now, &session->ahead);
		if (err)
			return err;
	}
	return 0;
}

/* Whoever ended is written off with its accounts; its row and its probe go. */
static int bury_exited(struct cs_session *session)
{
	uint64_t counters[CS_COUNTER_MAX_], now = cs_now_ns();
	struct cs_target *target, *tmp;
	int err = 0;

	HASH_ITER (hh, session->targets, target, tmp) {
		if (!target->exited)
			continue;
		if (!cs_probes_counters(session->probes, target->pid, counters))
			err = cs_record_stats(&session->ahead, now, target->pid, counters);
		cs_target_untell_threads(target, session->probes);
		cs_probes_drop_process(session->probes, target->pid);
		cs_names_forget(session->names, target->pid);
		HASH_DEL(session->targets, target);
		cs_target_free(target);
		if (err)
			return err;
	}
	return 0;
}

static bool in_a_hurry(const struct cs_session *session, uint64_t now_ns)
{
	const struct cs_target *target;

	for (target = session->targets; target; target = target->hh.next)
		if (cs_target_young(target, now_ns))
			return true;
	return false;
}

/* Turns that could not be held in time are counted; the next one's weights cover them. */
static void schedule_next(struct cs_session *session)
{
	uint64_t now = cs_now_ns();

	if (in_a_hurry(session, now)) {
		session->next_ns = now + TURN_HURRY_NS;
		return;
	}
	session->next_ns += session->turn_ns;
	if (session->next_ns > now)
		return;
	session->own[CS_COUNTER_PASSES_MISSED] += (now - session->next_ns) / session->turn_ns + 1;
	session->next_ns = now + session->turn_ns - (now - session->next_ns) % session->turn_ns;
}

/*
 * The ring's records stand before the passes: a creation that a pass has seen must be known before it. One that came
 * after the pass is recognised by its time.
 */
static int drain(struct cs_session *session)
{
	int n = cs_probes_drain(session->probes, keep_record, session);
	int err = n < 0 ? n : 0;

	if (!err)
		err = cs_buf_append(&session->fresh, session->passes.data, session->passes.len);
	session->passes.len = 0;
	return err;
}

/* What was mapped late; if some of it is not known, everybody may have. */
static void hear_of_mappings(struct cs_session *session)
{
	struct cs_target *target, *tmp;

	if (!session->mapped || !cs_mapped_drain(session->mapped))
		return;
	HASH_ITER (hh, session->targets, target, tmp)
		if (target->interp.state != CS_INTERP_READY || !target->tasks)
			cs_target_poke(target, cs_now_ns());
}

int cs_session_turn(struct cs_session *session)
{
	int err;

	session->last_ns = cs_now_ns();
	hear_of_mappings(session);
	err = refresh_targets(session);

	if (!err && session->options.mode == CS_MODE_WALL)
		err = cs_visit_threads(&session->visit, session->targets, &session->fresh);
	if (!err)
		err = cs_visit_tasks(&session->visit, session->targets, &session->passes);
	if (!err)
		err = drain(session);
	if (!err)
		err = meet_newcomers(session);
	if (!err)
		err = write_fresh(session);
	if (!err)
		err = bury_exited(session);
	schedule_next(session);
	return err;
}

int cs_session_finish(struct cs_session *session, enum cs_end_reason reason)
{
	/* the moment until which this capture speaks; what follows is tidying up */
	uint64_t counters[CS_COUNTER_MAX_], end_ns = cs_now_ns();
	struct cs_target *target, *tmp;
	int err;

	cs_due_stop(session->due);
	cs_probes_stop_clock(session->probes);
	/* Nothing may be counted after the last record was taken. */
	HASH_ITER (hh, session->targets, target, tmp)
		cs_probes_detach(TAKE_PTR(target->probe));
	cs_probes_detach_unused(session->probes);
	err = drain(session);
	if (!err)
		err = write_fresh(session);
	HASH_ITER (hh, session->targets, target, tmp) {
		if (!err && !cs_probes_counters(session->probes, target->pid, counters))
			err = cs_record_stats(&session->fresh, end_ns, target->pid, counters);
	}
	if (!err && !cs_session_counters(session, counters))
		err = cs_record_stats(&session->fresh, end_ns, 0, counters);
	if (!err)
		err = cs_record_end(&session->fresh, end_ns, reason);
	if (!err)
		err = cs_spool_append(session->spool, session->fresh.data, session->fresh.len);
	return err ? err : cs_spool_flush(session->spool);
}

unsigned int cs_session_alive(const struct cs_session *session)
{
	return HASH_COUNT(session->targets);
}

int cs_session_counters(const struct cs_session *session, uint64_t counters[CS_COUNTER_MAX_])
{
	int err = cs_probes_counters(session->probes, 0, counters);

	if (err)
		return err;
	for (int i = 0; i < CS_COUNTER_MAX_; i++)
		counters[i] += session->own[i] + session->visit.counters[i];
	return session->due ? cs_due_settle(session->due, session->probes, counters) : 0;
}
