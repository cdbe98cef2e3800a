/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of call frame information (DWARF 5, 6.4) for the three registers that a stack walk needs, and the
 * row that says the same (coroscope/unwind.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "unwind/cursor.h"

/* Register numbers of the x86-64 ABI (System V supplement, figure 3.36). */
enum { CS_REG_RBP = 6, CS_REG_RSP = 7, CS_REG_RA = 16 };

enum cs_rule_how {
	CS_RULE_NONE = 0,   /* never mentioned: unchanged */
	CS_RULE_SAME,       /* said to be unchanged */
	CS_RULE_UNDEFINED,  /* cannot be restored; of the return address: there is no caller */
	CS_RULE_AT_CFA,     /* stored at CFA + offset */
	CS_RULE_EXPRESSION, /* stored where an expression says */
	CS_RULE_OTHER,      /* in another register, or computed */
};

struct cs_rule {
	enum cs_rule_how how;
	int64_t offset;
	struct cs_cursor expression;
};

struct cs_rules {
	bool cfa_expression_used; /* else the CFA is cfa_register + cfa_offset */
	uint64_t cfa_register;
	int64_t cfa_offset;
	struct cs_cursor cfa_expression;
	struct cs_rule rbp, ra;
};

/* The lower half of a row. `signal_frame`: the function's augmentation says that it is one. */
uint32_t cs_rules_info(const struct cs_rules *rules, bool signal_frame);
