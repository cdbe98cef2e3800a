/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Just the kernel types that the BPF programs read. CO-RE relocates every member to where the running
 * kernel has it, so only names and types matter here, not order or size; constants and map types come
 * from the kernel's own user-space headers. See README.md for how to add a member.
 */
#pragma once

#include <asm/unistd.h>
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <linux/types.h>
#include <linux/version.h>
#include <stdbool.h>

/* Known to the kernel by its name and size, in values of maps; the build machine's headers may be older than 6.18. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
struct bpf_task_work {
	__u64 opaque;
} __attribute__((aligned(8)));
#endif

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* The kernel's own names; struct pt_regs is what its user-space header calls the same thing. */
struct pt_regs___kernel {
	unsigned long ip, sp, bp;
	unsigned long orig_ax, di, si, cs; /* x86-64 */
};

struct thread_struct {
	unsigned long fsbase; /* x86-64 */
};

typedef struct {
	int counter;
} atomic_t;

/* In the type of a function that libbpf looks for: a mere declaration would not match. */
struct bpf_map {
	__u32 id;
};

struct signal_struct {
	atomic_t live;
};

struct mm_struct {
	unsigned long start_code;
	unsigned long end_code;
	struct file *exe_file;
};

typedef struct {
	unsigned int val;
} kuid_t;

struct cred {
	kuid_t euid;
};

struct super_block {
	unsigned int s_dev;
	unsigned long s_magic;
};

struct timespec64 {
	long long tv_sec;
	long tv_nsec;
};

struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	long long i_size;
	struct timespec64 i_mtime; /* until 6.7 */
};

struct inode___6_7 {
	struct timespec64 __i_mtime;
};

struct inode___6_11 {
	long long i_mtime_sec;
	unsigned int i_mtime_nsec;
};

struct file {
	struct inode *f_inode;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct sched_info {
	unsigned long long run_delay;
};

struct cgroup {
	int level;
};

struct cgroup___5_10 {
	int level;
	__u64 ancestor_ids[1]; /* until 6.1; as many as it is deep */
};

struct cgroup___6_1 {
	struct cgroup *ancestors[1];
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	unsigned int __state;
	unsigned int flags;
	unsigned int on_cpu; /* a byte in 7.2: only what is unsigned may shrink */
	struct sched_info sched_info;
	int pid;
	int tgid;
	unsigned long nvcsw;
	unsigned long nivcsw;
	__u64 start_time;
	char comm[16];
	struct mm_struct *mm;
	struct files_struct *files;
	unsigned int in_iowait : 1;
	void *stack;
	const struct cred *cred;
	struct css_set *cgroups;
	struct signal_struct *signal;
	struct thread_struct thread;
};

struct task_struct___5_13 {
	long state; /* until 5.14 */
};

struct bpf_iter_meta {
	__u64 session_id;
	__u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop
