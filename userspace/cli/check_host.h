/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel and the settings of this machine allow, read from /proc and /sys only, so that it
 * needs no privilege and a test can make up a machine as a folder of files.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CS_CHECK_UNREAD      (-1000)    /* a setting that could not be read */
#define CS_MEMLOCK_UNLIMITED UINT64_MAX /* also where the limit could not be read */

struct cs_check_host {
	char release[64]; /* as `uname -r` says it; "" if it could not be read */
	int kernel_major, kernel_minor;
	bool btf;          /* the kernel describes its types: BPF programs can be fitted to it */
	uint64_t caps;     /* effective capabilities of this process, bit N is capability N */
	int perf_paranoid; /* kernel.perf_event_paranoid, or CS_CHECK_UNREAD */
	int kptr_restrict; /* kernel.kptr_restrict, or CS_CHECK_UNREAD */
	char lockdown[32]; /* "none", "integrity", "confidentiality"; "" without lockdown */
	uint64_t memlock;  /* soft RLIMIT_MEMLOCK of this process in bytes */
	/* Not told by files: see collect/kernel.h and collect/instants.h. */
	bool walks_threads, grows_tables, instants;
};

/*
 * Read the machine whose /proc and /sys lie below root ("" for this one). What cannot be read is left as its
 * field says; the kernel is then 0.0 and the capabilities none.
 */
void cs_check_host_read(const char *root, struct cs_check_host *ret);

static inline bool cs_check_kernel_at_least(const struct cs_check_host *host, int major, int minor)
{
	return host->kernel_major > major ||
	       (host->kernel_major == major && host->kernel_minor >= minor);
}
