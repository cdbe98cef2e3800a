/* SPDX-License-Identifier: Apache-2.0 */
/* Spans that are Rust objects, in a made-up process of every layout: what witnesses tell of their fields, and what is not believed. */
#include "python/tracer_rust.h"

#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "made_objects.h"
#include "python/rust_private.h"
#include "test.h"

/* Words of a made-up span, and of its Context. */
enum {
	ENDED = 2,
	DURATION,
	TRACE,
	TRACE_HI,
	TYPE,
	NAME,
	RESOURCE,
	ID,
	PARENT_ID,
	START,
	PARENT,
	ROOT,
	ENTRY,
	PARENT_CONTEXT,
	OWN,
	SLOT_ROOT, /* of the layouts that have it as a slot */
	WORDS
};
enum {
	C_TRACE_TAG = 2,
	C_TRACE = 4,
	C_TRACE_HI,
	C_ID_TAG,
	C_ID = 8,
	C_ID_HI,
	C_META,
	C_METRICS,
	C_WORDS
};
/* Slots of a Context that is no Rust object. */
enum { S_ID = 16, S_TRACE = 24 };

#define S 1000000000ll

struct world {
	struct made made;
	struct cs_rust rust;
	struct cs_tracers row;
	uint64_t span, context, random;
	bool slots, minus; /* kinds of layout: a Context with slots; -1 for a span that lasts */
	bool other_service;
	bool short_ids; /* of traces: 64 bits */
};

static uint64_t new_random(struct world *world)
{
	world->random = world->random * 6364136223846793005ull + 1442695040888963407ull;
	return world->random | 1ull << 62;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * S + now.tv_nsec;
}

static void put(struct world *world, uint64_t at, unsigned int word, uint64_t value)
{
	made_put(&world->made, at, 8 * word, value);
}

static uint64_t get(uint64_t at, unsigned int word)
{
	return ((const uint64_t *)(uintptr_t)at)[word];
}

static uint64_t new_class(struct world *world, const char *name)
{
	return made_class(&world->made, name, made_namespace(&world->made, NULL, NULL, 0), 0);
}

static void begin(struct world *world, int minor, bool slots)
{
	struct cs_span_class span = {.kind = CS_CLASS_DD_SPAN, .meta = 8 * OWN};
	struct cs_span_class context = {.kind = CS_CLASS_DD_CONTEXT};

	*world = (struct world){.slots = slots, .minus = slots, .random = 42};
	made_begin(&world->made, minor);
	world->row.none = made_object(&world->made, world->made.type_none, 16);
	world->row.str_type = world->made.type_str;
	span.type = world->span = new_class(world, "Span");
	context.type = world->context = new_class(world, "Context");
	if (slots) {
		context.span_id = S_ID;
		context.trace_id = S_TRACE;
	}
	cs_rust_begin_context(&world->rust, &context, slots ? 0 : C_WORDS);
	cs_rust_begin(&world->rust, &span, OWN);
}

#define EACH(world, slots)                                                                     \
	for (int minor_ = MADE_FIRST_MINOR; minor_ <= MADE_LAST_MINOR; minor_++)               \
		for (struct world world, *once = (begin(&world, minor_, slots), &world); once; \
		     made_end(&world.made), once = NULL)

static uint64_t made_number(struct world *world, uint64_t value)
{
	/* of two or three digits of 30 bits: more than made_int's sign allows is not needed */
	return made_int(&world->made, (int64_t)(value & INT64_MAX));
}

static uint64_t new_context(struct world *world, uint64_t id, uint64_t trace, uint64_t trace_hi)
{
	static const char *const keys[] = {"_dd.p.tid"}, *const others[] = {"_dd.measured"};
	struct made *made = &world->made;
	uint64_t at = made_object(made, world->context, 8 * C_WORDS);
	uint64_t text = made_str(made, "6b01c7b9"), number = made_int(made, 1);

	put(world, at, 0, 1);
	if (world->slots) {
		made_put(made, at, S_ID, made_number(world, id));
		made_put(made, at, S_TRACE, made_number(world, trace));
		return at;
	}
	put(world, at, C_TRACE_TAG, 1);
	put(world, at, C_TRACE, trace);
	put(world, at, C_TRACE_HI, trace_hi);
	put(world, at, C_ID_TAG, 1);
	put(world, at, C_ID, id);
	put(world, at, C_META, made_namespace(made, keys, &text, 1));
	put(world, at, C_METRICS, made_namespace(made, others, &number, 1));
	return at;
}

