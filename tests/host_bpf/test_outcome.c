/* SPDX-License-Identifier: Apache-2.0 */
/* How spans end, from their statuses, from the calls that end them and from exceptions in flight, in every layout; and where that cannot be told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "made_spans.h"
#include "walk_host.h"

#include "bpf/span_outcome.bpf.h"

#define ID 0xfedcba9876543210ull

/* Locals of use_span, of __exit__ and of _finish_span, none in the order of its parameters. */
enum { SETS, SPAN, ENDS };
enum { EXCEPTION, SELF };
enum { F_SPAN, F_CONTEXT, F_EXCEPTION };

struct fixture {
	struct made_python *py;
	struct cs_walk *w;
	struct made_spans m;
	unsigned int fail, reads; /* the number of a read that fails; 0: none */
	uint64_t exception, no_exception;
	bool used; /* by the loop below */
};

static struct fixture setup(int minor)
{
	struct fixture f = {.py = made_python(minor), .w = calloc(1, sizeof(*f.w))};

	assert_non_null(f.w);
	made_spans(&f.m, f.py);
	f.m.list.scopes[CS_SCOPE_USE_SPAN] =
		(struct cs_scope){.code = made_code(f.py, 1, "use_span"),
				  .subject = SPAN,
				  .ends = ENDS,
				  .sets = SETS};
	f.m.list.scopes[CS_SCOPE_EXIT] = (struct cs_scope){
		.code = made_code(f.py, 1, "__exit__"), .subject = SELF, .exception = EXCEPTION};
	f.m.list.scopes[CS_SCOPE_FINISH] =
		(struct cs_scope){.code = made_code(f.py, 1, "_finish_span"),
				  .subject = F_SPAN,
				  .exception = F_EXCEPTION};
	f.m.list.otel_rules = CS_OTEL_OK_STAYS | CS_OTEL_EXCEPTIONS_ONLY;
	f.exception = made_exception(&f.m, 4, 2);
	f.no_exception = made_exception(&f.m, 3, 3);
	return f;
}

static void teardown(struct fixture *f)
{
	made_free(f->py);
	free(f->w);
}

#define _cleanup_fixture_ _cleanup_(teardown)

/* Run a test in every layout. */
#define EACH(f)                                                                            \
	for (size_t m_ = 0; m_ < ARRAY_SIZE(made_minors); m_++)                            \
		for (_cleanup_fixture_ struct fixture f = setup(made_minors[m_]); !f.used; \
		     f.used = true)

/* Frames of a tracer's own functions above one. */
static uint64_t calls_above(struct fixture *f, uint64_t frame, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		frame = made_call(&f->m, frame, made_code(f->py, 2, "detach"), NULL, 0, false);
	return frame;
}

/* How a span of OpenTelemetry is left. */
struct scene {
	uint64_t status; /* a member of StatusCode; 0: the span has the one that it was made with */
	uint64_t exception;
	unsigned int frames;  /* between the call of use_span and the newest one; 0: two */
	bool keeps, unmarked; /* end_on_exit=False, set_status_on_exception=False */
	bool ended, by_hand, of_other, own_dict;
};

/* What the program does in the process: find_context and tell_old of bpf/span_events.bpf.c. */
static void search(struct fixture *f, enum cs_span_search search, enum cs_tracer_kind kind)
{
	struct task_struct *task = (struct task_struct *)f->py;
	struct cs_walk *w = f->w;

	walk_begin(w, &f->py->info, 7, 0);
	w->tracers = f->m.list;
	w->thread_pointer = MADE_THREAD_POINTER;
	assert_true(py_thread_check(w, task, f->m.tstate));
	w->tstate = f->m.tstate;
	w->change.hdr.flags = 0;
	w->span_search = search;
	w->span_failed = 0;
	w->span_stage = 0;
	w->span_var = kind == CS_TRACER_OTEL;
	w->span_next = PY_SPAN_TREE;
	CS_REPEAT(CS_SPAN_STEPS, py_span_step(w, task));
	assert_int_equal(w->change.hdr.flags, search);
	assert_int_equal(w->span.span.span_id, ID);
}

