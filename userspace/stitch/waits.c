/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits in an event loop. Let the loop be watched for T, and held for lengths d. What becomes ready at a random moment does so inside a
 * hold of length d with probability d/T, anywhere in it with equal probability, and waits at least for the rest: longer than x with
 * probability max(0, d - x)/d. Over all holds that gives
 *
 *     P(wait > x) = sum of max(0, d - x) / T
 *
 * and the quantile q is the x for which it is 1 - q, or 0 if the holds are less than that share of T. It is a lower bound, because the callbacks
 * that are ready already come first.
 */
#include "stitch/waits.h"

/* Four classes an octave; all that is shorter than 2^20 ns is in the first. */
static uint32_t class_of(uint64_t ns)
{
	uint64_t ms = ns >> 20;
	uint32_t octave = ms ? 63 - (uint32_t)__builtin_clzll(ms) : 0;
	uint32_t class = ms ? 1 + octave * 4 + (uint32_t)((ns >> (octave + 18)) & 3) : 0;

	return class < CS_WAIT_CLASSES ? class : CS_WAIT_CLASSES - 1;
}

void cs_waits_add(struct cs_waits *waits, uint64_t hold_ns)
{
	uint32_t class = class_of(hold_ns);

	waits->classes[class].n++;
	waits->classes[class].sum_ns += (double)hold_ns;
}

uint64_t cs_waits_quantile(const struct cs_waits *waits, uint64_t watched_ns, double q)
{
	double share_ns = (1 - q) * (double)watched_ns, n = 0, sum_ns = 0;

	/* from the longest on; all of a class count as long as their mean */
	for (uint32_t i = CS_WAIT_CLASSES; i-- > 0;) {
		double count = (double)waits->classes[i].n;

		if (!waits->classes[i].n)
			continue;
		/* those that are longer already exceed this length often enough */
		if (n > 0 && sum_ns - n * waits->classes[i].sum_ns / count >= share_ns)
			break;
		n += count;
		sum_ns += waits->classes[i].sum_ns;
	}
	return n > 0 && sum_ns > share_ns ? (uint64_t)((sum_ns - share_ns) / n) : 0;
}
