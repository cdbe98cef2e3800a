/* SPDX-License-Identifier: Apache-2.0 */
/* From a thread's Context to the span that is active, in every layout; and whatever is forged, torn or not known on the way. */
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

#define ID   0xfedcba9876543210ull
#define ROOT 0x0123456789abcdefull

struct fixture {
	struct made_python *py;
	struct cs_walk *w;
	struct made_spans m;
	__u32 at_once;     /* bytes of an object that are read before its type is known */
	unsigned int fail; /* the number of a read that fails while a change is told; 0: none */
	bool used;         /* by the loop below */
};

static struct fixture setup(int minor)
{
	struct fixture f = {.py = made_python(minor), .w = calloc(1, sizeof(*f.w))};

	assert_non_null(f.w);
	made_spans(&f.m, f.py);
	return f;
}

static void teardown(struct fixture *f)
{
	made_free(f->py);
	free(f->w);
}

#define _cleanup_fixture_ _cleanup_(teardown)

static const struct cs_active_span *walk(struct fixture *f)
{
	walk_host.tracers = &f->m.list;
	walk_thread(f->w, f->py, 0);
	assert_int_equal(f->w->ev.status, CS_STATUS_COMPLETE);
	return &f->w->span.span;
}

static void expect_span(struct fixture *f, uint64_t id, uint64_t root, unsigned int flags)
{
	const struct cs_active_span *span = walk(f);

	assert_int_equal(span->span_id, id);
	assert_int_equal(span->root_id, root);
	assert_int_equal(span->flags, flags);
	assert_int_equal(f->w->met_type, 0);
}

static void expect_none(struct fixture *f, bool failed)
{
	assert_int_equal(walk(f)->span_id, 0);
	assert_int_equal(f->w->span_failed, failed);
}

/* Run a test in every layout. */
#define EACH(f)                                                                            \
	for (size_t m_ = 0; m_ < ARRAY_SIZE(made_minors); m_++)                            \
		for (_cleanup_fixture_ struct fixture f = setup(made_minors[m_]); !f.used; \
		     f.used = true)

static uint64_t root_span(struct fixture *f)
{
	return made_dd_span(&f->m, &(struct made_dd){.id = ROOT, .type = "web"});
}

static void test_dd_root(void **state)
{
	EACH(f)
	{
		made_activate(&f.m, CS_TRACER_DDTRACE, root_span(&f));
		expect_span(&f, ROOT, ROOT, CS_SPANF_ROOT);
		assert_int_equal(f.w->span.span.kind, CS_TRACER_DDTRACE);
		assert_int_equal(f.w->span.span.trace_hi, 0xabc0000000000000);
		assert_int_equal(f.w->span.span.trace_lo, 0x1234567890abcdef);
		assert_int_equal(f.w->span.span.type_bytes, 3);
		assert_memory_equal(f.w->span.span.type, "web", 4);
	}
}

static void test_dd_child(void **state)
{
	EACH(f)
	{
		uint64_t root = root_span(&f), child;

		child = made_dd_span(
			&f.m,
			&(struct made_dd){.id = ID, .root = root, .parent = root, .type = "x"});
		made_activate(&f.m, CS_TRACER_DDTRACE, child);
		expect_span(&f, ID, ROOT, CS_SPANF_ROOT);
		assert_memory_equal(f.w->span.span.type, "web", 4);
	}
}

/* Spans that have ended give way to the next above that has not. */
static void test_dd_ended(void **state)
{
	EACH(f)
	{
		uint64_t at = root_span(&f);

		for (int i = 0; i < 3; i++)
			at = made_dd_span(&f.m,
					  &(struct made_dd){.id = ID, .parent = at, .ended = true});
		made_activate(&f.m, CS_TRACER_DDTRACE, at);
		expect_span(&f, ROOT, ROOT, CS_SPANF_ROOT);
		assert_int_equal(f.w->span.span.nended, 3);
		for (int i = 0; i < CS_SPAN_HOPS; i++)
			at = made_dd_span(&f.m,
					  &(struct made_dd){.id = ID, .parent = at, .ended = true});
		made_activate(&f.m, CS_TRACER_DDTRACE, at);
		expect_none(&f, true);
	}
}

/* A root that has ended gives way to the context it came with only where that is to be taken up again. */
static void test_dd_reactivate(void **state)
{
	EACH(f)
	{
		for (int again = 0; again < 2; again++) {
			struct made_dd ended = {.id = ROOT, .ended = true};

			ended.context = made_dd_context(&f.m, ID, NULL, NULL, again);
			made_activate(&f.m, CS_TRACER_DDTRACE, made_dd_span(&f.m, &ended));
			if (again)
				expect_span(&f, ID, ID,
					    CS_SPANF_PROPAGATED | CS_SPANF_ROOT_DERIVED);
			else
				expect_none(&f, false);
			ended.context = 0;
			made_activate(&f.m, CS_TRACER_DDTRACE, made_dd_span(&f.m, &ended));
			expect_none(&f, false);
		}
	}
}

