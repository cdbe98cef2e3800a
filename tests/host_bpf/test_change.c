/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a span that begins or ends, in every layout: from the variable's value, and with what was told of it before. */
#include "span_fixture.h"

static __u32 span_bytes;  /* of an object that are read before its type is known */
static unsigned int fail; /* the number of a read that fails while a change is told; 0: none */

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
	w->span_bytes = span_bytes;
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
	f->py->fail_at = fail;
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
			span_bytes = at_once ? 144 : 0;
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
			span_bytes = i == 1 ? 64 : 0;
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
		fail = 0;
		assert_non_null(change(&f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE, 0));
		reads = f.py->reads;
		for (fail = 1; fail <= reads; fail++) {
			const struct cs_ev_span_change *told;

			told = change(&f, CS_SPAN_SEARCH_ENDED, CS_TRACER_DDTRACE, 0);
			assert_true(!told || told->span.span_id == ID);
			assert_true(!told || told->outcome != CS_SPAN_OK);
		}
	}
}

static int forget(void **state)
{
	span_bytes = fail = 0;
	return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_begun),
		TEST(test_ended),
		TEST(test_told),
		TEST(test_told_of_another),
		TEST(test_otel_told),
		TEST(test_otel_scope),
		TEST(test_change_reads_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
