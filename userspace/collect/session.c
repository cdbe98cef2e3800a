/* SPDX-License-Identifier: Apache-2.0 */
/* One capture. */
#include "collect/session.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collect/due.h"
#include "collect/names.h"
#include "collect/probes.h"
#include "collect/record.h"
#include "collect/target.h"
#include "collect/visit.h"
#include "core/buf.h"
#include "core/cleanup.h"

#define MS            1000000ull
/* Wall passes and draining: no finer than this however fine the CPU clock is, and no coarser. */
#define TURN_MIN_NS   (10 * MS)
#define TURN_MAX_NS   (50 * MS)
/* While a target is expected to load asyncio any moment: its first tasks want creators. */
#define TURN_HURRY_NS (2 * MS)
#define FLUSH_NS      (1000 * MS)
#define CHECK_NS      (250 * MS)

struct cs_session {
	struct cs_session_options options;
	struct cs_spool *spool; /* borrowed */
	struct cs_probes *probes;
	struct cs_target *targets; /* by pid */
	struct cs_names *names;
	struct cs_buf fresh;  /* this turn's records: what the ring held, then the passes */
	struct cs_buf passes; /* over tasks; taken before the ring is drained, written after it */
	struct cs_buf ahead;  /* what must stand before all of them */
	uint64_t turn_ns;     /* length of a turn */
	uint64_t next_ns, flushed_ns, checked_ns;
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

int cs_session_new(const struct cs_session_options *options, struct cs_spool *spool,
		   struct cs_session **ret, char **ret_log)
{
	const struct cs_probes_options probes = {
		.interval_ns = options->interval_ns,
		.ring_bytes = options->ring_bytes,
		.all_processes = options->all_processes,
		.wall = options->mode == CS_MODE_WALL && !options->no_iterator,
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
	if (err)
		return err;
	session->visit = (struct cs_visit){
		.probes = session->probes,
		.all_processes = options->all_processes,
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
	cs_probes_free(session->probes);
	cs_names_free(session->names);
	cs_due_free(session->due);
	cs_buf_free(&session->fresh);
	cs_buf_free(&session->passes);
	cs_buf_free(&session->ahead);
	free(session);
}

/* With -a one probe serves all processes that map its file; else others must not pay for it. */
static pid_t probe_pid(const struct cs_session *session, const struct cs_target *target)
{
	return session->options.all_processes ? -1 : target->pid;
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
	err = cs_target_refresh(target, session->probes, probe_pid(session, target), cs_now_ns());
	if (err)
		return err;
	HASH_ADD_INT(session->targets, pid, target);
	TAKE_PTR(target);
	return 0;
}

int cs_session_add(struct cs_session *session, pid_t pid)
{
	return add_target(session, pid, false, true);
}

int cs_session_add_all(struct cs_session *session)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc)
		return -errno;
	while ((entry = readdir(proc))) {
		int err;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		/* Processes come and go while we look: one that cannot be read is sampled without names. */
		err = add_target(session, (pid_t)strtol(entry->d_name, NULL, 10), true, false);
		if (err == -ENOMEM || err == -E2BIG)
			return err;
	}
	return 0;
}

int cs_session_start(struct cs_session *session)
{
	int err;

	cs_names_load_kernel(session->names);
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

uint64_t cs_session_next_ns(const struct cs_session *session)
{
	return session->next_ns;
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
			       &session->ahead, &lost);

	session->own[CS_COUNTER_CODES_UNREADABLE] += lost.unreadable;
	session->own[CS_COUNTER_FRAMES_STALE] += lost.stale;

	if (!err)
		err = cs_spool_append(session->spool, session->ahead.data, session->ahead.len);
	if (!err)
		err = cs_spool_append(session->spool, session->fresh.data, session->fresh.len);
	if (!err)
		err = flush_now_and_then(session);
	if (err)
		session->own[CS_COUNTER_SPOOL_FULL]++;
	session->ahead.len = 0;
	session->fresh.len = 0;
	return err;
}

/* The process has become another program. */
static void start_over(struct cs_session *session, struct cs_target *target)
{
	cs_target_forget(target, cs_now_ns());
	cs_names_forget(session->names, target->pid);
}

/* What a record means for the collector itself. Returns 0 or -errno. */
static int heed(struct cs_session *session, struct cs_target *target,
		const struct cs_ev_hdr *record)
{
	int err = 0;

	if (record->kind == CS_EV_EXEC) {
		/*
		 * What was sampled before it belongs to the old program, whose memory is gone; names found after it
		 * must stand behind it.
		 */
		cs_names_freeze(session->names, target->pid);
		err = write_fresh(session);
		start_over(session, target);
	} else if (record->kind == CS_EV_EXIT) {
		target->exited = true;
	} else if (record->kind == CS_EV_TASK_CREATED && target->tasks) {
		cs_tasks_renew(target->tasks, ((const struct cs_ev_stack *)record)->subject);
	}
	return err;
}

static int keep_record(void *ctx, const struct cs_ev_hdr *record)
{
	struct cs_session *session = ctx;
	struct cs_target *target;
	pid_t pid = (pid_t)record->pid;
	int err = cs_buf_append(&session->fresh, record, record->size);

	HASH_FIND_INT(session->targets, &pid, target);
	return err || !target ? err : heed(session, target, record);
}

/* A process of -a that nobody looked at yet shows up in a sample: what is it? */
static int meet_newcomers(struct cs_session *session)
{
	for (size_t at = 0; session->options.all_processes && at < session->fresh.len;) {
		const struct cs_ev_stack *stack = (const void *)(session->fresh.data + at);
		pid_t pid = (pid_t)stack->hdr.pid;
		struct cs_target *target;

		at += stack->hdr.size;
		if (stack->hdr.kind != CS_EV_STACK || stack->status != CS_STATUS_NOT_PYTHON)
			continue;
		add_target(session, pid, false, false);
		HASH_FIND_INT(session->targets, &pid, target);
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
		else if (target->told && cs_probes_is_stale(session->probes, target->pid))
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
		if (cs_target_refresh(target, session->probes, probe_pid(session, target), now) ==
		    -ESRCH)
			target->exited = true;
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

int cs_session_turn(struct cs_session *session)
{
	int err = refresh_targets(session);

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
