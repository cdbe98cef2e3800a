/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interpreter of call frame programs. Only the CFA, the return address and rbp are followed; instructions about other
 * registers are read and passed over.
 */
#include <dwarf.h>
#include <errno.h>

#include "core/cleanup.h"
#include "unwind/cfi.h"

/* Remembered states: compilers nest them once. */
#define MAX_REMEMBERED 8

struct run {
	const struct cs_fde *fde;
	uint64_t vaddr;
	struct cs_rules rules, initial;
	struct cs_rules remembered[MAX_REMEMBERED];
	size_t nremembered;
	int (*fn)(void *ctx, uint64_t vaddr, const struct cs_rules *rules);
	void *ctx;
	int err;
	bool told_end; /* the program has passed the end of its function */
};

/* The followed register's rule, or NULL. */
static struct cs_rule *rule_of(struct run *run, struct cs_rules *rules, uint64_t reg)
{
	if (reg == run->fde->cie.ra_register)
		return &rules->ra;
	return reg == CS_REG_RBP ? &rules->rbp : NULL;
}

static void set_rule(struct run *run, uint64_t reg, enum cs_rule_how how)
{
	struct cs_rule *rule = rule_of(run, &run->rules, reg);

	if (rule)
		*rule = (struct cs_rule){.how = how};
}

static bool set_at_cfa(struct run *run, uint64_t reg, int64_t factored)
{
	struct cs_rule *rule = rule_of(run, &run->rules, reg);
	int64_t offset;

	if (__builtin_mul_overflow(factored, run->fde->cie.data_factor, &offset))
		return false;
	if (rule)
		*rule = (struct cs_rule){.how = CS_RULE_AT_CFA, .offset = offset};
	return true;
}

static void restore_rule(struct run *run, uint64_t reg)
{
	struct cs_rule *rule = rule_of(run, &run->rules, reg);

	if (rule)
		*rule = *rule_of(run, &run->initial, reg);
}

/* The rules so far hold up to here. */
static bool advance(struct run *run, uint64_t factored)
{
	uint64_t delta;

	if (run->told_end)
		return true;
	if (__builtin_mul_overflow(factored, run->fde->cie.code_factor, &delta) ||
	    delta > run->fde->end - run->vaddr)
		return false;
	if (delta)
		run->err = run->fn(run->ctx, run->vaddr, &run->rules);
	run->vaddr += delta;
	run->told_end = run->vaddr == run->fde->end;
	return !run->err;
}

static void set_cfa(struct run *run, uint64_t reg, int64_t offset)
{
	run->rules.cfa_expression_used = false;
	run->rules.cfa_register = reg;
	run->rules.cfa_offset = offset;
}

static bool offset_fits(uint64_t offset)
{
	return offset <= INT32_MAX;
}

/* Instructions that define the CFA. Returns false if it is none, or damaged. */
static bool define_cfa(struct run *run, uint64_t op, struct cs_cursor *cursor)
{
	struct cs_rules *rules = &run->rules;
	int64_t factor = run->fde->cie.data_factor, offset;
	uint64_t reg = rules->cfa_register, value;

	switch (op) {
	case DW_CFA_def_cfa:
		reg = cs_cursor_uleb(cursor);
		value = cs_cursor_uleb(cursor);
		set_cfa(run, reg, (int64_t)value);
		return offset_fits(value);
	case DW_CFA_def_cfa_sf:
		reg = cs_cursor_uleb(cursor);
		if (__builtin_mul_overflow(cs_cursor_sleb(cursor), factor, &offset))
			return false;
		set_cfa(run, reg, offset);
		return true;
	case DW_CFA_def_cfa_register:
		rules->cfa_register = cs_cursor_uleb(cursor);
		return !rules->cfa_expression_used;
	case DW_CFA_def_cfa_offset:
		value = cs_cursor_uleb(cursor);
		rules->cfa_offset = (int64_t)value;
		return offset_fits(value) && !rules->cfa_expression_used;
	case DW_CFA_def_cfa_offset_sf:
		return !__builtin_mul_overflow(cs_cursor_sleb(cursor), factor,
					       &rules->cfa_offset) &&
		       !rules->cfa_expression_used;
	case DW_CFA_def_cfa_expression:
		rules->cfa_expression_used = true;
		rules->cfa_expression = cs_cursor_take(cursor, cs_cursor_uleb(cursor));
		return true;
	default:
		return false;
	}
}

