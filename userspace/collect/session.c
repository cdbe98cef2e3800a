/* SPDX-License-Identifier: Apache-2.0 */
/* One capture. */
#include "collect/session.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <time.h>
#include <unistd.h>

#include "collect/crowd.h"
#include "collect/due.h"
#include "collect/instants.h"
#include "collect/names.h"
#include "collect/native_pace.h"
#include "collect/natives.h"
#include "collect/off_cpu.h"
#include "collect/owners.h"
#include "collect/probes.h"
#include "collect/record.h"
#include "collect/thread_names.h"
#include "collect/visit.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "core/log.h"

#define MS            1000000ull
/* Wall passes and draining: no finer than this however fine the CPU clock is, and no coarser. */
#define TURN_MIN_NS   (10 * MS)
#define TURN_MAX_NS   (50 * MS)
/* While a target is expected to load asyncio any moment: its first tasks want creators. */
#define TURN_HURRY_NS (2 * MS)
/* Turns that something asked for ahead of time keep this distance. */
#define TURN_GAP_NS   (1 * MS)
/* ... and between looks at spans that say something for so long only. */
#define WATCH_NS      (MS / 2)
#define FLUSH_NS      (1000 * MS)
/* A turn whose records took this part of the ring is followed by one of usual length: with more of them it would not hold a long one's. */
#define RING_PART     16

struct cs_session {
	struct cs_session_options options;
	uint64_t interval_ns;   /* of CPU ticks now */
	struct cs_spool *spool; /* borrowed */
	struct cs_probes *probes;
	struct cs_names *names;
	struct cs_natives *natives; /* NULL: not asked for */
	struct cs_crowd crowd;
	struct cs_book *book; /* whose they are */
	struct cs_buf fresh;  /* this turn's records: what the ring held, then the passes */
	struct cs_buf passes; /* over tasks; taken before the ring is drained, written after it */
	struct cs_buf named;  /* fresh with the names that it needs */
	size_t drained;       /* bytes that this turn's ring held */
	uint64_t turn_ns;     /* length of a turn */
	struct cs_ease ease;  /* of this period */
	uint64_t last_ns, next_ns, flushed_ns;
	bool has_turned;
	struct cs_instants *instants; /* NULL: tasks are not asked for */
	struct cs_visit visit;
	struct cs_due *due;            /* NULL until the clock starts, or if there is none */
	struct cs_off_cpu *off;        /* in place of the clocks; NULL until it starts */
	uint64_t own[CS_COUNTER_MAX_]; /* the collector's accounts */
};

static uint64_t turn_length(uint64_t interval_ns)
{
	if (interval_ns < TURN_MIN_NS)
		return TURN_MIN_NS;
	return interval_ns > TURN_MAX_NS ? TURN_MAX_NS : interval_ns;
}

static int begin_natives(struct cs_session *session)
{
	struct cs_native_maps maps = cs_probes_native_maps(session->probes);
	int err = cs_natives_new(maps.files_fd, maps.procs_fd, &session->natives);

	session->crowd.natives = session->natives;
	return err;
}

