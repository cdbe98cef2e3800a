/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * Is this still the code object that was sampled? An interpreter frees code objects (a module's body right after its
 * import) and gives their memory to others within milliseconds, while names are read some milliseconds after the sample.
 * So the sampler notes a check value of a code object when it meets it, and the reader of names computes the same:
 * a name under another value is another object's.
 *
 * The value is made of everything between co_firstlineno and the last of co_filename, co_name and co_qualname: counts of
 * arguments and variables, pointers to their names, to the texts and (up to 3.10) to the instructions and constants, and from 3.12
 * on co_version, which no other code object of the process has. None of it changes while the object lives. Before
 * 3.12 memory may be reused pointer by pointer (two functions of one shape that take turns): there the ends of both texts
 * that are shown are part of the value as well.
 */
#pragma once

#include <coroscope/py_offsets.h>
#include <coroscope/types.h>

#define CS_CODE_NOT_CHECKED 0
/* In place of a code object's address: it was gone before its name could be read. */
#define CS_CODE_STALE       1ull
/* Likewise, in stitched stacks only: frames were left out here, as many as lasti says. */
#define CS_CODE_LEFT_OUT    2ull
/* Most bytes of a code object that a check value is made of; the layouts in use need 64 to 88. */
#define CS_CODE_CHUNK       128
/* ... and of a text. */
#define CS_CODE_TEXT_CHUNK  64

/* Where they begin in the code object. */
static inline __attribute__((always_inline)) __u32 cs_code_check_at(const struct cs_py_offsets *off)
{
	return off->code_firstlineno & ~7u;
}

/* How many they are, a multiple of 8; 0: this layout cannot be checked. */
static inline __attribute__((always_inline)) __u32
cs_code_check_size(const struct cs_py_offsets *off)
{
	__u32 last = off->code_name, at = cs_code_check_at(off);

	if (last < off->code_qualname)
		last = off->code_qualname;
	if (last < off->code_filename)
		last = off->code_filename;
	last &= ~7u;
	return off->code_name >= at && last - at <= CS_CODE_CHUNK - 8 ? last - at + 8 : 0;
}

/* Mix the first size bytes of words (a multiple of 8, CS_CODE_CHUNK at most) into a value that begins as 0. */
static inline __attribute__((always_inline)) __u64 cs_code_check_mix(__u64 x, const __u64 *words,
								     __u32 size)
{
	for (__u32 i = 0; i < CS_CODE_CHUNK / 8; i++) {
		if (i >= size / 8)
			break;
		x = (x ^ words[i]) * 0x9e3779b97f4a7c15ull;
		x ^= x >> 32;
	}
	return x;
}

/*
 * ... and a text: its length in characters, and the last CS_CODE_TEXT_CHUNK bytes of its characters, zeros behind those of a
 * shorter one.
 */
static inline __attribute__((always_inline)) __u64
cs_code_check_mix_text(__u64 x, __u64 length, const __u64 words[CS_CODE_TEXT_CHUNK / 8])
{
	return cs_code_check_mix(x ^ length, words, CS_CODE_TEXT_CHUNK);
}

/* What becomes of it in the end: never CS_CODE_NOT_CHECKED. */
static inline __attribute__((always_inline)) __u32 cs_code_check_value(__u64 x)
{
	return (__u32)x | 1;
}
