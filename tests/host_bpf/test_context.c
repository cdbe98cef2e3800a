/* SPDX-License-Identifier: Apache-2.0 */
/* From a thread's Context to the span that is active, in every layout; and whatever is forged, torn or not known on the way. */
#include "span_fixture.h"

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
