/* SPDX-License-Identifier: Apache-2.0 */
/* The tracers of one watched process: found, learned from what is met, told to the kernel side, asked by passes. */
#include <errno.h>
#include <string.h>

#include "collect/record.h"
#include "collect/target_private.h"

#define MS         1000000ull
/* Looks for tracers in all that is imported, and for a type that was met. */
#define TRACERS_NS (100 * MS)

/* The list first: from then on the row may say that it is there. */
static int tell_tracers(struct cs_target *target, struct cs_probes *probes)
{
	uint32_t flags = target->interp.info.flags & ~(uint32_t)CS_PROC_TRACED;
	int err = 0;

	target->told_tracers = true;
	target->settled = false;
	if (target->tracers.row.nvars &&
	    !cs_probes_set_tracers(probes, target->pid, &target->tracers.row))
		flags |= CS_PROC_TRACED;
	if (flags != target->interp.info.flags) {
		target->interp.info.flags = flags;
		err = cs_target_tell_row(target, probes);
	}
	return err;
}

int cs_target_refresh_tracers(struct cs_target *target, struct cs_probes *probes, uint64_t mark,
			      uint64_t now_ns)
{
	const struct cs_pyobj_ctx ctx = {&target->interp, target->mem};
	struct cs_tracers before = target->tracers.row;
	int err;

	if (now_ns - target->tracers_ns < cs_ease_known(target->ease, TRACERS_NS) &&
	    target->tracers_ns)
		return 0;
	if (mark == target->tracers_mark &&
	    now_ns - target->tracers_ns < cs_target_loaded_pause(target))
		return 0;
	cs_mem_forget(target->mem);
	target->tracers_mark = mark;
	target->tracers_ns = now_ns;
	err = cs_tracers_find(&ctx, &target->tracers);
	if (err)
		return err == -ESRCH ? err : 0;
	if (target->told_tracers && !memcmp(&before, &target->tracers.row, sizeof(before)))
		return 0;
	target->vain = 0;
	return tell_tracers(target, probes);
}

bool cs_target_meet_type(struct cs_target *target, struct cs_probes *probes, uint64_t type,
			 uint64_t object)
{
	const struct cs_pyobj_ctx ctx = {&target->interp, target->mem};
	unsigned int burst = cs_tracers_burst(&target->tracers, type);

	if (target->interp.state != CS_INTERP_READY)
		return false;
	if (!cs_met_is_due(burst > 1 ? &target->learned_ns : &target->met_ns, cs_now_ns(),
			   cs_tracers_pause_ns(&target->tracers, type), burst))
		return !cs_tracers_know(&target->tracers, type);
	cs_mem_forget(target->mem);
	if (!cs_tracers_meet(&ctx, &target->tracers, type, object))
		return false;
	tell_tracers(target, probes);
	return true;
}

bool cs_target_look_at_met(struct cs_target *target, struct cs_probes *probes)
{
	struct cs_met_object met;
	bool again = false;

	for (unsigned int i = 0; cs_met_get(&target->met, i, &met); i++)
		again |= cs_target_meet_type(target, probes, met.type, met.object);
	target->met.n = 0;
	return again;
}

void cs_target_learn(struct cs_target *target, struct cs_probes *probes,
		     const struct cs_ev_span_lesson *lesson)
{
	const struct cs_pyobj_ctx ctx = {&target->interp, target->mem};

	if (target->interp.state != CS_INTERP_READY)
		return;
	cs_mem_forget(target->mem);
	if (cs_tracers_learn(&ctx, &target->tracers, lesson))
		tell_tracers(target, probes);
}

bool cs_target_watch_spans(struct cs_target *target, struct cs_probes *probes)
{
	const struct cs_pyobj_ctx ctx = {&target->interp, target->mem};

	if (target->interp.state != CS_INTERP_READY || !cs_rust_watches(&target->tracers.rust))
		return false;
	if (cs_tracers_watch(&ctx, &target->tracers))
		tell_tracers(target, probes);
	return true;
}

static bool read_span(void *arg, struct cs_mem *mem, uint64_t context, struct cs_active_span *ret)
{
	struct cs_target *target = arg;
	uint64_t now_ns = cs_now_ns(); /* before it is read: what is changed since is later */
	bool found = cs_span_walk_read(target->span_walk, mem, context, ret);
	uint64_t object, type = cs_span_walk_stranger(target->span_walk, &object);

	if (type)
		cs_met_note_listed(&target->met, type, object);

	/* what is lost without memory is told again */
	cs_span_walk_tell(target->span_walk, now_ns, &target->resources);
	return found;
}

int cs_target_use_spans(struct cs_target *target)
{
	if (target->span_walk || !target->tasks || !target->tracers.row.nvars)
		return 0;
	if (cs_span_walk_new(&target->interp, &target->tracers.row, &target->span_walk))
		return -ENOMEM;
	target->span_source = (struct cs_span_source){read_span, target};
	cs_tasks_use_spans(target->tasks, &target->span_source);
	return 0;
}

void cs_target_meet_strangers(struct cs_target *target, struct cs_probes *probes)
{
	cs_met_end_list(&target->met);
	/* what was read without knowing it is read again, even if nothing has run since */
	if (cs_target_look_at_met(target, probes))
		cs_tasks_use_spans(target->tasks, &target->span_source);
}

void cs_target_check_spans(struct cs_target *target, struct cs_probes *probes, uint64_t now_ns)
{
	bool noted = *target->span_probes.note;

	if (target->span_events == CS_PROBING_OFF || !(target->interp.info.flags & CS_PROC_TRACED))
		return;
	cs_span_probes_attach(&target->span_probes, probes, &target->interp, &target->tracers.row,
			      target->span_events);
	if (target->span_events == CS_PROBING_AUTO)
		cs_span_probes_check(&target->span_probes, probes, target->pid, now_ns);
	if (*target->span_probes.note && !noted)
		target->described = false;
}

bool cs_target_check_published(struct cs_target *target, struct cs_publishers *publishers,
			       struct cs_probes *probes, uint64_t now_ns)
{
	struct cs_published *published = &target->published;
	struct cs_published_at row = {0};
	bool own = target->interp.state == CS_INTERP_READY && target->tracers.row.nvars;
	bool due = !own && cs_published_is_due(published, now_ns), wanted;

	if (!target->told_kernel)
		return false;
	if (due)
		cs_published_look(published, publishers, target->pid, target->mem,
				  (unsigned int)cs_target_stretched(target, 1), now_ns);
	/* where the tracer's own objects are read, what it publishes is not, and costs nothing */
	wanted = published->found && !own;
	if (wanted) {
		row = published->at;
		row.kind = target->tracers.n ? CS_TRACER_DDTRACE : CS_TRACER_OTHER;
		row.doubted = !cs_published_believed(&row, &target->interp, &target->tracers);
	}
	if (wanted == published->told && !memcmp(&row, &published->row, sizeof(row)))
		return due;
	published->told = wanted;
	published->row = row;
	cs_target_tell_row(target, probes);
	return due;
}
