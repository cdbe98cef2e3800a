/* SPDX-License-Identifier: Apache-2.0 */
/* The span that a thread publishes: from its thread pointer to the record, and whatever is forged, torn or missing on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "walk_host.h"

#define BLOCK \
	64 /* bytes of thread-local data below the thread pointer, and in a block of the vector */
#define SLOT     16 /* of the variable in these */
#define HEAD     28
#define SPAN     0x0102030405060708ull
#define TRACE_HI 0x1112131415161718ull
#define TRACE_LO 0x2122232425262728ull
#define ROOT_KEY 2

struct fixture {
	struct made_python *py;
	struct cs_walk *w;
	struct cs_published_at at;
	uint64_t thread, vector, block, record;
	uint16_t bytes; /* of attributes so far */
};

static void put_big(struct fixture *f, uint64_t at, uint64_t value)
{
	made_put_u64(f->py, at, __builtin_bswap64(value));
}

static void set_bytes(struct fixture *f, uint16_t bytes)
{
	f->bytes = bytes;
	made_put(f->py, f->record + 26, &bytes, 2);
}

/* A record of these ids with room for so many bytes of attributes, which the variable at `slot` points to. */
static void make_record(struct fixture *f, uint64_t slot, size_t room)
{
	static const uint8_t valid = 1;

	f->record = made_alloc(f->py, HEAD + room);
	put_big(f, f->record, TRACE_HI);
	put_big(f, f->record + 8, TRACE_LO);
	put_big(f, f->record + 16, SPAN);
	made_put(f->py, f->record + 24, &valid, 1);
	made_put_u64(f->py, slot, f->record);
}

static void add(struct fixture *f, uint8_t key, const char *text)
{
	uint8_t head[2] = {key, (uint8_t)strlen(text)};
	uint64_t at = f->record + HEAD + f->bytes;

	made_put(f->py, at, head, 2);
	if (head[1])
		made_put(f->py, at + 2, text, head[1]);
	set_bytes(f, (uint16_t)(f->bytes + 2 + head[1]));
}

/* A thread with the variable below its thread pointer. */
static struct fixture setup(void)
{
	struct fixture f = {.py = made_python(12), .w = calloc(1, sizeof(*f.w))};
	uint64_t below = made_alloc(f.py, BLOCK + 16);

	assert_non_null(f.w);
	f.thread = below + BLOCK;
	f.at = (struct cs_published_at){
		.at = SLOT - (uint64_t)BLOCK, .root_key = ROOT_KEY + 1, .kind = CS_TRACER_OTHER};
	make_record(&f, below + SLOT, 640);
	return f;
}

/* ... in a block that its vector of five leads to: the fourth. */
static struct fixture setup_vector(void)
{
	struct fixture f = setup();
	uint64_t memory = made_alloc(f.py, 16 * 7);

	f.vector = memory + 16;
	f.block = made_alloc(f.py, BLOCK);
	made_put_u64(f.py, f.thread + 8, f.vector);
	made_put_u64(f.py, f.vector - 16, 5);
	made_put_u64(f.py, f.vector, 9);
	made_put_u64(f.py, f.vector + 16 * 4, f.block);
	f.at.at = SLOT;
	f.at.module = 4;
	f.at.generation = 9;
	make_record(&f, f.block + SLOT, 640);
	return f;
}

static void teardown(struct fixture *f)
{
	made_free(f->py);
	free(f->w);
}

#define _cleanup_fixture_ _cleanup_(teardown)

static const struct cs_active_span *look(struct fixture *f)
{
	f->py->dst_allowed = walk_dst_allowed;
	f->py->dst_ctx = f->w;
	f->py->reads = 0;
	walk_record(f->w, CS_EV_STACK, 1000);
	f->w->thread_pointer = f->thread;
	published_read(f->w, (struct task_struct *)f->py, &f->at);
	return &f->w->span.span;
}

static void expect_span(struct fixture *f, uint64_t root)
{
	const struct cs_active_span *span = look(f);

	assert_int_equal(span->span_id, SPAN);
	assert_int_equal(span->trace_hi, TRACE_HI);
	assert_int_equal(span->trace_lo, TRACE_LO);
	assert_int_equal(span->root_id, root);
	assert_int_equal(span->flags, CS_SPANF_PUBLISHED | (root ? CS_SPANF_ROOT : 0));
	assert_int_equal(span->kind, CS_TRACER_OTHER);
	assert_int_equal(span->type_bytes, 0);
	assert_int_equal(f->w->span_failed, 0);
}

