/* SPDX-License-Identifier: Apache-2.0 */
/* One watched process. */
#include "collect/target.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/param.h>
#include <unistd.h>

#include "collect/record.h"
#include "collect/target_private.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "python/task_site.h"
#include "python/threads.h"

#define MS            1000000ull
/* A young process is still importing: ask often, so that its first tasks have creators. */
#define YOUNG_NS      (3000 * MS)
/* ... and for so many looks at least. */
#define YOUNG_LOOKS   8
#define REFRESH_OLD   (250 * MS)
/* A program maps its libraries within milliseconds; what it maps later is told. */
#define LINKING_NS    (100 * MS)
/* Between the mapping of a library that matters and the last of what its loading brings about. */
#define LOADING_NS    (500 * MS)
/* Looks in vain double the distance to the next so many times, up to so much of it. */
#define MOST_VAIN     3u
#define VAIN_NS       (480000 * MS)
/* What is due so soon does not wait until it is asked for in a later turn. */
#define SOON_NS       (100 * MS)
/* A process of thousands of threads: the kernel side is told all of them no sooner again. */
#define TELL_NS       (250 * MS)
/* So long after the last code object whose memory was reused every frame is checked. */
#define CHECKS_ALL_NS (10000 * MS)

static const char *const state_text[] = {
	[CS_INTERP_NOT_PYTHON] = "not Python",
	[CS_INTERP_UNSUPPORTED] = "a Python that is not supported",
	[CS_INTERP_STARTING] = "a Python that is starting",
	[CS_INTERP_READY] = "a Python",
};

int cs_target_tell_row(const struct cs_target *target, struct cs_probes *probes)
{
	struct cs_proc_info row;

	if (!cs_probes_row(probes, target->pid, &row) && row.since_ns > target->known_ns)
		return 0;
	row = target->interp.info;
	if (target->published.told) {
		row.flags |= CS_PROC_PUBLISHES;
		row.published = target->published.row;
	}
	return cs_probes_set_process(probes, target->pid, &row);
}

static int target_begin(pid_t pid, uint64_t now_ns, struct cs_target **ret)
{
	struct cs_target *target = calloc(1, sizeof(*target));

	if (!target)
		return -ENOMEM;
	*ret = target;
	target->pid = pid;
	target->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	target->since_ns = now_ns;
	target->known_ns = now_ns;
	target->imported_ns = now_ns;
	target->refresh_at_ns = now_ns;
	return cs_mem_new(pid, &target->mem);
}

int cs_target_new(pid_t pid, uint64_t now_ns, struct cs_target **ret)
{
	_cleanup_(cs_target_freep) struct cs_target *target = NULL;
	int err = target_begin(pid, now_ns, &target);

	if (!err)
		err = cs_interp_detect(pid, &target->interp);
	if (err)
		return err;
	target->looked_at = true;
	cs_published_begin(&target->published, false, now_ns);
	*ret = TAKE_PTR(target);
	return 0;
}

/* Before it is looked at: at once, but for one that the ease leaves time. */
static uint64_t first_look_ns(unsigned int ease, uint64_t now_ns)
{
	return now_ns + (ease > 1 ? cs_ease_young_ns(ease) : 0);
}

int cs_target_await(pid_t pid, unsigned int ease, uint64_t now_ns, struct cs_target **ret)
{
	_cleanup_(cs_target_freep) struct cs_target *target = NULL;
	int err = target_begin(pid, now_ns, &target);

	if (err)
		return err;
	target->interp.pid = pid;
	target->ease = ease;
	target->fresh = true;
	target->refresh_at_ns = first_look_ns(ease, now_ns);
	cs_published_begin(&target->published, true, now_ns);
	*ret = TAKE_PTR(target);
	return 0;
}

int cs_target_fork(const struct cs_target *parent, pid_t pid, uint64_t now_ns,
		   struct cs_target **ret)
{
	_cleanup_(cs_target_freep) struct cs_target *target = NULL;
	int err = target_begin(pid, now_ns, &target);