/* A span that was begun with a Context of another thread has the local root that this tells, and else is its own. */
static void test_dd_came_with(void **state)
{
	EACH(f)
	{
		struct made_dd span = {.id = ID, .type = "web"};

		span.context = made_dd_context(&f.m, 5, "0123456789abcdef", "worker", false);
		made_activate(&f.m, CS_TRACER_DDTRACE, made_dd_span(&f.m, &span));
		expect_span(&f, ID, ROOT, CS_SPANF_ROOT);
		assert_memory_equal(f.w->span.span.type, "worker", 7);
		span.context = made_dd_context(&f.m, 5, NULL, NULL, false);
		made_activate(&f.m, CS_TRACER_DDTRACE, made_dd_span(&f.m, &span));
		expect_span(&f, ID, ID, CS_SPANF_ROOT);
		assert_memory_equal(f.w->span.span.type, "web", 4);
		span.context = made_dd_context(&f.m, 5, "nonsense", NULL, false);
		made_activate(&f.m, CS_TRACER_DDTRACE, made_dd_span(&f.m, &span));
		expect_span(&f, ID, ID, CS_SPANF_ROOT_DERIVED);
		/* something else is there: the root is not known, the span is */
		span.context = made_long(&f.m, 0, 1);
		made_activate(&f.m, CS_TRACER_DDTRACE, made_dd_span(&f.m, &span));
		assert_int_equal(walk(&f)->span_id, ID);
		assert_int_equal(walk(&f)->root_id, 0);
		assert_int_equal(walk(&f)->flags, 0);
	}
}

static void test_dd_context(void **state)
{
	EACH(f)
	{
		made_activate(&f.m, CS_TRACER_DDTRACE,
			      made_dd_context(&f.m, ID, "0123456789abcdef", "worker", false));
		expect_span(&f, ID, ROOT, CS_SPANF_PROPAGATED | CS_SPANF_ROOT);
		assert_memory_equal(f.w->span.span.type, "worker", 7);
		assert_int_equal(f.w->span.span.trace_lo, 77);
		/* no id, no link */
		made_activate(&f.m, CS_TRACER_DDTRACE,
			      made_dd_context(&f.m, 0, "0123456789abcdef", NULL, false));
		expect_none(&f, false);
	}
}

/* A root in the meta that is none: the span counts as its own. */
static void test_dd_bad_meta(void **state)
{
	static const char *const bad[] = {"0123456789ABCDEF", "123456789abcdef", "0123456789abcdeg",
					  "0000000000000000"};

	EACH(f)
	{
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			made_activate(&f.m, CS_TRACER_DDTRACE,
				      made_dd_context(&f.m, ID, bad[i], NULL, false));
			expect_span(&f, ID, ID, CS_SPANF_PROPAGATED | CS_SPANF_ROOT_DERIVED);
		}
	}
}

/* Rust objects: a root, its child, and one whose references to the root do not agree. */
static void test_rust(void **state)
{
	EACH(f)
	{
		struct made_dd made = {.id = ROOT, .type = "web"};
		uint64_t root = made_dd_rust(&f.m, &made), child;
		struct cs_span_class *class = &f.m.list.classes[MADE_NATIVE];

		made_activate(&f.m, CS_TRACER_DDTRACE, root);
		expect_span(&f, ROOT, ROOT, CS_SPANF_ROOT);
		assert_int_equal(f.w->span.span.trace_hi, 0xabc0000000000000);
		assert_int_equal(f.w->span.span.trace_lo, 0x1234567890abcdef);
		assert_memory_equal(f.w->span.span.type, "web", 4);
		made = (struct made_dd){.id = ID, .root = root, .parent = root};
		child = made_dd_rust(&f.m, &made);
		made_activate(&f.m, CS_TRACER_DDTRACE, child);
		expect_span(&f, ID, ROOT, CS_SPANF_ROOT);
		assert_memory_equal(f.w->span.span.type, "web", 4);
		class->span_type = 0;
		expect_span(&f, ID, ROOT, CS_SPANF_ROOT | CS_SPANF_TYPE_UNREADABLE);
		made_put_u64(f.py, child + class->root_too, 0);
		expect_span(&f, ID, 0, 0);
		/* what user space is still learning is read and told of */
		class->rust |= CS_RUST_LEARNING;
		assert_int_equal(walk(&f)->span_id, ID);
		assert_int_equal(f.w->met_type, class->type);
		assert_int_equal(f.w->met_object, child);
	}
}

/* One that has ended gives way as others do; where the field for it is not known there is no label. */
static void test_rust_ended(void **state)
{
	EACH(f)
	{
		struct made_dd made = {.id = ROOT};
		struct cs_span_class *class = &f.m.list.classes[MADE_NATIVE];
		uint64_t root = made_dd_rust(&f.m, &made), ended;

		made = (struct made_dd){.id = ID, .root = root, .parent = root, .ended = true};
		ended = made_dd_rust(&f.m, &made);
		made_activate(&f.m, CS_TRACER_DDTRACE, ended);
		expect_span(&f, ROOT, ROOT, CS_SPANF_ROOT);
		assert_int_equal(f.w->span.span.nended, 1);
		class->parent = 0;
		expect_none(&f, true);
		/* what is neither yes nor no */
		made_put_u64(f.py, ended + class->ended, 2);
		expect_none(&f, true);
		class->rust ^= CS_RUST_ENDED_TAG | CS_RUST_ENDED_MINUS;
		made_put_u64(f.py, ended + class->ended, ~0ull);
		expect_span(&f, ID, ROOT, CS_SPANF_ROOT);
		made_put_u64(f.py, ended + class->ended, 1000);
		expect_none(&f, true);
	}
}

