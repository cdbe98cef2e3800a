/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From frame to frame of native code, without frame pointers: each address has a rule (native_rules.bpf.h) that says where the
 * caller's registers are.
 *
 * The program gives CS_UNWIND_READ(dst, size, src), what native_rules.bpf.h wants, and CS_UNWIND_FILL(s, at): native_fill(), a step of its own for
 * the verifier's sake. It repeats native_step() in a plain loop. All state is in a map value (see walk.bpf.h for why).
 */
#pragma once

#include <coroscope/event.h>

#include "native_rules.bpf.h"

/* The stack is read so many bytes at a time, a part of a page: a read costs 20 to 130 ns however short it is. */
#define CS_STACK_CHUNK  2048
/* Room for the saved registers below a return address that is further up. */
#define CS_STACK_BELOW  128
/* Where the kernel's ucontext keeps rbp, rsp and rip (struct ucontext and sigcontext, asm/ucontext.h). */
#define CS_UCONTEXT_RBP 120
#define CS_UCONTEXT_RSP 160
#define CS_UCONTEXT_RIP 168

struct cs_native {
	__u64 pc, sp, fp;  /* of the frame that the walk has come to */
	__u64 exact;       /* pc is where the frame executes; else it is where a call returns to */
	__u64 chunk_at;    /* address that was read into the chunk */
	__u64 chunk_bytes; /* 0: nothing was */
	__u8 chunk[CS_STACK_CHUNK];
	struct cs_ev_native ev; /* the record */
	__u64 addresses[CS_MAX_NATIVE_FRAMES];
	struct cs_native_code code;
};

static __always_inline void native_begin(struct cs_native *s, __u32 tgid, __u64 pc, __u64 sp,
					 __u64 fp)
{
	s->pc = pc;
	s->sp = sp;
	s->fp = fp;
	s->exact = 1;
	native_code_begin(&s->code, tgid);
	s->chunk_bytes = 0;
	s->ev.n = 0;
	s->ev.status = CS_STATUS_TRUNCATED; /* overwritten by the step that ends the walk */
}

static __always_inline int native_stop(struct cs_native *s, enum cs_status status)
{
	s->ev.status = status;
	return 1;
}

/*
 * Read what is at this address, a multiple of 8, and as much around it as a chunk holds: it begins at the stack pointer, or somewhat below what is
 * asked for. Returns 0 or an error.
 */
static __always_inline int native_fill(struct cs_native *s, __u64 at)
{
	__u64 offset = at - s->sp;

	if (offset > CS_STACK_CHUNK - 8 || offset & 7)
		offset = CS_STACK_BELOW;
	s->chunk_at = at - offset;
	s->chunk_bytes = CS_STACK_CHUNK;
	if (!CS_UNWIND_READ(s->chunk, CS_STACK_CHUNK, s->chunk_at))
		return 0;
	/* it would begin or end where nothing is mapped: what lies in one page is there as a whole */
	s->chunk_at = at & ~(__u64)(CS_STACK_CHUNK - 1);
	if (!CS_UNWIND_READ(s->chunk, CS_STACK_CHUNK, s->chunk_at))
		return 0;
	s->chunk_bytes = 0;
	return -1;
}

/* A word of the stack. Returns 0 or an error. */
static __always_inline int native_word(struct cs_native *s, __u64 at, __u64 *ret)
{
	if (at & 7)
		return -1;
	if (at - s->chunk_at >= s->chunk_bytes && CS_UNWIND_FILL(s, at))
		return -1;
	*ret = *(__u64 *)(s->chunk + ((at - s->chunk_at) & (CS_STACK_CHUNK - 8)));
	return 0;
}

/* Signal handlers return into code that restores what the kernel has put on the stack. */
static __always_inline int native_leave_signal(struct cs_native *s)
{
	__u64 at = s->sp, pc, sp, fp;

	if (native_word(s, at + CS_UCONTEXT_RBP, &fp) ||
	    native_word(s, at + CS_UCONTEXT_RSP, &sp) || native_word(s, at + CS_UCONTEXT_RIP, &pc))
		return native_stop(s, CS_STATUS_NATIVE_UNREADABLE);
	s->pc = pc;
	s->sp = sp;
	s->fp = fp;
	s->exact = 1;
	return 0;
}

/* The canonical frame address by this rule, or 0. */
static __always_inline __u64 native_cfa(struct cs_native *s, __u32 info)
{
	__u64 value = cs_unwind_value(info), cfa = 0;

	switch (cs_unwind_kind(info)) {
	case CS_UNWIND_SP:
		return s->sp + value * 8;
	case CS_UNWIND_FP:
		return s->fp + value * 8;
	case CS_UNWIND_PLT:
		return s->sp + 8 + ((s->pc & 15) >= value ? 8 : 0);
	case CS_UNWIND_DEREF:
		cfa = cs_unwind_deref_from_rbp(value) ? s->fp : s->sp;
		if (native_word(s, cfa + cs_unwind_deref_offset(value), &cfa))
			return 0;
		return cfa + cs_unwind_deref_added(value);
	default:
		return 0;
	}
}

/* Note the frame that the walk has come to, and go to its caller. Returns 1 at the end, with the status set. */
static __always_inline int native_step(struct cs_native *s)
{
	__u64 pc = s->exact ? s->pc : s->pc - 1, cfa, fp = s->fp;
	__u32 n = s->ev.n, info, rbp;

	if (n >= CS_MAX_NATIVE_FRAMES)
		return native_stop(s, CS_STATUS_TRUNCATED);
	s->addresses[n] = pc;
	s->ev.n = n + 1;
	info = native_rule(&s->code, pc, &s->ev.status);
	switch (cs_unwind_kind(info)) {
	case CS_UNWIND_NONE: /* the status says why */
		return 1;
	case CS_UNWIND_END:
		return native_stop(s, CS_STATUS_COMPLETE);
	case CS_UNWIND_SIGNAL:
		/* the kernel has put its address there: no call did */
		s->addresses[n & (CS_MAX_NATIVE_FRAMES - 1)] = s->pc;
		return native_leave_signal(s);
	default:
		break;
	}
	cfa = native_cfa(s, info);
	if (!cfa)
		return native_stop(s, CS_STATUS_NATIVE_NO_RULE);
	if (cfa <= s->sp) /* a caller's frame lies above */
		return native_stop(s, CS_STATUS_NATIVE_UNREADABLE);
	rbp = cs_unwind_rbp(info);
	if (native_word(s, cfa - 8, &pc) ||
	    (rbp == CS_UNWIND_RBP_AT_RBP ? native_word(s, s->fp, &fp)
	     : rbp                       ? native_word(s, cfa - 8 * (__u64)rbp, &fp)
					 : 0))
		return native_stop(s, CS_STATUS_NATIVE_UNREADABLE);
	s->pc = pc;
	s->sp = cfa;
	s->fp = fp;
	s->exact = 0;
	return 0;
}
