/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a span ends, where the span itself does not say so yet: from the call that ends it and the exception that is in flight in the thread. Only for spans
 * that a tracer is about to leave, or from which it is to be learned how they tell it.
 *
 * OpenTelemetry leaves a span's scope first and sets its status afterwards, both in use_span (opentelemetry/trace/__init__.py). That is a generator, which
 * keeps what it handles in an item of its own (PyThreadState.exc_info), so one that is handled further out is not taken for it. What such a call will do follows
 * from its locals and the exception; of any other call it is not known what will become of the span, and nothing is told.
 */
#pragma once

#include "py_frames.bpf.h"
#include "py_span.bpf.h"
#include "py_span_otel.bpf.h"
#include "py_thread.bpf.h"

/* Frames from the newest one to OpenTelemetry's use_span, and to ddtrace's __exit__ or what is like it: those in between are the tracer's own. */
#define CS_SCOPE_FRAMES 6
#define CS_EXIT_FRAMES  24
/* Locals of a call: user space gives no scope whose locals have higher numbers. */
#define CS_SCOPE_LOCALS 16
/* Classes that an exception's class is derived from, itself included. */
#define CS_MAX_MRO      16

/* A word of what was read into the window. */
static __always_inline __u64 py_scope_word(const struct cs_walk *w, __u32 offset)
{
	return *(const __u64 *)(w->window + (offset & (CS_FRAME_WINDOW - 8)));
}

/* Begin with the newest frame of the thread whose state was read last: once. Returns 0, or 1 if there is none. */
static __always_inline int py_scope_first(struct cs_walk *w, struct task_struct *task,
					  __u64 subject)
{
	w->scope_subject = subject;
	w->scope_found = 0;
	/* frames of plain calls lie one above the other: one read serves several */
	w->to_root = 1;
	w->window_bytes = 0;
	return py_thread_frame(w, task) || !w->frame;
}

/* A local of the call that was looked for, as a reference without a tag. */
static __always_inline __u64 py_scope_local(const struct cs_walk *w, __u32 number)
{
	return py_scope_word(w, 8 * (number & (CS_SCOPE_LOCALS - 1))) & w->code_mask;
}

/* Have the locals of the call at w->frame in the window, up to the last one of interest. */
static __always_inline long py_scope_read(struct cs_walk *w, struct task_struct *task,
					  const struct cs_scope *scope)
{
	__u64 n = 1 + walk_max(walk_max(scope->subject, scope->exception),
			       walk_max(scope->ends, scope->sets));

	w->window_bytes = 0;
	asm volatile("" : "+r"(n));
	if (n > CS_SCOPE_LOCALS)
		n = CS_SCOPE_LOCALS;
	return CS_READ(task, w->window, 8 * n, w->frame + w->off.frame_localsplus);
}

/* Which function of the tracer of the span at hand does this code object belong to? NULL: none of interest. */
static __always_inline const struct cs_scope *py_scope_of(const struct cs_walk *w, __u64 code)
{
	const struct cs_scope *scopes = w->tracers.scopes;

	if (!code)
		return NULL;
	if (w->span.span.kind == CS_TRACER_OTEL)
		return code == scopes[CS_SCOPE_USE_SPAN].code ? &scopes[CS_SCOPE_USE_SPAN] : NULL;
	if (code == scopes[CS_SCOPE_EXIT].code)
		return &scopes[CS_SCOPE_EXIT];
	return code == scopes[CS_SCOPE_FINISH].code ? &scopes[CS_SCOPE_FINISH] : NULL;
}

/* Look at w->frame: is it a call of the tracer's function, for this span? Returns 0 to go on with its caller, 1 at the end. */
static __always_inline int py_scope_step(struct cs_walk *w, struct task_struct *task)
{
	const struct cs_scope *scope;
	__u64 previous;

	if (py_frame_fetch(w, task))
		return 1;
	previous = walk_chunk_u64(w, w->off.frame_previous);
	scope = py_scope_of(w, walk_chunk_u64(w, w->off.frame_executable) & w->code_mask);
	if (scope) {
		w->scope_exception = scope->exception;
		w->scope_gen = w->traits.frame_is_object ? walk_chunk_u64(w, w->off.frame_gen)
							 : w->frame - w->off.gen_iframe;
		if (py_scope_read(w, task, scope))
			return 1;
		w->scope_found = py_scope_local(w, scope->subject) == w->scope_subject;
		if (w->scope_found)
			return 1;
	}
	w->frame = previous;
	return !w->frame;
}

/* The exception that the thread's newest frames handle, up to the newest generator; None: there is none; 0: that cannot be read. */
static __always_inline __u64 py_exception(struct cs_walk *w, const struct cs_tracers *t,
					  struct task_struct *task)
{
	__u64 value = 0;

