/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What wait_reason.bpf.h asks for, of a thread that is off its CPU or has just come back: it is still in the same system call. The
 * thread's memory is read as its walk reads it (CS_READ).
 */
#pragma once

#include "core_compat.bpf.h"
#include "off_table.bpf.h"
#include "wait_reason.bpf.h"
#include "walk.bpf.h"

/* The file system of eventfds, timerfds, epoll's own; linux/magic.h */
#define OFF_ANON_MAGIC 0x09041934

static __always_inline void off_file(struct task_struct *task, __u32 fd, struct wait_facts *facts)
{
	struct file **fds, *file = NULL;
	struct inode *inode;

	fds = BPF_CORE_READ(task, files, fdt, fd);
	if (fd >= BPF_CORE_READ(task, files, fdt, max_fds) ||
	    bpf_probe_read_kernel(&file, sizeof(file), &fds[fd]) || !file)
		return;
	inode = BPF_CORE_READ(file, f_inode);
	facts->mode = BPF_CORE_READ(inode, i_mode);
	facts->anonymous = BPF_CORE_READ(inode, i_sb, s_magic) == OFF_ANON_MAGIC;
}

/* Is the futex part of the lock of the interpreter that the thread, whose walk is in w, belongs to? */
static __always_inline bool off_waits_for_gil(const struct cs_walk *w, struct task_struct *task,
					      __u64 futex)
{
	__u64 gil = w->gil, interp = 0;

	if (!w->ev.tstate)
		return false;
	if (!gil && (!w->off.interp_gil ||
		     CS_READ(task, &interp, sizeof(interp), w->ev.tstate + w->off.tstate_interp) ||
		     CS_READ(task, &gil, sizeof(gil), interp + w->off.interp_gil)))
		return false;
	return gil && wait_in_gil(futex, gil, w->off.gil_locked);
}

static __always_inline enum cs_wait_reason off_reason(const struct cs_walk *w,
						      struct task_struct *task,
						      const struct cs_off_slot *slot,
						      const struct pt_regs___kernel *regs)
{
	struct wait_facts facts = {.state = slot->state, .call = WAIT_NO_CALL};

	if (!facts.state)
		return CS_WAIT_REASON_PREEMPTED;
	facts.call = core_syscall(regs, facts.args);
	facts.io = BPF_CORE_READ_BITFIELD_PROBED(task, in_iowait);
	if (wait_has_file(facts.call))
		off_file(task, (__u32)facts.args[0], &facts);
	if (facts.call == __NR_futex)
		facts.gil = off_waits_for_gil(w, task, facts.args[0]);
	return wait_reason(&facts);
}

/* What stands in the record of a block. */
static __always_inline void off_describe(struct cs_walk *w, const struct cs_off_slot *slot,
					 enum cs_wait_reason reason, __u64 lasted_ns)
{
	w->ev.hdr.flags = CS_ORIGIN_OFF_CPU | reason << CS_STACK_REASON_SHIFT;
	if (slot->before)
		w->ev.hdr.flags |= CS_STACKF_BEFORE;
	w->ev.blocked_ns = lasted_ns;
}
