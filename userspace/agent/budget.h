/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping within a share of the machine's CPUs and an amount of memory: from what was used in the last window to how many times more seldom than
 * asked for everything is looked at, first of all what sleeps, which is most of what there is and changes least. Lowered soon, and at once where it
 * is far too much; raised late: only if the use after it is expected to stay well below the budget, for several
 * windows on end; and to where a raise did not last, each time only after twice as many. So rates do not swing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collect/ease.h"

/* A minute of them: as often a profile is delivered. */
#define CS_BUDGET_WINDOWS 6u

/* Zero but for the limits is the beginning. */
struct cs_budget {
	double cpu_share;                 /* of the machine; 1: all of it */
	size_t memory_bytes;              /* RSS */
	bool only_clock;                  /* what sleeps is not looked at */
	unsigned int step;                /* into the steps of ease */
	unsigned int calm;                /* windows on end that had room for a raise */
	unsigned int failed;              /* step to which a raise did not last */
	unsigned int caution;             /* doublings of the number of those that is wanted */
	unsigned int since;               /* windows since the last raise; 0: there was none */
	unsigned int windows;             /* since the last change */
	double shares[CS_BUDGET_WINDOWS]; /* of the CPU, in the last of these, in no order */
	double judged;                    /* what the last verdict was about */
};

struct cs_use {
	double cpu_share;
	double clock_part; /* of all that was looked at, how much the CPU clock's ticks were; 0 to 1 */
	size_t memory_bytes;
};

enum cs_budget_verdict {
	CS_BUDGET_KEEP = 0,
	CS_BUDGET_RAISE,
	CS_BUDGET_LOWER_FOR_CPU,
	CS_BUDGET_LOWER_FOR_MEMORY,
	CS_BUDGET_OVER, /* nothing is left to be lowered */
};

/* After a window, with what was used in it. */
enum cs_budget_verdict cs_budget_judge(struct cs_budget *budget, const struct cs_use *window);

/* How many times more seldom than asked for. */
struct cs_ease cs_budget_ease(const struct cs_budget *budget);
