/* SPDX-License-Identifier: Apache-2.0 */
/* CPU time that something may cost. */
#include "core/allowance.h"

#include <sys/param.h>

bool cs_allowance_spend(struct cs_allowance *allowance, uint64_t cost_ns, uint64_t now_ns)
{
	uint64_t since_ns = now_ns - allowance->as_of_ns;

	/* First what was earned: what is spent now was spent meanwhile. */
	allowance->left_ns += (int64_t)(since_ns / allowance->part) - (int64_t)cost_ns;
	allowance->left_ns = MIN(allowance->left_ns, (int64_t)allowance->at_once_ns);
	allowance->as_of_ns = now_ns;
	return allowance->left_ns > 0;
}

uint64_t cs_allowance_earned_ns(const struct cs_allowance *allowance, uint64_t left_ns)
{
	int64_t missing_ns = (int64_t)left_ns - allowance->left_ns;

	return allowance->as_of_ns + (missing_ns > 0 ? allowance->part * (uint64_t)missing_ns : 0);
}
