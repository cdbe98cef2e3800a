/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rule holds at an address, by lists and tables that are made up: what is kept must be what the tables say, whoever had the
 * place before, and tables that lie must do no harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <coroscope/native.h>
#include <coroscope/unwind.h>

#define BASE    0x7f0000000000ull
/* Tables. */
#define A       CS_NATIVE_FIRST_TABLE
#define B       (A + 1)
#define NTABLES (B + 1)
#define NWORDS  512

/* What a program has: one process, and tables by their places. */
static struct {
	struct cs_native_proc proc;
	bool known;
	uint64_t words[NTABLES][NWORDS];
	uint32_t nwords[NTABLES]; /* 0: there is no such table */
	unsigned int lists_read, words_read;
} fake;

static const struct cs_native_proc *list_of_process(void)
{
	fake.lists_read++;
	return fake.known ? &fake.proc : NULL;
}

static void *table_at(uint32_t place)
{
	assert_true(place < CS_MAX_NATIVE_FILES);
	return place < NTABLES && fake.nwords[place] ? &fake.nwords[place] : NULL;
}

static const __u64 *word_of(const uint32_t *table, uint32_t i)
{
	fake.words_read++;
	return i < *table ? (const __u64 *)&fake.words[table - fake.nwords][i] : NULL;
}

#define CS_UNWIND_PROC(c)        list_of_process()
#define CS_UNWIND_TABLE(place)   table_at(place)
#define CS_UNWIND_WORD(table, i) word_of(table, i)
#define CS_UNWIND_LOCATE(c)      native_locate(c)
#define CS_UNWIND_LEARN(c)       native_learn(c)
#include "bpf/native_rules.bpf.h"

static struct cs_native_code code;

static int begin(void **state)
{
	memset(&fake, 0, sizeof(fake));
	memset(&code, 0, sizeof(code));
	fake.known = true;
	fake.proc.id = 1;
	return 0;
}

/* A further piece of code of the process; behind the last one. */
static void add_piece(uint64_t start, uint64_t bytes, uint32_t table, uint64_t vaddr)
{
	fake.proc.mappings[fake.proc.n++] = (struct cs_native_mapping){
		.start_table = start >> CS_PAGE_SHIFT << 24 | table,
		.vaddr_pages = vaddr >> CS_PAGE_SHIFT << 40 | bytes >> CS_PAGE_SHIFT,
	};
}

/*
 * A table with a row at 0x1000 and at each `step` bytes from there on, up to 0x2000, where a gap begins. The rows' values count from
 * `first`.
 */
static void make_table(uint32_t place, uint32_t step, uint32_t first)
{
	uint32_t nbuckets = 0x1000 / CS_UNWIND_BUCKET, at = 1 + nbuckets, row = at;
	uint64_t *words = fake.words[place];

	words[0] = (uint64_t)(0x1000 / CS_UNWIND_BUCKET) << 32 | nbuckets;
	for (uint32_t vaddr = 0x1000; vaddr < 0x2000; vaddr += step)
		words[row++] = (uint64_t)vaddr << 32 |
			       cs_unwind_info(CS_UNWIND_SP, 0, first + (vaddr - 0x1000) / step);
	words[row++] = 0x2000ull << 32;
	assert_true(row <= NWORDS);
	fake.nwords[place] = row;
	for (uint32_t i = 0; i < nbuckets; i++) {
		uint32_t lo = at + i * CS_UNWIND_BUCKET / step,
			 hi = at + ((i + 1) * CS_UNWIND_BUCKET + step - 1) / step;

		words[1 + i] = (uint64_t)hi << 32 | lo;
	}
}

static uint32_t rule(uint64_t pc, enum cs_status expected)
{
	__u8 status = CS_STATUS_COMPLETE;
	uint32_t info = native_rule(&code, pc, &status);

	assert_int_equal(status, expected);
	return info;
}

#define RULE(pc) rule(pc, CS_STATUS_NATIVE_NO_RULE)

static void every_address_has_its_rows(void **state)
{
	static const uint32_t steps[] = {16, 24, 256, 4096};

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		begin(NULL);
		make_table(A, steps[i], 100);
		add_piece(BASE, 0x3000, A, 0x1000);
		native_code_begin(&code, 1);
		for (int again = 0; again < 2; again++)
			for (uint32_t at = 0; at < 0x1000; at++)
				assert_int_equal(cs_unwind_value(RULE(BASE + at)),
						 100 + at / steps[i]);
		assert_int_equal(RULE(BASE + 0x1000), 0);
		assert_int_equal(RULE(BASE + 0x2fff), 0);
		rule(BASE + 0x3000, CS_STATUS_NATIVE_NO_CODE);
		rule(BASE - 1, CS_STATUS_NATIVE_NO_CODE);
	}
}