static uint64_t new_span(struct world *world, uint64_t parent, const char *type)
{
	struct made *made = &world->made;
	uint64_t at = made_object(made, world->span, 8 * WORDS), root = parent;

	put(world, at, 0, 1);
	put(world, at, ENDED, world->minus ? UINT64_MAX : 0);
	/* ids of 62 bits, which are numbers of made_int as well */
	put(world, at, ID, new_random(world) >> 1);
	put(world, at, TRACE, parent ? get(parent, TRACE) : new_random(world) >> 1);
	put(world, at, TRACE_HI, world->slots || world->short_ids ? 0 : 0x6b01c7b900000000);
	put(world, at, TYPE, type ? made_str(made, type) : world->row.none);
	put(world, at, NAME, made_str(made, parent ? "web" : "request"));
	/* a name is the resource of what has no other, and a text among others */
	put(world, at, RESOURCE, parent ? get(at, NAME) : made_str(made, "GET /users/{id}"));
	put(world, at, START, (uint64_t)(now_ns() - S));
	while (root && get(root, PARENT))
		root = get(root, PARENT);
	if (parent) {
		put(world, at, PARENT, parent);
		put(world, at, PARENT_ID, get(parent, ID));
		put(world, at, ROOT, root);
		put(world, at, ENTRY, world->other_service ? 0 : root);
		put(world, at, PARENT_CONTEXT, get(root, OWN));
	}
	put(world, at, OWN,
	    parent ? world->row.none
		   : new_context(world, get(at, ID), get(at, TRACE), get(at, TRACE_HI)));
	return at;
}

static void meet(struct world *world, uint64_t object)
{
	cs_rust_meet(&world->rust, &world->made.ctx, &world->row, object);
}

static void end(struct world *world, uint64_t span)
{
	uint64_t duration = (uint64_t)now_ns() - get(span, START);

	put(world, span, ENDED, world->minus ? duration : 1);
	if (!world->minus)
		put(world, span, DURATION, duration);
}

/* A root, a child of it and one of that, seen while they last and when they have ended. */
static void request(struct world *world)
{
	uint64_t root = new_span(world, 0, "web"), child = new_span(world, root, NULL);
	uint64_t last = new_span(world, child, "sql");

	meet(world, root);
	meet(world, child);
	meet(world, last);
	meet(world, last);
	end(world, last);
	meet(world, root);
}

/* Ids and end are certain, and lie where they were put. */
static void check_readable(const struct cs_rust *rust, unsigned int end)
{
	struct cs_span_class span;

	assert_true(cs_rust_span(rust, &span));
	assert_int_equal(span.rust & ~(CS_RUST_LEARNING | CS_RUST_AWAITED | CS_RUST_LESSONS),
			 CS_RUST_ID | CS_RUST_TRACE | end);
	assert_int_equal(span.span_id, 8 * ID);
	assert_int_equal(span.trace_id, 8 * TRACE);
	assert_int_equal(span.ended, 8 * ENDED);
}

