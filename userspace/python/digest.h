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

static inline uint64_t cs_digest_at(uint64_t digest, const char *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return cs_digest_word(digest, word);
}

/*
 * Mix n bytes into a digest (0 to begin with). Four chains side by side: a multiplication has to wait for the
 * one before it in its own chain only.
 */
static inline uint64_t cs_digest(uint64_t digest, const void *bytes, size_t n)
{
	uint64_t a = cs_digest_word(digest, n), b = 1, c = 2, d = 3, rest = 0;
	const char *at = bytes;

	for (; n >= 32; n -= 32, at += 32) {
		a = cs_digest_at(a, at);
		b = cs_digest_at(b, at + 8);
		c = cs_digest_at(c, at + 16);
		d = cs_digest_at(d, at + 24);
	}
	for (; n >= 8; n -= 8, at += 8)
		a = cs_digest_at(a, at);
	if (n)
		memcpy(&rest, at, n);
	return cs_digest_word(cs_digest_word(cs_digest_word(a, b), cs_digest_word(c, d)), rest);
}
