/* SPDX-License-Identifier: Apache-2.0 */
/* .eh_frame to table: the functions in ascending order, a row wherever the rule changes, the index over the rows. */
#include "unwind/unwind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "unwind/functions.h"

#define MAX_EH_FRAME ((uint64_t)64 << 20)
/* Padding between functions: nothing runs there, so that the row before it may go on. */
#define MAX_PADDING  16
#define INFO_NONE    cs_unwind_info(CS_UNWIND_NONE, 0, 0)

struct compiler {
	struct cs_unwind_table table; /* its words are rows only, until the index is made */
	size_t cap;
	struct cs_elf_range text;
	uint64_t end;      /* of the last function */
	size_t first;      /* row of the function that is being compiled */
	bool signal_frame; /* it is one */
};

void cs_unwind_table_free(struct cs_unwind_table *table)
{
	free(table->words);
	*table = (struct cs_unwind_table){0};
}

static uint32_t row_vaddr(uint64_t row)
{
	return (uint32_t)(row >> 32);
}

/* From vaddr on this holds; where the row before says the same, none is needed. */
static int add_row(struct compiler *compiler, uint64_t vaddr, uint32_t info)
{
	struct cs_unwind_table *table = &compiler->table;

	if (table->nrows && (uint32_t)table->words[table->nrows - 1] == info)
		return 0;
	if (table->nrows == compiler->cap) {
		size_t cap = compiler->cap ? compiler->cap * 2 : 4096;
		void *words;

		if (table->nrows >= CS_UNWIND_WORDS)
			return -E2BIG;
		words = reallocarray(table->words, cap, sizeof(*table->words));
		if (!words)
			return -ENOMEM;
		table->words = words;
		compiler->cap = cap;
	}
	table->words[table->nrows++] = vaddr << 32 | info;
	return 0;
}

static int add_rule(void *ctx, uint64_t vaddr, const struct cs_rules *rules)
{
	struct compiler *compiler = ctx;

	return add_row(compiler, vaddr, cs_rules_info(rules, compiler->signal_frame));
}

/* Nothing is known from the last function's end to this one's start. */
static int add_gap(struct compiler *compiler, uint64_t start)
{
	if (!compiler->table.nrows || start - compiler->end <= MAX_PADDING)
		return 0;
	return add_row(compiler, compiler->end, INFO_NONE);
}

static bool in_text(const struct cs_elf_range *text, const struct cs_fde *fde)
{
	return fde->start >= text->vaddr && fde->end - text->vaddr <= text->size;
}

static int add_function(struct compiler *compiler, const struct cs_fde *fde)
{
	int err;

	/* Removed functions of a relocatable link are left at 0; what another one has already is a lie. */
	if (!in_text(&compiler->text, fde) || fde->start < compiler->end) {
		compiler->table.ndamaged++;
		return 0;
	}
	if (fde->end > UINT32_MAX)
		return -E2BIG;
	err = add_gap(compiler, fde->start);
	if (err)
		return err;
	compiler->first = compiler->table.nrows;
	compiler->signal_frame = fde->cie.signal_frame;
	err = cs_cfi_run(fde, add_rule, compiler);
	if (err == -EINVAL) { /* half a function's rules are none */
		compiler->table.nrows = compiler->first;
		compiler->table.ndamaged++;
		err = add_row(compiler, fde->start, cs_unwind_info(CS_UNWIND_UNSUPPORTED, 0, 0));
	}
	compiler->end = fde->end;
	compiler->table.nfunctions++;
	return err;
}

