/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Why a thread is off the CPU: from how the scheduler left it, the system call that it is in, and the file that this is about. Only what
 * these prove is told; the rest is "blocked". A wait that cannot be interrupted, in a call whose own wait can be, is for something else
 * (a lock in the kernel, a page).
 */
#pragma once

#include "vmlinux.h"
#include <coroscope/off_cpu.h>

/* task_struct.__state, stable since 2.6; include/linux/sched.h */
#define WAIT_INTERRUPTIBLE   0x01
#define WAIT_UNINTERRUPTIBLE 0x02
#define WAIT_STOPPED         0x04
#define WAIT_TRACED          0x08
#define WAIT_DEAD            0x80
/* The types of files in st_mode, which no header of the kernel's defines for both sides; inode(7) */
#define WAIT_IFMT            0170000
#define WAIT_IFIFO           0010000
#define WAIT_IFCHR           0020000
#define WAIT_IFBLK           0060000
#define WAIT_IFREG           0100000
#define WAIT_IFSOCK          0140000
/* The low bits of pt_regs.orig_ax where no system call is under way. */
#define WAIT_NO_CALL         (~0u)

struct wait_facts {
	__u32 state;   /* see struct cs_off_slot */
	__u32 call;    /* number of the system call, or WAIT_NO_CALL */
	__u64 args[2]; /* of it */
	__u32 mode; /* st_mode of the file that the first one names, if it is one and could be read; else 0 */
	bool anonymous; /* that file is nothing but what it was made for: an eventfd, a timerfd and the like */
	bool io;  /* the scheduler counts it as waiting for input or output */
	bool gil; /* the futex belongs to the interpreter's lock */
};

enum wait_kind {
	WAIT_KIND_OTHER = 0,
	WAIT_KIND_FUTEX,
	WAIT_KIND_SLEEP,
	WAIT_KIND_POLL,   /* args[1]: how many files */
	WAIT_KIND_SELECT, /* args[0]: how many */
	WAIT_KIND_EPOLL,
	WAIT_KIND_FILE, /* reads or writes args[0] */
	WAIT_KIND_SOCKET,
	WAIT_KIND_SYNC,
	WAIT_KIND_IO,
	WAIT_KIND_CHILD,
	WAIT_KIND_SIGNAL,
};

/* The system calls that wait, by what for: those on files and sockets. */
static __always_inline enum wait_kind wait_kind_of_file(__u32 call)
{
	switch (call) {
	case __NR_read:
	case __NR_write:
	case __NR_readv:
	case __NR_writev:
	case __NR_pread64:
	case __NR_pwrite64:
	case __NR_preadv:
	case __NR_pwritev:
	case __NR_preadv2:
	case __NR_pwritev2:
		return WAIT_KIND_FILE;
	case __NR_recvfrom:
	case __NR_recvmsg:
	case __NR_recvmmsg:
	case __NR_sendto:
	case __NR_sendmsg:
	case __NR_sendmmsg:
	case __NR_accept:
	case __NR_accept4:
	case __NR_connect:
		return WAIT_KIND_SOCKET;
	case __NR_fsync:
	case __NR_fdatasync:
	case __NR_sync_file_range:
	case __NR_msync:
	case __NR_sync:
	case __NR_syncfs:
		return WAIT_KIND_SYNC;
	case __NR_io_getevents:
	case __NR_io_uring_enter:
		return WAIT_KIND_IO;
	default:
		return WAIT_KIND_OTHER;
	}
}

/* All of them. */
static __always_inline enum wait_kind wait_kind(__u32 call)
{
	switch (call) {
	case __NR_futex:
		return WAIT_KIND_FUTEX;
	case __NR_nanosleep:
	case __NR_clock_nanosleep:
		return WAIT_KIND_SLEEP;
#ifdef __NR_poll
	case __NR_poll:
#endif
	case __NR_ppoll:
		return WAIT_KIND_POLL;
#ifdef __NR_select
	case __NR_select:
#endif
	case __NR_pselect6:
		return WAIT_KIND_SELECT;
#ifdef __NR_epoll_wait
	case __NR_epoll_wait:
#endif
	case __NR_epoll_pwait:
#ifdef __NR_epoll_pwait2
	case __NR_epoll_pwait2:
#endif
		return WAIT_KIND_EPOLL;
	case __NR_wait4:
	case __NR_waitid:
		return WAIT_KIND_CHILD;
#ifdef __NR_pause
	case __NR_pause:
#endif
	case __NR_rt_sigsuspend:
	case __NR_rt_sigtimedwait:
		return WAIT_KIND_SIGNAL;
	default:
		return wait_kind_of_file(call);
	}
}