static enum cs_span_outcome left(struct fixture *f, const struct scene *scene)
{
	const struct cs_tracers *t = &f->m.list;
	uint64_t code =
		scene->by_hand ? made_code(f->py, 3, "mine") : t->scopes[CS_SCOPE_USE_SPAN].code;
	uint64_t id = made_otel_id(&f->m, 5, 6, ID, false), span, frame;

	f->m.otel_status = scene->status ? made_otel_status(&f->m, scene->status, scene->own_dict)
					 : t->otel_first_status;
	span = made_otel_span(&f->m, id, 0, scene->ended, scene->own_dict);
	frame = made_call(&f->m, made_frames(f->py, 2, made_code(f->py, 4, "main")), code,
			  (const uint64_t[]){[SETS] = scene->unmarked ? t->false_ : t->true_,
					     [SPAN] = scene->of_other ? t->true_ : span,
					     [ENDS] = scene->keeps ? t->false_ : t->true_},
			  3, true);
	made_handle(&f->m, scene->exception);
	made_set_frame(f->py, f->m.tstate,
		       calls_above(f, frame, scene->frames ? scene->frames : 2));
	made_activate(&f->m, CS_TRACER_OTEL, made_otel_context(&f->m, span));
	search(f, CS_SPAN_SEARCH_LEFT, CS_TRACER_OTEL);
	f->py->reads = 0;
	f->py->fail_at = f->fail;
	outcome_of_left(f->w, (struct task_struct *)f->py);
	f->py->fail_at = 0;
	f->reads = f->py->reads;
	return f->w->change.outcome;
}

#define LEFT(f, ...) left(f, &(const struct scene){__VA_ARGS__})

static void test_left(void **state)
{
	EACH(f)
	{
		assert_int_equal(LEFT(&f), CS_SPAN_OK);
		assert_int_equal(LEFT(&f, .exception = f.m.list.none), CS_SPAN_OK);
		assert_int_equal(LEFT(&f, .exception = f.exception), CS_SPAN_ERROR);
		assert_int_equal(LEFT(&f, .exception = f.exception, .own_dict = true),
				 CS_SPAN_ERROR);
		/* a cancelled task's is no Exception */
		assert_int_equal(LEFT(&f, .exception = f.no_exception), CS_SPAN_OK);
		assert_int_equal(LEFT(&f, .exception = f.exception, .unmarked = true), CS_SPAN_OK);
		/* an interpreter that traces has frames of its own in between */
		assert_int_equal(LEFT(&f, .exception = f.exception, .frames = 5), CS_SPAN_ERROR);
		assert_int_equal(LEFT(&f, .exception = f.exception, .frames = 6), CS_SPAN_NOT_TOLD);
	}
}

static void test_statuses(void **state)
{
	EACH(f)
	{
		const struct cs_tracers *t = &f.m.list;

		for (int own = 0; own < 2; own++) {
			assert_int_equal(LEFT(&f, .status = t->otel_error, .own_dict = own),
					 CS_SPAN_ERROR);
			assert_int_equal(LEFT(&f, .status = t->otel_unset, .own_dict = own),
					 CS_SPAN_OK);
			assert_int_equal(LEFT(&f, .status = t->otel_ok, .own_dict = own),
					 CS_SPAN_OK);
		}
		assert_int_equal(LEFT(&f, .status = t->otel_error, .exception = f.exception),
				 CS_SPAN_ERROR);
		assert_int_equal(LEFT(&f, .status = t->otel_unset, .exception = f.exception),
				 CS_SPAN_ERROR);
		assert_int_equal(LEFT(&f, .status = t->otel_ok, .exception = f.exception),
				 CS_SPAN_OK);
		assert_int_equal(LEFT(&f, .status = t->true_), CS_SPAN_NOT_TOLD);
		/* releases in which OK does not stay */
		f.m.list.otel_rules = CS_OTEL_EXCEPTIONS_ONLY;
		assert_int_equal(LEFT(&f, .status = t->otel_ok, .exception = f.exception),
				 CS_SPAN_ERROR);
		assert_int_equal(LEFT(&f, .status = t->otel_ok), CS_SPAN_OK);
	}
}

