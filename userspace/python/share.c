/* SPDX-License-Identifier: Apache-2.0 */
/* Which tasks a pass reads when there are more than it may read. */
#include "python/share.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define PIECE_SHIFT 10

/* Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014): every input bit changes every output bit. */
static uint64_t mix(uint64_t word)
{
	word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9ull;
	word = (word ^ word >> 27) * 0x94d049bb133111ebull;
	return word ^ word >> 31;
}

void cs_share_init(struct cs_share *share, uint32_t most)
{
	*share = (struct cs_share){.most = most};
	if (getrandom(&share->seed, sizeof(share->seed), GRND_NONBLOCK) != sizeof(share->seed))
		share->seed = (uint64_t)time(NULL);
}

void cs_share_begin(struct cs_share *share, size_t n)
{
	size_t every = n > share->most ? (n + share->most - 1) / share->most : 1;
	bool whole = share->every && share->done && share->turn + 1 == share->every;

	if (share->done)
		share->turn++;
	share->done = false;
	/* a cycle goes on while its parts have a size that is still right, half and double as large at most */
	if (share->turn < share->every && every > 1 && every <= 2ull * share->every &&
	    share->every <= 2 * every)
		return;
	share->cycles += whole;
	share->every = (uint32_t)every;
	share->turn = 0;
	share->seed = mix(share->seed + 0x9e3779b97f4a7c15ull);
}

bool cs_share_has(const struct cs_share *share, uint64_t entry)
{
	uint64_t piece = entry >> PIECE_SHIFT;

	/* k pieces in a row are dealt to the k parts, beginning with any of them */
	return share->every <= 1 ||
	       (piece + (mix(piece / share->every + share->seed) >> 32)) % share->every ==
		       share->turn;
}

void cs_share_end(struct cs_share *share)
{
	share->done = true;
}