static void rust_context(void **state)
{
	EACH(world, false)
	{
		struct cs_span_class span, context;

		for (int i = 0; i < CS_RUST_ENOUGH; i++) {
			assert_false(cs_rust_span(&world.rust, &span));
			request(&world);
		}
		check_readable(&world.rust, CS_RUST_ENDED_TAG);
		/* of some the ids had to be certain first */
		for (int i = 0; i < 4; i++)
			request(&world);
		assert_true(cs_rust_span(&world.rust, &span));
		assert_int_equal(span.parent, 8 * PARENT);
		assert_int_equal(span.parent_context, 8 * PARENT_CONTEXT);
		assert_int_equal(span.span_type, 8 * TYPE);
		assert_int_equal(span.resource, 8 * RESOURCE);
		/* two that say the same: which of them is the root makes no difference as long as they do */
		assert_int_equal(span.root, 8 * ROOT);
		assert_int_equal(span.root_too, 8 * ENTRY);
		assert_true(span.rust & CS_RUST_LEARNING);
		world.other_service = true;
		request(&world);
		assert_true(cs_rust_span(&world.rust, &span));
		assert_int_equal(span.root, 8 * ROOT);
		assert_int_equal(span.root_too, 0);
		assert_false(span.rust & CS_RUST_LEARNING);
		assert_true(cs_rust_context(&world.rust, &context));
		assert_int_equal(context.rust, CS_RUST_ID | CS_RUST_TRACE | CS_RUST_TAGGED);
		assert_int_equal(world.rust.nconflicts, 0);
		assert_int_equal(context.span_id, 8 * C_ID);
		assert_int_equal(context.trace_id, 8 * C_TRACE);
		assert_int_equal(context.meta, 8 * C_META);
		assert_int_equal(context.bytes, 8 * C_WORDS);
	}
}

static void context_with_slots(void **state)
{
	EACH(world, true)
	{
		struct cs_span_class span, context;
		char text[96];

		assert_false(cs_rust_span(&world.rust, &span));
		cs_rust_tell(&world.rust, text, sizeof(text));
		assert_non_null(strstr(text, "not certain"));
		for (int i = 0; i < CS_RUST_ENOUGH; i++)
			request(&world);
		check_readable(&world.rust, CS_RUST_ENDED_MINUS);
		assert_true(cs_rust_context(&world.rust, &context));
		assert_int_equal(context.rust, 0);
		cs_rust_tell(&world.rust, text, sizeof(text));
		assert_non_null(strstr(text, "are certain"));
	}
}

/* The same span, however often it is met, is one witness; and what goes on says nothing of ends. */
static void one_span_is_not_enough(void **state)
{
	EACH(world, false)
	{
		uint64_t span = new_span(&world, 0, "web");
		struct cs_span_class class;

		for (int i = 0; i < 20; i++)
			meet(&world, span);
		assert_int_equal(world.rust.id.witnesses, 1);
		assert_int_equal(world.rust.tag.witnesses, 0);
		for (int i = 0; i < 20; i++)
			meet(&world, new_span(&world, 0, "web"));
		assert_false(cs_rust_span(&world.rust, &class));
	}
}

/* Its root is what the span tells in a slot only, not in its Rust object. */
static void has_root_in_slot(struct world *world, uint64_t span, uint64_t root)
{
	world->rust.span.root = 8 * SLOT_ROOT;
	put(world, span, ROOT, 0);
	put(world, span, ENTRY, 0);
	put(world, span, SLOT_ROOT, root);
}

/* A child has no Context: the root that it refers to is the witness, and once. */
static void children_tell_of_their_root(void **state)
{
	for (int slots = 0; slots < 2; slots++) {
		EACH(world, slots)
		{
			struct cs_span_class class;

			for (unsigned int i = 1; i <= CS_RUST_ENOUGH; i++) {
				uint64_t root = new_span(&world, 0, "web");
				uint64_t child = new_span(&world, root, NULL);
				uint64_t last = new_span(&world, child, "sql");

				assert_false(cs_rust_span(&world.rust, &class));
				if (slots)
					has_root_in_slot(&world, last, root);
				meet(&world, last);
				assert_int_equal(world.rust.id.witnesses, i);
				end(&world, last);
				meet(&world, child);
				assert_int_equal(world.rust.id.witnesses, i);
			}
			assert_true(cs_rust_span(&world.rust, &class));
			assert_int_equal(class.span_id, 8 * ID);
			assert_int_equal(class.trace_id, 8 * TRACE);
		}
	}
}

