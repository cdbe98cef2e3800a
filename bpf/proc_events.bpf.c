// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Processes that begin, become another program, map an interpreter, or end.
 *
 * A row that does not describe what runs is worse than none: from exec on nothing known of a process holds, so its row is
 * marked stale at once, in the kernel. And one that comes late loses the short-lived: a forked child gets a copy of its
 * parent's row before it runs, and a program gets one when it maps a file that user space has looked at before (map `files`). For
 * other files user space is woken.
 *
 * exec maps the new program's files first and calls its tracepoint afterwards: a row's `mm` tells whether it
 * is the new program's already. Rows that user space made have none; then being within exec tells.
 *
 * All of it runs in the process concerned (a fork in the parent), so rows may be inserted here.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define CS_READ(task, dst, size, src) (-1) /* no walks here; emit.bpf.h shares the walk's header */

#include "core_compat.bpf.h"
#include "emit.bpf.h"
#include "maps.bpf.h"

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";

#define VM_EXEC 0x4 /* include/linux/mm.h */

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
	if (config.cgroup &&
	    bpf_get_current_ancestor_cgroup_id(config.cgroup_level) != config.cgroup)
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

/* Does the row describe the program that the running thread belongs to? */
static __always_inline bool row_is_current(const struct cs_proc_info *row, struct task_struct *task)
{
	return row->mm ? row->mm == (__u64)BPF_CORE_READ(task, mm) : !core_in_exec(task);
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

/* A file that the running process has mapped for execution. */
struct mapping {
	const struct inode *inode;
	__u64 start, offset;
	bool is_program; /* the process's own: start is its lowest code, offset is not known */
};

/* The running process has mapped a known interpreter: describe it. */
static __always_inline void row_describe(struct cs_proc_info *row, struct task_struct *task,
					 const struct cs_file_info *file, const struct mapping *map)
{
	__u64 own =
		map->is_program ? file->text_vaddr : map->offset + (__u64)file->vaddr_minus_offset;
	__u64 bias = map->start - own;

	/* An interrupt that comes now finds a stale row. */
	row->flags = (row->flags & CS_PROC_FOLLOW) | CS_PROC_STALE;
	barrier();
	if (row->mm != (__u64)BPF_CORE_READ(task, mm) && core_in_exec(task))
		row_begin(row, task);
	row->mm = (__u64)BPF_CORE_READ(task, mm);
	row->interpreters_head = file->row.interpreters_head + bias;
	row->current_tasks = 0;
	row->gil = file->row.gil ? file->row.gil + bias : 0;
	row->off = file->row.off;
	row->traits = file->row.traits;
	barrier();
	row->flags = (file->row.flags & ~CS_PROC_STALE) | CS_PROC_FOLLOW | CS_PROC_MADE_HERE;
}

/* `row` is the process's; NULL: it has none, and gets one if it is chosen. */
static __always_inline void file_met(struct task_struct *task, const struct mapping *map,
				     struct cs_proc_info *row)
{
	const struct inode *inode = map->inode;
	struct cs_file_id id = {
		.ino = BPF_CORE_READ(inode, i_ino),
		.dev_major = core_dev_major(inode),
		.dev_minor = core_dev_minor(inode),
	};
	const struct cs_file_info *file = file_known(inode, &id);
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	struct cs_ev_file ev = {
		.start = map->is_program ? 0 : map->start,
		.offset = map->offset,
		.ino = id.ino,
		.dev_major = id.dev_major,
		.dev_minor = id.dev_minor,
	};

	if (file && !(file->row.flags & (CS_PROC_PYTHON | CS_PROC_UNSUPPORTED)))
		return;
	if (!row && !is_chosen(task))
		return;
	if (!file || !file->whole) {
		emit_event(&ev.hdr, sizeof(ev), CS_EV_FILE, pid_tgid, BPF_RB_FORCE_WAKEUP);
		return;
	}
	if (!row)
		row = row_make(pid_tgid >> 32, &empty_row);
	if (row)
		row_describe(row, task, file, map);
}

/* The running process begins a program: look at the program's own file. */
static __always_inline void program_met(struct task_struct *task, struct cs_proc_info *row)
{
	struct mapping map = {
		.inode = BPF_CORE_READ(task, mm, exe_file, f_inode),
		.start = BPF_CORE_READ(task, mm, start_code),
		.is_program = true,
	};

	file_met(task, &map, row);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(proc_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 tgid = parent->tgid, child_tgid = child->tgid;
	struct cs_ev_fork ev = {.child = child_tgid};
	struct cs_proc_info *row;

	if (tgid == child_tgid)
		return 0;
	row = bpf_map_lookup_elem(&procs, &tgid);
	if (!row || !(row->flags & CS_PROC_FOLLOW))
		return 0;
	row = row_make(child_tgid, row);
	if (!row)
		return 0;
	row->flags |= CS_PROC_MADE_HERE;
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

	if (!row) {
		if (!config.discover || !is_chosen(task))
			return 0;
		row = row_make(tgid, &empty_row);
		if (!row)
			return 0;
		row_begin(row, task);
	} else if (!row->mm || row->mm != (__u64)BPF_CORE_READ(task, mm)) {
		row->flags |= CS_PROC_STALE;
		row_begin(row, task);
	}
	emit_event(&hdr, sizeof(hdr), CS_EV_EXEC, pid_tgid, BPF_RB_NO_WAKEUP);
	if (config.without_mmap && (config.discover || row->flags & CS_PROC_FOLLOW))
		program_met(task, row);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(proc_exit, struct task_struct *task)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tgid = pid_tgid >> 32;
	struct cs_ev_hdr hdr = {};

	if (!bpf_map_lookup_elem(&procs, &tgid))
		return 0;
	/* The last thread of the group: do_exit() has taken it off signal->live before this tracepoint. */
	if (BPF_CORE_READ(task, signal, live.counter) == 0)
		emit_event(&hdr, sizeof(hdr), CS_EV_EXIT, pid_tgid, BPF_RB_NO_WAKEUP);
	return 0;
}

/*
 * Every mapping that the kernel would tell a tracing profiler of; files that are mapped for execution are looked at. The function keeps its name
 * and argument from 5.10 to 7.3; where it cannot be attached to, proc_exec looks at the program's own file.
 */
SEC("?fentry/perf_event_mmap") /* loaded on request only */
int BPF_PROG(proc_mmap, struct vm_area_struct *vma)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct cs_proc_info *row;
	struct mapping map = {};

	if (!(vma->vm_flags & VM_EXEC) || !vma->vm_file ||
	    (void *)vma->vm_mm != (void *)BPF_CORE_READ(task, mm))
		return 0;
	row = bpf_map_lookup_elem(&procs, &tgid);
	if (row ? !(row->flags & CS_PROC_FOLLOW) : !config.discover)
		return 0;
	if (row && row_is_current(row, task) && (row->flags & CS_PROC_PYTHON) &&
	    !(row->flags & CS_PROC_STALE))
		return 0;
	map.inode = BPF_CORE_READ(vma, vm_file, f_inode);
	map.start = BPF_CORE_READ(vma, vm_start);
	map.offset = core_file_offset(vma);
	file_met(task, &map, row);
	return 0;
}
