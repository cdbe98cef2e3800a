/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping within a share of the machine. */
#include "agent/budget.h"

#include <sys/param.h>

#include "core/cleanup.h"

/* Windows with room before a raise; doubled so often at most. */
#define CALM        3u
#define MAX_CAUTION 6
/* A raise that is taken back within so many windows came too early. */
#define TRIAL       (CS_BUDGET_WINDOWS + 3)
/* What is judged is the mean of a minute, in one window of which a profile is delivered; but so many times the budget is too much at any moment. */
#define MUCH        2
/* Minutes differ: so that next to all of them keep the budget, this part of it is aimed at; after a raise less should be used. */
#define AIM         0.9
#define RAISE_TO    0.75

/*
 * On a node most threads and tasks sleep, and a look at each costs as much as a tick of the clock, of which there are no more than CPUs. So soon
 * only what sleeps is eased; an eighth of the clock's usual rate still tells what runs. Where that does not help it goes on down.
 */
static const struct step {
	unsigned int times; /* less it is expected to cost */
	struct cs_ease ease;
} steps[] = {
	{1, {1, 1}},        {2, {2, 2}},        {3, {2, 3}},        {4, {2, 4}},
	{6, {3, 6}},        {8, {4, 8}},        {12, {4, 12}},      {16, {4, 16}},
	{24, {4, 24}},      {32, {6, 32}},      {48, {8, 48}},      {64, {8, 64}},
	{96, {8, 96}},      {128, {8, 128}},    {192, {8, 192}},    {256, {8, 256}},
	{384, {8, 384}},    {512, {8, 512}},    {768, {8, 768}},    {1024, {8, 1024}},
	{1536, {16, 1024}}, {2048, {32, 1024}}, {3072, {64, 1024}},
};
#define LAST        (ARRAY_SIZE(steps) - 1)
/* From here on the clock alone is eased, which is in vain if less than this part of the work goes with it. */
#define LAST_ASLEEP 19u
#define HELPS       0.1
#define MAX_CLOCK   64u

struct cs_ease cs_budget_ease(const struct cs_budget *budget)
{
	const struct step *step = &steps[budget->step];

	if (budget->only_clock)
		return (struct cs_ease){MIN(step->times, MAX_CLOCK), step->ease.asleep};
	return step->ease;
}

/* The CPU that would be used at another step: most of the cost goes with the rates. */
static double expected(const struct cs_budget *budget, const struct cs_use *use, unsigned int step)
{
	return use->cpu_share * steps[budget->step].times / steps[step].times;
}

/* The lowest step that makes sense. */
static unsigned int last_step(const struct cs_budget *budget, const struct cs_use *use)
{
	return budget->only_clock || use->clock_part >= HELPS ? LAST : LAST_ASLEEP;
}

static enum cs_budget_verdict lower(struct cs_budget *budget, const struct cs_use *use)
{
	unsigned int step = budget->step + 1, last = last_step(budget, use);

	budget->calm = 0;
	if (budget->since && budget->since <= TRIAL) {
		budget->caution += budget->caution < MAX_CAUTION;
		budget->failed = budget->step;
	}
	budget->since = 0;
	if (budget->step >= last)
		return CS_BUDGET_OVER;
	budget->windows = 0;
	while (step < last && expected(budget, use, step) > budget->cpu_share * AIM)
		step++;
	budget->step = step;
	return use->cpu_share > budget->cpu_share * AIM ? CS_BUDGET_LOWER_FOR_CPU
							: CS_BUDGET_LOWER_FOR_MEMORY;
}

static bool has_room(const struct cs_budget *budget, const struct cs_use *use)
{
	if (budget->step > last_step(budget, use))
		return true;
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

/* What counts after this window: of CPU, until a minute since the last change is over, at most what is aimed at. */
static struct cs_use usual(struct cs_budget *budget, const struct cs_use *use)
{
	unsigned int n = MIN(budget->windows + 1, CS_BUDGET_WINDOWS);
	double sum = 0;

	budget->shares[budget->windows++ % CS_BUDGET_WINDOWS] = use->cpu_share;
	if (use->cpu_share > budget->cpu_share * MUCH)
		return *use;
	for (unsigned int i = 0; i < n; i++)
		sum += budget->shares[i];
	return (struct cs_use){
		.cpu_share =
			n < CS_BUDGET_WINDOWS ? MIN(sum / n, budget->cpu_share * AIM) : sum / n,
		.clock_part = use->clock_part,
		.memory_bytes = use->memory_bytes,
	};
}

enum cs_budget_verdict cs_budget_judge(struct cs_budget *budget, const struct cs_use *window)
{
	const struct cs_use now = usual(budget, window), *use = &now;

	budget->judged = use->cpu_share;
	if (use->memory_bytes > budget->memory_bytes || use->cpu_share > budget->cpu_share ||
	    (use->cpu_share > budget->cpu_share * AIM && budget->step < last_step(budget, use)))
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
	budget->windows = 0;
	budget->since = 1;
	budget->step--;
	return CS_BUDGET_RAISE;
}