/* What is met once is watched until it ends, or has been for long enough. */
static void ends_are_watched(void **state)
{
	EACH(world, false)
	{
		struct cs_rust *rust = &world.rust;
		struct cs_span_class class;

		assert_true(cs_rust_waits(rust));
		assert_false(cs_rust_watches(rust));
		for (unsigned int i = 0; i < CS_RUST_ENOUGH; i++) {
			uint64_t span = new_span(&world, 0, "web");

			meet(&world, span);
			assert_true(cs_rust_watches(rust));
			assert_false(cs_rust_watch(rust, &world.made.ctx));
			assert_int_equal(rust->tag.witnesses, i);
			end(&world, span);
			assert_int_equal(cs_rust_watch(rust, &world.made.ctx),
					 i + 1 == CS_RUST_ENOUGH);
		}
		assert_true(cs_rust_span(rust, &class));
		assert_false(cs_rust_watches(rust));
		/* the local root is not known yet */
		assert_false(cs_rust_waits(rust));
		assert_true(class.rust & CS_RUST_AWAITED);
		for (int i = 0; i < 4; i++)
			request(&world);
		assert_true(cs_rust_span(rust, &class));
		assert_false(class.rust & CS_RUST_AWAITED);
	}
}

static void watching_ends(void **state)
{
	EACH(world, false)
	{
		uint64_t span = new_span(&world, 0, "web");
		int n = 0;

		for (meet(&world, span); cs_rust_watches(&world.rust); n++) {
			assert_true(n < 100000);
			cs_rust_watch(&world.rust, &world.made.ctx);
		}
		assert_true(n > 100);
		/* one that is another's by now is not watched either */
		world.rust.nwatches = 0;
		put(&world, span, START, (uint64_t)now_ns());
		cs_rust_watch(&world.rust, &world.made.ctx);
		assert_false(cs_rust_watches(&world.rust));
	}
}

/* A word that becomes 1 beside a number is no end unless, with the start, it is a moment between two looks. */
static void not_an_end(void **state)
{
	EACH(world, false)
	{
		static const uint64_t durations[] = {0, 1, S / 2, 2 * S, 1ull << 62, UINT64_MAX};

		for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
			uint64_t span = new_span(&world, 0, "web");

			meet(&world, span);
			put(&world, span, ENDED, 1);
			put(&world, span, DURATION, durations[i]);
			meet(&world, span);
		}
		assert_int_equal(world.rust.tag.witnesses, 0);
		assert_int_equal(world.rust.minus.witnesses, 0);
	}
}

/* A word of a span that has only just begun becomes a small number, as a flag does: with the start it is such a moment. */
static void just_begun(void **state)
{
	EACH(world, false)
	{
		static const uint64_t numbers[] = {0, 1, 200};

		for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
			uint64_t span = new_span(&world, 0, "web");

			put(&world, span, START, (uint64_t)now_ns());
			put(&world, span, ENTRY, UINT64_MAX);
			meet(&world, span);
			put(&world, span, ENTRY, numbers[i]);
			meet(&world, span);
		}
		assert_int_equal(world.rust.minus.witnesses, 0);
	}
}

/* A single end in the other form, which may be a neighbour's: it does not forbid all that follow, as it once did. */
static void one_other_end(void **state)
{
	EACH(world, false)
	{
		struct cs_span_class class;
		uint64_t span = new_span(&world, 0, "web");

		put(&world, span, ENTRY, UINT64_MAX);
		meet(&world, span);
		put(&world, span, ENTRY, (uint64_t)now_ns() - get(span, START));
		meet(&world, span);
		assert_int_equal(world.rust.minus.witnesses, 1);
		for (int i = 0; i < CS_RUST_ENOUGH; i++)
			request(&world);
		assert_false(cs_rust_span(&world.rust, &class));
		request(&world);
		check_readable(&world.rust, CS_RUST_ENDED_TAG);
	}
}

