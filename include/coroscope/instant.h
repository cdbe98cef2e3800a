/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * How user space asks for a copy of some pages of a process as they are at one instant, and how it is answered: one struct and two
 * arrays in memory that both sides see. The copy is made in the context of one of the process's threads, between two of its
 * instructions, so whatever only that thread changes stands still meanwhile.
 *
 * Who may write what is told by `state`, which both sides change by compare-and-exchange only: user space owns everything in
 * IDLE and DONE, the thread in COPYING. ASKED and SET are user space's to take back.
 */
#pragma once

#include <coroscope/types.h>

#define CS_INSTANT_PAGE_SHIFT 12
#define CS_INSTANT_PAGE_BYTES (1u << CS_INSTANT_PAGE_SHIFT)
/*
 * Pages of one copy, and how long one may take: the thread's loop stands still meanwhile. Two thousand hold the tasks of a program with
 * some five thousand, and are copied in half of that time.
 */
#define CS_INSTANT_PAGES      2048
#define CS_INSTANT_NS         800000ull

/* In the low bits of an asked page's address, once the copy is made. */
#define CS_INSTANT_UNREADABLE 1ull

enum cs_instant_state {
	CS_INSTANT_IDLE = 0,
	CS_INSTANT_ASKED = 1, /* by user space: the next interrupt of the thread shall take it up */
	CS_INSTANT_SET = 2,   /* the thread will copy before it goes on */
	CS_INSTANT_COPYING = 3, /* it does */
	CS_INSTANT_DONE = 4,    /* ncopied pages are there */
	CS_INSTANT_REFUSED = 5, /* the kernel could not take it up */
};

struct cs_instant {
	__u32 state;    /* enum cs_instant_state */
	__u32 tid;      /* the thread, as the first pid namespace counts */
	__u32 npages;   /* asked for */
	__u32 ncopied;  /* of them, in order, those dealt with before time was up */
	__u64 began_ns; /* CLOCK_MONOTONIC: the instant */
	__u64 took_ns;  /* so long the thread was held */
};
CS_ASSERT_SIZE(struct cs_instant, 32);
