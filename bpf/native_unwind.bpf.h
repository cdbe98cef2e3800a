/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From frame to frame of native code, without frame pointers: each address has a rule in its file's table (coroscope/unwind.h)
 * that says where the caller's registers are.
 *
 * The program gives CS_UNWIND_READ(dst, size, src), CS_UNWIND_PROC(n) (the process's mappings), CS_UNWIND_TABLE(file) (a table, or NULL) and
 * CS_UNWIND_WORD(table, i) (a word of it, or NULL), and repeats native_step() in a plain loop; native_rule() is a step of its own for the verifier's
 * sake. All state is in a map value (see walk.bpf.h for why).
 */
#pragma once

#include <coroscope/event.h>
#include <coroscope/native.h>
#include <coroscope/status.h>
#include <coroscope/unwind.h>

/* The stack is read so many bytes at a time: a read costs some 20 ns however short it is. */
#define CS_STACK_CHUNK      1024
/* Room for the saved registers below a return address that is further up. */
#define CS_STACK_BELOW      128
/* Rows of one bucket, and mappings of one process, are searched by halves. */
#define CS_ROW_STEPS        9
#define CS_MAPPING_STEPS    9
/* Where the kernel's ucontext keeps rbp, rsp and rip (struct ucontext and sigcontext, asm/ucontext.h). */
#define CS_UCONTEXT_RBP     120
#define CS_UCONTEXT_RSP     160
#define CS_UCONTEXT_RIP     168
#define CS_BY_FRAME_POINTER cs_unwind_info(CS_UNWIND_FP, 2, 2)

struct cs_native {
	__u64 pc, sp, fp; /* of the frame that the walk has come to */
	__u32 exact;      /* pc is where the frame executes; else it is where a call returns to */
	__u32 file;       /* of the mapping that the last address was in; start is 0: none */
	__u64 start, end, vaddr; /* the mapping's */
	__u64 head;              /* word 0 of its table; 0: not read yet */
	__u32 tgid;
	__u32 pad;
	__u64 chunk_at; /* address that was read into the chunk */
	__u64 chunk_bytes;
	__u8 chunk[CS_STACK_CHUNK];
	struct cs_ev_native ev; /* the record */
	__u64 addresses[CS_MAX_NATIVE_FRAMES];
};

static __always_inline void native_begin(struct cs_native *s, __u32 tgid, __u64 pc, __u64 sp,
					 __u64 fp)
{
	s->pc = pc;
	s->sp = sp;
	s->fp = fp;
	s->exact = 1;
	s->start = 0;
	s->end = 0;
	s->tgid = tgid;
	s->chunk_bytes = 0;
	s->ev.n = 0;
	s->ev.status = CS_STATUS_TRUNCATED; /* overwritten by the step that ends the walk */
}

static __always_inline int native_stop(struct cs_native *s, enum cs_status status)
{
	s->ev.status = status;
	return 1;
}

/* A word of the stack. The chunk begins at the stack pointer, or somewhat below what is asked for. */
static __always_inline int native_word(struct cs_native *s, __u64 at, __u64 *ret)
{
	__u64 offset = at - s->chunk_at;

	if (at & 7)
		return -1;
	if (s->chunk_bytes < 8 || offset > s->chunk_bytes - 8) {
		offset = at - s->sp;
		if (offset > CS_STACK_CHUNK - 8)
			offset = CS_STACK_BELOW;
		s->chunk_at = at - offset;
		s->chunk_bytes = CS_STACK_CHUNK;
		if (CS_UNWIND_READ(s->chunk, CS_STACK_CHUNK, s->chunk_at)) {
			/* it would end beyond the top of the stack */
			s->chunk_at = at;
			s->chunk_bytes = 8;
			offset = 0;
			if (CS_UNWIND_READ(s->chunk, 8, at)) {
				s->chunk_bytes = 0;
				return -1;
			}
		}
	}
	*ret = *(__u64 *)(s->chunk + (offset & (CS_STACK_CHUNK - 8)));
	return 0;
}

/* Find the mapping that holds pc. Returns 0, or a negative number if there is none. */
static __always_inline int native_find_mapping(struct cs_native *s,
					       const struct cs_native_proc *proc, __u64 pc)
{
	__u64 page = pc >> CS_PAGE_SHIFT, first, pages;
	const struct cs_native_mapping *mapping;
	__u32 lo = 0, hi = proc->n;

	for (int i = 0; i < CS_MAPPING_STEPS && lo < hi; i++) {
		__u32 middle = (lo + hi) / 2;

		if (middle >= CS_MAX_NATIVE_MAPS)
			return -1;
		if (proc->mappings[middle].start_file >> 24 <= page)
			lo = middle + 1;
		else
			hi = middle;
	}
	lo--;
	if (lo >= CS_MAX_NATIVE_MAPS)
		return -1;
	mapping = &proc->mappings[lo];
	first = mapping->start_file >> 24;
	pages = mapping->vaddr_pages & ((1ull << 40) - 1);
	if (page - first >= pages)
		return -1;
	s->start = first << CS_PAGE_SHIFT;
	s->end = s->start + (pages << CS_PAGE_SHIFT);
	s->vaddr = mapping->vaddr_pages >> 40 << CS_PAGE_SHIFT;
	s->head = 0;
	s->file = mapping->start_file & ((1u << 24) - 1);
	return 0;
}

/* The row that holds at this address of the file, or 0. */
static __always_inline __u32 native_find_row(struct cs_native *s, __u64 vaddr)
{
	void *table = CS_UNWIND_TABLE(s->file);
	__u64 bucket = vaddr / CS_UNWIND_BUCKET;
	__u32 lo, hi, info = 0;
	const __u64 *word;

	if (!table)
		return 0;
	if (!s->head) {
		word = CS_UNWIND_WORD(table, 0);
		s->head = word ? *word : 0;
	}
	if (bucket < s->head >> 32 || bucket - (s->head >> 32) >= (__u32)s->head)
		return 0;
	word = CS_UNWIND_WORD(table, (__u32)(1 + bucket - (s->head >> 32)));
	if (!word)
		return 0;
	lo = (__u32)*word;
	hi = (__u32)(*word >> 32);
	for (int i = 0; i < CS_ROW_STEPS && lo < hi; i++) {
		__u32 middle = lo + (hi - lo) / 2;

		word = CS_UNWIND_WORD(table, middle);
		if (!word)
			return 0;
		if (*word >> 32 <= vaddr) {
			lo = middle + 1;
			info = (__u32)*word;
		} else {
			hi = middle;
		}
	}
	return info;
}

/* The rule at s->pc; CS_UNWIND_NONE with the status set if there is none. */
static __always_inline __u32 native_rule(struct cs_native *s)
{
	__u64 pc = s->exact ? s->pc : s->pc - 1;
	const struct cs_native_proc *proc;

	if (pc < s->start || pc >= s->end) {
		proc = CS_UNWIND_PROC(s);
		if (!proc) {
			s->ev.status = CS_STATUS_NATIVE_NOT_YET;
			return 0;
		}
		if (native_find_mapping(s, proc, pc)) {
			s->start = s->end = 0;
			s->ev.status = CS_STATUS_NATIVE_NO_CODE;
			return 0;
		}
	}
	s->ev.status = CS_STATUS_NATIVE_NO_RULE;
	if (s->file == CS_NATIVE_FRAME_POINTERS)
		return CS_BY_FRAME_POINTER;
	if (s->file < CS_NATIVE_FIRST_TABLE)
		return 0;
	return native_find_row(s, pc - s->start + s->vaddr);
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
static __always_inline int native_step(struct cs_native *s, __u32 info)
{
	__u32 n = s->ev.n, rbp = cs_unwind_rbp(info);
	__u64 cfa, pc, fp = s->fp;

	if (n >= CS_MAX_NATIVE_FRAMES)
		return native_stop(s, CS_STATUS_TRUNCATED);
	/* the kernel has put a signal frame's address there: no call did */
	s->addresses[n] = s->exact || cs_unwind_kind(info) == CS_UNWIND_SIGNAL ? s->pc : s->pc - 1;
	s->ev.n = n + 1;
	switch (cs_unwind_kind(info)) {
	case CS_UNWIND_NONE: /* the status says why */
		return 1;
	case CS_UNWIND_END:
		return native_stop(s, CS_STATUS_COMPLETE);
	case CS_UNWIND_SIGNAL:
		return native_leave_signal(s);
	default:
		break;
	}
	cfa = native_cfa(s, info);
	if (!cfa)
		return native_stop(s, CS_STATUS_NATIVE_NO_RULE);
	if (cfa <= s->sp) /* a caller's frame lies above */
		return native_stop(s, CS_STATUS_NATIVE_UNREADABLE);
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
