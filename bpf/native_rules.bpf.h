/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which unwind rule holds at an address of a process: the list of its code says in which file the address is, the file's table
 * (coroscope/unwind.h) has the rule. What was found is kept, per CPU and by file and address, so for all processes: frames are
 * mostly callers, and these mostly have been met before. It cannot become wrong: a table's number stands for its content (coroscope/native.h).
 *
 * The program gives CS_UNWIND_PROC(c) (the process's list), CS_UNWIND_TABLE(place) (a table, or NULL), CS_UNWIND_WORD(table, i) (a word of
 * it, or NULL), and CS_UNWIND_LOCATE(c) and CS_UNWIND_LEARN(c): native_locate() and native_learn(), for the verifier's sake steps of their own.
 */
#pragma once

#include <coroscope/native.h>
#include <coroscope/status.h>
#include <coroscope/unwind.h>

/* Rows of one bucket, and mappings of one process, are searched by halves. */
#define CS_ROW_STEPS        9
#define CS_MAPPING_STEPS    9
/* Pieces of code that are remembered: most stacks alternate between two or three files. A power of two. */
#define CS_NATIVE_SEEN      8
/* Rules kept: some ten whole stacks. 2 to the power of CS_RULE_BITS. */
#define CS_RULE_BITS        10
#define CS_BY_FRAME_POINTER cs_unwind_info(CS_UNWIND_FP, 2, 2)

struct cs_native_range {
	__u64 start, end; /* both 0: none */
	__u64 vaddr;      /* address of `start` in the file's own space */
	__u32 table;      /* its number */
	__u32 pad;
};

struct cs_native_rule {
	__u64 where; /* table << 32 | address in the file; 0: none */
	__u64 info;
};

struct cs_native_code {
	__u64 pc; /* that is asked for */
	__u32 tgid;
	__u32 next;                  /* of `seen`, to be overwritten */
	__u64 list;                  /* which one these are from: */
	struct cs_native_range here; /* the last address was in */
	struct cs_native_range seen[CS_NATIVE_SEEN];
	struct cs_native_rule rules[1 << CS_RULE_BITS];
};

/* The process's list, or NULL. What is remembered of another one is forgotten. */
static __always_inline const struct cs_native_proc *native_list(struct cs_native_code *c)
{
	const struct cs_native_proc *proc = CS_UNWIND_PROC(c);

	if (proc && proc->id == c->list)
		return proc;
	c->list = proc ? proc->id : 0;
	c->here.start = c->here.end = 0;
	for (int i = 0; i < CS_NATIVE_SEEN; i++)
		c->seen[i].start = c->seen[i].end = 0;
	return proc;
}

/* Whose addresses will be asked for; mostly it is the process that was last asked about. */
static __always_inline void native_code_begin(struct cs_native_code *c, __u32 tgid)
{
	c->tgid = tgid;
	native_list(c);
}

/* Find the piece of code that holds c->pc in the list. Returns 0, or a negative number if there is none. */
static __always_inline int native_find_mapping(struct cs_native_code *c,
					       const struct cs_native_proc *proc)
{
	__u64 page = c->pc >> CS_PAGE_SHIFT, first, pages;
	const struct cs_native_mapping *mapping;
	__u32 lo = 0, hi = proc->n;

	for (int i = 0; i < CS_MAPPING_STEPS && lo < hi; i++) {
		__u32 middle = (lo + hi) / 2;

		if (middle >= CS_MAX_NATIVE_MAPS)
			return -1;
		if (proc->mappings[middle].start_table >> 24 <= page)
			lo = middle + 1;
		else
			hi = middle;
	}
	lo--;
	if (lo >= CS_MAX_NATIVE_MAPS)
		return -1;
	mapping = &proc->mappings[lo];
	first = mapping->start_table >> 24;
	pages = mapping->vaddr_pages & ((1ull << 40) - 1);
	if (page - first >= pages)
		return -1;
	c->here.start = first << CS_PAGE_SHIFT;
	c->here.end = c->here.start + (pages << CS_PAGE_SHIFT);
	c->here.vaddr = mapping->vaddr_pages >> 40 << CS_PAGE_SHIFT;
	c->here.table = mapping->start_table & ((1u << 24) - 1);
	return 0;
}

