/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps that unwinding native code goes by. User space fills them; a child begins with its parent's list. */
#pragma once

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <coroscope/native.h>

struct unwind_table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
};

/* Unwind tables (coroscope/unwind.h) by the place in their numbers: each of its own size. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, CS_MAX_NATIVE_FILES);
	__type(key, __u32);
	__array(values, struct unwind_table);
} native_files __weak SEC(".maps");

/* tgid -> which code is where. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CS_MAX_PROCS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct cs_native_proc);
} native_procs __weak SEC(".maps");

/* The child has what its parent has, until it maps something else. */
static __always_inline void native_fork(__u32 parent, __u32 child)
{
	const struct cs_native_proc *proc = bpf_map_lookup_elem(&native_procs, &parent);

	if (proc)
		bpf_map_update_elem(&native_procs, &child, proc, BPF_ANY);
}

/* The process has become another program, or is gone. */
static __always_inline void native_forget(__u32 tgid)
{
	bpf_map_delete_elem(&native_procs, &tgid);
}