	if (err)
		return err;
	target->interp = parent->interp;
	target->interp.pid = pid;
	target->asked_for = false;
	target->tracers = parent->tracers;
	target->published = parent->published;
	target->no_asyncio = parent->no_asyncio;
	target->span_events = parent->span_events;
	target->task_probe.probing = parent->task_probe.probing;
	target->ease = parent->ease;
	target->looked_at = parent->looked_at;
	target->fresh = true;
	target->refresh_at_ns = now_ns + cs_ease_stranger_ns(target->ease);
	*ret = TAKE_PTR(target);
	return 0;
}

void cs_target_poke(struct cs_target *target, uint64_t now_ns)
{
	uint64_t at_ns = first_look_ns(target->ease, now_ns);

	target->settled = false;
	target->poked_ns = now_ns;
	target->refresh_at_ns = target->refresh_at_ns ? MIN(target->refresh_at_ns, at_ns) : at_ns;
}

void cs_target_meet_executor(struct cs_target *target)
{
	if (!target->tasks || target->interp.info.work.run_code)
		return;
	target->refresh_at_ns = 1;
	target->vain = 0;
	target->settled = false;
}

void cs_target_forget_codes(struct cs_target *target)
{
	struct cs_code_seen *code, *tmp;

	target->wanted = NULL;
	HASH_ITER (hh, target->codes, code, tmp) {
		HASH_DEL(target->codes, code);
		free(code);
	}
}

bool cs_target_ended(const struct cs_target *target)
{
	struct pollfd poll_fd = {.fd = target->pidfd, .events = POLLIN};

	if (target->pidfd < 0)
		return kill(target->pid, 0) < 0 && errno == ESRCH;
	return poll(&poll_fd, 1, 0) > 0;
}

void cs_target_free(struct cs_target *target)
{
	if (!target)
		return;
	if (target->pidfd >= 0)
		close(target->pidfd);
	cs_task_probe_end(&target->task_probe);
	cs_span_probes_end(&target->span_probes);
	cs_tasks_free(target->tasks);
	cs_span_walk_free(target->span_walk);
	cs_sleepers_free(target->sleepers);
	cs_mem_free(target->mem);
	cs_target_forget_codes(target);
	cs_thread_names_clear(&target->thread_names);
	cs_target_owner_clear(&target->owner);
	cs_buf_free(&target->resources);
	free(target->told);
	free(target);
}

void cs_target_forget(struct cs_target *target, uint64_t now_ns)
{
	cs_task_probe_end(&target->task_probe);
	cs_span_probes_end(&target->span_probes);
	cs_tasks_free(TAKE_PTR(target->tasks));
	cs_span_walk_free(TAKE_PTR(target->span_walk));
	cs_sleepers_free(TAKE_PTR(target->sleepers));
	cs_mem_forget(target->mem);
	cs_target_forget_codes(target);
	cs_thread_names_clear(&target->thread_names);
	cs_target_owner_clear(&target->owner);
	target->interp = (struct cs_interp){.pid = target->pid};
	target->asyncio = (struct cs_asyncio){0};
	target->tracers = (struct cs_tracer_list){0};
	cs_published_begin(&target->published, true, now_ns);
	target->told_tracers = false;
	target->tracers_mark = 0;
	target->modules_mark = 0;
	target->seen_mark = 0;
	target->imported_ns = now_ns;
	target->since_ns = now_ns;
	target->fresh = true;
	target->looked_at = false;
	target->refresh_at_ns = first_look_ns(target->ease, now_ns);
	target->last_pass_ns = 0;
	target->told_kernel = false;
	target->introduced = false;
	target->described = false;
	target->settled = false;
	target->vain = 0;
}

static void attach_probe(struct cs_target *target, struct cs_probes *probes, pid_t probe_pid,
			 const struct cs_probe_site *site)
{
	if (!*site->path || target->task_probe.link)
		return;
	if (cs_task_probe_attach(&target->task_probe, probes, probe_pid, site, cs_now_ns()))
		snprintf(target->asyncio.probe_reason, sizeof(target->asyncio.probe_reason),
			 "the task-creation probe could not be attached");
	else if (target->task_probe.link)
		cs_debug("process %d: the task-creation probe is attached after %.1f ms",
			 target->pid, (double)(cs_now_ns() - target->since_ns) / 1e6);
}

