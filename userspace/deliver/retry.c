/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer means for a parcel, and when to try again. */
#include "deliver/retry.h"

#define FIRST_WAIT_NS 1000000000ull
#define MAX_DOUBLED   6
#define MAX_WAIT_NS   60000000000ull

enum cs_verdict cs_retry_judge(int status)
{
	if (status >= 200 && status < 300)
		return CS_TAKEN;
	/* 501 and 505: it does not know how, and will not learn */
	if (!status || status == 408 || status == 429 ||
	    (status >= 500 && status != 501 && status != 505))
		return CS_LATER;
	return CS_REFUSED;
}

uint64_t cs_retry_wait_ns(unsigned int failures, uint32_t random)
{
	unsigned int doubled = failures - 1 < MAX_DOUBLED ? failures - 1 : MAX_DOUBLED;
	uint64_t wait = FIRST_WAIT_NS << doubled;

	if (wait > MAX_WAIT_NS)
		wait = MAX_WAIT_NS;
	return wait - (uint64_t)((unsigned __int128)(wait / 2) * random >> 32);
}