static void test_rust_context(void **state)
{
	EACH(f)
	{
		struct cs_span_class *class = &f.m.list.classes[MADE_NATIVE_CONTEXT];
		uint64_t at = made_dd_rust_context(&f.m, ID, "0123456789abcdef");

		made_activate(&f.m, CS_TRACER_DDTRACE, at);
		expect_span(&f, ID, ROOT, CS_SPANF_PROPAGATED | CS_SPANF_ROOT);
		assert_int_equal(f.w->span.span.trace_lo, 77);
		class->meta = 0;
		expect_span(&f, ID, 0, CS_SPANF_PROPAGATED);
		/* neither there nor not */
		made_put_u64(f.py, at + class->span_id - 16, 7);
		expect_none(&f, true);
		made_put_u64(f.py, at + class->span_id - 16, 1);
		made_put_u64(f.py, at + class->span_id + 8, 1);
		expect_none(&f, true);
		made_activate(&f.m, CS_TRACER_DDTRACE, made_dd_rust_context(&f.m, 0, NULL));
		expect_none(&f, false);
		/* whether it is to be taken up again is not known */
		at = made_dd_rust(&f.m, &(struct made_dd){.id = ID, .ended = true, .context = at});
		made_activate(&f.m, CS_TRACER_DDTRACE, at);
		expect_none(&f, true);
	}
}

static void test_type_texts(void **state)
{
	EACH(f)
	{
		made_activate(
			&f.m, CS_TRACER_DDTRACE,
			made_dd_span(&f.m,
				     &(struct made_dd){.id = ID, .type = "a type of 20 letters"}));
		expect_span(&f, ID, ID, CS_SPANF_ROOT | CS_SPANF_TYPE_CUT);
		assert_int_equal(f.w->span.span.type_bytes, CS_SPAN_TYPE_BYTES);
		made_activate(&f.m, CS_TRACER_DDTRACE,
			      made_dd_span(&f.m, &(struct made_dd){.id = ID}));
		expect_span(&f, ID, ID, CS_SPANF_ROOT);
		assert_int_equal(f.w->span.span.type_bytes, 0);
		assert_int_equal(f.w->span.span.type[0], 0);
	}
}

static void expect_resource(struct fixture *f, const char *text, bool cut)
{
	walk(f);
	assert_int_equal(f->w->resource.root_id, text ? f->w->span.span.root_id : 0);
	if (!text)
		return;
	assert_int_equal(f->w->resource.trace_lo, f->w->span.span.trace_lo);
	assert_int_equal(f->w->resource.bytes, strlen(text));
	assert_memory_equal(f->w->resource.text, text, strlen(text));
	for (size_t i = strlen(text); i < CS_RESOURCE_BYTES; i++)
		assert_int_equal(f->w->resource.text[i], 0);
	assert_int_equal(f->w->resource.cut, cut);
}

/* What a root that answers requests is about: told once, and again when it is another. */
static void test_resource(void **state)
{
	EACH(f)
	{
		struct made_dd span = {.id = ROOT, .type = "web"};
		char longer[CS_RESOURCE_BYTES + 2] = "GET /";

		memset(longer + 5, 'x', sizeof(longer) - 6);
		span.resource = made_text(&f.m, longer);
		made_activate(&f.m, CS_TRACER_DDTRACE, made_dd_span(&f.m, &span));
		longer[CS_RESOURCE_BYTES] = '\0';
		expect_resource(&f, longer, true);
		expect_resource(&f, NULL, false);
		span.resource = made_box(&f.m, made_text(&f.m, "GET /users/{id}"));
		span.root = made_dd_span(&f.m, &span);
		span.id = ID;
		span.type = NULL;
		span.resource = 0;
		made_activate(&f.m, CS_TRACER_DDTRACE, made_dd_span(&f.m, &span));
		expect_resource(&f, "GET /users/{id}", false);
		assert_int_equal(f.w->resource.root_id, ROOT);
	}
}

static void test_no_resource(void **state)
{
	EACH(f)
	{
		const uint64_t resources[] = {0, made_box(&f.m, 0), made_long(&f.m, 0, 5), 8};
		struct made_dd span = {.id = ROOT, .type = "web"};

		for (size_t i = 0; i < ARRAY_SIZE(resources); i++) {
			span.resource = resources[i];
			made_activate(&f.m, CS_TRACER_DDTRACE, made_dd_span(&f.m, &span));
			expect_span(&f, ROOT, ROOT, CS_SPANF_ROOT);
			expect_resource(&f, NULL, false);
		}
		span.type = "worker";
		span.resource = made_text(&f.m, "GET /");
		made_activate(&f.m, CS_TRACER_DDTRACE, made_dd_span(&f.m, &span));
		expect_resource(&f, NULL, false);
	}
}

static void test_otel_server(void **state)
{
	EACH(f)
	{
		for (int own_dict = 0; own_dict < 2; own_dict++) {
			uint64_t id = made_otel_id(&f.m, 5, 6, ID + (uint64_t)own_dict, false);
			uint64_t span = made_otel_server(&f.m, id, "GET /", own_dict);

			made_activate(&f.m, CS_TRACER_OTEL, made_otel_context(&f.m, span));
			expect_resource(&f, "GET /", false);
		}
	}
}

/* What the program does when a tracer sets its variable: tell_old and tell_new of bpf/span_events.bpf.c. Returns what is told, or NULL. */
static const struct cs_ev_span_change *change(struct fixture *f, enum cs_span_search search,
					      enum cs_tracer_kind kind, uint64_t value)
{
	struct task_struct *task = (struct task_struct *)f->py;
	struct cs_walk *w = f->w;