static void expect_none(struct fixture *f, bool failed)
{
	assert_int_equal(look(f)->span_id, 0);
	assert_int_equal(f->w->span_failed, failed);
}

static void test_record(void **state)
{
	_cleanup_fixture_ struct fixture f = setup();

	expect_span(&f, 0);
	add(&f, 0, "GET");
	expect_span(&f, 0);
	add(&f, ROOT_KEY, "00000000000000ff");
	expect_span(&f, 0xff);
	add(&f, 7, "");
	expect_span(&f, 0xff);
	/* the last one counts, whatever it says */
	add(&f, ROOT_KEY, "fedcba9876543210");
	expect_span(&f, 0xfedcba9876543210ull);
	add(&f, ROOT_KEY, "FEDCBA987654321F");
	expect_span(&f, 0xfedcba987654321full);
	add(&f, ROOT_KEY, "0000000000000000");
	expect_span(&f, 0);
	/* nobody told which attribute it is */
	add(&f, ROOT_KEY, "00000000000000ff");
	f.at.root_key = 0;
	expect_span(&f, 0);
}

static void test_roots_that_are_none(void **state)
{
	static const char *const texts[] = {"",
					    "0",
					    "0000000000000ff",
					    "000000000000000ff",
					    "00000000000000fg",
					    "00000000000000f@",
					    "00000000000000f`",
					    "00000000000000f:",
					    "00000000000000f/",
					    "0x000000000000ff"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_fixture_ struct fixture f = setup();

		add(&f, ROOT_KEY, "00000000000000ff");
		add(&f, ROOT_KEY, texts[i]);
		expect_span(&f, 0);
	}
}

/* The span is told all the same: only its root is not known. */
static void test_attributes_beyond_their_end(void **state)
{
	_cleanup_fixture_ struct fixture f = setup();

	add(&f, ROOT_KEY, "00000000000000ff");
	for (uint16_t cut = 1; cut < 18; cut++) {
		set_bytes(&f, (uint16_t)(18 - cut));
		expect_span(&f, 0);
	}
	set_bytes(&f, 19);
	expect_span(&f, 0);
	set_bytes(&f, 18);
	expect_span(&f, 0xff);
}

static void test_many_attributes(void **state)
{
	_cleanup_fixture_ struct fixture f = setup();

	add(&f, ROOT_KEY, "00000000000000ff");
	for (int i = 1; i < CS_PUBLISHED_ATTRS; i++)
		add(&f, 9, "");
	expect_span(&f, 0xff);
	add(&f, 9, "");
	expect_span(&f, 0);
}

static void test_the_longest(void **state)
{
	_cleanup_fixture_ struct fixture f = setup();
	char text[256];

	memset(text, 'x', 255);
	text[255] = '\0';
	add(&f, 1, text);
	add(&f, 1, text);
	text[CS_PUBLISHED_BYTES - 2 * 257 - 18 - 2] = '\0';
	add(&f, 1, text);
	add(&f, ROOT_KEY, "00000000000000ff");
	assert_int_equal(f.bytes, CS_PUBLISHED_BYTES);
	expect_span(&f, 0xff);
	set_bytes(&f, CS_PUBLISHED_BYTES + 1);
	expect_none(&f, true);
	set_bytes(&f, UINT16_MAX);
	expect_none(&f, true);
}

static void test_nothing_published(void **state)
{
	_cleanup_fixture_ struct fixture f = setup();

	for (int flag = 0; flag < 256; flag++) {
		uint8_t valid = (uint8_t)flag;

		made_put(f.py, f.record + 24, &valid, 1);
		if (flag == 1)
			expect_span(&f, 0);
		else
			expect_none(&f, false);
	}
	made_put_u64(f.py, f.thread + f.at.at, 0);
	expect_none(&f, false);
}

static void test_ids_that_are_none(void **state)
{
	_cleanup_fixture_ struct fixture f = setup();

	put_big(&f, f.record + 16, 0);
	expect_none(&f, true);
	put_big(&f, f.record + 16, SPAN);
	put_big(&f, f.record, 0);
	assert_int_equal(look(&f)->trace_lo, TRACE_LO);
	put_big(&f, f.record + 8, 0);
	expect_none(&f, true);
}

