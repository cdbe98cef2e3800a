/* SPDX-License-Identifier: Apache-2.0 */
/* A 64-bit digest that tells changed bytes from unchanged ones. No protection against forgery. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t cs_digest_word(uint64_t digest, uint64_t word)
{
	return ((digest << 29 | digest >> 35) ^ word) * 0x9e3779b97f4a7c15ull;
}

/*
 * Mix n bytes into a digest (0 to begin with). Four chains side by side: a multiplication has to wait for the
 * one before it in its own chain only.
 */
static inline uint64_t cs_digest(uint64_t digest, const void *bytes, size_t n)
{
	uint64_t chains[4] = {digest, 1, 2, 3}, words[4] = {0};
	const char *at = bytes;

	for (; n >= sizeof(words); n -= sizeof(words), at += sizeof(words)) {
		memcpy(words, at, sizeof(words));
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++)
			chains[i] = cs_digest_word(chains[i], words[i]);
	}
	memset(words, 0, sizeof(words));
	memcpy(words, at, n);
	for (int i = 0; i < 4; i++)
		chains[0] = cs_digest_word(cs_digest_word(chains[0], chains[i]), words[i]);
	return chains[0];
}