	walk(f);
	w->change.hdr.flags = 0;
	w->span_search = search;
	w->span_anew = 0;
	w->span_bytes = f->at_once;
	w->span_failed = 0;
	w->span_stage = 0;
	w->span_var = kind == CS_TRACER_OTEL;
	w->span_next = PY_SPAN_TREE;
	if (value) {
		py_span_reset(w, (__u8)kind);
		w->span_next = PY_SPAN_OBJECT;
		w->span_at = value;
	}
	if (search != CS_SPAN_SEARCH_BEGUN)
		w->above_at = 0;
	f->py->reads = 0;
	f->py->fail_at = f->fail;
	CS_REPEAT(CS_SPAN_STEPS, py_span_step(w, task));
	f->py->fail_at = 0;
	assert_true(!w->change.hdr.flags || w->change.hdr.flags == search);
	return w->change.hdr.flags ? &w->change : NULL;
}

static void test_begun(void **state)
{
	EACH(f)
	{
		uint64_t root = root_span(&f), child;
		const struct cs_ev_span_change *told;
		struct made_dd span = {.id = ID, .root = root, .parent = root};

		span.resource = made_text(&f.m, "SELECT 1");
		span.service = made_text(&f.m, "a service of more than 32 letters");
		child = made_dd_span(&f.m, &span);
		made_activate(&f.m, CS_TRACER_DDTRACE, root);
		told = change(&f, CS_SPAN_SEARCH_BEGUN, CS_TRACER_DDTRACE, child);
		assert_non_null(told);
		assert_int_equal(told->span.span_id, ID);
		assert_int_equal(told->span.root_id, ROOT);
		assert_int_equal(told->span.parent_id, MADE_PARENT);
		assert_int_equal(told->start_ns, MADE_START);
		assert_int_equal(told->duration_ns, 0);
		assert_int_equal(told->outcome, CS_SPAN_NOT_TOLD);
		assert_int_equal(told->resource_bytes, 8);
		assert_memory_equal(told->resource, "SELECT 1\0", 9);
		/* which its root tells, and it itself at its end */
		assert_int_equal(told->service_bytes, 0);
		span.root = 0;
		told = change(&f, CS_SPAN_SEARCH_BEGUN, CS_TRACER_DDTRACE,
			      made_dd_span(&f.m, &span));
		assert_non_null(told);
		assert_int_equal(told->service_bytes, CS_SERVICE_BYTES);
		assert_memory_equal(told->service, "a service of more than 32 letter", 32);
		assert_int_equal(told->flags, CS_SPAN_SERVICE_CUT);
		span.root = root;
		/* one that has ended gives way to what goes on, and a Context of another thread begins nothing */
		span.ended = true;
		told = change(&f, CS_SPAN_SEARCH_BEGUN, CS_TRACER_DDTRACE,
			      made_dd_span(&f.m, &span));
		assert_non_null(told);
		assert_int_equal(told->span.span_id, ROOT);
		assert_null(change(&f, CS_SPAN_SEARCH_BEGUN, CS_TRACER_DDTRACE,
				   made_dd_context(&f.m, ID, NULL, NULL, true)));
		assert_null(change(&f, CS_SPAN_SEARCH_BEGUN, CS_TRACER_DDTRACE, f.m.list.none));
		assert_null(change(&f, CS_SPAN_SEARCH_BEGUN, CS_TRACER_DDTRACE, 0x10));
	}
}

static void test_ended(void **state)
{
	EACH(f)
	{
		const struct {
			uint64_t error;
			enum cs_span_outcome outcome;
		} cases[] = {
			{made_long(&f.m, 0, 0), CS_SPAN_OK},
			{made_long(&f.m, 0, 1), CS_SPAN_ERROR},
			{f.m.list.true_, CS_SPAN_ERROR},
			{made_text(&f.m, "1"), CS_SPAN_NOT_TOLD},
			{0x10, CS_SPAN_NOT_TOLD},
		};
		const struct cs_ev_span_change *told;
		struct made_dd span = {.id = ID, .type = "web"};

		made_activate(&f.m, CS_TRACER_DDTRACE, made_dd_span(&f.m, &span));
		assert_null(change(&f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE, 0));
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			span.ended = true;
			span.parent = root_span(&f);
			span.error = cases[i].error;
			made_activate(&f.m, CS_TRACER_DDTRACE, made_dd_span(&f.m, &span));
			told = change(&f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE, 0);
			assert_non_null(told);
			assert_int_equal(told->span.span_id, ID);
			assert_int_equal(told->span.flags & CS_SPANF_ENDED, CS_SPANF_ENDED);
			assert_int_equal(told->duration_ns, MADE_DURATION);
			assert_int_equal(told->outcome, cases[i].outcome);
		}
		/* nothing of the other tracer's variable is told for it */
		assert_null(change(&f, CS_SPAN_SEARCH_LEFT, CS_TRACER_OTEL, 0));
	}
}

/* A span as it is told twice: with nothing known of it, and with what was told when it, or the one above it, began. Returns how many reads that has saved. */
static unsigned int told_again(struct fixture *f, enum cs_span_search search,
			       enum cs_tracer_kind kind, uint64_t value)
{
	struct cs_span_told *places = walk_host.places;
	struct cs_ev_span_change anew;
	const struct cs_ev_span_change *told;
	uint64_t above = f->w->above_at;
	unsigned int reads;