/* Find where c->pc is, into c->here. Returns 0, or the status with which the walk ends. */
static __always_inline int native_locate(struct cs_native_code *c)
{
	const struct cs_native_proc *proc;

	for (int i = 0; i < CS_NATIVE_SEEN; i++)
		if (c->pc >= c->seen[i].start && c->pc < c->seen[i].end) {
			c->here = c->seen[i];
			return 0;
		}
	proc = native_list(c);
	if (!proc)
		return CS_STATUS_NATIVE_NOT_YET;
	if (native_find_mapping(c, proc)) {
		c->here.start = c->here.end = 0;
		return CS_STATUS_NATIVE_NO_CODE;
	}
	/* where tables are allocated whole, a list that is replaced may be overwritten */
	if (c->list == *(const volatile __u64 *)&proc->id)
		c->seen[c->next++ & (CS_NATIVE_SEEN - 1)] = c->here;
	return 0;
}

/* The row of the table that holds at this address of the file, or 0. */
static __always_inline __u32 native_find_row(void *table, __u64 vaddr)
{
	const __u64 *word = CS_UNWIND_WORD(table, 0);
	__u64 bucket = vaddr / CS_UNWIND_BUCKET;
	__u32 lo, hi, info = 0;

	if (!word || bucket < *word >> 32 || bucket - (*word >> 32) >= (__u32)*word)
		return 0;
	word = CS_UNWIND_WORD(table, (__u32)(1 + bucket - (*word >> 32)));
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

static __always_inline __u64 native_vaddr(const struct cs_native_code *c)
{
	return c->pc - c->here.start + c->here.vaddr;
}

/* Where the rule of this place is kept, if it is: one place each, by the upper bits of a product with an odd number without pattern. */
static __always_inline struct cs_native_rule *native_kept(struct cs_native_code *c, __u64 where)
{
	return &c->rules[where * 0x9e3779b97f4a7c15ull >> (64 - CS_RULE_BITS) &
			 ((1 << CS_RULE_BITS) - 1)];
}

/* Look the rule at c->pc, which is in c->here and below 4 GiB of its file, up in the file's table, and keep it. */
static __always_inline __u32 native_learn(struct cs_native_code *c)
{
	__u32 place = cs_native_place(c->here.table), info;
	__u64 vaddr = (__u32)native_vaddr(c);
	void *table = CS_UNWIND_TABLE(place);
	struct cs_native_rule *kept;

	if (!table)
		return 0;
	info = native_find_row(table, vaddr);
	if (info) {
		vaddr |= (__u64)c->here.table << 32;
		kept = native_kept(c, vaddr);
		kept->where = vaddr;
		kept->info = info;
	}
	return info;
}

/* The rule at this address; CS_UNWIND_NONE, with the status of the walk that ends there, if there is none. */
static __always_inline __u32 native_rule(struct cs_native_code *c, __u64 pc, __u8 *status)
{
	const struct cs_native_rule *kept;
	__u64 where;

	c->pc = pc;
	if (pc < c->here.start || pc >= c->here.end) {
		*status = CS_UNWIND_LOCATE(c);
		if (*status)
			return 0;
	}
	*status = CS_STATUS_NATIVE_NO_RULE;
	if (c->here.table == CS_NATIVE_FRAME_POINTERS)
		return CS_BY_FRAME_POINTER;
	where = native_vaddr(c);
	if (c->here.table < CS_NATIVE_FIRST_TABLE || where >> 32) { /* tables end there */
		if (c->here.table == CS_NATIVE_NOT_MADE)
			*status = CS_STATUS_NATIVE_NOT_YET;
		return 0;
	}
	where |= (__u64)c->here.table << 32;
	kept = native_kept(c, where);
	return kept->where == where ? (__u32)kept->info : CS_UNWIND_LEARN(c);
}
