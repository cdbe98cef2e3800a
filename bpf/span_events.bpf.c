// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which spans begin and end when: uprobes on PyContextVar_Set and PyContextVar_Reset, in processes in which a tracer keeps the active span in a
 * ContextVar. They tell what no sample does: spans that none has hit, when each began and ended, and how; and what its root was about in the end.
 *
 * ddtrace sets its variable when a span begins (to it), and when one has ended (to its parent): the variable's old value is then that span,
 * as it ended (ddtrace/_trace/provider.py: activate, _update_active). OpenTelemetry sets its own when a span's scope begins and resets it when that is left, and
 * mostly ends the span just after (opentelemetry/trace/__init__.py: use_span).
 *
 * A uprobe program can be preempted by another thread's probe: scratches are signed, as in task_events.bpf.c.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "core_compat.bpf.h"
#include "maps.bpf.h"

struct cs_walk;
#define CS_READ(task, dst, size, src) bpf_probe_read_user(dst, size, (const void *)(src))
#define CS_TOLD_TSTATE(w)             told_tstate((w)->tgid, (w)->thread_pointer)
#define CS_TAKE_TRACERS(w)            take_tracers(&(w)->tracers, (w)->tgid)
#define CS_NOW_NS()                   bpf_ktime_get_ns()
#define CS_TELLS_CHANGES              1
#define CS_FIND_KEY(w)                span_events_find_key((w)->slot)
#define CS_SPAN_PLACE(w, at)          span_place((w)->tgid, at)
#define CS_SCOPE_STEP(w, task)        span_events_scope_step((w)->slot)
struct cs_span_told;
int span_events_find_key(__u32 slot);
int span_events_scope_step(__u32 slot);
static struct cs_span_told *span_place(__u32 tgid, __u64 at);

#include "emit.bpf.h"
#include "py_context.bpf.h"
#include "py_thread.bpf.h"
#include "span_outcome.bpf.h"

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";

#define SLOTS  4
#define MET_NS 1000000

struct span_events_state {
	volatile __u64 owner;  /* pid_tgid of the thread that uses it; 0: free */
	__u64 tstate_pid_tgid; /* the thread of the last event here, and its state */
	__u64 tstate;
	__u64 tsid, tsver;  /* of that state: what a ContextVar's cached value is kept for */
	__u64 mm, since_ns; /* of the description of its process that the walk has */
	__u32 generation;
	__u32 counted;                     /* the activation, together with what it told */
	__u64 met_new_ns, met_old_ns;      /* when a type was told last that is to be learned */
	__u64 taught_ns, taught_failed_ns; /* when an instance was, as it was then */
	struct cs_walk walk;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct span_events_state);
} span_events_scratch SEC(".maps");

/* Spans that were told to begin, each in its place: the next one there takes it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CS_SPANS_TOLD);
	__type(key, __u32);
	__type(value, struct cs_span_told);
} spans_told SEC(".maps");

static __always_inline struct span_events_state *span_state_at(__u32 slot)
{
	return bpf_map_lookup_elem(&span_events_scratch, &slot);
}

static __always_inline struct cs_span_told *span_place(__u32 tgid, __u64 at)
{
	/* those of one program lie in the same places again and again, and so what is known of them should */
	__u32 place = (at ^ (__u64)tgid << 32) * CS_SPAN_MIX >> 40 & (CS_SPANS_TOLD - 1);

	return bpf_map_lookup_elem(&spans_told, &place);
}

__noinline int span_events_thread_step(__u32 slot)
{
	struct span_events_state *s = span_state_at(slot);

	return s ? py_thread_step(&s->walk, NULL) : 1;
}

__noinline int span_events_find_key(__u32 slot)
{
	struct span_events_state *s = span_state_at(slot);

	return s ? (int)py_dict_scan(&s->walk) : -1;
}

__noinline int span_events_span_step(__u32 slot)
{
	struct span_events_state *s = span_state_at(slot);

	return s ? py_span_step(&s->walk, NULL) : 1;
}

__noinline int span_events_scope_step(__u32 slot)
{
	struct span_events_state *s = span_state_at(slot);

	return s ? py_scope_step(&s->walk, NULL) : 1;
}

/* Begin with an event of this process. */
static __always_inline void describe(struct span_events_state *s, __u32 slot,
				     const struct cs_proc_info *info, __u32 tgid)
{
	struct cs_walk *w = &s->walk;

	if (w->tgid != tgid || s->generation != info->generation || s->since_ns != info->since_ns ||
	    s->mm != info->mm) {
		walk_describe(w, info, tgid);
		s->tstate_pid_tgid = 0;
		s->generation = info->generation;
		s->since_ns = info->since_ns;
		s->mm = info->mm;
	}
	w->slot = slot;
	w->above_at = 0;
}