/*
 * A program creates its first tasks some milliseconds after it has loaded asyncio, and attaching takes
 * as long: the probe is attached to the module's file before the module is loaded. Failing that, when it is.
 */
static void attach_early(struct cs_target *target, struct cs_probes *probes, pid_t probe_pid)
{
	struct cs_probe_site site;

	if (!cs_task_site_find(&target->interp, &site))
		attach_probe(target, probes, probe_pid, &site);
	target->asyncio.probe_reason[0] = '\0';
}

uint64_t cs_target_loaded_pause(const struct cs_target *target)
{
	unsigned int far = target->stretch > 1 ? MIN(target->vain, MOST_VAIN) : 0;
	uint64_t pause = cs_target_stretched(target, CS_TARGET_LOADED_NS);

	return MIN(pause << far, MAX(pause, VAIN_NS));
}

/*
 * Asyncio is looked for again when something has been imported, or a while after: that costs too much for each turn. An import tells of
 * itself before it is done.
 */
static bool has_news(struct cs_target *target, uint64_t mark, uint64_t now_ns)
{
	uint64_t pause = target->asyncio.loaded ? cs_target_loaded_pause(target) : REFRESH_OLD;

	if (mark != target->modules_mark) {
		target->imported_ns = now_ns;
		target->vain = 0;
	} else if (now_ns - target->looked_ns < pause &&
		   (target->asyncio.loaded || now_ns - target->imported_ns > LOADING_NS)) {
		return false;
	} else if (target->asyncio.loaded) {
		target->vain++;
	}
	target->modules_mark = mark;
	target->looked_ns = now_ns;
	return true;
}

static int refresh_asyncio(struct cs_target *target, struct cs_probes *probes, pid_t probe_pid,
			   uint64_t mark, uint64_t now_ns)
{
	struct cs_asyncio found;
	int err;

	if (!has_news(target, mark, now_ns))
		return 0;
	cs_mem_forget(target->mem);
	err = cs_asyncio_find(&target->interp, target->mem, !target->task_probe.link, &found);
	if (err == -ESRCH)
		return err;
	/* what was found once is not given up because a dict is just being changed */
	if (err || (target->asyncio.loaded && !found.loaded))
		return 0;
	target->asyncio.work_item_type = found.work_item_type;
	if (memcmp(&target->interp.info.work, &found.work, sizeof(found.work)) ||
	    memcmp(&target->interp.info.types, &found.types, sizeof(found.types))) {
		target->vain = 0;
		target->interp.info.work = found.work;
		target->interp.info.types = found.types;
		err = cs_target_tell_row(target, probes);
	}
	if (err || (target->asyncio.loaded && cs_asyncio_same(&found, &target->asyncio)))
		return err;
	target->vain = 0;
	target->asyncio = found;
	/* The probe first: a task created between the two would be enumerated but have no creator. */
	attach_probe(target, probes, probe_pid, &target->asyncio.probe);
	if (target->asyncio.current_tasks != target->interp.info.current_tasks) {
		target->interp.info.current_tasks = target->asyncio.current_tasks;
		cs_sleepers_free(
			TAKE_PTR(target->sleepers)); /* their stacks were taken without tasks */
		err = cs_target_tell_row(target, probes);
	}
	if (err || !target->asyncio.loaded)
		return err;
	cs_tasks_free(TAKE_PTR(target->tasks));
	cs_span_walk_free(TAKE_PTR(target->span_walk));
	err = cs_tasks_new(&target->interp, &target->asyncio, &target->tasks);
	target->described = false;
	return err;
}

struct telling {
	struct cs_target *target;
	struct cs_probes *probes;
};

static int tell(void *arg, uint64_t thread_pointer, uint64_t tstate)
{
	const struct telling *telling = arg;
	struct cs_target *target = telling->target;
	const struct cs_tstate_key key = {(uint32_t)target->pid, 0, thread_pointer};

	if (target->ntold >= CS_MAX_THREADS)
		return 1;
	cs_probes_tell_tstate(telling->probes, &key, tstate);
	target->told[target->ntold++] = thread_pointer;
	return 0;
}

