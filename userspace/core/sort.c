/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Radix sort from the least significant byte on (Knuth, The Art of Computer Programming, volume 3, section 5.2.5, algorithm R). Each round keeps
 * the order of what has the same byte. Addresses of one process have most bytes in common: only the others need a round.
 */
#include "core/sort.h"

#include <string.h>

#define BYTE_VALUES 256

/* Move the words from one array to another, in the order of one of their bytes. */
static void sort_by_byte(const uint64_t *from, uint64_t *to, size_t n, unsigned int shift)
{
	size_t at[BYTE_VALUES] = {0}, sum = 0;

	for (size_t i = 0; i < n; i++)
		at[from[i] >> shift & 0xff]++;
	for (size_t value = 0; value < BYTE_VALUES; value++) {
		size_t count = at[value];

		at[value] = sum;
		sum += count;
	}
	for (size_t i = 0; i < n; i++)
		to[at[from[i] >> shift & 0xff]++] = from[i];
}

void cs_sort_words(uint64_t *words, uint64_t *spare, size_t n)
{
	uint64_t *from = words, *to = spare, differ = 0;

	for (size_t i = 1; i < n; i++)
		differ |= words[i] ^ words[0];
	for (unsigned int shift = 0; shift < 64; shift += 8) {
		uint64_t *sorted = to;

		if (!(differ >> shift & 0xff))
			continue;
		sort_by_byte(from, to, n, shift);
		to = from;
		from = sorted;
	}
	if (from != words)
		memcpy(words, from, n * sizeof(*words));
}
