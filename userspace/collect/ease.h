/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a capture that has to cost less does more seldom, and what that loses. All of it follows from two numbers, which a budget decides
 * (agent/budget.c). Nothing that is late is wrong: what is not looked at yet has no names, frames, tasks or owner.
 */
#pragma once

#include <stdint.h>
#include <sys/param.h>

/* How many times more seldom than the options say; 1: as they say. */
struct cs_ease {
	unsigned int clock; /* what runs: ticks of the CPU clock */
	unsigned int
		asleep; /* sleeping threads, suspended tasks, and everything else that is looked at */
};

#define CS_EASE_MS              1000000ull
/* Processes that are known: they change seldom, and one that is never looked at again is known badly. */
#define CS_EASE_MAX_KNOWN       16u
/* A turn: what is in the ring waits so long for its names. */
#define CS_EASE_MAX_TURN_NS     (250 * CS_EASE_MS)
/* Looks at a process that begins. */
#define CS_EASE_YOUNG_NS        (1 * CS_EASE_MS)
#define CS_EASE_MAX_YOUNG_NS    (2000 * CS_EASE_MS)
/* See cs_ease_stranger_ns. */
#define CS_EASE_STRANGER_NS     (50 * CS_EASE_MS)
#define CS_EASE_MAX_STRANGER_NS (6000 * CS_EASE_MS)
/* See cs_ease_owner_ns. */
#define CS_EASE_OWNER_NS        (250 * CS_EASE_MS)
#define CS_EASE_MIN_OWNER_NS    (30000 * CS_EASE_MS)
#define CS_EASE_MAX_OWNER_NS    (120000 * CS_EASE_MS)

/* In everything below, ease is that of what is asleep; 0 is 1. */

/* A distance between looks at what is known already. */
static inline uint64_t cs_ease_known(unsigned int ease, uint64_t ns)
{
	return ns * MIN(MAX(ease, 1), CS_EASE_MAX_KNOWN);
}

/* The length of a turn that is ns without ease. */
static inline uint64_t cs_ease_turn(unsigned int ease, uint64_t ns)
{
	return ease > 1 ? MIN(ns * ease, MAX(ns, CS_EASE_MAX_TURN_NS)) : ns;
}

/*
 * Between looks at a process that begins, also before the first: at once an interpreter is known to its first samples and asyncio to its first
 * tasks; later it has loaded all that it loads, and is looked at once or twice instead of hundreds of times; or has ended.
 */
static inline uint64_t cs_ease_young_ns(unsigned int ease)
{
	return ease > 1 ? MIN(8 * CS_EASE_YOUNG_NS * ease, CS_EASE_MAX_YOUNG_NS) : CS_EASE_YOUNG_NS;
}

/*
 * How old a process must be before it is asked whose it is, which costs as much as all else that is asked of one that lives for seconds; and a
 * forked child before it is looked at, of which until then all holds that is known of its parent.
 */
static inline uint64_t cs_ease_stranger_ns(unsigned int ease)
{
	return ease > 1 ? MIN(CS_EASE_STRANGER_NS * ease, CS_EASE_MAX_STRANGER_NS) : 0;
}

/*
 * How long after it has been asked whose it is a process is asked again, if not later anyway: the first time came late enough for what a program's start
 * publishes.
 */
static inline uint64_t cs_ease_owner_ns(unsigned int ease)
{
	return ease > 1 ? MAX(CS_EASE_MIN_OWNER_NS,
			      MIN(CS_EASE_OWNER_NS * ease, CS_EASE_MAX_OWNER_NS))
			: 0;
}
