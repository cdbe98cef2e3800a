/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a span that was found is asked for after the search, in the midst of the call that ends it: its outcome where that is not in it yet, and what user space
 * learns from where a Rust object has its error.
 */
#pragma once

#include "py_span_error.bpf.h"

/* Failures are rare, and nothing is learned without them: of the others some are enough, and few when it is certain. */
#define CS_LESSON_NS        5000000
#define CS_LESSON_SURE_NS   100000000
#define CS_LESSON_FAILED_NS 1000000

/* py_scope_step; in a program a global function, which the verifier goes through once. */
#ifndef CS_SCOPE_STEP
#define CS_SCOPE_STEP(w, task) py_scope_step(w, task)
#endif

/* OpenTelemetry leaves the span that was found. */
static __always_inline void outcome_of_left(struct cs_walk *w, struct task_struct *task)
{
	const struct cs_tracers *t = &w->tracers;

	if (py_otel_left(w, t, task))
		return;
	CS_REPEAT(CS_SCOPE_FRAMES, CS_SCOPE_STEP(w, task));
	py_otel_scope(w, t, task);
}

/* Was ddtrace's span told of an exception when it ended? So it was if what ends it was called with one, which is in flight meanwhile. */
static __always_inline bool outcome_has_failed(struct cs_walk *w, struct task_struct *task)
{
	const struct cs_tracers *t = &w->tracers;
	__u64 exception;

	if (!t->scopes[CS_SCOPE_EXIT].code || !t->exception_type)
		return false;
	exception = py_exception(w, t, task);
	if (!exception || exception == t->none || py_scope_first(w, task, w->lessons.object))
		return false;
	CS_REPEAT(CS_EXIT_FRAMES, CS_SCOPE_STEP(w, task));
	return w->scope_found && py_scope_local(w, w->scope_exception) == exception &&
	       py_exception_caught(w, t, task, exception) == CS_SPAN_ERROR;
}

/* Is what the span looks like now to be shown to user space? Then it is in w->lessons. Times: when that was done last. */
static __always_inline bool outcome_lesson(struct cs_walk *w, struct task_struct *task,
					   __u64 *last_ns, __u64 *last_failed_ns)
{
	struct cs_ev_span_lesson *lesson = &w->lessons;
	__u64 now_ns = w->change.hdr.ts_ns, bytes = 8 * lesson->nwords;
	__u64 pause_ns = w->lesson_is_sure ? CS_LESSON_SURE_NS : CS_LESSON_NS;

	if (w->lesson == CS_LESSON_ENDED && now_ns - *last_failed_ns >= CS_LESSON_FAILED_NS &&
	    outcome_has_failed(w, task))
		w->lesson = CS_LESSON_FAILED;
	if (w->lesson == CS_LESSON_FAILED)
		*last_failed_ns = now_ns;
	else if (now_ns - *last_ns < pause_ns)
		return false;
	else
		*last_ns = now_ns;
	asm volatile("" : "+r"(bytes));
	if (bytes > sizeof(lesson->words))
		bytes = sizeof(lesson->words);
	return !CS_READ(task, lesson->words, bytes, lesson->object);
}
