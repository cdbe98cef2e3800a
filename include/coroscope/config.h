/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * The knobs that user space sets in the BPF objects' read-only data before they are loaded, so that
 * branches not wanted vanish from the verified program.
 */
#pragma once

#include <coroscope/types.h>

struct cs_config {
	__u32 all_processes; /* 1: processes without a row in `procs` are sampled too */
	__u32 discover; /* 1: every process that execs is judged by the selection below; it gets a row if chosen */
	__u32 want_gil; /* 1: tell in each stack whether its thread held the GIL */
	/* The selection. A test that is off chooses everybody. */
	__u32 by_user, uid; /* by_user 1: effective user id */
	__u32 by_comm;      /* 1: the process's name must be `comm` */
	char comm[16];
	__u64 cgroup;       /* not 0: id of the cgroup (v2) that it must be in or below */
	__u32 cgroup_level; /* depth of that cgroup: 1 is a child of the root */
	__u32 no_idle;      /* 1: the wall clock leaves out sleeping threads */
	__u32 follow; /* 1: whoever descends from a chosen process is watched, whatever it becomes */
	__u32 native;     /* 1: native frames too */
	__u32 off_wakers; /* 1: who wakes a blocked thread is told */
	__u32 pad;
	__u64 off_min_ns; /* blocks that are shorter are only counted */
	__u64 off_budget; /* blocks shown a second, on average, of the whole machine */
};
CS_ASSERT_SIZE(struct cs_config, 88);
