// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A watched process that becomes another program, or ends. From exec on nothing known of it holds: its row is
 * marked stale at once, in the kernel, so that no sample is walked with another program's offsets.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define CS_READ(task, dst, size, src) (-1) /* no walks here; emit.bpf.h shares the walk's header */

#include "emit.bpf.h"
#include "maps.bpf.h"

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";

SEC("tp_btf/sched_process_exec")
int BPF_PROG(proc_exec, struct task_struct *task)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tgid = pid_tgid >> 32;
	struct cs_proc_info *info = bpf_map_lookup_elem(&procs, &tgid);

	if (!info)
		return 0;
	info->flags |= CS_PROC_STALE;
	emit_header(CS_EV_EXEC, pid_tgid);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(proc_exit, struct task_struct *task)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tgid = pid_tgid >> 32;

	if (!bpf_map_lookup_elem(&procs, &tgid))
		return 0;
	/* The last thread of the group: do_exit() has taken it off signal->live before this tracepoint. */
	if (BPF_CORE_READ(task, signal, live.counter) == 0)
		emit_header(CS_EV_EXIT, pid_tgid);
	return 0;
}
