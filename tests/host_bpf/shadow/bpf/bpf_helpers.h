/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for libbpf's header: maps are plain variables, helpers are functions of the test. */
#pragma once

#include <linux/types.h>

#define SEC(name)
#define __weak             __attribute__((weak))
#define __uint(name, val)  int(*name)[val]
#define __type(name, val)  __typeof__(val) *name
#define __array(name, val) __typeof__(val) *name[]
#define barrier()          asm volatile("" ::: "memory")

struct task_struct;

void *bpf_map_lookup_elem(void *map, const void *key);
long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags);
long bpf_map_delete_elem(void *map, const void *key);
long bpf_ringbuf_output(void *ring, void *data, __u64 size, __u64 flags);
__u64 bpf_ktime_get_ns(void);
__u64 bpf_get_current_pid_tgid(void);
struct task_struct *bpf_get_current_task_btf(void);
__u64 bpf_get_current_task(void);
long bpf_task_pt_regs(struct task_struct *task);
__u64 bpf_get_current_ancestor_cgroup_id(int level);
long bpf_probe_read_kernel(void *dst, __u32 size, const void *src);
long bpf_get_current_comm(void *buf, __u32 size);
__u32 bpf_get_prandom_u32(void);
