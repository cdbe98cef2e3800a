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

/* Mix n bytes into a digest (0 to begin with). */
static inline uint64_t cs_digest(uint64_t digest, const void *bytes, size_t n)
{
	const char *at = bytes;
	uint64_t word = 0;

	for (; n >= sizeof(word); n -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		digest = cs_digest_word(digest, word);
	}
	word = 0;
	memcpy(&word, at, n);
	return cs_digest_word(digest, word);
}