void cs_target_untell_threads(struct cs_target *target, struct cs_probes *probes)
{
	for (size_t i = 0; i < target->ntold; i++) {
		const struct cs_tstate_key key = {(uint32_t)target->pid, 0, target->told[i]};

		cs_probes_forget_tstate(probes, &key);
	}
	target->ntold = 0;
}

int cs_target_tell_threads(struct cs_target *target, struct cs_probes *probes, uint64_t now_ns)
{
	const struct cs_pyobj_ctx ctx = {&target->interp, target->mem};
	struct telling telling = {target, probes};

	if (target->interp.state != CS_INTERP_READY || now_ns - target->told_ns < TELL_NS)
		return 0;
	target->told_ns = now_ns;
	if (!target->told)
		target->told = calloc(CS_MAX_THREADS, sizeof(*target->told));
	if (!target->told)
		return -ENOMEM;
	cs_target_untell_threads(target, probes);
	cs_mem_forget(target->mem);
	cs_py_tstates_each(&ctx, tell, &telling);
	/* a new description: sleepers that were visited in vain are visited again */
	return cs_target_tell_row(target, probes) ? -ENOMEM : 0;
}

/* More threads than the kernel side looks for? A directory has a link from each of its own. */
static bool has_many_threads(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	return !stat(path, &st) && st.st_nlink > CS_MAX_TSTATES;
}

/* Look again at an interpreter that is still starting, or a process that may yet become one. */
static int refresh_interp(struct cs_target *target, struct cs_probes *probes, pid_t probe_pid)
{
	enum cs_interp_state before = target->interp.state;
	int err = 0;

	if (before != CS_INTERP_READY) {
		target->known_ns = cs_now_ns();
		err = cs_interp_detect(target->pid, &target->interp);
	}
	if (err || (target->told_kernel && target->interp.state == before))
		return err;
	cs_debug("process %d: %s after %.1f ms", target->pid, state_text[target->interp.state],
		 (double)(cs_now_ns() - target->since_ns) / 1e6);
	/* Whatever it is, it gets a row: its ticks are asked for, and exec and exit are watched by row. */
	target->told_kernel = true;
	target->described = false;
	if (target->no_asyncio)
		target->interp.info.off.tstate_running_task = 0;
	err = cs_target_tell_row(target, probes);
	if (err || target->interp.state != CS_INTERP_READY)
		return err;
	if (!target->no_asyncio)
		attach_early(target, probes, probe_pid);
	return has_many_threads(target->pid) ? cs_target_tell_threads(target, probes, cs_now_ns())
					     : 0;
}

/* What its imports tell of. */
static int refresh_modules(struct cs_target *target, struct cs_probes *probes, pid_t probe_pid,
			   uint64_t now_ns)
{
	bool imports;
	uint64_t mark;
	int err;

	cs_mem_forget(target->mem);
	err = cs_asyncio_mark(&target->interp, &target->asyncio, target->mem, &mark);
	if (err == -ESRCH)
		return err;
	imports = !err && mark != target->seen_mark;
	if (err) {
		mark = target->modules_mark;
		target->imported_ns = now_ns;
		err = 0;
	} else if (imports && target->ease > 1 && now_ns - target->since_ns < YOUNG_NS) {
		/* soon again, when it has imported everything: then once will do */
		target->refresh_at_ns = now_ns + cs_ease_young_ns(target->ease);
	} else {
		err = cs_target_refresh_tracers(target, probes, mark, now_ns);
	}
	target->seen_mark = mark;
	return err || target->no_asyncio ? err
					 : refresh_asyncio(target, probes, probe_pid, mark, now_ns);
}

