/* SPDX-License-Identifier: Apache-2.0 */
/* unwind/parts.c: which code is a function's, of code and .eh_frame made by hand. */
#include "unwind/parts.h"

#include <dwarf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/cleanup.h"

#define SECTION  0x10000u
#define TEXT     0x20000u
#define PIECE    256u /* bytes of each piece of code */
#define NPIECES  80
#define FUNCTION 0 /* the piece that is asked about */

/* CFA = rsp + 8, return address at CFA - 8; addresses of 4 bytes, relative to where they stand. */
static const uint8_t common[] = {
	1, 'z', 'R', 0, 1, 0x78, 16, 1, DW_EH_PE_pcrel | DW_EH_PE_sdata4, 12, 7, 8, 0x90, 1};
/* Its frame is there already. */
static const uint8_t framed[] = {DW_CFA_def_cfa_offset, 80};

struct made {
	uint8_t code[NPIECES * PIECE];
	struct cs_buf section;
	unsigned int reads;
};

static void put32(struct cs_buf *buf, uint32_t value)
{
	assert_int_equal(cs_buf_append(buf, &value, 4), 0);
}

/* The piece begins as the caller has left it, or with a frame. */
static void describe(struct made *made, unsigned int piece, bool has_frame)
{
	struct cs_buf *buf = &made->section;
	size_t n = has_frame ? sizeof(framed) : 0;

	if (!buf->len) {
		put32(buf, sizeof(common) + 4);
		put32(buf, 0);
		assert_int_equal(cs_buf_append(buf, common, sizeof(common)), 0);
	}
	put32(buf, (uint32_t)n + 13);
	put32(buf, (uint32_t)buf->len);
	put32(buf, TEXT + piece * PIECE - (SECTION + (uint32_t)buf->len));
	put32(buf, PIECE);
	assert_int_equal(cs_buf_append(buf, "", 1), 0);
	assert_int_equal(cs_buf_append(buf, framed, n), 0);
}

/* A jump from this offset of a piece to an offset of another one, as JMP or, if conditional, JNE. */
static void jump(struct made *made, unsigned int from, unsigned int at, unsigned int to,
		 unsigned int target, bool conditional)
{
	uint8_t *code = made->code + from * PIECE + at;
	int32_t distance;

	*code++ = conditional ? 0x0f : 0xe9;
	if (conditional)
		*code++ = 0x85;
	distance = (int32_t)(to * PIECE + target) - (int32_t)(code + 4 - made->code);
	memcpy(code, &distance, sizeof(distance));
}

static int read_code(void *ctx, uint64_t vaddr, void *dst, size_t size)
{
	struct made *made = ctx;

	made->reads++;
	if (vaddr < TEXT || vaddr + size > TEXT + sizeof(made->code))
		return -ENOENT;
	memcpy(dst, made->code + (vaddr - TEXT), size);
	return 0;
}

static int parts_of(struct made *made, struct cs_elf_range function, struct cs_elf_range *ret,
		    size_t max)
{
	const struct cs_eh_frame frame = {(const uint8_t *)made->section.data, made->section.len,
					  SECTION};

	return cs_unwind_parts_of(&frame, function, read_code, made, ret, max);
}

static const struct cs_elf_range function = {TEXT + FUNCTION * PIECE, PIECE};

/* The function is piece 0; 1 and 2 are others. */
static int setup(void **state)
{
	struct made *made = *state = calloc(1, sizeof(*made));

	describe(made, FUNCTION, false);
	return 0;
}

static int teardown(void **state)
{
	struct made *made = *state;

	cs_buf_free(&made->section);
	free(made);
	return 0;
}

