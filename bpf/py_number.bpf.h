/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ints of up to 128 bits, as ids of spans and traces are. */
#pragma once

#include "walk.bpf.h"

#define CS_LONG_DIGITS 5 /* of 30 bits: 128 of them and some */

/* The part of a PyLongObject that is read, from ob_type on: user space has made sure that nothing lies between. */
struct py_long {
	__u64 type, tag;
	__u32 digits[CS_LONG_DIGITS];
	__u32 pad;
};

#define CS_LONG_HEAD  16
#define CS_LONG_BYTES (CS_LONG_HEAD + 4 * CS_LONG_DIGITS)

/* Number of digits of a positive int that is not 0; 0 for all others. */
static __always_inline __u64 py_long_ndigits(const struct cs_walk *w, __u64 tag)
{
	if (w->traits.long_tag_shift > 0)
		return (tag & 3) ? 0 : tag >> (w->traits.long_tag_shift & 63);
	return (__s64)tag < 0 ? 0 : tag;
}

/* The digits one by one, where what lies behind them cannot be read. Returns 0, or 1. */
static __always_inline int py_long_digits(struct task_struct *task, __u64 at, __u64 n,
					  struct py_long *ret)
{
	for (__u32 i = 0; i < CS_LONG_DIGITS; i++) {
		if (i < n && CS_READ(task, &ret->digits[i], sizeof(ret->digits[i]), at + 4ull * i))
			return 1;
	}
	return 0;
}

/*
 * Read a positive int below 2^128. Returns 0, or 1 if it cannot be read or is none. One read is nearly always enough: only at the
 * end of mapped memory there is less than the longest would need.
 */
static __always_inline int py_long_read(struct cs_walk *w, struct task_struct *task, __u64 obj,
					__u64 long_type, __u64 *ret_hi, __u64 *ret_lo)
{
	__u64 at = obj + w->off.object_type, n, d[CS_LONG_DIGITS], high = 0;
	struct py_long number = {};
	bool whole;

	if (!obj)
		return 1;
	whole = !CS_READ(task, &number, CS_LONG_BYTES, at);
	if (!whole && CS_READ(task, &number, CS_LONG_HEAD, at))
		return 1;
	n = py_long_ndigits(w, number.tag);
	if (number.type != long_type || !n || n > CS_LONG_DIGITS ||
	    (!whole && py_long_digits(task, at + CS_LONG_HEAD, n, &number)))
		return 1;
	for (__u32 i = 0; i < CS_LONG_DIGITS; i++) {
		d[i] = i < n ? number.digits[i] : 0;
		high |= d[i] >> (i < CS_LONG_DIGITS - 1 ? 30 : 8);
	}
	if (high)
		return 1;
	*ret_lo = d[0] | d[1] << 30 | d[2] << 60;
	*ret_hi = d[2] >> 4 | d[3] << 26 | d[4] << 56;
	return 0;
}