/* Have the thread's Context in the walk; 0: it has none yet. */
static __always_inline void find_context(struct span_events_state *s, __u32 slot, __u64 pid_tgid)
{
	struct cs_walk *w = &s->walk;
	__u64 known = s->tstate_pid_tgid == pid_tgid ? s->tstate : 0;

	w->context = 0;
	w->tstate = 0;
	w->thread_pointer = core_current_thread_pointer();
	if (!known || !py_thread_check(w, NULL, known)) {
		if (!py_thread_first(w, NULL))
			CS_REPEAT(CS_THREAD_STEPS, span_events_thread_step(slot));
		known = w->tstate;
		/* the search may have ended at another one */
		if (!py_thread_check(w, NULL, known))
			known = 0;
	}
	w->tstate = known;
	s->tsid = w->off.tstate_id <= CS_TSTATE_CHUNK - 8 ? tstate_u64(w, w->off.tstate_id) : 0;
	s->tsver = tstate_u64(w, w->off.tstate_context_ver);
	s->tstate_pid_tgid = pid_tgid;
	s->tstate = known;
}

/* Which of the tracers' variables is it? Their number: none. */
static __always_inline __u32 find_variable(const struct cs_tracers *t, __u64 var)
{
	for (__u32 i = 0; i < CS_MAX_TRACER_VARS; i++)
		if (i < t->nvars && t->vars[i].var == var)
			return i;
	return CS_MAX_TRACER_VARS;
}

static __always_inline void emit_change(struct span_events_state *s)
{
	struct cs_walk *w = &s->walk;
	enum cs_counter counter = CS_COUNTER_SPAN_CHANGES;

	w->change.hdr.size = sizeof(w->change);
	w->change.hdr.kind = CS_EV_SPAN_CHANGE;
	if (bpf_ringbuf_output(&ring, &w->change, sizeof(w->change), BPF_RB_NO_WAKEUP))
		counter = CS_COUNTER_SPAN_CHANGES_RING_FULL;
	if (s->counted)
		count(w->tgid, counter);
	else
		count_both(w->tgid, CS_COUNTER_ACTIVATIONS, counter);
	s->counted = 1;
}

/* From each span that begins, and each that goes on, user space could learn what spans look like, but it looks no more often. */
static __always_inline void emit_stranger(struct span_events_state *s, __u64 *last_ns)
{
	const struct cs_walk *w = &s->walk;

	if (!w->met_type || w->change.hdr.ts_ns - *last_ns < MET_NS)
		return;
	*last_ns = w->change.hdr.ts_ns;
	emit_met(w, &w->change.hdr);
}

/* Look for the span and tell it, beginning with the state that the walk is in. */
static __always_inline void tell_span(struct span_events_state *s, __u32 slot, __u64 pid_tgid,
				      enum cs_span_search search)
{
	struct cs_walk *w = &s->walk;

	w->span_search = search;
	w->span_stage = 0;
	w->span_anew = 0;
	w->span_failed = 0;
	w->met_type = 0;
	w->change.hdr.flags = 0;
	CS_REPEAT(CS_SPAN_STEPS, span_events_span_step(slot));
	if (s->owner != pid_tgid) {
		count(w->tgid, CS_COUNTER_SPAN_CHANGES_NESTED);
		return;
	}
	if (!w->change.hdr.flags && !w->met_type)
		return;
	w->change.hdr.ts_ns = bpf_ktime_get_ns();
	w->change.hdr.pid = pid_tgid >> 32;
	w->change.hdr.tid = (__u32)pid_tgid;
	if (w->change.hdr.flags == CS_SPAN_LEFT)
		outcome_of_left(w, NULL);
	if (w->change.hdr.flags && w->lesson &&
	    outcome_lesson(w, NULL, &s->taught_ns, &s->taught_failed_ns))
		emit_lesson(w);
	if (w->change.hdr.flags)
		emit_change(s);
	if (search == CS_SPAN_SEARCH_BEGUN)
		emit_stranger(s, &s->met_new_ns);
	else if (!w->change.hdr.flags) /* one that has ended is gone in a moment */
		emit_stranger(s, &s->met_old_ns);
}

/* What a ContextVar keeps of the last value that was asked for, or set: contextvar_get() and contextvar_set() of Python/context.c. */
struct span_events_cached {
	__u64 value, tsid, tsver;
};

/* The variable's value, where the interpreter itself would not look into the Context either; 0: it would. */
static __always_inline __u64 cached_value(const struct span_events_state *s, __u64 var)
{
	struct span_events_cached cached = {};
	__u32 at = s->walk.off.contextvar_cached;

	if (!at || !s->tsid || CS_READ(NULL, &cached, sizeof(cached), var + at) ||
	    cached.tsid != s->tsid || cached.tsver != s->tsver)
		return 0;
	return cached.value;
}

/* The variable's value in the thread's Context, as it is before it is set. */
static __always_inline void tell_old(struct span_events_state *s, __u32 slot, __u64 pid_tgid,
				     const struct cs_tracer_var *var, __u32 number,
				     enum cs_span_search search)
{
	struct cs_walk *w = &s->walk;