	walk_host.places = NULL;
	f->w->above_at = 0;
	told = change(f, search, kind, value);
	assert_non_null(told);
	anew = *told;
	reads = f->py->reads;
	walk_host.places = places;
	f->w->above_at = above;
	told = change(f, search, kind, value);
	assert_non_null(told);
	assert_int_equal(told->hdr.flags, anew.hdr.flags);
	assert_memory_equal(&told->span, &anew.span, sizeof(anew.span));
	assert_int_equal(told->duration_ns, anew.duration_ns);
	assert_int_equal(told->start_ns, anew.start_ns);
	assert_int_equal(told->outcome, anew.outcome);
	assert_int_equal(told->flags, anew.flags);
	assert_int_equal(told->resource_bytes, anew.resource_bytes);
	assert_int_equal(told->service_bytes, anew.service_bytes);
	return reads - f->py->reads;
}

/* ddtrace's root and a span below it begin and end; `native`: Rust objects. */
static void told_family(struct fixture *f, bool native)
{
	uint64_t (*make)(struct made_spans *, const struct made_dd *) =
		native ? made_dd_rust : made_dd_span;
	struct made_dd span = {.id = ROOT, .type = "web"};
	uint64_t root, child, grandchild;

	root = make(&f->m, &span);
	assert_int_equal(told_again(f, CS_SPAN_SEARCH_BEGUN, CS_TRACER_DDTRACE, root), 0);
	assert_null(change(f, CS_SPAN_SEARCH_BEGUN, CS_TRACER_DDTRACE, root));
	span = (struct made_dd){.id = ID, .root = root, .parent = root, .parent_id = ROOT};
	child = make(&f->m, &span);
	assert_null(change(f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE, root));
	assert_int_equal(f->w->above_at, root);
	assert_true(told_again(f, CS_SPAN_SEARCH_BEGUN, CS_TRACER_DDTRACE, child) > 0);
	span = (struct made_dd){.id = ID + 1, .root = root, .parent = child, .parent_id = ID};
	grandchild = make(&f->m, &span);
	assert_null(change(f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE, child));
	assert_true(told_again(f, CS_SPAN_SEARCH_BEGUN, CS_TRACER_DDTRACE, grandchild) > 0);
	made_dd_end(&f->m, grandchild, native);
	assert_true(told_again(f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE, grandchild) > 0);
	/* it is forgotten */
	assert_int_equal(told_again(f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE, grandchild), 0);
	made_dd_end(&f->m, root, native);
	told_again(f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE, root);
	/* the child goes on below a root that has ended */
	assert_null(change(f, CS_SPAN_SEARCH_BEGUN, CS_TRACER_DDTRACE, child));
	made_dd_end(&f->m, child, native);
	assert_true(told_again(f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE, child) > 0);
}

static void test_told(void **state)
{
	static struct cs_span_told places[WALK_PLACES];

	EACH(f)
	{
		for (int at_once = 0; at_once < 2; at_once++) {
			f.at_once = at_once ? 144 : 0;
			for (int native = 0; native < 2; native++) {
				memset(places, 0, sizeof(places));
				made_activate(&f.m, CS_TRACER_DDTRACE, f.m.list.none);
				walk_host.places = places;
				told_family(&f, native);
				walk_host.places = NULL;
			}
		}
	}
}

/* Another span lies where one was told, with its ids in the same places: what was told of that is not said of this. */
static void test_told_of_another(void **state)
{
	static struct cs_span_told places[WALK_PLACES];

	EACH(f)
	{
		struct made_dd span = {.id = ID ^ 1, .type = "web"};
		uint64_t root = made_dd_span(&f.m, &span), child;
		const struct cs_ev_span_change *told;

		memset(places, 0, sizeof(places));
		made_activate(&f.m, CS_TRACER_DDTRACE, f.m.list.none);
		walk_host.places = places;
		assert_non_null(change(&f, CS_SPAN_SEARCH_BEGUN, CS_TRACER_DDTRACE, root));
		made_dd_rename(&f.m, root, ID, 5);
		/* below it begins one that it is told of by its place only */
		span = (struct made_dd){
			.id = ID + 1, .root = root, .parent = root, .parent_id = ID};
		span.trace_of = root;
		child = made_dd_span(&f.m, &span);
		assert_null(change(&f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE, root));
		told = change(&f, CS_SPAN_SEARCH_BEGUN, CS_TRACER_DDTRACE, child);
		assert_non_null(told);
		assert_int_equal(told->span.span_id, ID + 1);
		assert_int_equal(told->span.root_id, ID);
		assert_int_equal(told->span.parent_id, ID);
		assert_int_equal(told->span.trace_lo, 5);
		made_dd_end(&f.m, root, false);
		told = change(&f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE, root);
		assert_non_null(told);
		assert_int_equal(told->span.span_id, ID);
		assert_int_equal(told->span.root_id, ID);
		assert_int_equal(told->span.trace_lo, 5);
		/* half of it was written by another processor */
		made_dd_rename(&f.m, child, ID + 1, 6);
		for (size_t i = 0; i < WALK_PLACES; i++)
			places[i].trace_lo ^= 1;
		made_dd_end(&f.m, child, false);
		told = change(&f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE, child);
		assert_non_null(told);
		assert_int_equal(told->span.trace_lo, 6);
		walk_host.places = NULL;
	}
}

