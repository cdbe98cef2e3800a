/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A copy of some pages of a process at one instant (see coroscope/instant.h). A perf event on one thread, which counts its time in
 * user space only, takes up the request; the copy itself is made as work that the thread does before it goes on in user
 * space: in its own context, interruptible, and without a system call of its own being disturbed. Needs 6.18 (commit 38aa7003e369).
 *
 * Pages are read without faults. User space has read them just before, which made them present, and a thread that never takes a
 * fault for us is never kept waiting by whoever serves such faults.
 *
 * The program gives instant_schedule(task, tw, map, callback): kernels do not agree on the function's name and type, and an object that
 * mentions one that the kernel has otherwise is not loaded. So there is an object for each.
 */
#pragma once

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <coroscope/instant.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

typedef int (*task_work_fn)(struct bpf_map *map, void *key, void *value);

static __always_inline int instant_schedule(struct task_struct *task, struct bpf_task_work *tw,
					    void *map, task_work_fn callback);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cs_instant);
} instant SEC(".maps");

/* Addresses of the pages asked for. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CS_INSTANT_PAGES);
	__type(key, __u32);
	__type(value, __u64);
} instant_pages SEC(".maps");

struct page {
	__u8 bytes[CS_INSTANT_PAGE_BYTES];
};

/* The copies, in the same order. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CS_INSTANT_PAGES);
	__type(key, __u32);
	__type(value, struct page);
} instant_copies SEC(".maps");

struct work {
	struct bpf_task_work tw;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct work);
} instant_work SEC(".maps");

static __always_inline struct cs_instant *instant_asked(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&instant, &zero);
}

static __always_inline bool instant_move(struct cs_instant *in, __u32 from, __u32 to)
{
	return __sync_val_compare_and_swap(&in->state, from, to) == from;
}

/* Copy the i-th page. Returns 1 when time is up. */
static long copy_page(__u32 i, void *ctx)
{
	struct cs_instant *in = instant_asked();
	__u64 *addr = bpf_map_lookup_elem(&instant_pages, &i);
	struct page *to = bpf_map_lookup_elem(&instant_copies, &i);

	if (!in || !addr || !to || bpf_ktime_get_ns() - in->began_ns > CS_INSTANT_NS)
		return 1;
	if (bpf_probe_read_user(to, sizeof(*to), (const void *)*addr))
		*addr |= CS_INSTANT_UNREADABLE;
	in->ncopied = i + 1;
	return 0;
}

static int copy_pages(struct bpf_map *map, void *key, void *value)
{
	struct cs_instant *in = instant_asked();

	/* The request that this was for may have been taken back, and another thread asked since. */
	if (!in || in->tid != (__u32)bpf_get_current_pid_tgid() ||
	    !instant_move(in, CS_INSTANT_SET, CS_INSTANT_COPYING))
		return 0;
	in->ncopied = 0;
	in->began_ns = bpf_ktime_get_ns();
	bpf_loop(in->npages, copy_page, NULL, 0);
	in->took_ns = bpf_ktime_get_ns() - in->began_ns;
	instant_move(in, CS_INSTANT_COPYING, CS_INSTANT_DONE);
	return 0;
}

SEC("perf_event")
int take_instant(struct bpf_perf_event_data *ctx)
{
	struct cs_instant *in = instant_asked();
	struct work *work;
	__u32 zero = 0;

	work = bpf_map_lookup_elem(&instant_work, &zero);
	if (!in || !work || in->tid != (__u32)bpf_get_current_pid_tgid() ||
	    !instant_move(in, CS_INSTANT_ASKED, CS_INSTANT_SET))
		return 0;
	if (instant_schedule(bpf_get_current_task_btf(), &work->tw, &instant_work, copy_pages))
		instant_move(in, CS_INSTANT_SET, CS_INSTANT_REFUSED);
	return 0;
}
