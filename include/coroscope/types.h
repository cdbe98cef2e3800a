/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * Fixed-width types and size assertions for the headers that both the BPF programs and user space
 * read. Everything in include/coroscope/ is compiled by clang's BPF target and by the host compiler:
 * an assertion that holds in both is what makes a record mean the same on both sides of the ring.
 */
#pragma once

#include <linux/types.h>

#define CS_ASSERT_SIZE(type, bytes) \
	_Static_assert(sizeof(type) == (bytes), #type " must be " #bytes " bytes on both sides")

/* A file in the sense of /proc/PID/maps. */
struct cs_file_id {
	__u64 ino;
	__u32 dev_major, dev_minor;
};
CS_ASSERT_SIZE(struct cs_file_id, 16);
