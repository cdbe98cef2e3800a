/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding a function's parts by its jumps. Bytes are looked at everywhere, not only where instructions begin: what merely looks like a jump leads to no
 * code, or to a function's start, or to a part of another function, which does not jump back.
 */
#include "unwind/parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "unwind/functions.h"
#include "unwind/unwind.h"

#define MAX_CODE ((uint64_t)1 << 20)
/* Pieces of code that are looked at: each takes a look at all its bytes. */
#define MAX_SEEN 64

struct search {
	const struct cs_eh_frame *frame;
	struct cs_functions functions;
	struct cs_elf_range function;
	int (*read)(void *ctx, uint64_t vaddr, void *dst, size_t size);
	void *ctx;
	uint64_t seen[MAX_SEEN]; /* addresses at which they start */
	size_t nseen;
	struct cs_elf_range *parts;
	size_t n, max;
};

static bool holds(const struct cs_elf_range *range, uint64_t vaddr)
{
	return vaddr - range->vaddr < range->size;
}

/* Is a jump at `at`, to where? Source: Intel's manual, volume 2: JMP rel32 (E9) and Jcc rel32 (0F 80 to 0F 8F). */
static bool jumps(const uint8_t *at, size_t left, uint64_t vaddr, uint64_t *ret)
{
	bool conditional = left > 1 && at[0] == 0x0f && (at[1] & 0xf0) == 0x80;
	size_t before = conditional ? 2 : 1;
	int32_t distance;

	if ((!conditional && at[0] != 0xe9) || left < before + sizeof(distance))
		return false;
	memcpy(&distance, at + before, sizeof(distance));
	*ret = vaddr + before + sizeof(distance) + (uint64_t)(int64_t)distance;
	return true;
}

/* Call fn with the target of each jump in this code until it does not return 0. Returns what it returned, or -errno. */
static int each_jump(struct search *search, const struct cs_elf_range *code,
		     int (*fn)(struct search *search, uint64_t target))
{
	_cleanup_free_ uint8_t *bytes = NULL;
	int err = 0;

	if (code->size > MAX_CODE)
		return -E2BIG;
	bytes = malloc(code->size);
	if (!bytes)
		return -ENOMEM;
	if (search->read(search->ctx, code->vaddr, bytes, code->size))
		return -ENOENT;
	for (uint64_t i = 0; i < code->size && !err; i++) {
		uint64_t target;

		if (jumps(bytes + i, code->size - i, code->vaddr + i, &target))
			err = fn(search, target);
	}
	return err;
}

static int is_back(struct search *search, uint64_t target)
{
	return holds(&search->function, target);
}

static int take_first(void *ctx, uint64_t vaddr, const struct cs_rules *rules)
{
	*(struct cs_rules *)ctx = *rules;
	return 1;
}

/* Does the entry begin as functions do, with nothing but the return address on the stack? */
static bool begins_function(const struct cs_fde *fde)
{
	struct cs_rules rules;

	return cs_cfi_run(fde, take_first, &rules) == 1 && !rules.cfa_expression_used &&
	       rules.cfa_register == CS_REG_RSP && rules.cfa_offset == 8;
}

/* The entry of .eh_frame whose code holds this address. */
static bool find_entry(const struct search *search, uint64_t vaddr, struct cs_fde *ret)
{
	const struct cs_cie none = {.at = SIZE_MAX};
	size_t lo = 0, hi = search->functions.n;

	while (lo < hi) {
		size_t middle = lo + (hi - lo) / 2;

		if (search->functions.items[middle].start <= vaddr)
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo &&
	       cs_cfi_entry(search->frame, search->functions.items[lo - 1].at, &none, ret) ==
		       CS_ENTRY_FDE &&
	       vaddr >= ret->start && vaddr < ret->end;
}

/* A jump of the function leads there. Returns 0 to go on. */
static int follow(struct search *search, uint64_t target)
{
	struct cs_elf_range part;
	struct cs_fde fde;
	int back;

	if (holds(&search->function, target) || !find_entry(search, target, &fde))
		return 0;
	for (size_t i = 0; i < search->nseen; i++)
		if (search->seen[i] == fde.start)
			return 0;
	if (begins_function(&fde))
		return 0;
	if (search->nseen == MAX_SEEN)
		return 1;
	search->seen[search->nseen++] = fde.start;
	part = (struct cs_elf_range){fde.start, fde.end - fde.start};
	back = each_jump(search, &part, is_back);
	if (back == -ENOMEM)
		return back;
	if (back == 1)
		search->parts[search->n++] = part;
	return search->n == search->max;
}

int cs_unwind_parts_of(const struct cs_eh_frame *frame, struct cs_elf_range function,
		       int (*read)(void *ctx, uint64_t vaddr, void *dst, size_t size), void *ctx,
		       struct cs_elf_range *ret, size_t max)
{
	struct search search = {.frame = frame,
				.function = function,
				.read = read,
				.ctx = ctx,
				.parts = ret,
				.max = max};
	int err = cs_functions_walk(frame, &search.functions);

	if (!err && max)
		err = each_jump(&search, &function, follow);
	cs_functions_free(&search.functions);
	return err < 0 ? err : (int)search.n;
}

static int read_code(void *ctx, uint64_t vaddr, void *dst, size_t size)
{
	return cs_elf_read(ctx, vaddr, dst, size);
}

int cs_unwind_parts(struct cs_elf *elf, struct cs_elf_range function, struct cs_elf_range *ret,
		    size_t max)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	struct cs_elf_range section;
	struct cs_eh_frame frame;
	int err = cs_unwind_read_eh_frame(elf, &section, &bytes);

	if (err)
		return err;
	frame = (struct cs_eh_frame){bytes, section.size, section.vaddr};
	return cs_unwind_parts_of(&frame, function, read_code, elf, ret, max);
}
