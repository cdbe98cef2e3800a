/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping within a share of the machine. */
#include "agent/budget.h"

#include <stdbool.h>

#include "core/cleanup.h"

/* Windows with room before a raise; doubled so often at most. */
#define CALM        3u
#define MAX_CAUTION 6
/* A raise that is taken back within so many windows came too early. */
#define TRIAL       6
/* After lowering, and after a raise, at most this part of the budget should be used. */
#define LOWER_TO    0.9
#define RAISE_TO    0.75

static const unsigned int steps[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};
#define LAST (ARRAY_SIZE(steps) - 1)

unsigned int cs_budget_ease(const struct cs_budget *budget)
{
	return steps[budget->step];
}

/* The CPU that would be used at another step: most of the cost goes with the rate. */
static double expected(const struct cs_budget *budget, const struct cs_use *use, unsigned int step)
{
	return use->cpu_share * steps[budget->step] / steps[step];
}

static enum cs_budget_verdict lower(struct cs_budget *budget, const struct cs_use *use)
{
	unsigned int step = budget->step + 1;

	budget->calm = 0;
	if (budget->since && budget->since <= TRIAL) {
		budget->caution += budget->caution < MAX_CAUTION;
		budget->failed = budget->step;
	}
	budget->since = 0;
	if (budget->step == LAST)
		return CS_BUDGET_OVER;
	while (step < LAST && expected(budget, use, step) > budget->cpu_share * LOWER_TO)
		step++;
	budget->step = step;
	return use->cpu_share > budget->cpu_share ? CS_BUDGET_LOWER_FOR_CPU
						  : CS_BUDGET_LOWER_FOR_MEMORY;
}

static bool has_room(const struct cs_budget *budget, const struct cs_use *use)
{
	return budget->step > 0 &&
	       expected(budget, use, budget->step - 1) <= budget->cpu_share * RAISE_TO &&
	       (double)use->memory_bytes <= (double)budget->memory_bytes * RAISE_TO;
}

/* Windows with room before the next raise. */
static unsigned int wanted_calm(const struct cs_budget *budget)
{
	bool tried = budget->step && budget->step - 1 <= budget->failed;

	return tried ? CALM << budget->caution : CALM;
}

enum cs_budget_verdict cs_budget_judge(struct cs_budget *budget, const struct cs_use *use)
{
	if (use->cpu_share > budget->cpu_share || use->memory_bytes > budget->memory_bytes)
		return lower(budget, use);
	budget->since += budget->since != 0;
	if (budget->since > TRIAL) {
		budget->since = 0;
		/* what had failed has lasted this time */
		if (budget->step <= budget->failed)
			budget->caution = 0;
	}
	budget->calm = has_room(budget, use) ? budget->calm + 1 : 0;
	if (budget->calm < wanted_calm(budget))
		return CS_BUDGET_KEEP;
	budget->calm = 0;
	budget->since = 1;
	budget->step--;
	return CS_BUDGET_RAISE;
}
