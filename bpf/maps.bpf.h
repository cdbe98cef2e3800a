/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps and knobs that several programs share, declared once. Each source is an object of its own (userspace/collect/programs.c):
 * proc_events makes the maps, the others are given them by name. Rule for the interrupt programs: lookups, per-CPU writes and
 * ring output only; whatever is inserted into a hash is inserted by user space, the iterator, or a program that runs in
 * the process it is about (fork, exec, mmap).
 */
#pragma once

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <coroscope/config.h>
#include <coroscope/event.h>
#include <coroscope/limits.h>
#include <coroscope/proc_info.h>
#include <coroscope/status.h>
#include <coroscope/tracer.h>

/* Records for user space. Its size is set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring __weak SEC(".maps");

/* tgid -> what is known of the process. Filled by user space, and by proc_events from `files` and from parents' rows. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CS_MAX_PROCS);
	__type(key, __u32);
	__type(value, struct cs_proc_info);
} procs __weak SEC(".maps");

struct cs_counters {
	__u64 v[CS_COUNTER_MAX_];
};

/* The accounts of the whole machine. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cs_counters);
} counters __weak SEC(".maps");

/* tgid -> its accounts. Rows are made by user space together with those of `procs`. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CS_MAX_PROCS);
	__type(key, __u32);
	__type(value, struct cs_counters);
} proc_counters __weak SEC(".maps");

/* Thread -> PyThreadState where the search in an interrupt would be too long. Filled by user space only. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CS_MAX_TOLD_TSTATES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct cs_tstate_key);
	__type(value, __u64);
} tstates __weak SEC(".maps");

/* tgid -> how to find its spans: of processes whose row says so. Filled by user space; a fork's child gets a copy of its parent's. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CS_MAX_TRACED);
	__type(key, __u32);
	__type(value, struct cs_tracers);
} tracers __weak SEC(".maps");

/* File -> what is in it. Filled by user space only. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CS_MAX_FILES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct cs_file_id);
	__type(value, struct cs_file_info);
} files __weak SEC(".maps");

const volatile struct cs_config config __weak = {};

/* Uprobe programs preempt each other, so each addition is one instruction. */
static __always_inline void count_in(struct cs_counters *counts, enum cs_counter id, __u64 n)
{
	if (counts)
		__sync_fetch_and_add(&counts->v[id], n);
}

/* Add n to two accounts of the machine and, where the process has a row, of the process: looking that up costs more than the rest. */
static __always_inline void count_n_both(__u32 tgid, enum cs_counter one, enum cs_counter other,
					 __u64 n)
{
	struct cs_counters *all, *own;
	__u32 zero = 0;

	all = bpf_map_lookup_elem(&counters, &zero);
	count_in(all, one, n);
	count_in(all, other, n);
	own = bpf_map_lookup_elem(&proc_counters, &tgid);
	count_in(own, one, n);
	count_in(own, other, n);
}

/* Add one to an account of the machine and, where the process has a row, of the process. */
static __always_inline void count(__u32 tgid, enum cs_counter id)
{
	__u32 zero = 0;

	count_in(bpf_map_lookup_elem(&counters, &zero), id, 1);
	if (tgid)
		count_in(bpf_map_lookup_elem(&proc_counters, &tgid), id, 1);
}

/* Likewise to two. */
static __always_inline void count_both(__u32 tgid, enum cs_counter one, enum cs_counter other)
{
	count_n_both(tgid, one, other, 1);
}

/* What is known of a process's tracers, or NULL. */
static __always_inline const struct cs_tracers *known_tracers(__u32 tgid)
{
	return bpf_map_lookup_elem(&tracers, &tgid);
}

/* The same, copied. Returns 0, or 1 if nothing is. */
static __always_inline int take_tracers(struct cs_tracers *dst, __u32 tgid)
{
	const struct cs_tracers *known = known_tracers(tgid);

	return !known || bpf_probe_read_kernel(dst, sizeof(*dst), known);
}

/* What user space told of a thread, or 0. */
static __always_inline __u64 told_tstate(__u32 tgid, __u64 thread_pointer)
{
	struct cs_tstate_key key = {.tgid = tgid, .thread_pointer = thread_pointer};
	__u64 *tstate = bpf_map_lookup_elem(&tstates, &key);

	return tstate ? *tstate : 0;
}