static void what_is_kept_is_not_looked_up(void **state)
{
	make_table(A, 16, 100);
	add_piece(BASE, 0x1000, A, 0x1000);
	native_code_begin(&code, 1);
	assert_int_equal(cs_unwind_value(RULE(BASE + 0x123)), 100 + 0x12);
	fake.words_read = fake.lists_read = 0;
	native_code_begin(&code, 1);
	assert_int_equal(cs_unwind_value(RULE(BASE + 0x123)), 100 + 0x12);
	assert_int_equal(fake.words_read, 0);
	assert_int_equal(fake.lists_read, 1);
}

/* No rule is nothing to keep: the table may come later. */
static void what_was_not_found_is_looked_for_again(void **state)
{
	add_piece(BASE, 0x1000, A, 0x1000);
	native_code_begin(&code, 1);
	assert_int_equal(RULE(BASE), 0);
	make_table(A, 16, 100);
	assert_int_equal(cs_unwind_value(RULE(BASE)), 100);
}

static void a_place_given_to_another_table_is_told_apart(void **state)
{
	uint32_t second = 1u << CS_PLACE_BITS | A;

	make_table(A, 16, 100);
	add_piece(BASE, 0x1000, A, 0x1000);
	native_code_begin(&code, 1);
	assert_int_equal(cs_unwind_value(RULE(BASE + 8)), 100);
	make_table(A, 16, 500);
	fake.proc.n = 0;
	fake.proc.id++;
	add_piece(BASE, 0x1000, second, 0x1000);
	native_code_begin(&code, 1);
	assert_int_equal(cs_unwind_value(RULE(BASE + 8)), 500);
}

/* Two addresses that are kept in the same place push each other out, and are never taken for each other. */
static void what_shares_a_place_is_told_apart(void **state)
{
	const struct cs_native_rule *first;
	uint32_t other = 0;

	make_table(A, 16, 100);
	add_piece(BASE, 0x1000, A, 0x1000);
	native_code_begin(&code, 1);
	first = native_kept(&code, (uint64_t)A << 32 | 0x1000);
	for (uint32_t at = 16; at < 0x1000 && !other; at++)
		if (native_kept(&code, (uint64_t)A << 32 | (0x1000 + at)) == first)
			other = at;
	assert_int_not_equal(other, 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(cs_unwind_value(RULE(BASE)), 100);
		assert_int_equal(cs_unwind_value(RULE(BASE + other)), 100 + other / 16);
	}
}

/* An address above 4 GiB of its file is in no table, though its lower half, or the sum with the table's number, is that of one. */
static void what_is_beyond_a_table_has_no_rule(void **state)
{
	make_table(A, 16, 100);
	make_table(B, 16, 500);
	add_piece(BASE, 0x1000, A, 0x1000);
	add_piece(BASE + 0x1000, 0x1000, B, 0x1000);
	add_piece(BASE + 0x2000, 0x1000, A, 0x100001000);
	native_code_begin(&code, 1);
	assert_int_equal(cs_unwind_value(RULE(BASE)), 100);
	assert_int_equal(cs_unwind_value(RULE(BASE + 0x1000)), 500);
	assert_int_equal(RULE(BASE + 0x2000), 0);
}

static void pieces_of_another_list_are_forgotten(void **state)
{
	make_table(A, 16, 100);
	make_table(B, 16, 500);
	add_piece(BASE, 0x1000, A, 0x1000);
	native_code_begin(&code, 1);
	assert_int_equal(cs_unwind_value(RULE(BASE)), 100);
	/* in the midst of a walk: what is here is still believed, as the list was true when the walk began */
	fake.proc.id++;
	fake.proc.n = 0;
	add_piece(BASE, 0x1000, B, 0x1000);
	add_piece(BASE + 0x1000, 0x1000, A, 0x1000);
	assert_int_equal(cs_unwind_value(RULE(BASE)), 100);
	/* elsewhere the new one is met, and nothing of the old one is left */
	assert_int_equal(cs_unwind_value(RULE(BASE + 0x1000)), 100);
	assert_int_equal(cs_unwind_value(RULE(BASE)), 500);
	/* another process */
	fake.known = false;
	native_code_begin(&code, 2);
	rule(BASE, CS_STATUS_NATIVE_NOT_YET);
}