int cs_target_refresh(struct cs_target *target, struct cs_probes *probes, pid_t probe_pid,
		      uint64_t now_ns)
{
	int err;

	if (!target->refresh_at_ns || now_ns < target->refresh_at_ns || target->exited)
		return 0;
	target->refresh_at_ns = now_ns + cs_target_stretched(target, REFRESH_OLD);
	target->looked_at = true;
	err = refresh_interp(target, probes, probe_pid);
	if (err)
		return err;
	/* only now it may be known that it is a Python, which goes on importing */
	if (cs_target_young(target, now_ns))
		target->refresh_at_ns = now_ns + cs_ease_young_ns(target->ease);
	if (target->interp.state == CS_INTERP_READY)
		return refresh_modules(target, probes, probe_pid, now_ns);
	/* An exec is told by the kernel, and so is what it maps; until then a process that is no Python stays none. */
	if (now_ns - target->since_ns > LINKING_NS && target->interp.state != CS_INTERP_STARTING)
		target->refresh_at_ns = 0;
	return 0;
}

bool cs_target_young(const struct cs_target *target, uint64_t now_ns)
{
	uint64_t age = now_ns - target->since_ns;
	uint64_t young_ns = MAX(YOUNG_NS, YOUNG_LOOKS * cs_ease_young_ns(target->ease));

	if (!target->refresh_at_ns || target->tasks)
		return false;
	if (now_ns - target->poked_ns < LOADING_NS ||
	    (target->interp.state == CS_INTERP_STARTING && age < young_ns))
		return true;
	return target->fresh &&
	       age < (target->interp.state == CS_INTERP_NOT_PYTHON ? LINKING_NS : young_ns);
}

void cs_target_settle(struct cs_target *target, uint64_t now_ns)
{
	target->settled = target->described && !target->exited &&
			  !cs_published_is_due(&target->published, now_ns + SOON_NS) &&
			  !cs_target_young(target, now_ns) &&
			  !(target->interp.info.flags & CS_PROC_TRACED);
}

void cs_target_set_checks(struct cs_target *target, struct cs_probes *probes, uint64_t now_ns)
{
	bool wanted = target->reused_ns && now_ns - target->reused_ns < CHECKS_ALL_NS;

	if (wanted == target->checks_all || !target->told_kernel)
		return;
	target->checks_all = wanted;
	if (wanted)
		target->interp.info.flags |= CS_PROC_CHECK_ALL;
	else
		target->interp.info.flags &= ~(__u32)CS_PROC_CHECK_ALL;
	cs_target_tell_row(target, probes);
}

int cs_target_check_creations(struct cs_target *target, struct cs_probes *probes, bool count,
			      uint64_t now_ns, struct cs_buf *out)
{
	bool noted = *target->task_probe.note;
	int err = cs_task_probe_check(&target->task_probe, probes, target->pid, count, now_ns, out);

	if (*target->task_probe.note && !noted)
		target->described = target->settled = false;
	return err;
}

/* What a user should know of an interpreter that is sampled. Returns text, or what is in it. */
static const char *describe_probes(const struct cs_target *target, char *text, size_t size)
{
	const char *const notes[] = {target->asyncio.probe_reason, target->task_probe.note,
				     target->span_probes.note};
	size_t used = 0;

	*text = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(notes) && used < size; i++)
		if (*notes[i])
			used += (size_t)snprintf(text + used, size - used, "%s%s", used ? "; " : "",
						 notes[i]);
	return text;
}

int cs_target_describe(struct cs_target *target, uint64_t ts_ns, struct cs_buf *out)
{
	const struct cs_interp *interp = &target->interp;
	char text[416];
	const char *note = describe_probes(target, text, sizeof(text));
	struct cs_ev_process known = {
		.py_major = (uint8_t)interp->major,
		.py_minor = (uint8_t)interp->minor,
		.py_micro = (uint8_t)(interp->micro > 0 ? interp->micro : 0),
		.status = CS_STATUS_COMPLETE,
	};

	target->described = true;
	if (interp->state == CS_INTERP_NOT_PYTHON) {
		known.status = CS_STATUS_NOT_PYTHON;
		/* one that has only just begun may not have mapped its interpreter yet */
		if (ts_ns < target->since_ns + LINKING_NS)
			target->described = false;
		else if (target->asked_for)
			note = "not a Python process: no Python frames to show";
	}
	if (interp->state == CS_INTERP_UNSUPPORTED) {
		known.status = CS_STATUS_UNSUPPORTED;
		note = interp->reason;
	}
	return cs_record_process(out, ts_ns, target->pid, &known, note);
}
