/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which tasks a pass reads when there are more than it may read: an unbiased share, a different one each time.
 *
 * Of n tasks every k-th is to be read, k being the smallest number for which that is at most `most`. A cycle is k passes. At its beginning
 * each entry of asyncio's sets and lists falls into one of k parts at random; pass i of the cycle reads part i. So in every
 * pass every task has the same chance, 1 in k, whatever it is and wherever it lies; and what lives through a cycle is read exactly
 * once in it. What a cycle did not meet is therefore gone.
 *
 * Entries whose addresses are in one KiB fall into the same part: their tasks were mostly made one after the other, so that their coroutines lie
 * together, too, and a pass over a tenth of the tasks has to copy some fifth of the memory; of tasks picked one by one it would be most of it. Larger
 * pieces would copy less, but parts would differ more in size: an allocator has runs of 16 KiB for objects of one size. To make up for that, of every k neighbouring KiB each falls into another part (a stratified sample): tasks that
 * have something in common because they were made together are met in proportion in every pass.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cs_share {
	uint32_t most;   /* entries that a pass may read */
	uint32_t every;  /* k; 1: all are read; 0: no pass yet */
	uint32_t turn;   /* which part this pass reads */
	uint32_t cycles; /* that are complete; one in which all are read is one pass long */
	bool done;       /* this pass's part was read */
	uint64_t seed;
};

void cs_share_init(struct cs_share *share, uint32_t most);

/* Begin a pass over n entries. The next part follows only if the last one was read. */
void cs_share_begin(struct cs_share *share, size_t n);

/* Is this entry to be read in this pass? */
bool cs_share_has(const struct cs_share *share, uint64_t entry);

/* The part of this pass was read. */
void cs_share_end(struct cs_share *share);