/* Does the call's first argument name a file that tells what it waits for? */
static __always_inline bool wait_has_file(__u32 call)
{
	return wait_kind(call) == WAIT_KIND_FILE;
}

static __always_inline enum cs_wait_reason wait_on_file(const struct wait_facts *facts, bool deep)
{
	if (facts->anonymous)
		return deep ? CS_WAIT_REASON_BLOCKED : CS_WAIT_REASON_IO;
	switch (facts->mode & WAIT_IFMT) {
	case WAIT_IFIFO:
		return deep ? CS_WAIT_REASON_BLOCKED : CS_WAIT_REASON_PIPE;
	case WAIT_IFSOCK:
		return deep ? CS_WAIT_REASON_BLOCKED : CS_WAIT_REASON_SOCKET;
	case WAIT_IFREG:
	case WAIT_IFBLK:
		return CS_WAIT_REASON_FILE;
	case WAIT_IFCHR:
		return deep ? CS_WAIT_REASON_BLOCKED : CS_WAIT_REASON_IO;
	default:
		return CS_WAIT_REASON_BLOCKED;
	}
}

/* In a system call. deep: the wait cannot be interrupted. */
static __always_inline enum cs_wait_reason wait_in_call(const struct wait_facts *facts, bool deep)
{
	enum wait_kind kind = wait_kind(facts->call);

	if (kind == WAIT_KIND_FILE)
		return wait_on_file(facts, deep);
	if (kind == WAIT_KIND_SYNC)
		return CS_WAIT_REASON_FILE;
	if (deep)
		return facts->io ? CS_WAIT_REASON_IO : CS_WAIT_REASON_BLOCKED;
	switch (kind) {
	case WAIT_KIND_FUTEX:
		return facts->gil ? CS_WAIT_REASON_GIL : CS_WAIT_REASON_FUTEX;
	case WAIT_KIND_SLEEP:
		return CS_WAIT_REASON_SLEEP;
	case WAIT_KIND_POLL:
		return (__u32)facts->args[1] ? CS_WAIT_REASON_POLL : CS_WAIT_REASON_SLEEP;
	case WAIT_KIND_SELECT:
		return (__u32)facts->args[0] ? CS_WAIT_REASON_POLL : CS_WAIT_REASON_SLEEP;
	case WAIT_KIND_EPOLL:
		return CS_WAIT_REASON_POLL;
	case WAIT_KIND_SOCKET:
		return CS_WAIT_REASON_SOCKET;
	case WAIT_KIND_IO:
		return CS_WAIT_REASON_IO;
	case WAIT_KIND_CHILD:
		return CS_WAIT_REASON_CHILD;
	case WAIT_KIND_SIGNAL:
		return CS_WAIT_REASON_SIGNAL;
	default:
		return CS_WAIT_REASON_BLOCKED;
	}
}

static __always_inline enum cs_wait_reason wait_reason(const struct wait_facts *facts)
{
	bool deep = facts->state & WAIT_UNINTERRUPTIBLE;

	if (!facts->state)
		return CS_WAIT_REASON_PREEMPTED;
	if (facts->state & (WAIT_STOPPED | WAIT_TRACED))
		return CS_WAIT_REASON_STOPPED;
	if (facts->call != WAIT_NO_CALL)
		return wait_in_call(facts, deep);
	/* user code waits for nothing itself: what it touched is not there */
	return deep ? CS_WAIT_REASON_PAGE_FAULT : CS_WAIT_REASON_BLOCKED;
}

/*
 * The waits for the interpreter's lock are inside its _gil_runtime_state: behind `locked` (8 bytes with padding) come a counter and twice a
 * condition and a mutex (Python/ceval_gil.c; glibc's and musl's are 48 and 40 bytes long on x86-64).
 */
#define WAIT_GIL_BYTES (8 + 8 + 2 * (48 + 40))

static __always_inline bool wait_in_gil(__u64 futex, __u64 gil, __u32 locked_offset)
{
	__u64 locked = gil + locked_offset;

	return futex > locked && futex < locked + WAIT_GIL_BYTES;
}
