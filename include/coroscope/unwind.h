/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * The unwind table of one file as user space makes it and the kernel side reads it: an array of 64-bit words.
 *
 *     word 0                  nbuckets in the low half, base / CS_UNWIND_BUCKET in the high half
 *     words 1 .. nbuckets     one per CS_UNWIND_BUCKET bytes of text from base: the words [lo, hi) of the rows that matter there
 *     then the rows           sorted: address of the file (32 bits) << 32 | what to do from there on (below)
 *
 * A row's lower half: kind (3 bits), where the caller's rbp is (13 bits), the value that the kind needs (16 bits). CFA is
 * DWARF's canonical frame address: the stack pointer in the caller; the return address lies just below it.
 */
#pragma once

#include <coroscope/types.h>

/* Few enough rows in so many bytes of text (64 in libc and libpython, 86 in LLVM) that a search takes 6 steps, not 16. */
#define CS_UNWIND_BUCKET 256
/* Words of one file's table: 32 MiB, what some 25 MiB of .eh_frame come to. A larger file has none. */
#define CS_UNWIND_WORDS  (1u << 22)

enum cs_unwind_kind {
	CS_UNWIND_NONE = 0, /* no rule here: a gap between functions, or code without any */
	CS_UNWIND_SP = 1,   /* CFA = rsp + 8 * value */
	CS_UNWIND_FP = 2,   /* CFA = rbp + 8 * value */
	CS_UNWIND_PLT =
		3, /* CFA = rsp + 8, and 8 more if the address modulo 16 is at least value */
	CS_UNWIND_DEREF = 4,       /* CFA = *(rsp or rbp + ...) + ...: see cs_unwind_deref_* */
	CS_UNWIND_SIGNAL = 5,      /* rsp points to the ucontext of a signal frame */
	CS_UNWIND_END = 6,         /* no caller: the outermost frame of a thread */
	CS_UNWIND_UNSUPPORTED = 7, /* a rule that a row cannot say */
};

/* The caller's rbp: still in the register, at CFA - 8 * n, or (stack realignment) where rbp points to. */
#define CS_UNWIND_RBP_SAME   0
#define CS_UNWIND_RBP_AT_RBP 8191

static inline __u32 cs_unwind_info(enum cs_unwind_kind kind, __u32 rbp, __u32 value)
{
	return (__u32)kind << 29 | (rbp & 8191) << 16 | (value & 65535);
}

static inline enum cs_unwind_kind cs_unwind_kind(__u32 info)
{
	return (enum cs_unwind_kind)(info >> 29);
}

static inline __u32 cs_unwind_rbp(__u32 info)
{
	return info >> 16 & 8191;
}

static inline __u32 cs_unwind_value(__u32 info)
{
	return info & 65535;
}

/* The value of CS_UNWIND_DEREF: bit 15 the base (1: rbp), 11 bits the signed offset / 8, 4 bits what is added / 8. */
static inline __u32 cs_unwind_deref(int from_rbp, __s32 offset, __u32 added)
{
	return (__u32)(from_rbp != 0) << 15 | ((__u32)(offset / 8) & 2047) << 4 | (added / 8 & 15);
}

static inline int cs_unwind_deref_from_rbp(__u32 value)
{
	return value >> 15 & 1;
}

static inline __s32 cs_unwind_deref_offset(__u32 value)
{
	return ((__s32)(value << 17) >> 21) * 8;
}

static inline __u32 cs_unwind_deref_added(__u32 value)
{
	return (value & 15) * 8;
}