static void test_otel_told(void **state)
{
	static struct cs_span_told places[WALK_PLACES];

	EACH(f)
	{
		uint64_t parent = made_otel_id(&f.m, 5, 6, ROOT, false);
		uint64_t spans[] = {
			made_otel_server(&f.m, made_otel_id(&f.m, 5, 6, ROOT, false), "GET /",
					 false),
			made_otel_span(&f.m, made_otel_id(&f.m, 5, 6, ID, false), parent, false,
				       false),
			made_otel_span(&f.m, made_otel_id(&f.m, 5, 6, ID, false),
				       made_otel_id(&f.m, 5, 6, ROOT, true), false, true),
		};

		for (size_t i = 0; i < ARRAY_SIZE(spans); i++) {
			uint64_t context = made_otel_context(&f.m, spans[i]);

			made_activate(&f.m, CS_TRACER_OTEL, context);
			memset(places, 0, sizeof(places));
			walk_host.places = places;
			f.at_once = i == 1 ? 64 : 0;
			told_again(&f, CS_SPAN_SEARCH_BEGUN, CS_TRACER_OTEL, context);
			assert_true(told_again(&f, CS_SPAN_SEARCH_LEFT, CS_TRACER_OTEL, context) >
				    0);
			assert_int_equal(
				told_again(&f, CS_SPAN_SEARCH_LEFT, CS_TRACER_OTEL, context), 0);
			walk_host.places = NULL;
		}
	}
}

static void test_otel_scope(void **state)
{
	EACH(f)
	{
		uint64_t span =
			made_otel_server(&f.m, made_otel_id(&f.m, 5, 6, ID, false), "GET /", false);
		uint64_t context = made_otel_context(&f.m, span);
		const struct cs_ev_span_change *told;

		made_activate(&f.m, CS_TRACER_OTEL, context);
		told = change(&f, CS_SPAN_SEARCH_BEGUN, CS_TRACER_OTEL, context);
		assert_non_null(told);
		assert_int_equal(told->span.span_id, ID);
		assert_int_equal(told->span.root_id, ID);
		assert_int_equal(told->start_ns, MADE_START);
		assert_int_equal(told->flags, CS_SPAN_SERVER);
		assert_int_equal(told->resource_bytes, 5);
		assert_memory_equal(told->resource, "GET /\0", 6);
		told = change(&f, CS_SPAN_SEARCH_LEFT, CS_TRACER_OTEL, 0);
		assert_non_null(told);
		assert_int_equal(told->span.span_id, ID);
		assert_int_equal(told->outcome, CS_SPAN_NOT_TOLD);
	}
}

/* Whatever cannot be read is not told, or not that part of it. */
static void test_change_reads_fail(void **state)
{
	EACH(f)
	{
		struct made_dd span = {.id = ID, .type = "web", .ended = true};
		unsigned int reads;

		span.resource = made_text(&f.m, "GET /");
		span.error = made_long(&f.m, 0, 1);
		made_activate(&f.m, CS_TRACER_DDTRACE, made_dd_span(&f.m, &span));
		assert_non_null(change(&f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE, 0));
		reads = f.py->reads;
		for (f.fail = 1; f.fail <= reads; f.fail++) {
			const struct cs_ev_span_change *told;

			told = change(&f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE, 0);
			assert_true(!told || told->span.span_id == ID);
			assert_true(!told || told->outcome != CS_SPAN_OK);
		}
	}
}

/* Ids of one to three digits, at the end of their memory. */
static void test_small_ids(void **state)
{
	static const uint64_t ids[] = {1, (1u << 30) - 1, 1u << 30, 1ull << 59, 1ull << 60, ~0ull};

	EACH(f)
	{
		for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
			made_activate(&f.m, CS_TRACER_DDTRACE,
				      made_dd_span(&f.m, &(struct made_dd){.id = ids[i]}));
			expect_span(&f, ids[i], ids[i], CS_SPANF_ROOT);
		}
		/* no id is 0 */
		made_activate(&f.m, CS_TRACER_DDTRACE,
			      made_dd_span(&f.m, &(struct made_dd){.id = 0}));
		expect_none(&f, true);
	}
}

static void test_hamt(void **state)
{
	EACH(f)
	{
		const uint32_t hash = MADE_DD_HASH;
		uint64_t node = made_bitmap(&f.m, hash, 2, MADE_DD_VAR, root_span(&f));

		made_context(&f.m, made_array(&f.m, hash, 0, made_bitmap(&f.m, hash, 1, 0, node)));
		expect_span(&f, ROOT, ROOT, CS_SPANF_ROOT);
		node = made_collision(&f.m, 0x9999, MADE_DD_VAR, root_span(&f));
		for (int level = 6; level >= 0; level--)
			node = level % 2 ? made_array(&f.m, hash, (unsigned int)level, node)
					 : made_bitmap(&f.m, hash, (unsigned int)level, 0, node);
		made_context(&f.m, node);
		expect_span(&f, ROOT, ROOT, CS_SPANF_ROOT);
	}
}