/* Spans whose ids are not their Context's: nothing is believed, and at last no more is looked at. */
static void contradictions(void **state)
{
	EACH(world, true)
	{
		struct cs_span_class class;

		for (int i = 0; i < 200; i++) {
			uint64_t span = new_span(&world, 0, "web");

			put(&world, span, i % 2 ? ID : PARENT_ID, new_random(&world));
			put(&world, span, TRACE, new_random(&world));
			meet(&world, span);
			end(&world, span);
			meet(&world, span);
		}
		assert_false(cs_rust_span(&world.rust, &class));
		for (int i = 0; i < 10; i++)
			request(&world);
		assert_false(cs_rust_span(&world.rust, &class));
	}
}

/*
 * Many spans begin while one goes on, faster than they are watched: it is still seen to end. Before, each took the place of another, and under load no
 * end was ever seen.
 */
static void many_at_once(void **state)
{
	EACH(world, false)
	{
		uint64_t lasting[CS_RUST_ENOUGH];
		struct cs_span_class span;

		for (int i = 0; i < CS_RUST_ENOUGH; i++)
			meet(&world, lasting[i] = new_span(&world, 0, "web"));
		for (int i = 0; i < 3 * CS_RUST_WATCHED; i++)
			meet(&world, new_span(&world, 0, "web"));
		for (int i = 0; i < CS_RUST_ENOUGH; i++)
			end(&world, lasting[i]);
		assert_true(cs_rust_watch(&world.rust, &world.made.ctx));
		assert_true(cs_rust_span(&world.rust, &span));
	}
}

/* A root has the Context it came with until it makes its own: that says nothing of its ids, and spoils nothing. */
static void foreign_context(void **state)
{
	EACH(world, false)
	{
		for (int i = 0; i < 2 * CS_RUST_ENOUGH; i++) {
			uint64_t root = new_span(&world, 0, "web");

			if (i % 2)
				put(&world, root, OWN,
				    new_context(&world, new_random(&world), get(root, TRACE),
						get(root, TRACE_HI)));
			meet(&world, root);
			end(&world, root);
			meet(&world, root);
		}
		check_readable(&world.rust, CS_RUST_ENDED_TAG);
	}
}

/* Of two words that are alone none tells whether it is the trace's or the span's, but what a child has in common with its parent does. */
static void ids_of_64_bits(void **state)
{
	EACH(world, false)
	{
		struct cs_span_class span, context;

		world.short_ids = true;
		for (int i = 0; i < 2 * CS_RUST_ENOUGH; i++) {
			uint64_t root = new_span(&world, 0, "web");

			/* the Context it came with has the trace's alone */
			if (i % 3 == 2)
				put(&world, root, OWN,
				    new_context(&world, new_random(&world), get(root, TRACE), 0));
			meet(&world, root);
			end(&world, root);
			meet(&world, root);
		}
		assert_false(cs_rust_span(&world.rust, &span));
		for (int i = 0; i < CS_RUST_ENOUGH; i++)
			request(&world);
		check_readable(&world.rust, CS_RUST_ENDED_TAG);
		assert_true(cs_rust_context(&world.rust, &context));
		assert_int_equal(context.span_id, 8 * C_ID);
		assert_int_equal(context.trace_id, 8 * C_TRACE);
		assert_int_equal(world.rust.nconflicts, 0);
	}
}

/* Some traces' ids have 64 bits, as an older service gave them, others 128. */
static void ids_of_both_lengths(void **state)
{
	EACH(world, false)
	{
		for (int i = 0; i < 2 * CS_RUST_ENOUGH; i++) {
			world.short_ids = i % 2;
			request(&world);
		}
		check_readable(&world.rust, CS_RUST_ENDED_TAG);
		assert_int_equal(world.rust.nconflicts, 0);
	}
}

/* Traces of two spans: root, entry of the service and parent are the same, so it makes no difference which is which. */
static void roots_that_agree(void **state)
{
	EACH(world, false)
	{
		struct cs_span_class span;

		for (int i = 0; i < 3 * CS_RUST_ENOUGH; i++) {
			uint64_t root = new_span(&world, 0, "web");
			uint64_t child = new_span(&world, root, NULL);

			meet(&world, root);
			meet(&world, child);
			end(&world, child);
			meet(&world, root);
		}
		assert_true(cs_rust_span(&world.rust, &span));
		assert_int_equal(span.root, 8 * PARENT);
		assert_int_equal(span.root_too, 8 * ROOT);
		assert_int_equal(span.root_three, 8 * ENTRY);
		assert_int_equal(span.parent, 0);
	}
}