	if (!w->exc_info ||
	    CS_READ(task, &value, sizeof(value), w->exc_info + w->off.exc_item_value))
		return 0;
	return value ? value : t->none;
}

/* Would `except Exception` catch it? CS_SPAN_ERROR: yes; CS_SPAN_OK: no. What does so is its class's __mro__ (PyType_IsSubtype of Objects/typeobject.c). */
static __always_inline __u8 py_exception_caught(struct cs_walk *w, const struct cs_tracers *t,
						struct task_struct *task, __u64 exception)
{
	__u64 type = 0, mro = 0, n = 0;

	if (CS_READ(task, &type, sizeof(type), exception + w->off.object_type) ||
	    CS_READ(task, &mro, sizeof(mro), type + w->off.type_mro) ||
	    CS_READ(task, &n, sizeof(n), mro + w->off.object_var_size) || n > CS_MAX_MRO)
		return CS_SPAN_NOT_TOLD;
	asm volatile("" : "+r"(n));
	if (n > CS_MAX_MRO)
		n = CS_MAX_MRO;
	if (!n || CS_READ(task, w->window, 8 * n, mro + w->off.tuple_items))
		return CS_SPAN_NOT_TOLD;
	for (__u32 i = 0; i < CS_MAX_MRO; i++)
		if (i < n && py_scope_word(w, 8 * i) == t->exception_type)
			return CS_SPAN_ERROR;
	return CS_SPAN_OK;
}

/* The member of StatusCode that a Status has; 0: it cannot be told. */
static __always_inline __u64 py_otel_status(struct cs_walk *w, const struct cs_tracers *t,
					    struct task_struct *task, __u64 status)
{
	__u64 type = 0;

	if (!status)
		return 0;
	if (status == t->otel_first_status)
		return t->otel_unset;
	if (CS_READ(task, &type, sizeof(type), status + w->off.object_type) ||
	    py_span_classify(w, t, type) || py_span_class(w, t)->kind != CS_CLASS_OTEL_STATUS)
		return 0;
	w->span_at = status;
	return py_span_attrs(w, t, task, py_span_class(w, t)) ? 0
							      : w->span_attrs[CS_OTEL_STATUS_CODE];
}

/*
 * OpenTelemetry's span at w->span_at is left: does its status say how it ends? 0: not alone, and w->scope_status has it; see py_otel_scope. Else 1, with the
 * outcome in w->change.
 */
static __always_inline int py_otel_left(struct cs_walk *w, const struct cs_tracers *t,
					struct task_struct *task)
{
	bool ended = w->span.span.flags & CS_SPANF_ENDED;
	__u64 status;

	if (!t->otel_error || !t->otel_unset || !t->otel_ok)
		return 1;
	w->scope_subject = w->span_at;
	status = py_otel_status(w, t, task, w->span_attrs[CS_OTEL_STATUS]);
	if (status != t->otel_error && status != t->otel_unset && status != t->otel_ok)
		return 1;
	w->scope_status = status;
	ended |= status == t->otel_ok && (t->otel_rules & CS_OTEL_OK_STAYS);
	if (ended)
		w->change.outcome = status == t->otel_error ? CS_SPAN_ERROR : CS_SPAN_OK;
	return ended || !t->scopes[CS_SCOPE_USE_SPAN].code || !t->exception_type ||
	       py_scope_first(w, task, w->scope_subject);
}

/* The call of use_span that leaves the span was looked for: if it ends the span as well, tell how. */
static __always_inline void py_otel_scope(struct cs_walk *w, const struct cs_tracers *t,
					  struct task_struct *task)
{
	const struct cs_scope *scope = &t->scopes[CS_SCOPE_USE_SPAN];
	__u64 exception, sets;

	if (!w->scope_found || w->exc_info != w->scope_gen + w->off.gen_exc_state ||
	    py_scope_local(w, scope->ends) != t->true_)
		return;
	if (w->scope_status == t->otel_error) {
		w->change.outcome = CS_SPAN_ERROR;
		return;
	}
	exception = py_exception(w, t, task);
	sets = py_scope_local(w, scope->sets);
	if (!exception || (sets != t->true_ && sets != t->false_))
		return;
	w->change.outcome = CS_SPAN_OK;
	if (exception != t->none && sets == t->true_)
		w->change.outcome = py_exception_caught(w, t, task, exception);
	/* of what is no Exception it is not known what this release does */
	if (w->change.outcome == CS_SPAN_OK && exception != t->none && sets == t->true_ &&
	    !(t->otel_rules & CS_OTEL_EXCEPTIONS_ONLY))
		w->change.outcome = CS_SPAN_NOT_TOLD;
}