/* The variable has no value in the Context. */
static void test_hamt_without(void **state)
{
	EACH(f)
	{
		uint64_t span = root_span(&f);

		made_context(&f.m, made_bitmap(&f.m, MADE_DD_HASH, 0, 0x9999, span));
		expect_none(&f, false);
		made_context(&f.m, made_bitmap(&f.m, MADE_DD_HASH + 7, 0, MADE_DD_VAR, span));
		expect_none(&f, false);
		made_context(&f.m, made_array(&f.m, MADE_DD_HASH, 0, 0));
		expect_none(&f, false);
		made_context(&f.m, made_collision(&f.m, 0x9999, 0x8888, span));
		expect_none(&f, false);
		made_put_u64(f.py, f.m.tstate + f.py->info.off.tstate_context, 0);
		expect_none(&f, false);
		made_activate(&f.m, CS_TRACER_DDTRACE, f.m.list.none);
		expect_none(&f, false);
	}
}

/* A trie that leads back into itself, or deeper than hashes go. */
static void test_hamt_cycle(void **state)
{
	EACH(f)
	{
		uint64_t node = made_array(&f.m, MADE_DD_HASH, 0, 0);

		for (uint64_t i = 0; i < 32; i++)
			made_put_u64(f.py, node + f.py->info.off.object_type + 8 + 8 * i, node);
		made_context(&f.m, node);
		expect_none(&f, true);
		assert_in_range(f.py->reads, 1, 64);
	}
}

static void test_strangers(void **state)
{
	EACH(f)
	{
		uint64_t span = root_span(&f), type = f.m.list.classes[0].type;

		made_activate(&f.m, CS_TRACER_DDTRACE, span);
		f.m.list.classes[0].type = 0x4444;
		expect_none(&f, true);
		assert_int_equal(f.w->met_type, type);
		f.m.list.classes[0].type = type;
		f.m.list.hamt_bitmap += 8;
		expect_none(&f, true);
		assert_int_equal(f.w->met_type, f.m.list.hamt_bitmap - 8);
		f.m.list.hamt_bitmap -= 8;
		/* known to be of no interest */
		made_put_u64(f.py, span + f.py->info.off.object_type, f.m.list.classes[5].type);
		expect_none(&f, false);
	}
}

static uint64_t otel_id(struct fixture *f, uint64_t id, bool remote)
{
	return made_otel_id(&f->m, 5, 6, id, remote);
}

static void activate_otel(struct fixture *f, uint64_t span)
{
	made_activate(&f->m, CS_TRACER_OTEL, made_otel_context(&f->m, span));
}

static void test_otel(void **state)
{
	EACH(f)
	{
		for (int own_dict = 0; own_dict < 2; own_dict++) {
			activate_otel(&f, made_otel_span(&f.m, otel_id(&f, ID, false), 0, false,
							 own_dict));
			expect_span(&f, ID, ID, CS_SPANF_ROOT);
			assert_int_equal(f.w->span.span.kind, CS_TRACER_OTEL);
			assert_int_equal(f.w->span.span.trace_hi, 5);
			assert_int_equal(f.w->span.span.trace_lo, 6);
			activate_otel(&f, made_otel_span(&f.m, otel_id(&f, ID, false),
							 otel_id(&f, ROOT, true), true, own_dict));
			expect_span(&f, ID, ID, CS_SPANF_ROOT | CS_SPANF_ENDED);
			activate_otel(&f,
				      made_otel_span(&f.m, otel_id(&f, ID, false),
						     otel_id(&f, ROOT, false), false, own_dict));
			expect_span(&f, ID, 0, 0);
			assert_int_equal(f.w->span.span.parent_id, ROOT);
		}
	}
}

static void test_otel_not_recording(void **state)
{
	EACH(f)
	{
		activate_otel(&f, made_otel_empty(&f.m, otel_id(&f, ID, true)));
		expect_span(&f, ID, ID, CS_SPANF_PROPAGATED | CS_SPANF_ROOT_DERIVED);
		activate_otel(&f, made_otel_empty(&f.m, otel_id(&f, ID, false)));
		expect_span(&f, ID, 0, 0);
		/* the invalid span */
		activate_otel(&f, made_otel_empty(&f.m, otel_id(&f, 0, false)));
		expect_none(&f, false);
		/* what identifies it is of another class */
		f.m.list.otel_id_type += 8;
		expect_none(&f, true);
	}
}

/* A Context without a span, and one whose dict has more entries than are looked at. */
static void test_otel_context(void **state)
{
	EACH(f)
	{
		uint64_t key = f.m.list.otel_key;

		activate_otel(&f, made_otel_empty(&f.m, otel_id(&f, ID, true)));
		f.m.list.otel_key = 0x5555;
		expect_none(&f, false);
		f.m.list.otel_key = key;
		f.m.list.nvars = 1;
		expect_none(&f, false);
		f.m.list.nvars = ~0u;
		expect_span(&f, ID, ID, CS_SPANF_PROPAGATED | CS_SPANF_ROOT_DERIVED);
	}
}

/* Whichever read fails: the right span, without what could not be read, or none; never another. */
static void fail_each_read(struct fixture *f, uint64_t id)
{
	unsigned int nreads, nspans = 0;

	walk(f);
	nreads = f->py->reads;
	for (unsigned int i = 1; i <= nreads; i++) {
		const struct cs_active_span *span = &f->w->span.span;

		f->py->fail_at = i;
		walk_thread(f->w, f->py, 0);
		f->py->fail_at = 0;
		if (!span->span_id)
			continue;
		nspans++;
		assert_int_equal(span->span_id, id);
		assert_true(!span->root_id || span->root_id == ROOT || span->root_id == id);
		if (span->flags & CS_SPANF_ROOT)
			assert_int_equal(span->root_id, ROOT);
		if (span->type_bytes)
			assert_memory_equal(span->type, "web", 4);
		if (span->trace_lo)
			assert_int_equal(span->trace_lo, 0x1234567890abcdef);
	}
	/* what only adds to it may be missing */
	assert_in_range(nspans, 3, nreads);
}