/*
 * A span that lasts has no duration, and what lies there then is what the stack had there before: in ddtrace 4.16 on 3.14 mostly another span's address. Before, a
 * root that so seemed to refer to one was taken for a contradiction, and after 32 of them nothing was believed any more.
 */
static void left_on_the_stack(void **state)
{
	EACH(world, false)
	{
		uint64_t before = 0;
		struct cs_span_class span;

		for (int i = 0; i < 40; i++) {
			uint64_t root = new_span(&world, 0, "web");
			uint64_t child = new_span(&world, root, NULL);
			uint64_t last = new_span(&world, child, "sql");

			put(&world, root, DURATION, before);
			put(&world, child, DURATION, i % 2 ? before : root);
			put(&world, last, DURATION, i % 3 ? child : root);
			before = i % 2 ? last : child;
			meet(&world, root);
			meet(&world, child);
			meet(&world, last);
			end(&world, last);
			meet(&world, last);
		}
		assert_true(cs_rust_span(&world.rust, &span));
		assert_int_equal(span.parent, 8 * PARENT);
		assert_int_equal(span.root, 8 * ROOT);
		assert_int_equal(span.root_too, 8 * ENTRY);
		assert_int_equal(span.root_three, 0);
		assert_int_equal(span.parent_context, 8 * PARENT_CONTEXT);
		assert_int_equal(span.span_type, 8 * TYPE);
		assert_int_equal(span.resource, 8 * RESOURCE);
		assert_int_equal(world.rust.parent.nconflicts, 0);
		assert_int_equal(world.rust.root.nconflicts, 0);
		assert_int_equal(world.rust.parent_context.nconflicts, 0);
	}
}

/* ... and even if it is the same each time it is not taken for the parent once it is known to be the duration. */
static void duration_is_no_parent(void **state)
{
	EACH(world, false)
	{
		struct cs_span_class span;

		request(&world);
		request(&world);
		for (int i = 0; i < CS_RUST_ENOUGH; i++) {
			uint64_t other = new_span(&world, 0, "web");
			uint64_t root = new_span(&world, 0, "web");

			/* made in another thread for that one's child: it has its id, and came with a Context */
			put(&world, root, PARENT_ID, get(other, ID));
			put(&world, root, DURATION, other);
			meet(&world, root);
			if (i + 1 == CS_RUST_ENOUGH) {
				assert_int_equal(world.rust.parent.left, 1ull << DURATION);
				end(&world, root);
				meet(&world, root);
			}
		}
		assert_true(cs_rust_span(&world.rust, &span));
		assert_int_not_equal(span.parent, 8 * DURATION);
		assert_int_not_equal(span.root, 8 * DURATION);
		for (int i = 0; i < 2 * CS_RUST_ENOUGH; i++)
			request(&world);
		assert_true(cs_rust_span(&world.rust, &span));
		assert_int_equal(span.parent, 8 * PARENT);
		assert_int_equal(span.root, 8 * ROOT);
	}
}

/* A field whose witnesses contradict each other is not believed, and the others are: here types of the program's own. */
static void a_field_that_contradicts(void **state)
{
	EACH(world, false)
	{
		struct cs_span_class span;

		for (int i = 0; i < 40; i++) {
			uint64_t root = new_span(&world, 0, "of my own");

			put(&world, root, OWN,
			    new_context(&world, get(root, ID), get(root, TRACE),
					get(root, TRACE_HI)));
			meet(&world, root);
			end(&world, root);
			meet(&world, root);
		}
		for (int i = 0; i < 2 * CS_RUST_ENOUGH; i++)
			request(&world);
		check_readable(&world.rust, CS_RUST_ENDED_TAG);
		assert_true(cs_rust_span(&world.rust, &span));
		assert_int_equal(span.parent, 8 * PARENT);
		assert_int_equal(span.root, 8 * ROOT);
		assert_int_equal(span.span_type, 0);
	}
}

