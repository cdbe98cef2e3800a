/* SPDX-License-Identifier: Apache-2.0 */
/* Durations, sorted when they are asked for. */
#include "cli/durations.h"

#include <errno.h>
#include <stdlib.h>

void cs_durations_free(struct cs_durations *durations)
{
	free(durations->ns);
	*durations = (struct cs_durations){0};
}

int cs_durations_add(struct cs_durations *durations, uint64_t ns)
{
	size_t cap = durations->cap ? 2 * durations->cap : 16;
	uint64_t *more;

	if (durations->n == durations->cap) {
		more = reallocarray(durations->ns, cap, sizeof(*more));
		if (!more)
			return -ENOMEM;
		durations->ns = more;
		durations->cap = cap;
	}
	durations->ns[durations->n++] = ns;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

uint64_t cs_durations_percentile(struct cs_durations *durations, unsigned int percent)
{
	size_t rank = (durations->n * percent + 99) / 100;

	if (!durations->n)
		return 0;
	qsort(durations->ns, durations->n, sizeof(*durations->ns), compare);
	return durations->ns[rank ? rank - 1 : 0];
}