static void test_unreadable(void **state)
{
	_cleanup_fixture_ struct fixture f = setup();

	f.at.at = 1ull << 40;
	expect_none(&f, true);
	f.at.at = SLOT - (uint64_t)BLOCK;
	made_put_u64(f.py, f.thread + f.at.at, MADE_NOWHERE);
	expect_none(&f, true);
	made_put_u64(f.py, f.thread + f.at.at, f.record + 641);
	expect_none(&f, true);
	/* attributes behind the end of its memory */
	make_record(&f, f.thread + f.at.at, 10);
	set_bytes(&f, 11);
	expect_span(&f, 0);
}

static void test_vector(void **state)
{
	_cleanup_fixture_ struct fixture f = setup_vector();

	expect_span(&f, 0);
	add(&f, ROOT_KEY, "00000000000000ff");
	expect_span(&f, 0xff);
	/* a newer vector knows it, too */
	made_put_u64(f.py, f.vector, 10);
	expect_span(&f, 0xff);
}

/* The thread has not touched the variable: it publishes nothing, which is no failure. */
static void test_vector_without_a_block(void **state)
{
	_cleanup_fixture_ struct fixture f = setup_vector();

	made_put_u64(f.py, f.vector, 8);
	expect_none(&f, false);
	made_put_u64(f.py, f.vector, 9);
	made_put_u64(f.py, f.vector - 16, 3);
	expect_none(&f, false);
	made_put_u64(f.py, f.vector - 16, 4);
	expect_span(&f, 0);
	made_put_u64(f.py, f.vector + 16 * 4, ~0ull);
	expect_none(&f, false);
	made_put_u64(f.py, f.vector + 16 * 4, 0);
	expect_none(&f, false);
	made_put_u64(f.py, f.vector + 16 * 4, MADE_NOWHERE);
	expect_none(&f, true);
}

static void test_vector_unreadable(void **state)
{
	_cleanup_fixture_ struct fixture f = setup_vector();

	made_put_u64(f.py, f.thread + 8, MADE_NOWHERE);
	expect_none(&f, true);
	made_put_u64(f.py, f.thread + 8, 0);
	expect_none(&f, true);
	/* it claims to be longer than it is */
	made_put_u64(f.py, f.thread + 8, f.vector);
	made_put_u64(f.py, f.vector - 16, UINT64_MAX);
	f.at.module = UINT32_MAX;
	expect_none(&f, true);
}

static void test_each_read_fails(void **state)
{
	_cleanup_fixture_ struct fixture f = setup_vector();
	unsigned int reads;

	add(&f, ROOT_KEY, "00000000000000ff");
	expect_span(&f, 0xff);
	reads = f.py->reads;
	assert_int_equal(reads, 6);
	for (f.py->fail_at = 1; f.py->fail_at <= reads; f.py->fail_at++) {
		if (f.py->fail_at == reads)
			expect_span(&f, 0);
		else
			expect_none(&f, true);
	}
}

static void test_any_bytes(void **state)
{
	_cleanup_fixture_ struct fixture f = setup_vector();
	unsigned int found = 0;

	srand(1);
	for (int i = 0; i < 200000; i++) {
		uint8_t bytes[HEAD + 640];

		for (size_t at = 0; at < sizeof(bytes); at++)
			bytes[at] = (uint8_t)rand();
		bytes[24] = i % 4 != 0;
		bytes[27] &= 3;
		if (i % 8 == 1)
			bytes[HEAD] = ROOT_KEY;
		made_put(f.py, f.record, bytes, sizeof(bytes));
		found += look(&f)->span_id != 0;
	}
	assert_in_range(found, 50000, 150000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_roots_that_are_none),
		cmocka_unit_test(test_attributes_beyond_their_end),
		cmocka_unit_test(test_many_attributes),
		cmocka_unit_test(test_the_longest),
		cmocka_unit_test(test_nothing_published),
		cmocka_unit_test(test_ids_that_are_none),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_vector),
		cmocka_unit_test(test_vector_without_a_block),
		cmocka_unit_test(test_vector_unreadable),
		cmocka_unit_test(test_each_read_fails),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
