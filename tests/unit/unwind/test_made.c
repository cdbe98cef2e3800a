/* SPDX-License-Identifier: Apache-2.0 */
/* unwind/ on sections made by hand: what each rule becomes, and what damage and lies become. */
#include <dwarf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "unwind/unwind.h"

#define SECTION 0x10000u
#define TEXT    0x20000u

/* CFA = rsp + 8, return address at CFA - 8; addresses of 4 bytes, relative to where they stand. */
static const uint8_t common[] = {
	1, 'z', 'R', 0, 1, 0x78, 16, 1, DW_EH_PE_pcrel | DW_EH_PE_sdata4, 12, 7, 8, 0x90, 1};
static const uint8_t of_signal[] = {
	1, 'z', 'R', 'S', 0, 1, 0x78, 16, 1, DW_EH_PE_pcrel | DW_EH_PE_sdata4, 12, 7, 8, 0x90, 1};

static void put32(struct cs_buf *buf, uint32_t value)
{
	assert_int_equal(cs_buf_append(buf, &value, 4), 0);
}

/* Returns the offset of the new CIE, for which 0 is the id. */
static size_t put_cie(struct cs_buf *buf, const void *bytes, size_t n)
{
	size_t at = buf->len;

	put32(buf, (uint32_t)n + 4);
	put32(buf, 0);
	assert_int_equal(cs_buf_append(buf, bytes, n), 0);
	return at;
}

static void put_fde(struct cs_buf *buf, size_t cie, uint64_t start, uint32_t length,
		    const void *program, size_t n)
{
	put32(buf, (uint32_t)n + 13);
	put32(buf, (uint32_t)(buf->len - cie));
	put32(buf, (uint32_t)(start - (SECTION + buf->len)));
	put32(buf, length);
	assert_int_equal(cs_buf_append(buf, "", 1), 0); /* no augmentation data */
	assert_int_equal(cs_buf_append(buf, program, n), 0);
}

static const struct cs_elf_range everywhere = {0, UINT64_MAX};

static int compile(const struct cs_buf *buf, uint64_t vaddr, struct cs_unwind_table *ret)
{
	return cs_unwind_section(buf->data, (struct cs_elf_range){vaddr, buf->len}, everywhere,
				 ret);
}

/* The rule in the middle of one function with this program. */
static uint32_t rule_of(const void *cie_bytes, size_t ncie, const void *program, size_t n)
{
	_cleanup_buf_ struct cs_buf buf = {0};
	_cleanup_unwind_table_ struct cs_unwind_table table = {0};
	size_t cie = put_cie(&buf, cie_bytes, ncie);

	put_fde(&buf, cie, TEXT, 64, program, n);
	assert_int_equal(compile(&buf, SECTION, &table), 0);
	return cs_unwind_find(&table, TEXT + 32);
}

#define RULE(...)                                                            \
	({                                                                   \
		static const uint8_t program_[] = {__VA_ARGS__};             \
		rule_of(common, sizeof(common), program_, sizeof(program_)); \
	})

#define AT_16 DW_CFA_advance_loc | 16

static void rules_become_rows(void **state)
{
	assert_int_equal(RULE(DW_CFA_nop), cs_unwind_info(CS_UNWIND_SP, 0, 1));
	assert_int_equal(RULE(AT_16, DW_CFA_def_cfa_offset, 16, DW_CFA_offset | 6, 2),
			 cs_unwind_info(CS_UNWIND_SP, 2, 2));
	assert_int_equal(RULE(AT_16, DW_CFA_def_cfa, 6, 16, DW_CFA_offset | 6, 2),
			 cs_unwind_info(CS_UNWIND_FP, 2, 2));
	assert_int_equal(RULE(AT_16, DW_CFA_undefined, 16), cs_unwind_info(CS_UNWIND_END, 0, 0));
	/* rbx is none of our business */
	assert_int_equal(RULE(AT_16, DW_CFA_offset | 3, 4, DW_CFA_undefined, 3),
			 cs_unwind_info(CS_UNWIND_SP, 0, 1));
	assert_int_equal(
		RULE(DW_CFA_remember_state, DW_CFA_def_cfa_offset, 80, AT_16, DW_CFA_restore_state),
		cs_unwind_info(CS_UNWIND_SP, 0, 1));
	assert_int_equal(RULE(DW_CFA_offset | 6, 2, AT_16, DW_CFA_restore | 6),
			 cs_unwind_info(CS_UNWIND_SP, 0, 1));
}