/* What becomes of it after it was left is up to the program. */
static void test_goes_on(void **state)
{
	EACH(f)
	{
		const struct cs_tracers *t = &f.m.list;
		const struct scene scenes[] = {
			{.keeps = true}, {.by_hand = true}, {.of_other = true}};

		for (size_t i = 0; i < ARRAY_SIZE(scenes); i++) {
			struct scene scene = scenes[i];

			assert_int_equal(left(&f, &scene), CS_SPAN_NOT_TOLD);
			scene.exception = f.exception;
			assert_int_equal(left(&f, &scene), CS_SPAN_NOT_TOLD);
			scene.status = t->otel_error;
			assert_int_equal(left(&f, &scene), CS_SPAN_NOT_TOLD);
			/* but that one stays */
			scene.status = t->otel_ok;
			assert_int_equal(left(&f, &scene), CS_SPAN_OK);
			/* and all do that it has ended with */
			scene.ended = true;
			assert_int_equal(left(&f, &scene), CS_SPAN_OK);
			scene.status = 0;
			assert_int_equal(left(&f, &scene), CS_SPAN_OK);
			scene.status = t->otel_error;
			assert_int_equal(left(&f, &scene), CS_SPAN_ERROR);
		}
	}
}

/* Exceptions of which it is not known what this release does, or what they are. */
static void test_other_exceptions(void **state)
{
	EACH(f)
	{
		assert_int_equal(LEFT(&f, .exception = made_exception(&f.m, 16, 15)),
				 CS_SPAN_ERROR);
		assert_int_equal(LEFT(&f, .exception = made_exception(&f.m, 17, 0)),
				 CS_SPAN_NOT_TOLD);
		assert_int_equal(LEFT(&f, .exception = made_exception(&f.m, 0, 0)),
				 CS_SPAN_NOT_TOLD);
		assert_int_equal(LEFT(&f, .exception = 0x10), CS_SPAN_NOT_TOLD);
		f.m.list.scopes[CS_SCOPE_FINISH] =
			(struct cs_scope){.code = made_code(f.py, 1, "_finish_span"),
					  .subject = F_SPAN,
					  .exception = F_EXCEPTION};
		f.m.list.otel_rules = CS_OTEL_OK_STAYS;
		assert_int_equal(LEFT(&f, .exception = f.no_exception), CS_SPAN_NOT_TOLD);
		assert_int_equal(LEFT(&f, .exception = f.exception), CS_SPAN_ERROR);
		assert_int_equal(LEFT(&f, .exception = f.no_exception, .unmarked = true),
				 CS_SPAN_OK);
	}
}

/* A generator between the call and the newest frame: what the thread handles is its exceptions, not the call's. */
static void test_other_generator(void **state)
{
	EACH(f)
	{
		const struct cs_py_offsets *off = &f.py->info.off;

		assert_int_equal(LEFT(&f), CS_SPAN_OK);
		made_put_u64(f.py, f.m.tstate + off->tstate_exc_info, made_alloc(f.py, 32));
		search(&f, CS_SPAN_SEARCH_LEFT, CS_TRACER_OTEL);
		outcome_of_left(f.w, (struct task_struct *)f.py);
		assert_int_equal(f.w->change.outcome, CS_SPAN_NOT_TOLD);
	}
}