	if (!w->tstate || !w->context)
		return;
	w->span_var = number;
	w->span_at = cached_value(s, var->var);
	w->span_next = PY_SPAN_TREE;
	if (w->span_at) {
		if (w->span_at == w->tracers.none)
			return;
		py_span_reset(w, var->kind);
		w->met_wake = w->tracers.wake;
		w->span_next = PY_SPAN_OBJECT;
	}
	tell_span(s, slot, pid_tgid, search);
}

static __always_inline void tell_new(struct span_events_state *s, __u32 slot, __u64 pid_tgid,
				     const struct cs_tracers *t, __u32 var, __u64 value)
{
	/* a span that goes on leaves it as it is */
	if (!s->walk.above_at)
		py_span_reset(&s->walk, t->vars[var & (CS_MAX_TRACER_VARS - 1)].kind);
	s->walk.met_wake = t->wake;
	s->walk.span_var = var;
	s->walk.span_next = PY_SPAN_OBJECT;
	s->walk.span_at = value;
	tell_span(s, slot, pid_tgid, CS_SPAN_SEARCH_BEGUN);
}

/*
 * Have what is known of the tracers in the walk. It is large, and taken only when it is another than the last time: so one that was being written meanwhile
 * must not count as known. Returns 0, or 1 if nothing is.
 */
static __always_inline int take_description(struct span_events_state *s, const struct cs_tracers *t,
					    __u32 tgid)
{
	struct cs_walk *w = &s->walk;
	__u64 generation = t->generation_again;
	__u32 bytes = w->off.object_type + 8;

	if (generation && w->tracers.generation == generation &&
	    w->tracers.generation_again == generation)
		return 0;
	if (CS_TAKE_TRACERS(w))
		return 1;
	if (w->tracers.generation != t->generation)
		w->tracers.generation = 0;
	for (__u32 i = 0; i < CS_MAX_SPAN_CLASSES; i++) {
		const struct cs_span_class *class = &w->tracers.classes[i];

		if (class->kind == CS_CLASS_DD_SPAN)
			bytes = walk_max(bytes, class->bytes);
		else if (class->kind == CS_CLASS_OTEL_CONTEXT)
			bytes = walk_max(bytes, w->off.dict_keys + 8);
	}
	w->span_bytes = bytes;
	return 0;
}

/* The thread sets the variable to this value; 0: it resets it. */
static __always_inline void on_change(struct span_events_state *s, __u32 slot,
				      const struct cs_proc_info *info, const struct cs_tracers *t,
				      __u32 var, __u64 value)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	const struct cs_tracer_var *variable = &t->vars[var & (CS_MAX_TRACER_VARS - 1)];

	s->owner = pid_tgid;
	describe(s, slot, info, pid_tgid >> 32);
	if (variable->kind == CS_TRACER_DDTRACE || !value)
		find_context(s, slot, pid_tgid);
	if (take_description(s, t, pid_tgid >> 32)) {
		s->owner = 0;
		return;
	}
	if (variable->kind == CS_TRACER_DDTRACE)
		tell_old(s, slot, pid_tgid, variable, var, CS_SPAN_SEARCH_ENDED);
	else if (!value)
		tell_old(s, slot, pid_tgid, variable, var, CS_SPAN_SEARCH_LEFT);
	if (value && value != t->none)
		tell_new(s, slot, pid_tgid, t, var, value);
	s->owner = 0;
}

static __always_inline int on_variable(__u64 variable, __u64 value)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32, slot, var;
	struct span_events_state *s;
	const struct cs_tracers *t;
	struct cs_proc_info *info;

	t = known_tracers(tgid);
	if (!t)
		return 0;
	var = find_variable(t, variable);
	info = var < CS_MAX_TRACER_VARS ? bpf_map_lookup_elem(&procs, &tgid) : NULL;
	if (!info || !(info->flags & CS_PROC_TRACED) || (info->flags & CS_PROC_STALE)) {
		count(tgid, CS_COUNTER_ACTIVATIONS);
		return 0;
	}
	for (slot = 0; slot < SLOTS; slot++) {
		s = span_state_at(slot);
		if (s && !s->owner) {
			s->counted = 0;
			on_change(s, slot, info, t, var, value);
			if (!s->counted)
				count(tgid, CS_COUNTER_ACTIVATIONS);
			return 0;
		}
	}
	count_both(tgid, CS_COUNTER_ACTIVATIONS, CS_COUNTER_SPAN_CHANGES_NESTED);
	return 0;
}

/* PyContextVar_Set(var, value) of Python/context.c; `value` is not NULL. */
SEC("uprobe")
int span_set(struct pt_regs *ctx)
{
	return on_variable(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx));
}

/* PyContextVar_Reset(var, token): the variable gets the value that it had before. */
SEC("uprobe")
int span_reset(struct pt_regs *ctx)
{
	return on_variable(PT_REGS_PARM1(ctx), 0);
}
