/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From DWARF's rules to rows. Compilers and assemblers write only a handful of expressions; each is recognised as a
 * whole, and whatever is not recognised is CS_UNWIND_UNSUPPORTED: the walk stops there and says so.
 */
#include "unwind/rule.h"

#include <coroscope/unwind.h>
#include <dwarf.h>

#define UNSUPPORTED  cs_unwind_info(CS_UNWIND_UNSUPPORTED, 0, 0)
/* Where the kernel's ucontext keeps the stack pointer (struct ucontext and sigcontext, asm/ucontext.h). */
#define UCONTEXT_RSP 160

static bool at_end(const struct cs_cursor *expression)
{
	return !expression->bad && expression->at == expression->end;
}

/* "register + offset": DW_OP_breg6 and the like. */
static bool take_base(struct cs_cursor *expression, uint64_t *ret_register, int64_t *ret_offset)
{
	uint64_t op = cs_cursor_unsigned(expression, 1);

	if (op < DW_OP_breg0 || op > DW_OP_breg31)
		return false;
	*ret_register = op - DW_OP_breg0;
	*ret_offset = cs_cursor_sleb(expression);
	return !expression->bad;
}

/*
 * The one expression that linkers write for all stubs of a procedure linkage table: the stub has pushed a word from
 * its threshold on. Source: binutils, elf_x86_64_eh_frame_lazy_plt and its siblings in bfd/elf64-x86-64.c.
 */
static bool is_plt(struct cs_cursor expression, uint32_t *ret_threshold)
{
	static const uint8_t before[] = {DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and};
	static const uint8_t behind[] = {DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus};
	uint64_t literal;

	for (size_t i = 0; i < sizeof(before); i++)
		if (cs_cursor_unsigned(&expression, 1) != before[i])
			return false;
	literal = cs_cursor_unsigned(&expression, 1);
	for (size_t i = 0; i < sizeof(behind); i++)
		if (cs_cursor_unsigned(&expression, 1) != behind[i])
			return false;
	*ret_threshold = (uint32_t)(literal - DW_OP_lit0);
	return literal >= DW_OP_lit0 && literal <= DW_OP_lit15 && at_end(&expression);
}

/*
 * CFA = *(rsp or rbp + offset) + added: functions that align their stack, which keep the old stack pointer in it (GCC;
 * the hand-written code of OpenSSL, where 8 is added).
 */
static bool is_deref(struct cs_cursor expression, uint64_t *ret_register, int64_t *ret_offset,
		     uint64_t *ret_added)
{
	if (!take_base(&expression, ret_register, ret_offset) ||
	    cs_cursor_unsigned(&expression, 1) != DW_OP_deref)
		return false;
	*ret_added = 0;
	if (!at_end(&expression)) {
		if (cs_cursor_unsigned(&expression, 1) != DW_OP_plus_uconst)
			return false;
		*ret_added = cs_cursor_uleb(&expression);
	}
	return at_end(&expression);
}

static bool deref_fits(uint64_t reg, int64_t offset, uint64_t added)
{
	return (reg == CS_REG_RSP || reg == CS_REG_RBP) && offset % 8 == 0 && offset >= -1024 * 8 &&
	       offset < 1024 * 8 && added % 8 == 0 && added < 16 * 8;
}

/* Where the caller's rbp is. */
static bool rbp_slot(const struct cs_rule *rbp, uint32_t *ret)
{
	struct cs_cursor expression = rbp->expression;
	uint64_t reg;
	int64_t offset;

	switch (rbp->how) {
	case CS_RULE_NONE:
	case CS_RULE_SAME:
		*ret = CS_UNWIND_RBP_SAME;
		return true;
	case CS_RULE_AT_CFA:
		if (rbp->offset % 8 || rbp->offset >= 0 ||
		    rbp->offset <= -8 * (int64_t)CS_UNWIND_RBP_AT_RBP)
			return false;
		*ret = (uint32_t)(-rbp->offset / 8);
		return true;
	case CS_RULE_EXPRESSION:
		*ret = CS_UNWIND_RBP_AT_RBP;
		return take_base(&expression, &reg, &offset) && reg == CS_REG_RBP && !offset &&
		       at_end(&expression);
	default:
		return false;
	}
}

static uint32_t expression_info(const struct cs_rules *rules, uint32_t rbp)
{
	uint64_t reg, added;
	uint32_t threshold;
	int64_t offset;

	if (is_plt(rules->cfa_expression, &threshold))
		return cs_unwind_info(CS_UNWIND_PLT, rbp, threshold);
	if (is_deref(rules->cfa_expression, &reg, &offset, &added) &&
	    deref_fits(reg, offset, added))
		return cs_unwind_info(
			CS_UNWIND_DEREF, rbp,
			cs_unwind_deref(reg == CS_REG_RBP, (int32_t)offset, (uint32_t)added));
	return UNSUPPORTED;
}

/* The kernel's own layout, restored by sigreturn: all registers are in it. */
static uint32_t signal_info(const struct cs_rules *rules)
{
	uint64_t reg, added;
	int64_t offset;

	if (!rules->cfa_expression_used ||
	    !is_deref(rules->cfa_expression, &reg, &offset, &added) || reg != CS_REG_RSP ||
	    offset != UCONTEXT_RSP || added)
		return UNSUPPORTED;
	return cs_unwind_info(CS_UNWIND_SIGNAL, 0, 0);
}

uint32_t cs_rules_info(const struct cs_rules *rules, bool signal_frame)
{
	uint32_t rbp;

	if (rules->ra.how == CS_RULE_UNDEFINED)
		return cs_unwind_info(CS_UNWIND_END, 0, 0);
	if (signal_frame)
		return signal_info(rules);
	if (rules->ra.how != CS_RULE_AT_CFA || rules->ra.offset != -8 ||
	    !rbp_slot(&rules->rbp, &rbp))
		return UNSUPPORTED;
	if (rules->cfa_expression_used)
		return expression_info(rules, rbp);
	if (rules->cfa_offset % 8 || rules->cfa_offset <= 0 || rules->cfa_offset > 65535 * 8)
		return UNSUPPORTED;
	if (rules->cfa_register == CS_REG_RSP)
		return cs_unwind_info(CS_UNWIND_SP, rbp, (uint32_t)(rules->cfa_offset / 8));
	if (rules->cfa_register == CS_REG_RBP)
		return cs_unwind_info(CS_UNWIND_FP, rbp, (uint32_t)(rules->cfa_offset / 8));
	return UNSUPPORTED;
}
