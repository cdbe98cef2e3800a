/* SPDX-License-Identifier: Apache-2.0 */
/* What a probe may cost the processes that it interrupts. */
#include "collect/probe_budget.h"

#include <sys/param.h>

#define SHARE   100         /* one in so many: 1% of a CPU */
#define AT_ONCE 100000000ll /* ns */

void cs_probe_budget_begin(struct cs_probe_budget *budget, uint64_t now_ns)
{
	*budget = (struct cs_probe_budget){AT_ONCE, now_ns};
}

bool cs_probe_budget_spend(struct cs_probe_budget *budget, uint64_t cost_ns, uint64_t now_ns)
{
	uint64_t since_ns = now_ns - budget->as_of_ns;

	/* First what was earned: what is spent now was spent meanwhile. */
	budget->left_ns += (int64_t)(since_ns / SHARE) - (int64_t)cost_ns;
	budget->left_ns = MIN(budget->left_ns, AT_ONCE);
	budget->as_of_ns = now_ns;
	return budget->left_ns > 0;
}

uint64_t cs_probe_budget_again_ns(const struct cs_probe_budget *budget)
{
	return budget->as_of_ns + SHARE * (uint64_t)(AT_ONCE - budget->left_ns);
}
