/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines against what the interpreters themselves say (linetable.txt, or the file named as argument,
 * both written by gen_linetable.py), and tables that no interpreter would write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include <coroscope/py_offsets.h>

#include "symbolize/linetable.h"

static const char *golden = CS_GOLDEN;

static void parse_hex(const char *hex, struct cs_buf *table)
{
	unsigned int byte;
	uint8_t bytes[1];

	table->len = 0;
	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2) {
		bytes[0] = (uint8_t)byte;
		assert_int_equal(cs_buf_append(table, bytes, 1), 0);
	}
}

/* Every byte offset of every run: an offset within a code unit has the unit's line. */
static void check_code(uint32_t kind, uint32_t firstlineno, const struct cs_buf *table, char *runs)
{
	const uint8_t *bytes = (const uint8_t *)table->data;
	unsigned int line, units, i;
	int32_t lasti = 0;
	char *save, *run;

	for (run = strtok_r(runs, ",\n", &save); run; run = strtok_r(NULL, ",\n", &save)) {
		assert_int_equal(sscanf(run, "%u*%u", &line, &units), 2);
		for (i = 0; i < 2 * units; i++, lasti++)
			if (cs_linetable_line(kind, bytes, table->len, firstlineno, lasti) != line)
				fail_msg("lasti %d of %s", lasti, run);
	}
	/* what lnotab does not end, its last line has */
	if (kind != CS_LINETABLE_LNOTAB)
		assert_int_equal(cs_linetable_line(kind, bytes, table->len, firstlineno, lasti),
				 firstlineno);
	assert_int_equal(cs_linetable_line(kind, bytes, table->len, firstlineno, -1), firstlineno);
}

static void test_interpreters(void **state)
{
	_cleanup_fclose_ FILE *file = fopen(golden, "r");
	_cleanup_buf_ struct cs_buf table = {0};
	_cleanup_free_ char *text = NULL;
	size_t cap = 0, ncodes[CS_LINETABLE_LINES + 1] = {0};
	unsigned int kind, firstlineno;
	char *hex, *runs, *save;

	assert_non_null(file);
	while (getline(&text, &cap, file) > 0) {
		kind = (unsigned int)strtoul(strtok_r(text, " ", &save), NULL, 10);
		firstlineno = (unsigned int)strtoul(strtok_r(NULL, " ", &save), NULL, 10);
		assert_in_range(kind, 0, ARRAY_SIZE(ncodes) - 1);
		hex = strtok_r(NULL, " ", &save);
		runs = strtok_r(NULL, " ", &save);
		assert_non_null(runs);
		parse_hex(hex, &table);
		check_code(kind, firstlineno, &table, runs);
		ncodes[kind]++;
	}
	for (kind = 0; kind < ARRAY_SIZE(ncodes); kind++)
		print_message("%zu code objects of kind %u\n", ncodes[kind], kind);
	assert_true(ncodes[0] + ncodes[1] + ncodes[2] >= 10);
}

static void check_line_of(uint32_t kind, const char *table, size_t len, int32_t lasti,
			  uint32_t expected)
{
	/* A copy of exactly this size, so that AddressSanitizer sees a read beyond the end. */
	_cleanup_free_ uint8_t *copy = calloc(1, len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, table, len);
	assert_int_equal(cs_linetable_line(kind, copy, len, 10, lasti), expected);
}

static void check_line(const char *table, size_t len, int32_t lasti, uint32_t expected)
{
	check_line_of(CS_LINETABLE_LOCATIONS, table, len, lasti, expected);
}

/* How far a table whose end is missing can be trusted. */
static void test_covers(void **state)
{
	static const uint8_t units[] = {0xe8, 2, 0xe8, 2, 0xe8, 2, 0xe8, 2, 0xe8, 2,
					0xe8, 2, 0xe8, 2, 0xe8, 2, 0xe8, 2, 0xe8, 2};
	static const uint8_t pairs[] = {4, 1, 4, 1};

	/* ten entries of one unit, of which the last may have been one of eight */
	for (int32_t lasti = -1; lasti < 22; lasti++)
		assert_int_equal(
			cs_linetable_covers(CS_LINETABLE_LOCATIONS, units, sizeof(units), lasti),
			lasti < 20 - 16);
	for (int32_t lasti = -1; lasti < 10; lasti++) {
		assert_int_equal(
			cs_linetable_covers(CS_LINETABLE_LNOTAB, pairs, sizeof(pairs), lasti),
			lasti < 8);
		assert_int_equal(
			cs_linetable_covers(CS_LINETABLE_LINES, pairs, sizeof(pairs), lasti),
			lasti < 8);
	}
	assert_false(cs_linetable_covers(CS_LINETABLE_LOCATIONS, units, 0, 0));
}

static void test_malformed(void **state)
{
	check_line("", 0, 0, 10);
	check_line("\x00", 1, 0, 10);                             /* does not start an entry */
	check_line("\xe8", 1, 0, 10);                             /* no delta */
	check_line("\xe8\x42", 2, 0, 10);                         /* delta cut off */
	check_line("\xe8\x42\xe8\x02", 4, 0, 10);                 /* delta cut off by an entry */
	check_line("\xe8\x7f\x7f\x7f\x7f\x7f\x7f\x01", 8, 0, 10); /* wider than an int */
	check_line("\xe8\x7e\x7f\x7f\x7f\x7f\x0f", 7, 0, 10);     /* a line above INT32_MAX */
	check_line("\xe8\x7f\x7f\x7f\x7f\x7f\x01", 7, 0, 10);     /* a negative line */
	check_line("\xe8\x02", 2, INT32_MAX, 10);
	check_line("\xe8\x02", 2, INT32_MIN, 10);
	check_line("\xe8\x02", 2, 0, 11);
	check_line("\xf8\xe8\x02", 3, 0, 0); /* no location */
	check_line("\xf8\xe8\x02", 3, 2, 11);
}

/* Pairs have no form that is wrong, but may end anywhere and lead anywhere. */
static void test_malformed_pairs(void **state)
{
	static const uint32_t kinds[] = {CS_LINETABLE_LNOTAB, CS_LINETABLE_LINES};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		check_line_of(kinds[i], "", 0, 0, 10);
		check_line_of(kinds[i], "\x04", 1, 0, 10); /* half a pair */
		check_line_of(kinds[i], "\x00\x02\x04", 3, 2,
			      kinds[i] == CS_LINETABLE_LNOTAB ? 12 : 10);
		check_line_of(kinds[i], "\x00\x81\x04\x00", 4, 0, 10); /* a negative line */
		check_line_of(kinds[i], "\x04\x02", 2, INT32_MIN, 10);
	}
	check_line_of(CS_LINETABLE_LNOTAB, "\x04\x02", 2, 3, 10);
	check_line_of(CS_LINETABLE_LNOTAB, "\x04\x02", 2, INT32_MAX, 12);
	check_line_of(CS_LINETABLE_LINES, "\x04\x02", 2, 3, 12);
	check_line_of(CS_LINETABLE_LINES, "\x04\x02", 2, INT32_MAX, 10); /* beyond the table */
	check_line_of(CS_LINETABLE_LINES, "\x02\x80\x02\x02", 4, 0, 0);  /* no line, */
	check_line_of(CS_LINETABLE_LINES, "\x02\x80\x02\x02", 4, 2, 12); /* which is no step */
	check_line_of(CS_LINETABLE_LINES + 1, "\x04\x02", 2, 0, 10);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interpreters),
		cmocka_unit_test(test_covers),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_malformed_pairs),
	};

	if (argc > 1)
		golden = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