/* Instructions that tell where a register is. Likewise. */
static bool define_register(struct run *run, uint64_t op, struct cs_cursor *cursor)
{
	uint64_t reg = cs_cursor_uleb(cursor);
	struct cs_rule *rule = rule_of(run, &run->rules, reg);
	struct cs_cursor expression;

	switch (op) {
	case DW_CFA_offset_extended:
		return set_at_cfa(run, reg, (int64_t)cs_cursor_uleb(cursor));
	case DW_CFA_offset_extended_sf:
		return set_at_cfa(run, reg, cs_cursor_sleb(cursor));
	case DW_CFA_GNU_negative_offset_extended:
		return set_at_cfa(run, reg, -(int64_t)(cs_cursor_uleb(cursor) & INT64_MAX));
	case DW_CFA_restore_extended:
		restore_rule(run, reg);
		return true;
	case DW_CFA_undefined:
		set_rule(run, reg, CS_RULE_UNDEFINED);
		return true;
	case DW_CFA_same_value:
		set_rule(run, reg, CS_RULE_SAME);
		return true;
	case DW_CFA_register:
	case DW_CFA_val_offset:
	case DW_CFA_val_offset_sf:
		cs_cursor_uleb(cursor); /* as long as the signed kind */
		set_rule(run, reg, CS_RULE_OTHER);
		return true;
	case DW_CFA_expression:
	case DW_CFA_val_expression:
		expression = cs_cursor_take(cursor, cs_cursor_uleb(cursor));
		set_rule(run, reg, op == DW_CFA_expression ? CS_RULE_EXPRESSION : CS_RULE_OTHER);
		if (rule)
			rule->expression = expression;
		return true;
	default:
		return false;
	}
}

/* Everything else but the three that are packed into one byte. */
static bool execute_other(struct run *run, uint64_t op, struct cs_cursor *cursor)
{
	switch (op) {
	case DW_CFA_nop:
		return true;
	case DW_CFA_advance_loc1:
		return advance(run, cs_cursor_unsigned(cursor, 1));
	case DW_CFA_advance_loc2:
		return advance(run, cs_cursor_unsigned(cursor, 2));
	case DW_CFA_advance_loc4:
		return advance(run, cs_cursor_unsigned(cursor, 4));
	case DW_CFA_remember_state:
		if (run->nremembered == ARRAY_SIZE(run->remembered))
			return false;
		run->remembered[run->nremembered++] = run->rules;
		return true;
	case DW_CFA_restore_state:
		if (!run->nremembered)
			return false;
		run->rules = run->remembered[--run->nremembered];
		return true;
	case DW_CFA_GNU_args_size:
		cs_cursor_uleb(cursor);
		return true;
	case DW_CFA_def_cfa:
	case DW_CFA_def_cfa_sf:
	case DW_CFA_def_cfa_register:
	case DW_CFA_def_cfa_offset:
	case DW_CFA_def_cfa_offset_sf:
	case DW_CFA_def_cfa_expression:
		return define_cfa(run, op, cursor);
	default:
		return define_register(run, op, cursor);
	}
}

static bool execute(struct run *run, struct cs_cursor *cursor)
{
	uint64_t op = cs_cursor_unsigned(cursor, 1), low = op & 63;

	switch (op & 0xc0) {
	case DW_CFA_advance_loc:
		return advance(run, low);
	case DW_CFA_offset:
		return set_at_cfa(run, low, (int64_t)cs_cursor_uleb(cursor));
	case DW_CFA_restore:
		restore_rule(run, low);
		return true;
	default:
		return execute_other(run, op, cursor);
	}
}

static int execute_all(struct run *run, struct cs_cursor cursor)
{
	while (cursor.at < cursor.end)
		if (!execute(run, &cursor) || cursor.bad)
			return run->err ? run->err : -EINVAL;
	return 0;
}

int cs_cfi_run(const struct cs_fde *fde,
	       int (*fn)(void *ctx, uint64_t vaddr, const struct cs_rules *rules), void *ctx)
{
	struct run run = {.fde = fde, .vaddr = fde->start, .fn = fn, .ctx = ctx};
	int err = execute_all(&run, fde->cie.program);

	if (err || run.vaddr != fde->start)
		return err ? err : -EINVAL;
	run.initial = run.rules;
	err = execute_all(&run, fde->program);
	if (err)
		return err;
	return run.told_end ? 0 : fn(ctx, run.vaddr, &run.rules);
}
