/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * Is this still the code object that was sampled? An interpreter frees code objects (a module's body right after its
 * import) and gives their memory to others within milliseconds, while names are read some milliseconds after the sample.
 * So the sampler notes a check value of a code object when it first meets it, and the reader of names computes the same:
 * a name under another value is another object's.
 */
#pragma once

#include <coroscope/types.h>

#define CS_CODE_NOT_CHECKED 0
/* In place of a code object's address: it was gone before its name could be read. */
#define CS_CODE_STALE       1ull

/*
 * line_word: the 8 bytes at co_firstlineno (the line and whatever integer follows); qualname: the pointer co_qualname;
 * name_hash: PyASCIIObject.hash of co_name, which is interned and so always hashed: it tells names apart even where all
 * pointers are reused. Never CS_CODE_NOT_CHECKED.
 */
static inline __attribute__((always_inline)) __u32 cs_code_check(__u64 line_word, __u64 qualname,
								 __u64 name_hash)
{
	__u64 x = line_word * 0x9e3779b97f4a7c15ull ^ qualname * 0xc2b2ae3d27d4eb4full ^
		  name_hash * 0x165667b19e3779f9ull;

	return (__u32)(x >> 32) | 1;
}