static void test_each_read_fails(void **state)
{
	EACH(f)
	{
		uint64_t root = root_span(&f), at;

		at = made_dd_span(&f.m, &(struct made_dd){.id = ID, .root = root, .parent = root});
		at = made_dd_span(&f.m, &(struct made_dd){.id = 5, .parent = at, .ended = true});
		made_activate(&f.m, CS_TRACER_DDTRACE, at);
		fail_each_read(&f, ID);
	}
}

/* Numbers that no id is: negative, too long, digits beyond 30 bits; and a span that is just being made. */
static void test_forged_fields(void **state)
{
	EACH(f)
	{
		const struct cs_py_offsets *off = &f.py->info.off;
		uint64_t span = root_span(&f), number = made_long(&f.m, 1, 1);
		uint32_t digit = 1u << 30;

		made_activate(&f.m, CS_TRACER_DDTRACE, span);
		made_put_u64(f.py, span + f.m.list.classes[0].span_id, number);
		expect_none(&f, true); /* beyond 64 bits */
		number = made_long(&f.m, 0, ROOT);
		made_put_u64(f.py, span + f.m.list.classes[0].span_id, number);
		expect_span(&f, ROOT, ROOT, CS_SPANF_ROOT);
		made_put(f.py, number + off->long_digits, &digit, sizeof(digit));
		expect_none(&f, true);
		made_put_u64(f.py, number + off->long_tag, ~0ull);
		expect_none(&f, true);
		made_put_u64(f.py, number + off->long_tag, 1ull << 40);
		expect_none(&f, true);
		made_put_u64(f.py, span + f.m.list.classes[0].span_id, MADE_NOWHERE);
		expect_none(&f, true);
		span = root_span(&f);
		made_activate(&f.m, CS_TRACER_DDTRACE, span);
		made_put_u64(f.py, span + f.m.list.classes[0].ended, 0);
		expect_none(&f, true);
	}
}

/* Spans whose parents are each other, and whose root is none. */
static void test_forged_relations(void **state)
{
	EACH(f)
	{
		uint64_t span = made_dd_span(&f.m, &(struct made_dd){.id = ID, .ended = true});

		made_put_u64(f.py, span + f.m.list.classes[0].parent, span);
		made_activate(&f.m, CS_TRACER_DDTRACE, span);
		expect_none(&f, true);
		span = made_dd_span(&f.m, &(struct made_dd){.id = ID, .root = f.m.list.true_});
		made_activate(&f.m, CS_TRACER_DDTRACE, span);
		expect_span(&f, ID, 0, 0);
	}
}

/* The list itself may be anything that a map value can be. */
static void test_garbled_list(void **state)
{
	EACH(f)
	{
		uint64_t root = root_span(&f);
		struct cs_span_class *class = f.m.list.classes;

		made_activate(&f.m, CS_TRACER_DDTRACE, root);
		for (unsigned int i = 0; i < 4096; i++) {
			struct cs_span_class kept = *class;

			((uint8_t *)class)[8 + i % (sizeof(*class) - 8)] = (uint8_t)(i * 131 >> 3);
			walk(&f);
			*class = kept;
		}
		expect_span(&f, ROOT, ROOT, CS_SPANF_ROOT);
	}
}

static void test_not_traced(void **state)
{
	EACH(f)
	{
		made_activate(&f.m, CS_TRACER_DDTRACE, root_span(&f));
		f.py->info.flags &= ~(uint32_t)CS_PROC_TRACED;
		expect_none(&f, false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dd_root),
		cmocka_unit_test(test_dd_child),
		cmocka_unit_test(test_dd_ended),
		cmocka_unit_test(test_dd_reactivate),
		cmocka_unit_test(test_dd_came_with),
		cmocka_unit_test(test_dd_context),
		cmocka_unit_test(test_dd_bad_meta),
		cmocka_unit_test(test_rust),
		cmocka_unit_test(test_rust_ended),
		cmocka_unit_test(test_rust_context),
		cmocka_unit_test(test_type_texts),
		cmocka_unit_test(test_resource),
		cmocka_unit_test(test_begun),
		cmocka_unit_test(test_ended),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_told_of_another),
		cmocka_unit_test(test_otel_told),
		cmocka_unit_test(test_otel_scope),
		cmocka_unit_test(test_change_reads_fail),
		cmocka_unit_test(test_no_resource),
		cmocka_unit_test(test_otel_server),
		cmocka_unit_test(test_small_ids),
		cmocka_unit_test(test_hamt),
		cmocka_unit_test(test_hamt_without),
		cmocka_unit_test(test_hamt_cycle),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_otel),
		cmocka_unit_test(test_otel_not_recording),
		cmocka_unit_test(test_otel_context),
		cmocka_unit_test(test_each_read_fails),
		cmocka_unit_test(test_forged_fields),
		cmocka_unit_test(test_forged_relations),
		cmocka_unit_test(test_garbled_list),
		cmocka_unit_test(test_not_traced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