/* What user space has not found is not guessed. */
static void test_not_found(void **state)
{
	EACH(f)
	{
		const struct cs_tracers all = f.m.list;

		f.m.list.scopes[CS_SCOPE_USE_SPAN].code = 0;
		assert_int_equal(LEFT(&f), CS_SPAN_NOT_TOLD);
		assert_int_equal(LEFT(&f, .ended = true), CS_SPAN_OK);
		f.m.list = all;
		f.m.list.exception_type = 0;
		assert_int_equal(LEFT(&f), CS_SPAN_NOT_TOLD);
		f.m.list = all;
		f.m.list.otel_error = 0;
		assert_int_equal(LEFT(&f, .ended = true), CS_SPAN_NOT_TOLD);
		f.m.list = all;
		f.m.list.classes[MADE_STATUS].kind = CS_CLASS_OTHER;
		assert_int_equal(LEFT(&f, .status = f.m.list.otel_error), CS_SPAN_NOT_TOLD);
	}
}

/* Any read may fail: then nothing is told, but never the contrary, or what it would have told is had otherwise. A span that succeeds costs few. */
static void test_reads_fail(void **state)
{
	EACH(f)
	{
		const struct scene scenes[] = {{.exception = f.exception},
					       {.exception = f.no_exception},
					       {.status = f.m.list.otel_error},
					       {.ended = true, .status = f.m.list.otel_error}};
		const enum cs_span_outcome outcomes[] = {CS_SPAN_ERROR, CS_SPAN_OK, CS_SPAN_ERROR,
							 CS_SPAN_ERROR};

		assert_int_equal(LEFT(&f), CS_SPAN_OK);
		/* perhaps _PyCFrame; three frames, and what lies below the first; locals; the exception */
		assert_in_range(f.reads, 5, 7);
		for (size_t i = 0; i < ARRAY_SIZE(scenes); i++) {
			unsigned int reads, nothing = 0;

			assert_int_equal(left(&f, &scenes[i]), outcomes[i]);
			reads = f.reads;
			for (f.fail = 1; f.fail <= reads; f.fail++) {
				enum cs_span_outcome told = left(&f, &scenes[i]);

				assert_true(told == outcomes[i] || told == CS_SPAN_NOT_TOLD);
				nothing += told == CS_SPAN_NOT_TOLD;
			}
			assert_in_range(nothing, reads - 1, reads);
			f.fail = 0;
		}
	}
}

/* A span of ddtrace that is a Rust object, as it ends. */
static uint64_t end_rust(struct fixture *f, uint64_t error)
{
	uint64_t span = made_dd_rust(
		&f->m,
		&(struct made_dd){.id = ID, .root = f->m.list.none, .ended = true, .error = error});

	made_activate(&f->m, CS_TRACER_DDTRACE, span);
	return span;
}

static void test_rust_error(void **state)
{
	const enum cs_span_outcome outcomes[] = {CS_SPAN_OK, CS_SPAN_ERROR, CS_SPAN_NOT_TOLD};

	EACH(f)
	{
		struct cs_span_class *class = &f.m.list.classes[MADE_NATIVE];

		end_rust(&f, 1);
		search(&f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE);
		assert_int_equal(f.w->change.outcome, CS_SPAN_NOT_TOLD);
		assert_int_equal(f.w->lesson, CS_LESSON_NONE);
		class->error = MADE_NATIVE_ERROR;
		class->rust |= CS_RUST_ERROR;
		for (uint64_t i = 0; i < ARRAY_SIZE(outcomes); i++) {
			end_rust(&f, i);
			search(&f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE);
			assert_int_equal(f.w->change.outcome, outcomes[i]);
		}
	}
}

/* The call of __exit__ that ends the span, with this exception, and so many frames of the tracer's above it. */
static void exits(struct fixture *f, uint64_t span, uint64_t exception, unsigned int frames)
{
	uint64_t frame =
		made_call(&f->m, 0, f->m.list.scopes[CS_SCOPE_EXIT].code,
			  (const uint64_t[]){[EXCEPTION] = exception, [SELF] = span}, 2, false);

	made_set_frame(f->py, f->m.tstate, calls_above(f, frame, frames));
}

