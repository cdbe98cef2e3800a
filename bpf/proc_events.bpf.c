// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Processes that begin, become another program, or end.
 *
 * A row that does not describe what runs is worse than none: from exec on nothing known of a process holds, so its row is
 * marked stale at once, in the kernel. And one that comes late loses the short-lived: a forked child gets a copy of its
 * parent's row before it runs, and a program gets one with its exec if user space has looked at its file before (map
 * `files`). For other files user space is woken.
 *
 * All of it runs in the process concerned (a fork in the parent), so rows may be inserted here.
 *
 * This object is loaded first: it makes the maps that several objects share.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define CS_READ(task, dst, size, src) (-1) /* no walks here; emit.bpf.h shares the walk's header */

#include "core_compat.bpf.h"
#include "emit.bpf.h"
#include "maps.bpf.h"
#include "native_maps.bpf.h"
#include "off_maps.bpf.h"

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";

static const struct cs_proc_info empty_row = {.flags = CS_PROC_FOLLOW | CS_PROC_MADE_HERE};
static const struct cs_counters empty_counters;

static __always_inline bool is_chosen_comm(void)
{
	/* user space sets it after the compiler has seen zeroes */
	const volatile __u64 *wanted = (const volatile __u64 *)config.comm;
	__u64 comm[2] = {};

	bpf_get_current_comm(comm, sizeof(comm));
	return comm[0] == wanted[0] && comm[1] == wanted[1];
}

/* Does the selection choose the running process? */
static __always_inline bool is_chosen(struct task_struct *task)
{
	if (config.by_user && BPF_CORE_READ(task, cred, euid.val) != config.uid)
		return false;
	if (config.cgroup && core_ancestor_cgroup(task, config.cgroup_level) != config.cgroup)
		return false;
	return !config.by_comm || is_chosen_comm();
}

/* A row for the process, a copy of `from`, and accounts. NULL (counted) if the table is full. */
static __always_inline struct cs_proc_info *row_make(__u32 tgid, const struct cs_proc_info *from)
{
	/* The accounts may be there: user space keeps them until it has read them. */
	bpf_map_update_elem(&proc_counters, &tgid, &empty_counters, BPF_NOEXIST);
	if (bpf_map_update_elem(&procs, &tgid, from, BPF_ANY) ||
	    !bpf_map_lookup_elem(&proc_counters, &tgid)) {
		count(0, CS_COUNTER_PROCS_FULL);
		return NULL;
	}
	return bpf_map_lookup_elem(&procs, &tgid);
}

/* From here on the row is about the program that the running thread belongs to. */
static __always_inline void row_begin(struct cs_proc_info *row, struct task_struct *task)
{
	row->mm = (__u64)BPF_CORE_READ(task, mm);
	row->since_ns = bpf_ktime_get_ns();
}

/* What is known of a file; NULL if nothing, or if it has changed since. */
static __always_inline const struct cs_file_info *file_known(const struct inode *inode,
							     const struct cs_file_id *id)
{
	const struct cs_file_info *file = bpf_map_lookup_elem(&files, id);

	if (!file || file->size != (__u64)BPF_CORE_READ(inode, i_size) ||
	    (file->mtime_ns && file->mtime_ns != core_mtime_ns(inode)))
		return NULL;
	return file;
}

/* The running process begins a known program: describe it. */
static __always_inline void row_describe(struct cs_proc_info *row, struct task_struct *task,
					 const struct cs_file_info *file)
{
	__u64 bias = BPF_CORE_READ(task, mm, start_code) - file->text_vaddr;

	/* An interrupt that comes now finds a stale row. */
	row->interpreters_head = file->row.interpreters_head + bias;
	row->current_tasks = 0;
	row->types.in_python = 0;
	row->work.run_code = 0;
	row->gil = file->row.gil ? file->row.gil + bias : 0;
	row->off = file->row.off;
	row->traits = file->row.traits;
	barrier();
	row->flags = (file->row.flags & ~CS_PROC_STALE) | CS_PROC_FOLLOW | CS_PROC_MADE_HERE;
}

/* What does the running process begin? A file that is not known, or not well enough, is user space's to look at. */
static __always_inline void program_met(struct task_struct *task, struct cs_proc_info *row)
{
	const struct inode *inode = BPF_CORE_READ(task, mm, exe_file, f_inode);
	struct cs_ev_file ev = {
		.id.ino = BPF_CORE_READ(inode, i_ino),
		.id.dev_major = core_dev_major(inode),
		.id.dev_minor = core_dev_minor(inode),
	};
	const struct cs_file_info *file = file_known(inode, &ev.id);

	if (!file || file->asks)
		emit_event(&ev.hdr, sizeof(ev), CS_EV_FILE, bpf_get_current_pid_tgid(),
			   BPF_RB_FORCE_WAKEUP);
	else if (file->row.flags & (CS_PROC_PYTHON | CS_PROC_UNSUPPORTED))
		row_describe(row, task, file);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(proc_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 tgid = parent->tgid, child_tgid = child->tgid;
	struct cs_ev_fork ev = {.child = child_tgid};
	const struct cs_tracers *known;
	struct cs_proc_info *row;

	if (tgid == child_tgid)
		return 0;
	if (config.native)
		native_fork(tgid, child_tgid);
	row = bpf_map_lookup_elem(&procs, &tgid);
	if (!row || !(row->flags & CS_PROC_FOLLOW))
		return 0;
	row = row_make(child_tgid, row);
	if (!row)
		return 0;
	row->flags |= CS_PROC_MADE_HERE;
	if (row->flags & CS_PROC_TRACED) {
		known = known_tracers(tgid);
		if (!known || bpf_map_update_elem(&tracers, &child_tgid, known, BPF_ANY))
			row->flags &= ~CS_PROC_TRACED;
	}
	row->mm = (__u64)child->mm;
	row->since_ns = bpf_ktime_get_ns();
	emit_event(&ev.hdr, sizeof(ev), CS_EV_FORK, bpf_get_current_pid_tgid(), BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(proc_exec, struct task_struct *task)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tgid = pid_tgid >> 32;
	struct cs_proc_info *row = bpf_map_lookup_elem(&procs, &tgid);
	struct cs_ev_hdr hdr = {};

	if (config.native)
		native_forget(tgid);
	if (!row) {
		if (!config.discover || !is_chosen(task))
			return 0;
		row = row_make(tgid, &empty_row);
		if (!row)
			return 0;
	} else if (config.discover && !config.follow && !is_chosen(task)) {
		/* a chosen process's child, or one itself, has become another: for user space it is gone */
		emit_event(&hdr, sizeof(hdr), CS_EV_EXIT, pid_tgid, BPF_RB_NO_WAKEUP);
		bpf_map_delete_elem(&procs, &tgid);
		return 0;
	}
	row->flags |= CS_PROC_STALE;
	row_begin(row, task);
	emit_event(&hdr, sizeof(hdr), CS_EV_EXEC, pid_tgid, BPF_RB_NO_WAKEUP);
	if (config.discover || row->flags & CS_PROC_FOLLOW)
		program_met(task, row);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(proc_exit, struct task_struct *task)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tgid = pid_tgid >> 32;
	struct cs_ev_hdr hdr = {};

	/* The last thread of the group: do_exit() has taken it off signal->live before this tracepoint. */
	if (BPF_CORE_READ(task, signal, live.counter))
		return 0;
	if (config.native)
		native_forget(tgid);
	if (bpf_map_lookup_elem(&procs, &tgid))
		emit_event(&hdr, sizeof(hdr), CS_EV_EXIT, pid_tgid, BPF_RB_NO_WAKEUP);
	return 0;
}