/* Put the header and the index before the rows. */
static int add_index(struct compiler *compiler)
{
	struct cs_unwind_table *table = &compiler->table;
	uint64_t base = row_vaddr(table->words[0]) / CS_UNWIND_BUCKET;
	uint64_t nbuckets = (compiler->end - 1) / CS_UNWIND_BUCKET + 1 - base;
	uint64_t before = 1 + nbuckets, nwords = before + table->nrows;
	size_t lo = 0, hi = 0;
	uint64_t *words;

	if (nwords > CS_UNWIND_WORDS)
		return -E2BIG;
	words = malloc(nwords * sizeof(*words));
	if (!words)
		return -ENOMEM;
	words[0] = base << 32 | nbuckets;
	for (uint64_t i = 0; i < nbuckets; i++) {
		uint64_t start = (base + i) * CS_UNWIND_BUCKET;

		while (hi < table->nrows && row_vaddr(table->words[hi]) < start + CS_UNWIND_BUCKET)
			hi++;
		while (lo + 1 < table->nrows && row_vaddr(table->words[lo + 1]) <= start)
			lo++;
		words[1 + i] = (before + hi) << 32 | (before + lo);
	}
	memcpy(words + before, table->words, table->nrows * sizeof(*words));
	free(table->words);
	table->words = words;
	table->nwords = nwords;
	return 0;
}

static int compile_functions(struct compiler *compiler, const struct cs_eh_frame *frame,
			     const struct cs_functions *functions)
{
	struct cs_fde fde = {.cie.at = SIZE_MAX};
	int err = 0;

	for (size_t i = 0; i < functions->n && !err; i++) {
		struct cs_cie known = fde.cie;

		/* It was read before: it is none that is damaged. */
		if (cs_cfi_entry(frame, functions->items[i].at, &known, &fde) == CS_ENTRY_FDE)
			err = add_function(compiler, &fde);
	}
	if (!err && !compiler->table.nrows)
		err = -ENOENT;
	if (!err)
		err = add_row(compiler, compiler->end, INFO_NONE);
	return err;
}

int cs_unwind_section(const void *bytes, struct cs_elf_range section, struct cs_elf_range text,
		      struct cs_unwind_table *ret)
{
	const struct cs_eh_frame frame = {bytes, section.size, section.vaddr};
	_cleanup_functions_ struct cs_functions functions = {0};
	struct compiler compiler = {.table.eh_bytes = section.size, .text = text};
	int err = cs_functions_walk(&frame, &functions);

	compiler.table.ndamaged = functions.ndamaged;
	if (!err)
		err = compile_functions(&compiler, &frame, &functions);
	if (!err)
		err = add_index(&compiler);
	if (err)
		cs_unwind_table_free(&compiler.table);
	else
		*ret = compiler.table;
	return err;
}

int cs_unwind_read_eh_frame(struct cs_elf *elf, struct cs_elf_range *ret_section,
			    uint8_t **ret_bytes)
{
	_cleanup_free_ uint8_t *bytes = NULL;

	if (cs_elf_eh_frame(elf, ret_section))
		return -ENOENT;
	if (ret_section->size > MAX_EH_FRAME)
		return -E2BIG;
	bytes = malloc(ret_section->size);
	if (!bytes)
		return -ENOMEM;
	if (cs_elf_read(elf, ret_section->vaddr, bytes, ret_section->size))
		return -ENOENT;
	*ret_bytes = TAKE_PTR(bytes);
	return 0;
}

int cs_unwind_file(struct cs_elf *elf, struct cs_unwind_table *ret)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	struct cs_elf_range section, text;
	int err;

	if (cs_elf_text(elf, &text))
		return -ENOENT;
	err = cs_unwind_read_eh_frame(elf, &section, &bytes);
	return err ? err : cs_unwind_section(bytes, section, text, ret);
}

uint32_t cs_unwind_find(const struct cs_unwind_table *table, uint64_t vaddr)
{
	uint64_t bucket = vaddr / CS_UNWIND_BUCKET - (table->words[0] >> 32);
	uint32_t lo, hi;

	if (vaddr / CS_UNWIND_BUCKET < table->words[0] >> 32 || bucket >= (uint32_t)table->words[0])
		return INFO_NONE;
	lo = (uint32_t)table->words[1 + bucket];
	hi = (uint32_t)(table->words[1 + bucket] >> 32);
	while (lo < hi) { /* the last row that does not lie above */
		uint32_t middle = lo + (hi - lo) / 2;

		if (row_vaddr(table->words[middle]) <= vaddr)
			lo = middle + 1;
		else
			hi = middle;
	}
	if (lo == (uint32_t)table->words[1 + bucket])
		return INFO_NONE;
	return (uint32_t)table->words[lo - 1];
}