/* Which lesson is given at this time? */
static enum cs_lesson lesson(struct fixture *f, uint64_t at_ns, __u64 last_ns[2])
{
	struct task_struct *task = (struct task_struct *)f->py;

	search(f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE);
	assert_int_equal(f->w->lesson, CS_LESSON_ENDED);
	f->w->change.hdr.ts_ns = at_ns;
	return outcome_lesson(f->w, task, &last_ns[0], &last_ns[1]) ? f->w->lesson : CS_LESSON_NONE;
}

#define MS 1000000ull

static void test_lessons(void **state)
{
	EACH(f)
	{
		__u64 last_ns[2] = {0};
		uint64_t span, at_ns = 1000 * MS;
		struct cs_span_class *class = &f.m.list.classes[MADE_NATIVE];

		class->rust |= CS_RUST_LESSONS | CS_RUST_ERROR;
		span = end_rust(&f, 1);
		/* without an exception, and while one is handled of which the span was not told */
		exits(&f, span, f.m.list.none, 3);
		assert_int_equal(lesson(&f, at_ns, last_ns), CS_LESSON_ENDED);
		assert_int_equal(f.w->lessons.object, span);
		assert_int_equal(f.w->lessons.type, class->type);
		assert_int_equal(f.w->lessons.nwords, class->bytes / 8);
		assert_int_equal(f.w->lessons.words[MADE_NATIVE_ERROR / 8] >> 32, 1);
		assert_int_equal(lesson(&f, at_ns + 99 * MS, last_ns), CS_LESSON_NONE);
		made_handle(&f.m, f.exception);
		assert_int_equal(lesson(&f, at_ns += 100 * MS, last_ns), CS_LESSON_ENDED);
		/* with it, which comes in between; and with what is none, or another span's */
		exits(&f, span, f.exception, 20);
		assert_int_equal(lesson(&f, at_ns += MS, last_ns), CS_LESSON_FAILED);
		assert_int_equal(lesson(&f, at_ns + MS / 2, last_ns), CS_LESSON_NONE);
		assert_int_equal(lesson(&f, at_ns += MS, last_ns), CS_LESSON_FAILED);
		exits(&f, span, f.exception, 30);
		assert_int_equal(lesson(&f, at_ns += 100 * MS, last_ns), CS_LESSON_ENDED);
		exits(&f, f.m.list.none, f.exception, 3);
		assert_int_equal(lesson(&f, at_ns += 100 * MS, last_ns), CS_LESSON_ENDED);
		/* an integration's, which has ended it in the other way */
		made_set_frame(
			f.py, f.m.tstate,
			made_call(&f.m, 0, f.m.list.scopes[CS_SCOPE_FINISH].code,
				  (const uint64_t[]){[F_SPAN] = span, [F_EXCEPTION] = f.exception},
				  3, false));
		assert_int_equal(lesson(&f, at_ns += 100 * MS, last_ns), CS_LESSON_FAILED);
		made_handle(&f.m, f.no_exception);
		exits(&f, span, f.no_exception, 3);
		assert_int_equal(lesson(&f, at_ns += 100 * MS, last_ns), CS_LESSON_ENDED);
		/* more often as long as it is not certain */
		class->rust &= (uint16_t)~CS_RUST_ERROR;
		assert_int_equal(lesson(&f, at_ns + 4 * MS, last_ns), CS_LESSON_NONE);
		assert_int_equal(lesson(&f, at_ns + 5 * MS, last_ns), CS_LESSON_ENDED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_left),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_goes_on),
		cmocka_unit_test(test_other_exceptions),
		cmocka_unit_test(test_other_generator),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_reads_fail),
		cmocka_unit_test(test_rust_error),
		cmocka_unit_test(test_lessons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