static void more_pieces_than_are_remembered(void **state)
{
	make_table(A, 16, 100);
	make_table(B, 16, 500);
	for (uint32_t i = 0; i < CS_MAX_NATIVE_MAPS; i++)
		add_piece(BASE + i * 0x2000, 0x1000, A + i % 2, 0x1000);
	native_code_begin(&code, 1);
	for (uint32_t i = 0; i < 4 * CS_MAX_NATIVE_MAPS; i++) {
		uint32_t which = i * 7 % CS_MAX_NATIVE_MAPS;

		assert_int_equal(cs_unwind_value(RULE(BASE + which * 0x2000)),
				 100 + which % 2 * 400);
		rule(BASE + which * 0x2000 + 0x1000, CS_STATUS_NATIVE_NO_CODE);
	}
}

static void code_without_a_table(void **state)
{
	add_piece(BASE, 0x1000, CS_NATIVE_FRAME_POINTERS, 0);
	add_piece(BASE + 0x1000, 0x1000, CS_NATIVE_UNKNOWN, 0);
	add_piece(BASE + 0x2000, 0x1000, B, 0); /* the kernel refused it */
	add_piece(BASE + 0x3000, 0x1000, CS_NATIVE_NOT_MADE, 0);
	native_code_begin(&code, 1);
	assert_int_equal(RULE(BASE), CS_BY_FRAME_POINTER);
	assert_int_equal(RULE(BASE + 0x1000), 0);
	assert_int_equal(RULE(BASE + 0x2000), 0);
	/* it will be, and is told then */
	assert_int_equal(rule(BASE + 0x3000, CS_STATUS_NATIVE_NOT_YET), 0);
}

/* Numbers without sense everywhere: searches end, and read nothing but words of the table. */
static void tables_that_lie_end_the_search(void **state)
{
	srand(1);
	add_piece(BASE, 0x100000000, A, 0);
	native_code_begin(&code, 1);
	for (int i = 0; i < 20000; i++) {
		fake.nwords[A] = (uint32_t)rand() % NWORDS;
		for (uint32_t at = 0; at < 32; at++)
			fake.words[A][at] = (uint64_t)rand() << 40 ^ (uint64_t)rand() << 13 ^
					    (uint64_t)rand() % 64;
		if (i % 2) { /* else hardly any address is in it */
			fake.words[A][0] = (uint32_t)rand() % 64;
			fake.words[A][1] = (uint64_t)rand() << 32 | (uint32_t)rand() % NWORDS;
		}
		fake.words_read = 0;
		RULE(BASE + (uint32_t)rand() % 0x4000);
		assert_true(fake.words_read <= 2 + CS_ROW_STEPS);
	}
}

/* A list that lies: it is user space's own, but damage must not lead out of it. */
static void lists_that_lie_end_the_search(void **state)
{
	srand(2);
	for (int i = 0; i < 20000; i++) {
		fake.proc.id++;
		fake.proc.n = (uint32_t)rand() * 3;
		for (uint32_t at = 0; at < CS_MAX_NATIVE_MAPS; at += 63)
			fake.proc.mappings[at] = (struct cs_native_mapping){
				(uint64_t)rand() << 33 ^ (uint64_t)rand(),
				(uint64_t)rand() << 33 ^ (uint64_t)rand()};
		native_code_begin(&code, 1);
		code.pc = (uint64_t)rand() << 20;
		native_locate(&code);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_address_has_its_rows, begin),
		cmocka_unit_test_setup(what_is_kept_is_not_looked_up, begin),
		cmocka_unit_test_setup(what_was_not_found_is_looked_for_again, begin),
		cmocka_unit_test_setup(a_place_given_to_another_table_is_told_apart, begin),
		cmocka_unit_test_setup(what_shares_a_place_is_told_apart, begin),
		cmocka_unit_test_setup(what_is_beyond_a_table_has_no_rule, begin),
		cmocka_unit_test_setup(pieces_of_another_list_are_forgotten, begin),
		cmocka_unit_test_setup(more_pieces_than_are_remembered, begin),
		cmocka_unit_test_setup(code_without_a_table, begin),
		cmocka_unit_test_setup(tables_that_lie_end_the_search, begin),
		cmocka_unit_test_setup(lists_that_lie_end_the_search, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