static void expressions_become_rows(void **state)
{
	assert_int_equal(RULE(DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg16, 0,
			      DW_OP_lit15, DW_OP_and, DW_OP_lit11, DW_OP_ge, DW_OP_lit3, DW_OP_shl,
			      DW_OP_plus),
			 cs_unwind_info(CS_UNWIND_PLT, 0, 11));
	assert_int_equal(
		RULE(DW_CFA_def_cfa_expression, 3, DW_OP_breg6, 0x78, DW_OP_deref,
		     DW_CFA_expression, 6, 2, DW_OP_breg6, 0),
		cs_unwind_info(CS_UNWIND_DEREF, CS_UNWIND_RBP_AT_RBP, cs_unwind_deref(1, -8, 0)));
	assert_int_equal(RULE(DW_CFA_def_cfa_expression, 6, DW_OP_breg7, 0xe0, 0, DW_OP_deref,
			      DW_OP_plus_uconst, 8, DW_CFA_offset | 6, 3),
			 cs_unwind_info(CS_UNWIND_DEREF, 3, cs_unwind_deref(0, 96, 8)));
	assert_int_equal(cs_unwind_deref_offset(cs_unwind_deref(1, -8, 0)), -8);
	assert_int_equal(cs_unwind_deref_offset(cs_unwind_deref(0, 8184, 8)), 8184);
	assert_int_equal(cs_unwind_deref_added(cs_unwind_deref(0, 96, 8)), 8);
}

static void signal_frames_are_the_kernels(void **state)
{
	static const uint8_t kernels[] = {
		DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 0xa0, 1, DW_OP_deref};
	static const uint8_t other[] = {
		DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 0xa8, 1, DW_OP_deref};

	assert_int_equal(rule_of(of_signal, sizeof(of_signal), kernels, sizeof(kernels)),
			 cs_unwind_info(CS_UNWIND_SIGNAL, 0, 0));
	assert_int_equal(rule_of(of_signal, sizeof(of_signal), other, sizeof(other)),
			 cs_unwind_info(CS_UNWIND_UNSUPPORTED, 0, 0));
}

static void what_a_row_cannot_say_is_unsupported(void **state)
{
	const uint32_t unsupported = cs_unwind_info(CS_UNWIND_UNSUPPORTED, 0, 0);

	assert_int_equal(RULE(DW_CFA_def_cfa, 10, 0), unsupported);     /* r10 */
	assert_int_equal(RULE(DW_CFA_def_cfa_offset, 12), unsupported); /* no multiple of 8 */
	assert_int_equal(RULE(DW_CFA_def_cfa_offset, 0),
			 unsupported);                               /* the stack does not shrink */
	assert_int_equal(RULE(DW_CFA_register, 16, 5), unsupported); /* vfork */
	assert_int_equal(RULE(DW_CFA_register, 6, 5), unsupported);  /* rbp in rdi */
	assert_int_equal(RULE(DW_CFA_undefined, 6), unsupported);
	assert_int_equal(RULE(DW_CFA_def_cfa_expression, 2, DW_OP_breg7, 8), unsupported);
	/* a damaged program: not even its sound half is believed */
	assert_int_equal(RULE(DW_CFA_def_cfa_offset, 16, AT_16, DW_CFA_restore_state), unsupported);
	assert_int_equal(RULE(DW_CFA_advance_loc1, 65), unsupported); /* past its end */
	assert_int_equal(RULE(0x3f), unsupported);
	assert_int_equal(RULE(DW_CFA_def_cfa_expression, 90, DW_OP_breg7), unsupported);
}

static void gaps_are_gaps(void **state)
{
	_cleanup_buf_ struct cs_buf buf = {0};
	_cleanup_unwind_table_ struct cs_unwind_table table = {0};
	size_t cie = put_cie(&buf, common, sizeof(common));
	const uint8_t deeper[] = {DW_CFA_def_cfa_offset, 16}, nothing[] = {DW_CFA_nop};

	/* not in order, the middle one claimed twice */
	put_fde(&buf, cie, TEXT + 0x1000, 64, deeper, sizeof(deeper));
	put_fde(&buf, cie, TEXT, 100, nothing, sizeof(nothing));
	put_fde(&buf, cie, TEXT + 0x1020, 32, nothing, sizeof(nothing));
	put_fde(&buf, cie, TEXT + 112, 16, deeper, sizeof(deeper));
	assert_int_equal(compile(&buf, SECTION, &table), 0);
	assert_int_equal(table.nfunctions, 3);
	assert_int_equal(table.ndamaged, 1);
	assert_int_equal(cs_unwind_find(&table, TEXT - 1), 0);
	assert_int_equal(cs_unwind_find(&table, TEXT + 99), cs_unwind_info(CS_UNWIND_SP, 0, 1));
	/* padding between functions belongs to the first */
	assert_int_equal(cs_unwind_find(&table, TEXT + 105), cs_unwind_info(CS_UNWIND_SP, 0, 1));
	assert_int_equal(cs_unwind_find(&table, TEXT + 112), cs_unwind_info(CS_UNWIND_SP, 0, 2));
	assert_int_equal(cs_unwind_find(&table, TEXT + 128), 0);
	assert_int_equal(cs_unwind_find(&table, TEXT + 0xfff), 0);
	assert_int_equal(cs_unwind_find(&table, TEXT + 0x1030), cs_unwind_info(CS_UNWIND_SP, 0, 2));
	assert_int_equal(cs_unwind_find(&table, TEXT + 0x1040), 0);
	assert_int_equal(cs_unwind_find(&table, UINT64_MAX), 0);
	assert_int_equal(cs_unwind_find(&table, 0), 0);
}

