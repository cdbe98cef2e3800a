/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * The knobs that user space sets in the BPF objects' read-only data before they are loaded, so that
 * branches not wanted vanish from the verified program.
 */
#pragma once

#include <coroscope/types.h>

struct cs_config {
	__u64 interval_ns;   /* CPU time between two ticks of one CPU, and the weight of a sample */
	__u32 all_processes; /* 1: processes without a row in `procs` are sampled too */
	__u32 pad;
};
CS_ASSERT_SIZE(struct cs_config, 16);
