/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Threads off the CPU: the table, and what becomes of a block. A thread's slot is written by the CPU that it leaves, and read by the
 * one that it comes to, which the scheduler orders. Two threads that take one free slot at the same moment lose one of them its first block.
 */
#pragma once

#include "core_compat.bpf.h"
#include "off_maps.bpf.h"
#include "off_rate.bpf.h"

static __always_inline struct cs_off_rate *off_rate(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&off_rates, &zero);
}

static __always_inline struct cs_off_set *off_set(__u32 tid)
{
	__u32 i = tid & (CS_OFF_SETS - 1);

	return bpf_map_lookup_elem(&off_sets, &i);
}

/* The thread's slot, or NULL. tid 0: a free one. */
static __always_inline struct cs_off_slot *off_find(struct cs_off_set *set, __u32 tid)
{
	if (!set)
		return NULL;
	for (__u32 i = 0; i < CS_OFF_WAYS; i++)
		if (set->slots[i].tid == tid)
			return &set->slots[i];
	return NULL;
}

/* set: of the thread, which has a slot in it. */
static __always_inline struct off_waker *off_waker(const struct cs_off_set *set, __u32 tid)
{
	__u32 way = 0, place;

	for (__u32 i = CS_OFF_WAYS; i-- > 0;)
		if (set->slots[i].tid == tid)
			way = i;
	place = (tid & (CS_OFF_SETS - 1)) * CS_OFF_WAYS + way;
	return bpf_map_lookup_elem(&off_wakers, &place);
}

/* The thread leaves its CPU. state: see struct cs_off_slot. */
static __always_inline void off_begin_block(struct cs_off_slot *slot, __u32 tid, __u32 state,
					    __u64 now_ns)
{
	struct cs_off_rate *rate = off_rate();
	__u64 stands_ns = rate ? rate->stands_ns : 0;

	slot->tid = tid;
	slot->state = (__u16)state;
	slot->before = 0;
	slot->stands_ns = stands_ns;
	slot->above_ns = off_share(stands_ns, bpf_get_prandom_u32());
	slot->since_ns = now_ns;
}

/* A block in one set of accounts. */
static __always_inline void off_account_in(struct cs_counters *counts, __u64 lasted_ns,
					   enum cs_counter fate)
{
	if (!counts)
		return;
	__sync_fetch_and_add(&counts->v[CS_COUNTER_OFF_BLOCKS], 1);
	__sync_fetch_and_add(&counts->v[CS_COUNTER_OFF_NS], lasted_ns);
	if (fate == CS_COUNTER_OFF_SHORT)
		__sync_fetch_and_add(&counts->v[CS_COUNTER_OFF_SHORT_NS], lasted_ns);
	if (fate != CS_COUNTER_OFF_SAMPLES)
		__sync_fetch_and_add(&counts->v[fate], 1);
}

/* As count(), but all of a block at once: most blocks cost nothing else. What is to be shown is counted when it was. */
static __always_inline void off_account(__u32 tgid, __u64 lasted_ns, enum cs_counter fate)
{
	__u32 zero = 0;

	off_account_in(bpf_map_lookup_elem(&counters, &zero), lasted_ns, fate);
	off_account_in(bpf_map_lookup_elem(&proc_counters, &tgid), lasted_ns, fate);
}

/* Is a block of this length shown? */
static __always_inline bool off_is_shown(const struct cs_off_slot *slot, __u64 lasted_ns)
{
	return lasted_ns >= config.off_min_ns && lasted_ns > slot->above_ns;
}

/* A block that has ended, into the accounts; what it stands for, or 0: it is not shown. */
static __always_inline __u64 off_weigh(const struct cs_off_slot *slot, __u32 tgid, __u64 lasted_ns,
				       __u64 now_ns)
{
	bool shown = off_is_shown(slot, lasted_ns);
	struct cs_off_rate *rate = off_rate();

	if (lasted_ns < config.off_min_ns) {
		off_account(tgid, lasted_ns, CS_COUNTER_OFF_SHORT);
		return 0;
	}
	if (rate)
		off_count(rate, now_ns, shown, config.off_budget, config.off_min_ns);
	off_account(tgid, lasted_ns, shown ? CS_COUNTER_OFF_SAMPLES : CS_COUNTER_OFF_THINNED);
	if (!shown)
		return 0;
	return lasted_ns > slot->stands_ns ? lasted_ns : slot->stands_ns;
}