static void functions_lie_in_the_text(void **state)
{
	static const struct cs_elf_range text = {TEXT, 0x1000};
	_cleanup_buf_ struct cs_buf buf = {0};
	_cleanup_unwind_table_ struct cs_unwind_table table = {0};
	size_t cie = put_cie(&buf, common, sizeof(common));
	const uint8_t nothing[] = {DW_CFA_nop};

	put_fde(&buf, cie, TEXT - 1, 10, nothing, sizeof(nothing));
	put_fde(&buf, cie, TEXT + 16, 0x1000 - 16, nothing, sizeof(nothing));
	put_fde(&buf, cie, TEXT + 0x1000, 1, nothing, sizeof(nothing));
	put_fde(&buf, cie, TEXT + 0x800, 0x70000000, nothing, sizeof(nothing));
	assert_int_equal(
		cs_unwind_section(buf.data, (struct cs_elf_range){SECTION, buf.len}, text, &table),
		0);
	assert_int_equal(table.nfunctions, 1);
	assert_int_equal(table.ndamaged, 3);
	assert_int_equal(cs_unwind_find(&table, TEXT + 0xfff), cs_unwind_info(CS_UNWIND_SP, 0, 1));
}

static void lies_about_size_cost_nothing(void **state)
{
	_cleanup_buf_ struct cs_buf buf = {0};
	struct cs_unwind_table table;
	size_t cie = put_cie(&buf, common, sizeof(common));
	const uint8_t nothing[] = {DW_CFA_nop};

	assert_int_equal(compile(&buf, SECTION, &table), -ENOENT);
	put_fde(&buf, cie, TEXT, 0x70000000, nothing, sizeof(nothing));
	assert_int_equal(compile(&buf, SECTION, &table), -E2BIG);
	buf.len = cie;
	cie = put_cie(&buf, common, sizeof(common));
	put_fde(&buf, cie, TEXT, 0x100000, nothing, sizeof(nothing));
	/* the same bytes so high up that the function ends above 4 GiB */
	assert_int_equal(compile(&buf, 0xfff00000, &table), -E2BIG);
}

/* Any damage ends as an error or as a table, whose every address can be asked for. */
static void damage_is_survived(void **state)
{
	static const uint8_t program[] = {AT_16,
					  DW_CFA_def_cfa_offset,
					  16,
					  DW_CFA_offset | 6,
					  2,
					  DW_CFA_def_cfa_expression,
					  3,
					  DW_OP_breg6,
					  0x78,
					  DW_OP_deref,
					  DW_CFA_remember_state};
	_cleanup_buf_ struct cs_buf buf = {0};
	size_t cie = put_cie(&buf, common, sizeof(common));

	put_fde(&buf, cie, TEXT, 64, program, sizeof(program));
	put_fde(&buf, cie, TEXT + 64, 64, program, sizeof(program));
	for (size_t at = 0; at < buf.len; at++) {
		for (unsigned int flip = 1; flip < 256; flip++) {
			/* of its exact size, so that a sanitizer sees a step beyond */
			_cleanup_free_ uint8_t *copy = malloc(buf.len - (flip == 1 ? at : 0));
			size_t size = buf.len - (flip == 1 ? at : 0);
			struct cs_unwind_table table;

			memcpy(copy, buf.data, size);
			if (at < size)
				copy[at] ^= (uint8_t)flip;
			if (cs_unwind_section(copy, (struct cs_elf_range){SECTION, size},
					      everywhere, &table))
				continue;
			for (uint64_t vaddr = TEXT - 16; vaddr < TEXT + 160; vaddr++)
				cs_unwind_find(&table, vaddr);
			cs_unwind_table_free(&table);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_become_rows),
		cmocka_unit_test(expressions_become_rows),
		cmocka_unit_test(signal_frames_are_the_kernels),
		cmocka_unit_test(what_a_row_cannot_say_is_unsupported),
		cmocka_unit_test(gaps_are_gaps),
		cmocka_unit_test(functions_lie_in_the_text),
		cmocka_unit_test(lies_about_size_cost_nothing),
		cmocka_unit_test(damage_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
