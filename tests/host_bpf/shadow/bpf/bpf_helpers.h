/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for libbpf's header: maps are plain variables, helpers are functions of the test. */
#pragma once

#include <linux/types.h>

#define SEC(name)
#define __weak            __attribute__((weak))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) __typeof__(val) *name

void *bpf_map_lookup_elem(void *map, const void *key);
long bpf_ringbuf_output(void *ring, void *data, __u64 size, __u64 flags);
__u64 bpf_ktime_get_ns(void);