static void a_part_is_jumped_to_and_jumps_back(void **state)
{
	struct cs_elf_range parts[4];
	struct made *made = *state;

	describe(made, 1, true);
	describe(made, 3, true);
	jump(made, FUNCTION, 8, 3, 100, true); /* into its middle */
	jump(made, FUNCTION, 30, 3, 0, false);
	jump(made, FUNCTION, 60, 1, 7, false);
	jump(made, 3, 200, FUNCTION, 8, false);
	jump(made, 1, PIECE - 6, FUNCTION, PIECE - 1, true); /* its last bytes, to the last byte */
	assert_int_equal(parts_of(made, function, parts, 4), 2);
	assert_int_equal(parts[0].vaddr, TEXT + 3 * PIECE);
	assert_int_equal(parts[0].size, PIECE);
	assert_int_equal(parts[1].vaddr, TEXT + 1 * PIECE);
	/* no more than asked for */
	assert_int_equal(parts_of(made, function, parts, 1), 1);
	assert_int_equal(parts_of(made, function, parts, 0), 0);
}

static void other_functions_are_no_parts(void **state)
{
	struct cs_elf_range parts[4];
	struct made *made = *state;

	describe(made, 1, false); /* a function, called last; it even jumps back */
	describe(made, 2, true);  /* another one's part: does not jump back */
	jump(made, FUNCTION, 8, 1, 0, false);
	jump(made, FUNCTION, 20, 2, 16, true);
	jump(made, FUNCTION, 40, 5, 0, true); /* to what no entry describes */
	jump(made, FUNCTION, 60, FUNCTION, 8, true);
	jump(made, 1, 8, FUNCTION, 0, false);
	jump(made, 2, 8, 1, 0, false);
	assert_int_equal(parts_of(made, function, parts, 4), 0);
	/* behind the function's end, and one byte before it */
	jump(made, 2, 30, FUNCTION, PIECE, false);
	assert_int_equal(parts_of(made, function, parts, 4), 0);
	jump(made, 2, 30, FUNCTION, PIECE - 1, false);
	assert_int_equal(parts_of(made, function, parts, 4), 1);
}

/* The end of the code is no jump's beginning. */
static void what_is_cut_is_no_jump(void **state)
{
	const uint8_t last = 0xe9;
	struct cs_elf_range parts[4];
	struct made *made = *state;

	describe(made, 1, true);
	jump(made, 1, 8, FUNCTION, 0, false);
	memcpy(made->code + PIECE - 1, &last, 1); /* E9 00 00 00 00: to piece 1 */
	assert_int_equal(parts_of(made, function, parts, 4), 0);
}

static void code_that_is_not_there_has_none(void **state)
{
	const struct cs_elf_range outside = {TEXT - 1, PIECE}, huge = {TEXT, (1ull << 20) + 1},
				  endless = {TEXT, UINT64_MAX};
	struct cs_elf_range parts[4];
	struct made *made = *state;

	assert_int_equal(parts_of(made, outside, parts, 4), -ENOENT);
	assert_int_equal(parts_of(made, huge, parts, 4), -E2BIG);
	assert_int_equal(parts_of(made, endless, parts, 4), -E2BIG);
	made->section.len = 0;
	jump(made, FUNCTION, 8, 1, 0, false);
	assert_int_equal(parts_of(made, function, parts, 4), 0);
}

/* However many pieces a function claims to jump to, so many are looked at, each once. */
static void looks_are_bounded(void **state)
{
	struct cs_elf_range parts[NPIECES], large = {TEXT, 4 * PIECE};
	struct made *made = *state;

	for (unsigned int i = 4; i < NPIECES; i++) {
		describe(made, i, true);
		jump(made, FUNCTION, (i - 4) * 10, i, 0, false);
		jump(made, FUNCTION, (i - 4) * 10 + 5, i, 3, false);
	}
	assert_int_equal(parts_of(made, large, parts, NPIECES), 0);
	assert_int_equal(made->reads, 1 + 64);
	jump(made, 4 + 63, 100, FUNCTION, 0, false);
	jump(made, 4 + 64, 100, FUNCTION, 0, false);
	assert_int_equal(parts_of(made, large, parts, NPIECES), 1);
	assert_int_equal(parts[0].vaddr, TEXT + (4 + 63) * PIECE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_part_is_jumped_to_and_jumps_back),
		TEST(other_functions_are_no_parts),
		TEST(what_is_cut_is_no_jump),
		TEST(code_that_is_not_there_has_none),
		TEST(looks_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
