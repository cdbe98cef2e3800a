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
#define CS_SPAN_IS_TOLD(w, digest)    span_is_told(w, digest)
#define CS_SCOPE_STEP(w, task)        span_events_scope_step((w)->slot)
int span_events_find_key(__u32 slot);
int span_events_scope_step(__u32 slot);
static bool span_is_told(const struct cs_walk *w, __u64 digest);

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
	__u64 mm, since_ns; /* of the description of its process that the walk has */
	__u32 generation;
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

/* Digests of spans that were told to begin, each in its place: the next one there takes it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CS_SPANS_TOLD);
	__type(key, __u32);
	__type(value, __u64);
} spans_told SEC(".maps");

static __always_inline struct span_events_state *span_state_at(__u32 slot)
{
	return bpf_map_lookup_elem(&span_events_scratch, &slot);
}

static __always_inline bool span_is_told(const struct cs_walk *w, __u64 digest)
{
	__u32 place = digest >> 40 & (CS_SPANS_TOLD - 1);
	__u64 *told = bpf_map_lookup_elem(&spans_told, &place);
	bool known;

	digest ^= w->tgid;
	if (!told)
		return false;
	known = *told == digest;
	if (w->span_search == CS_SPAN_SEARCH_BEGUN) {
		*told = digest;
		return known;
	}
	if (known)
		*told = 0;
	return false;
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

/* Have the thread's Context in the walk; 0: it has none yet. */
static __always_inline void find_context(struct span_events_state *s, __u32 slot,
					 const struct cs_proc_info *info, __u64 pid_tgid)
{
	struct cs_walk *w = &s->walk;
	bool again = s->tstate_pid_tgid == pid_tgid && s->generation == info->generation &&
		     s->since_ns == info->since_ns && s->mm == info->mm;
	__u64 known = again ? s->tstate : 0;

	if (!again)
		walk_describe(w, info, pid_tgid >> 32);
	walk_start(w, info, 0);
	w->slot = slot;
	w->thread_pointer = core_current_thread_pointer();
	w->tstate = 0;
	if (known && py_thread_check(w, NULL, known))
		w->tstate = known;
	else if (!py_thread_first(w, NULL))
		CS_REPEAT(CS_THREAD_STEPS, span_events_thread_step(slot));
	s->tstate_pid_tgid = pid_tgid;
	s->tstate = w->tstate;
	s->generation = info->generation;
	s->since_ns = info->since_ns;
	s->mm = info->mm;
}

/* Which of the tracers' variables is it? Their number: none. */
static __always_inline __u32 find_variable(const struct cs_tracers *t, __u64 var)
{
	for (__u32 i = 0; i < CS_MAX_TRACER_VARS; i++)
		if (i < t->nvars && t->vars[i].var == var)
			return i;
	return CS_MAX_TRACER_VARS;
}

static __always_inline void emit_change(struct cs_walk *w)
{
	w->change.hdr.size = sizeof(w->change);
	w->change.hdr.kind = CS_EV_SPAN_CHANGE;
	count(w->tgid, bpf_ringbuf_output(&ring, &w->change, sizeof(w->change), BPF_RB_NO_WAKEUP)
			       ? CS_COUNTER_SPAN_CHANGES_RING_FULL
			       : CS_COUNTER_SPAN_CHANGES);
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
	w->span_failed = 0;
	w->met_type = 0;
	w->change.hdr.flags = 0;
	CS_REPEAT(CS_SPAN_STEPS, span_events_span_step(slot));
	if (s->owner != pid_tgid) {
		count(w->tgid, CS_COUNTER_SPAN_CHANGES_NESTED);
		return;
	}
	w->change.hdr.ts_ns = bpf_ktime_get_ns();
	w->change.hdr.pid = pid_tgid >> 32;
	w->change.hdr.tid = (__u32)pid_tgid;
	if (w->change.hdr.flags == CS_SPAN_LEFT)
		outcome_of_left(w, NULL);
	if (w->change.hdr.flags && w->lesson &&
	    outcome_lesson(w, NULL, &s->taught_ns, &s->taught_failed_ns))
		emit_lesson(w);
	if (w->change.hdr.flags)
		emit_change(w);
	if (search == CS_SPAN_SEARCH_BEGUN)
		emit_stranger(s, &s->met_new_ns);
	else if (!w->change.hdr.flags) /* one that has ended is gone in a moment */
		emit_stranger(s, &s->met_old_ns);
}

/* The variable's value in the thread's Context, as it is before it is set. */
static __always_inline void tell_old(struct span_events_state *s, __u32 slot, __u64 pid_tgid,
				     __u32 var, enum cs_span_search search)
{
	if (!s->walk.tstate || !s->walk.context)
		return;
	s->walk.span_var = var;
	s->walk.span_next = PY_SPAN_TREE;
	tell_span(s, slot, pid_tgid, search);
}

static __always_inline void tell_new(struct span_events_state *s, __u32 slot, __u64 pid_tgid,
				     const struct cs_tracers *t, __u32 var, __u64 value)
{
	py_span_reset(&s->walk, t->vars[var & (CS_MAX_TRACER_VARS - 1)].kind);
	s->walk.met_wake = t->wake;
	s->walk.span_var = var;
	s->walk.span_next = PY_SPAN_OBJECT;
	s->walk.span_at = value;
	tell_span(s, slot, pid_tgid, CS_SPAN_SEARCH_BEGUN);
}

/* The thread sets the variable to this value; 0: it resets it. */
static __always_inline void on_change(struct span_events_state *s, __u32 slot,
				      const struct cs_proc_info *info, const struct cs_tracers *t,
				      __u32 var, __u64 value)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u8 kind = t->vars[var & (CS_MAX_TRACER_VARS - 1)].kind;

	s->owner = pid_tgid;
	find_context(s, slot, info, pid_tgid);
	if (CS_TAKE_TRACERS(&s->walk)) {
		s->owner = 0;
		return;
	}
	if (kind == CS_TRACER_DDTRACE)
		tell_old(s, slot, pid_tgid, var, CS_SPAN_SEARCH_ENDED);
	else if (!value)
		tell_old(s, slot, pid_tgid, var, CS_SPAN_SEARCH_LEFT);
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
	count(tgid, CS_COUNTER_ACTIVATIONS);
	var = find_variable(t, variable);
	info = var < CS_MAX_TRACER_VARS ? bpf_map_lookup_elem(&procs, &tgid) : NULL;
	if (!info || !(info->flags & CS_PROC_TRACED) || (info->flags & CS_PROC_STALE))
		return 0;
	for (slot = 0; slot < SLOTS; slot++) {
		s = span_state_at(slot);
		if (s && !s->owner) {
			on_change(s, slot, info, t, var, value);
			return 0;
		}
	}
	count(tgid, CS_COUNTER_SPAN_CHANGES_NESTED);
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