/* What is active is always a child, which has no Context of its own: the root above it tells its ids. */
static void ids_of_roots_above(void **state)
{
	EACH(world, false)
	{
		for (int i = 0; i < CS_RUST_ENOUGH; i++) {
			uint64_t child = new_span(&world, new_span(&world, 0, "web"), NULL);

			meet(&world, child);
			meet(&world, child);
			assert_int_equal(world.rust.id.witnesses, i + 1);
			end(&world, child);
			meet(&world, child);
		}
		check_readable(&world.rust, CS_RUST_ENDED_TAG);
	}
}

/* The meta of Contexts is waited for as long as it may be told: where roots come with a Context they have no root before it is known. */
static void metas_are_awaited(void **state)
{
	EACH(world, false)
	{
		static const char *const w3c[] = {"traceparent"};
		struct made *made = &world.made;
		struct cs_span_class context;
		uint64_t text = made_str(made, "00-6b02ab57"), at;

		for (int i = 0; i < CS_RUST_ENOUGH; i++)
			meet(&world, new_span(&world, 0, "web"));
		/* theirs have told it already */
		assert_true(cs_rust_context(&world.rust, &context));
		assert_int_equal(context.meta, 8 * C_META);
		assert_false(context.rust & (CS_RUST_LEARNING | CS_RUST_AWAITED));

		cs_rust_forget(&world.rust.meta);
		at = new_context(&world, new_random(&world), new_random(&world), 1);
		put(&world, at, C_META, made_namespace(made, w3c, &text, 1));
		for (int i = 0; i < CS_RUST_ENOUGH; i++) {
			assert_true(cs_rust_context(&world.rust, &context));
			assert_true(context.rust & CS_RUST_AWAITED);
			assert_int_equal(context.meta, 0);
			meet(&world, at);
		}
		assert_true(cs_rust_context(&world.rust, &context));
		assert_int_equal(context.meta, 8 * C_META);

		cs_rust_forget(&world.rust.meta);
		put(&world, at, C_META, made_namespace(made, w3c, &text, 0));
		for (int i = 0; i < 100; i++)
			meet(&world, at);
		assert_true(cs_rust_context(&world.rust, &context));
		assert_int_equal(context.rust & (CS_RUST_LEARNING | CS_RUST_AWAITED),
				 CS_RUST_LEARNING);
	}
}

/* What is no span, or not there. */
static void not_spans(void **state)
{
	EACH(world, false)
	{
		uint64_t other = made_object(&world.made, new_class(&world, "Mine"), 8 * WORDS);
		static const uint64_t nowhere[] = {0, 1, 8, 0x7fffffffeff8, UINT64_MAX};

		for (size_t i = 0; i < ARRAY_SIZE(nowhere); i++)
			meet(&world, nowhere[i]);
		meet(&world, other);
		assert_int_equal(world.rust.id.witnesses, 0);
		for (size_t i = 0; i < CS_RUST_WATCHED; i++)
			assert_int_equal(world.rust.watched[i].at, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rust_context),
		cmocka_unit_test(context_with_slots),
		cmocka_unit_test(one_span_is_not_enough),
		cmocka_unit_test(not_an_end),
		cmocka_unit_test(just_begun),
		cmocka_unit_test(one_other_end),
		cmocka_unit_test(contradictions),
		cmocka_unit_test(not_spans),
		cmocka_unit_test(many_at_once),
		cmocka_unit_test(foreign_context),
		cmocka_unit_test(ids_of_64_bits),
		cmocka_unit_test(ids_of_both_lengths),
		cmocka_unit_test(roots_that_agree),
		cmocka_unit_test(children_tell_of_their_root),
		cmocka_unit_test(ends_are_watched),
		cmocka_unit_test(watching_ends),
		cmocka_unit_test(left_on_the_stack),
		cmocka_unit_test(duration_is_no_parent),
		cmocka_unit_test(a_field_that_contradicts),
		cmocka_unit_test(ids_of_roots_above),
		cmocka_unit_test(metas_are_awaited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