/* Whose processes are is found out without the kubelet, too. */
static int begin_book(struct cs_session *session)
{
	const struct cs_kubelet_options *kubelet = &session->options.kubelet;
	int err = cs_book_new(kubelet, &session->book);

	if (err != -EINVAL)
		return err;
	cs_warn("'%s' is no URL of a kubelet, as https://NODE:10250: pods stay without names",
		kubelet->url);
	return cs_book_new(NULL, &session->book);
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
		.native = options->native,
		.off_cpu = options->mode == CS_MODE_OFF_CPU,
		.off_wakers = options->off_wakers,
		.off_min_ns = options->off_min_ns,
		.off_budget = options->off_budget,
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
	session->interval_ns = options->interval_ns;
	session->ease = (struct cs_ease){1, 1};
	session->turn_ns = turn_length(options->interval_ns);
	session->crowd.all_processes = options->all_processes;
	session->crowd.subprocesses = options->subprocesses;
	session->crowd.selection = options->selection;
	session->crowd.no_asyncio = options->async == CS_ASYNC_OFF;
	session->crowd.span_events = options->span_events;
	session->crowd.task_events = options->task_events;
	err = cs_names_new(&session->names);
	if (!err)
		err = begin_book(session);
	if (!err)
		err = cs_probes_load(&probes, &session->probes, ret_log);
	if (!err)
		err = cs_crowd_init(&session->crowd, session->probes, session->names);
	if (!err && options->native)
		err = begin_natives(session);
	if (!err && options->async != CS_ASYNC_OFF)
		err = cs_instants_new(session->visit.counters, &session->instants);
	if (err)
		return err;
	session->visit = (struct cs_visit){
		.probes = session->probes,
		.instants = session->instants,
		.all_processes = cs_crowd_discovers(&session->crowd),
		.no_idle = options->no_idle,
		.tasks_weigh = options->mode == CS_MODE_WALL && !options->no_idle &&
			       options->async == CS_ASYNC_ALL,
		.turn_ns = session->turn_ns,
		.ease = 1,
	};
	*ret = TAKE_PTR(session);
	return 0;
}

void cs_session_free(struct cs_session *session)
{
	if (!session)
		return;
	cs_crowd_clear(&session->crowd);
	cs_book_free(session->book);
	cs_instants_free(session->instants);
	cs_off_cpu_free(session->off);
	cs_probes_free(session->probes);
	cs_names_free(session->names);
	cs_natives_free(session->natives);
	cs_due_free(session->due);
	cs_buf_free(&session->fresh);
	cs_buf_free(&session->passes);
	cs_buf_free(&session->named);
	free(session);
}

int cs_session_add(struct cs_session *session, pid_t pid)
{
	return cs_crowd_add(&session->crowd, pid);
}

int cs_session_add_all(struct cs_session *session)
{
	return cs_crowd_add_all(&session->crowd);
}

int cs_session_add_children(struct cs_session *session)
{
	return cs_crowd_add_children(&session->crowd);
}

/* The first record of a capture, or of a period of one. */
static int write_capture(struct cs_session *session)
{
	_cleanup_buf_ struct cs_buf record = {0};
	int err = cs_record_capture(&record, session->interval_ns, session->options.mode,
				    (uint32_t)sysconf(_SC_NPROCESSORS_ONLN),
				    session->options.command);

	if (!err)
		err = cs_spool_append(session->spool, record.data, record.len);
	/* A disk that has no room for this has none for the rest. */
	return err ? err : cs_spool_flush(session->spool);
}

/* The CPU clock, or the scheduler's hooks. */
static int start_clocks(struct cs_session *session)
{
	int err;

	if (session->options.mode == CS_MODE_OFF_CPU)
		return cs_off_cpu_start(session->probes, session->options.off_min_ns,
					cs_names_kernel(session->names), &session->off);
	err = cs_due_start(session->interval_ns, session->probes, &session->due);
	return err ? err : cs_probes_start_clock(session->probes);
}

int cs_session_start(struct cs_session *session)
{
	int err;

	cs_names_load_kernel(session->names);
	cs_crowd_watch_mappings(&session->crowd);
	if (session->natives)
		cs_native_pace_start(session->natives);
	err = cs_probes_watch_processes(session->probes);
	if (!err)
		err = write_capture(session);
	if (!err)
		err = start_clocks(session);
	session->visit.last_ns = cs_now_ns();
	session->next_ns = session->visit.last_ns + session->turn_ns;
	return err;
}

static struct timespec until(uint64_t now_ns, uint64_t then_ns)
{
	uint64_t left = then_ns > now_ns ? then_ns - now_ns : 0;

