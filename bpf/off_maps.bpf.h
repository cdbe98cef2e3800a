/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps of time off the CPU. */
#pragma once

#include "maps.bpf.h"

/* One entry where no off-CPU time is asked for: user space says so before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CS_OFF_SETS);
	__type(key, __u32);
	__type(value, struct cs_off_set);
} off_sets __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cs_off_rate);
} off_rates __weak SEC(".maps");

/* Who woke the thread of the slot with the same place; one entry where nobody asks. */
struct off_waker {
	__u64 since_ns; /* the block that was ended; 0: none yet */
	struct cs_ev_waker ev;
	__u64 kernel[CS_MAX_WAKER_FRAMES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CS_OFF_SETS *CS_OFF_WAYS);
	__type(key, __u32);
	__type(value, struct off_waker);
} off_wakers __weak SEC(".maps");
