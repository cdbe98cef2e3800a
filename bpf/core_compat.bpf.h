/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Everything that differs between kernels or architectures, one accessor each. */
#pragma once

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/*
 * The thread pointer: what pthread_self() returns in glibc and musl, and what CPython stores as
 * PyThreadState.thread_id. arch_prctl(ARCH_SET_FS) and clone(CLONE_SETTLS) keep thread.fsbase current
 * even while the thread runs; a context switch saves a value set by the WRFSBASE instruction.
 */
static __always_inline __u64 core_thread_pointer(struct task_struct *task)
{
	return BPF_CORE_READ(task, thread.fsbase);
}

/*
 * The running thread's. Since 5.11 (commit 3ca1032ab7ab) a typed pointer is to be had, and the field read without a helper.
 */
static __always_inline __u64 core_current_thread_pointer(void)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
		return bpf_get_current_task_btf()->thread.fsbase;
	return core_thread_pointer((void *)bpf_get_current_task());
}

/*
 * The running thread's name, TASK_COMM_LEN bytes: a copy of two words is a quarter of the helper's price. It may be torn by whoever changes it, as the
 * helper's.
 */
static __always_inline void core_current_comm(char comm[16])
{
	const struct task_struct *task;

	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) {
		bpf_get_current_comm(comm, 16);
		return;
	}
	task = bpf_get_current_task_btf();
	((__u64 *)comm)[0] = ((const __u64 *)task->comm)[0];
	((__u64 *)comm)[1] = ((const __u64 *)task->comm)[1];
}

/* Did the interrupt come from user space? Then its registers hold all: no stack helper is needed. */
static __always_inline bool core_user_mode(const bpf_user_pt_regs_t *regs)
{
	return (regs->cs & 3) == 3;
}

/* Kernel stacks of x86-64; nothing lies above the registers before FRED (6.9), which comes with the helper below. */
#define CORE_STACK_BYTES 16384
#define CORE_PT_REGS     168

/* In 64-bit code of user space; a 32-bit program's system calls have other numbers. */
#define CORE_USER_CS 0x33

/*
 * The system call that a thread is in, by the registers with which it entered the kernel, or ~0; and its first arguments. Interrupts
 * and exceptions set orig_ax to -1 (arch/x86/entry/entry_64.S, entry_fred.c).
 */
static __always_inline __u32 core_syscall(const struct pt_regs___kernel *regs, __u64 args[2])
{
	if (!regs || BPF_CORE_READ(regs, cs) != CORE_USER_CS)
		return ~0u;
	args[0] = BPF_CORE_READ(regs, di);
	args[1] = BPF_CORE_READ(regs, si);
	return (__u32)BPF_CORE_READ(regs, orig_ax);
}

/*
 * Where the running thread entered the kernel from user space: its registers, saved at the top of its kernel stack. The helper came
 * in 5.15 (commit dd6e10fbd9fb).
 */
static __always_inline const struct pt_regs___kernel *core_user_regs(void)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return (const void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	return BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), stack) +
	       (CORE_STACK_BYTES - CORE_PT_REGS);
}

/* Context switches so far, voluntary and not: unchanged means that the thread has not run. */
static __always_inline __u64 core_switches(struct task_struct *task)
{
	return BPF_CORE_READ(task, nvcsw) + BPF_CORE_READ(task, nivcsw);
}

/* How the scheduler left the thread; 0: it can run. The field is called __state since 5.14 (commit 2f064a59a11f). */
static __always_inline __u32 core_state(struct task_struct *task)
{
	const struct task_struct___5_13 *until_5_13 = (const void *)task;

	if (bpf_core_field_exists(task->__state))
		return BPF_CORE_READ(task, __state);
	return BPF_CORE_READ(until_5_13, state);
}

/* The running thread's, which is about to leave its CPU. */
static __always_inline __u32 core_current_state(void)
{
	struct task_struct *task;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) {
		task = bpf_get_current_task_btf();
		if (bpf_core_field_exists(task->__state))
			return task->__state;
	}
	return core_state((void *)bpf_get_current_task());
}

/* Is the thread off the CPU only because it waits for one? */
static __always_inline bool core_is_runnable(struct task_struct *task)
{
	return !core_state(task);
}

/* Time that the thread has waited for a CPU so far, in nanoseconds; 0 where the kernel does not count it. */
static __always_inline __u64 core_run_delay(struct task_struct *task)
{
	if (!bpf_core_field_exists(task->sched_info))
		return 0;
	return BPF_CORE_READ(task, sched_info.run_delay);
}

/* The kernel's device numbers as /proc/PID/maps prints them. */
static __always_inline __u32 core_dev_major(const struct inode *inode)
{
	return BPF_CORE_READ(inode, i_sb, s_dev) >> 20;
}

static __always_inline __u32 core_dev_minor(const struct inode *inode)
{
	return BPF_CORE_READ(inode, i_sb, s_dev) & ((1u << 20) - 1);
}

/* i_mtime became __i_mtime in 6.7 (commit 12cd44023651) and two integers in 6.11 (commit 3aa63a569c64). */
static __always_inline __u64 core_mtime_ns(const struct inode *inode)
{
	const struct inode___6_11 *since_6_11 = (const void *)inode;
	const struct inode___6_7 *since_6_7 = (const void *)inode;

	if (bpf_core_field_exists(since_6_11->i_mtime_sec))
		return BPF_CORE_READ(since_6_11, i_mtime_sec) * 1000000000ull +
		       BPF_CORE_READ(since_6_11, i_mtime_nsec);
	if (bpf_core_field_exists(since_6_7->__i_mtime))
		return BPF_CORE_READ(since_6_7, __i_mtime.tv_sec) * 1000000000ull +
		       BPF_CORE_READ(since_6_7, __i_mtime.tv_nsec);
	return BPF_CORE_READ(inode, i_mtime.tv_sec) * 1000000000ull +
	       BPF_CORE_READ(inode, i_mtime.tv_nsec);
}

/*
 * Id of the cgroup (v2) at this depth that the running thread is in or below; 0 if its own is not as deep. Until 6.1 (commit
 * 7f203bc89eb6) a cgroup lists these ids; the helper is there for tracing programs since 5.14 (commit 95b861a7935b).
 */
static __always_inline __u64 core_ancestor_cgroup(struct task_struct *task, __u32 depth)
{
	const void *own = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	const struct cgroup___5_10 *until_6_1 = own;
	const struct cgroup___6_1 *since_6_1 = own;
	__u64 id = 0;

	if (bpf_core_field_exists(since_6_1->ancestors))
		return bpf_get_current_ancestor_cgroup_id(depth);
	if (depth <= (__u32)BPF_CORE_READ(until_6_1, level))
		bpf_probe_read_kernel(&id, sizeof(id), until_6_1->ancestor_ids + depth);
	return id;
}