	return (struct timespec){(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
}

/* A distance between turns as the ease has it; no longer than a turn. */
static uint64_t eased(const struct cs_session *session, uint64_t ns)
{
	return MIN(ns * session->ease.asleep, session->turn_ns);
}

void cs_session_wait(struct cs_session *session)
{
	struct cs_mapped *mapped = session->crowd.mapped;
	struct pollfd wake[] = {
		{.fd = cs_probes_wake_fd(session->probes), .events = POLLIN},
		{.fd = mapped ? cs_mapped_fd(mapped) : -1, .events = POLLIN},
	};
	uint64_t gap_ns = eased(session, TURN_GAP_NS);
	struct timespec pause = until(cs_now_ns(), session->last_ns + gap_ns);
	bool called = false;

	/* many mappings are told, few matter: those that do not are only read */
	do {
		uint64_t now;
		int n;

		nanosleep(&pause, NULL);
		now = cs_now_ns();
		if (now >= session->next_ns)
			return;
		pause = until(now, cs_crowd_watch_spans(&session->crowd)
					   ? MIN(session->next_ns, now + WATCH_NS)
					   : session->next_ns);
		n = ppoll(wake, ARRAY_SIZE(wake), &pause, NULL);
		called = n < 0 || (n && (wake[0].revents || cs_crowd_hear(&session->crowd)));
		pause = until(0, n ? gap_ns : 0);
	} while (!called);
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
	int err = 0;

	if (session->natives)
		err = cs_natives_name(session->natives, &session->fresh, cs_now_ns(),
				      &session->crowd.ahead);
	if (!err)
		err = cs_names_for(session->names, session->crowd.targets, &session->fresh,
				   cs_now_ns(), &session->named, &lost);

	session->own[CS_COUNTER_CODES_UNREADABLE] += lost.unreadable;
	session->own[CS_COUNTER_FRAMES_STALE] += lost.stale;
	session->own[CS_COUNTER_FRAMES_EARLY] += lost.early;

	if (!err)
		err = cs_spool_append(session->spool, session->crowd.ahead.data,
				      session->crowd.ahead.len);
	if (!err)
		err = cs_spool_append(session->spool, session->named.data, session->named.len);
	if (!err)
		err = flush_now_and_then(session);
	if (err)
		session->own[CS_COUNTER_SPOOL_FULL]++;
	session->crowd.ahead.len = 0;
	session->fresh.len = 0;
	session->named.len = 0;
	return err;
}

/*
 * A process becomes another program: what was sampled before it belongs to the old one, whose memory is gone; names found
 * after it must stand behind it.
 */
static int write_before_exec(struct cs_session *session, pid_t pid)
{
	if (!cs_crowd_find(&session->crowd, pid))
		return 0;
	cs_names_freeze(session->names, pid);
	return write_fresh(session);
}

/* With --gil, samples of threads without it are counted and left out. */
static bool is_left_out(const struct cs_session *session, const struct cs_ev_hdr *record)
{
	return session->options.only_gil && record->kind == CS_EV_STACK &&
	       ((const struct cs_ev_stack *)record)->gil != CS_GIL_HELD;
}

static int append_record(struct cs_session *session, const struct cs_ev_hdr *record)
{
	size_t at = session->fresh.len;
	int err = cs_buf_append(&session->fresh, record, record->size);
	struct cs_ev_hdr *copy = (struct cs_ev_hdr *)(session->fresh.data + at);

	if (!err && session->off) {
		cs_off_cpu_trim(session->off, copy);
		session->fresh.len = at + copy->size;
	}
	return err;
}

static int keep_record(void *ctx, const struct cs_ev_hdr *record)
{
	struct cs_session *session = ctx;
	int err = 0;

	session->drained += record->size;
	if (is_left_out(session, record))
		session->own[CS_COUNTER_WITHOUT_GIL]++;
	else if (record->kind != CS_EV_SPAN_LESSON)
		err = append_record(session, record);
	if (!err && record->kind == CS_EV_EXEC)
		err = write_before_exec(session, (pid_t)record->pid);
	return err ? err : cs_crowd_heed(&session->crowd, record);
}

/* Turns that could not be held in time are counted; the next one's weights cover them. */
static void schedule_next(struct cs_session *session)
{
	uint64_t now = cs_now_ns(), turn_ns = session->turn_ns;

	if (session->drained > session->options.ring_bytes / RING_PART)
		turn_ns = MIN(turn_ns, turn_length(session->options.interval_ns));

	if (cs_crowd_in_a_hurry(&session->crowd, now)) {
		session->next_ns = now + eased(session, TURN_HURRY_NS);
		return;
	}
	session->next_ns += turn_ns;
	if (session->next_ns > now)
		return;
	session->own[CS_COUNTER_PASSES_MISSED] += (now - session->next_ns) / turn_ns + 1;
	session->next_ns = now + turn_ns - (now - session->next_ns) % turn_ns;
}

/*
 * The ring's records stand before the passes: a creation that a pass has seen must be known before it. One that came
 * after the pass is recognised by its time.
 */
static int drain(struct cs_session *session)
{
	int n, err;

	session->drained = 0;
	n = cs_probes_drain(session->probes, keep_record, session);
	err = n < 0 ? n : 0;

	if (!err)
		err = cs_buf_append(&session->fresh, session->passes.data, session->passes.len);
	session->passes.len = 0;
	return err;
}

/* What the ring and the passes hold, and who and which threads that is about. */
static int take_fresh(struct cs_session *session)
{
	int err = drain(session);

	if (!err)
		cs_crowd_look_at_met(&session->crowd);
	if (!err)
		err = cs_crowd_meet(&session->crowd, &session->fresh);
	if (!err)
		err = cs_thread_names_for(session->crowd.targets, &session->fresh, cs_now_ns(),
					  &session->crowd.ahead);
	return err;
}

/* The first visits, to everybody, take long: what runs meanwhile is to have its code known. */
static int begin_turns(struct cs_session *session)
{
	int err;

	if (session->has_turned)
		return 0;
	session->has_turned = true;
	err = take_fresh(session);
	if (!err)
		err = write_fresh(session);
	if (session->natives)
		cs_native_pace_first(session->natives);
	return err;
}

int cs_session_turn(struct cs_session *session)
{
	int err;

	session->last_ns = cs_now_ns();
	err = begin_turns(session);
	if (!err)
		err = cs_crowd_refresh(&session->crowd);
	if (!err && session->options.mode == CS_MODE_WALL)
		err = cs_visit_threads(&session->visit, session->crowd.targets, &session->fresh);
	if (!err)
		err = cs_visit_tasks(&session->visit, session->crowd.targets, &session->passes);
	if (!err)
		err = take_fresh(session);
	if (!err)
		err = cs_target_owners_turn(session->book, session->crowd.targets, cs_now_ns(),
					    &session->crowd.ahead);
	if (!err)
		err = write_fresh(session);
	if (!err)
		err = cs_crowd_bury(&session->crowd);
	if (session->natives)
		cs_native_pace_turn(session->natives, session->turn_ns);
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
	if (session->off)
		session->own[CS_COUNTER_OFF_UNREAD] += cs_off_cpu_stop(session->off);
	/* Nothing may be counted after the last record was taken. */
	HASH_ITER (hh, session->crowd.targets, target, tmp)
		cs_task_probe_end(&target->task_probe);
	cs_probes_detach_unused(session->probes);
	cs_visit_tell_held(&session->visit, session->crowd.targets);
	err = drain(session);
	HASH_ITER (hh, session->crowd.targets, target, tmp)
		if (!err)
			err = cs_target_owner_tell(&target->owner, &session->crowd.ahead);
	if (!err)
		err = write_fresh(session);
	HASH_ITER (hh, session->crowd.targets, target, tmp) {
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

/* Once there was much to be told, at the beginning at the latest; from now on so much may not be needed. */
static void let_go(struct cs_session *session)
{
	struct cs_buf *const bufs[] = {&session->fresh, &session->passes, &session->named,
				       &session->crowd.ahead};

	for (size_t i = 0; i < ARRAY_SIZE(bufs); i++)
		if (!bufs[i]->len)
			cs_buf_free(bufs[i]);
	cs_mem_pool_trim(session->crowd.pool);
}

int cs_session_end_period(struct cs_session *session)
{
	_cleanup_buf_ struct cs_buf record = {0};
	uint64_t counters[CS_COUNTER_MAX_];
	int err;

	/* who asked for this period asked for no visit of another one */
	cs_visit_tell_held(&session->visit, session->crowd.targets);
	err = take_fresh(session);
	if (!err)
		err = write_fresh(session);
	if (!err)
		err = cs_session_counters(session, counters);
	if (!err)
		err = cs_record_stats(&record, cs_now_ns(), 0, counters);
	if (!err)
		err = cs_spool_append(session->spool, record.data, record.len);
	let_go(session);
	return err ? err : cs_spool_flush(session->spool);
}

/* Ticks that were due so far were due at the rate so far. */
static int change_interval(struct cs_session *session, uint64_t interval_ns)
{
	int err;

	cs_probes_stop_clock(session->probes);
	cs_due_stop(session->due);
	err = cs_due_settle(session->due, session->probes, session->own);
	cs_due_free(TAKE_PTR(session->due));
	if (!err)
		err = cs_due_start(interval_ns, session->probes, &session->due);
	session->interval_ns = interval_ns;
	return err ? err : cs_probes_set_interval(session->probes, interval_ns);
}

int cs_session_begin_period(struct cs_session *session, struct cs_ease ease)
{
	uint64_t usual_ns = turn_length(session->options.interval_ns);
	uint64_t interval_ns = session->options.interval_ns * ease.clock;
	int err = 0;

	cs_probes_age(session->probes);
	if (interval_ns != session->interval_ns)
		err = change_interval(session, interval_ns);
	session->ease = ease;
	session->turn_ns = session->visit.turn_ns = cs_ease_turn(ease.asleep, usual_ns);
	session->visit.every_ns = ease.asleep > 1 ? usual_ns * ease.asleep : 0;
	session->visit.ease = ease.asleep;
	session->crowd.ease = ease.asleep;
	return err ? err : write_capture(session);
}

int cs_session_kernel_time(const struct cs_session *session, struct cs_kernel_time *ret)
{
	return cs_probes_kernel_time(session->probes, ret);
}

unsigned int cs_session_alive(const struct cs_session *session)
{
	return HASH_COUNT(session->crowd.targets);
}

const char *cs_session_kubelet_error(const struct cs_session *session)
{
	return cs_book_error(session->book);
}

bool cs_session_watches(const struct cs_session *session, pid_t pid)
{
	return session->options.all_processes || cs_crowd_find(&session->crowd, pid);
}

size_t cs_session_population(const struct cs_session *session,
			     struct cs_population ret[CS_POPULATIONS])
{
	const struct cs_target *target;
	size_t n = 0, i;

	for (target = session->crowd.targets; target; target = target->hh.next) {
		const struct cs_interp *interp = &target->interp;

		for (i = 0; i < n; i++)
			if (ret[i].major == interp->major && ret[i].minor == interp->minor &&
			    ret[i].state == interp->state)
				break;
		if (i == CS_POPULATIONS)
			i--;
		else if (i == n)
			ret[n++] = (struct cs_population){interp->major, interp->minor,
							  interp->state, 0};
		ret[i].n++;
	}
	return n;
}

unsigned int cs_session_probes(const struct cs_session *session)
{
	return cs_probes_attached(session->probes);
}

int cs_session_counters(const struct cs_session *session, uint64_t counters[CS_COUNTER_MAX_])
{
	int err = cs_probes_counters(session->probes, 0, counters);

	if (err)
		return err;
	for (int i = 0; i < CS_COUNTER_MAX_; i++)
		counters[i] += session->own[i] + session->visit.counters[i];
	if (session->natives)
		counters[CS_COUNTER_NATIVE_REFUSED] += cs_natives_refused(session->natives);
	return session->due ? cs_due_settle(session->due, session->probes, counters) : 0;
}
