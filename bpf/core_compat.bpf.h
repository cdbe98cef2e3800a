/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Everything that differs between kernels or architectures, one accessor each. */
#pragma once

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/*
 * The thread pointer: what pthread_self() returns in glibc and musl, and what CPython stores as
 * PyThreadState.thread_id. arch_prctl(ARCH_SET_FS) and clone(CLONE_SETTLS) keep thread.fsbase current
 * even while the thread runs; a context switch saves a value set by the WRFSBASE instruction.
 */
static __always_inline __u64 core_thread_pointer(struct task_struct *task)
{
	return BPF_CORE_READ(task, thread.fsbase);
}

/* Context switches so far, voluntary and not: unchanged means that the thread has not run. */
static __always_inline __u64 core_switches(struct task_struct *task)
{
	return BPF_CORE_READ(task, nvcsw) + BPF_CORE_READ(task, nivcsw);
}
