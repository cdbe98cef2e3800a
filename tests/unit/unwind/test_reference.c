/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwind/ against libdw, the reference: at every address of a file's text at which one of the two changes its mind, the table
 * must say what libdw says of the CFA, the return address and rbp. Files: the C library, this Python and C++'s library where they
 * are installed, this test itself, or those given as arguments.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "unwind/rule.h"
#include "unwind/unwind.h"

/* Holes that the table may bridge. */
#define PADDING 16

static const char *const installed[] = {
	"/proc/self/exe",
	"/lib/x86_64-linux-gnu/libc.so.6",
	"/usr/bin/python3",
	"/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
	"/lib64/ld-linux-x86-64.so.2",
	"/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
};

struct compared {
	size_t addresses, rules, unsupported, expressions;
};

static bool is_op(const Dwarf_Op *op, unsigned int atom, uint64_t number)
{
	return op->atom == atom && op->number == number;
}

static bool says_plt(const Dwarf_Op *ops, size_t n, uint32_t threshold)
{
	return n == 9 && is_op(&ops[0], DW_OP_breg7, 8) && is_op(&ops[1], DW_OP_breg16, 0) &&
	       ops[2].atom == DW_OP_lit15 && ops[3].atom == DW_OP_and &&
	       ops[4].atom == DW_OP_lit0 + threshold && ops[5].atom == DW_OP_ge &&
	       ops[6].atom == DW_OP_lit3 && ops[7].atom == DW_OP_shl && ops[8].atom == DW_OP_plus;
}

static bool says_deref(const Dwarf_Op *ops, size_t n, uint32_t value)
{
	unsigned int base = cs_unwind_deref_from_rbp(value) ? DW_OP_breg6 : DW_OP_breg7;
	uint64_t added = cs_unwind_deref_added(value);

	return n == (added ? 3u : 2u) &&
	       is_op(&ops[0], base, (uint64_t)(int64_t)cs_unwind_deref_offset(value)) &&
	       ops[1].atom == DW_OP_deref && (!added || is_op(&ops[2], DW_OP_plus_uconst, added));
}

static bool says_register(const Dwarf_Op *ops, size_t n, uint64_t reg, uint64_t offset)
{
	return n == 1 && ops[0].atom == DW_OP_bregx && ops[0].number == reg &&
	       ops[0].number2 == offset;
}

static bool cfa_agrees(Dwarf_Frame *frame, uint32_t info)
{
	uint32_t value = cs_unwind_value(info);
	Dwarf_Op *ops;
	size_t n;

	assert_int_equal(dwarf_frame_cfa(frame, &ops, &n), 0);
	switch (cs_unwind_kind(info)) {
	case CS_UNWIND_SP:
		return says_register(ops, n, CS_REG_RSP, (uint64_t)value * 8);
	case CS_UNWIND_FP:
		return says_register(ops, n, CS_REG_RBP, (uint64_t)value * 8);
	case CS_UNWIND_PLT:
		return says_plt(ops, n, value);
	case CS_UNWIND_DEREF:
		return says_deref(ops, n, value);
	case CS_UNWIND_SIGNAL:
		return n == 2 && is_op(&ops[0], DW_OP_breg7, 160) && ops[1].atom == DW_OP_deref;
	default:
		return false;
	}
}

/* Is the register stored at CFA + offset? */
static bool at_cfa(Dwarf_Frame *frame, int reg, int64_t offset)
{
	Dwarf_Op memory[3], *ops;
	size_t n;

	assert_int_equal(dwarf_frame_register(frame, reg, memory, &ops, &n), 0);
	return n == 2 && ops[0].atom == DW_OP_call_frame_cfa &&
	       is_op(&ops[1], DW_OP_plus_uconst, (uint64_t)offset);
}

static bool is_undefined(Dwarf_Frame *frame, int reg)
{
	Dwarf_Op memory[3], *ops;
	size_t n;

	assert_int_equal(dwarf_frame_register(frame, reg, memory, &ops, &n), 0);
	return !n && ops == memory;
}

static bool rbp_agrees(Dwarf_Frame *frame, uint32_t slot)
{
	Dwarf_Op memory[3], *ops;
	size_t n;

	if (slot && slot != CS_UNWIND_RBP_AT_RBP)
		return at_cfa(frame, CS_REG_RBP, -8 * (int64_t)slot);
	assert_int_equal(dwarf_frame_register(frame, CS_REG_RBP, memory, &ops, &n), 0);
	if (slot == CS_UNWIND_RBP_AT_RBP)
		return n == 1 && is_op(&ops[0], DW_OP_breg6, 0);
	return !n && !ops;
}

/* Could a row have said it? Those of the functions that libc and libcrypto have by hand may be beyond that. */
static bool is_unusual(Dwarf_Frame *frame)
{
	Dwarf_Op *ops;
	size_t n;

	if (!at_cfa(frame, CS_REG_RA, -8))
		return true;
	assert_int_equal(dwarf_frame_cfa(frame, &ops, &n), 0);
	return !(n == 1 && ops[0].atom == DW_OP_bregx &&
		 (ops[0].number == CS_REG_RSP || ops[0].number == CS_REG_RBP));
}

static bool agrees(Dwarf_Frame *frame, bool signal_frame, uint32_t info, struct compared *sum)
{
	enum cs_unwind_kind kind = cs_unwind_kind(info);

	sum->rules++;
	sum->expressions += kind == CS_UNWIND_PLT || kind == CS_UNWIND_DEREF;
	if (kind == CS_UNWIND_UNSUPPORTED) {
		sum->unsupported++;
		return is_unusual(frame);
	}
	if (kind == CS_UNWIND_END)
		return is_undefined(frame, CS_REG_RA);
	if (signal_frame != (kind == CS_UNWIND_SIGNAL) || !cfa_agrees(frame, info))
		return false;
	return signal_frame ||
	       (at_cfa(frame, CS_REG_RA, -8) && rbp_agrees(frame, cs_unwind_rbp(info)));
}

/* One address: does the table say what libdw says? *ret_next: up to where libdw says the same. */
static bool compare_at(Dwarf_CFI *cfi, const struct cs_unwind_table *table, uint64_t pc,
		       uint64_t last_known, uint64_t *ret_next, struct compared *sum)
{
	_cleanup_free_ Dwarf_Frame *frame = NULL;
	uint32_t info = cs_unwind_find(table, pc);
	Dwarf_Addr start, end;
	bool signal_frame;

	sum->addresses++;
	*ret_next = pc + 1;
	if (dwarf_cfi_addrframe(cfi, pc, &frame))
		return cs_unwind_kind(info) == CS_UNWIND_NONE || pc - last_known < PADDING;
	assert_int_equal(dwarf_frame_info(frame, &start, &end, &signal_frame), CS_REG_RA);
	assert_true(start <= pc && pc < end);
	/* The table must say the same to the end of libdw's range. */
	for (*ret_next = pc + 1; *ret_next < end && cs_unwind_find(table, *ret_next) == info;)
		++*ret_next;
	return agrees(frame, signal_frame, info, sum);
}

static void compare_text(Dwarf_CFI *cfi, const struct cs_unwind_table *table, uint64_t start,
			 uint64_t end, struct compared *sum)
{
	uint64_t last_known = 0;

	for (uint64_t pc = start, next; pc < end; pc = next) {
		size_t before = sum->rules;

		if (!compare_at(cfi, table, pc, last_known, &next, sum))
			fail_msg("%#lx: the table says %#x, libdw otherwise", (unsigned long)pc,
				 cs_unwind_find(table, pc));
		if (sum->rules > before)
			last_known = next;
	}
}

/* Every executable segment of the file. Returns how many there were. */
static int compare_segments(Elf *elf, Dwarf_CFI *cfi, const struct cs_unwind_table *table,
			    struct compared *sum)
{
	size_t nphdrs;
	int found = 0;

	assert_int_equal(elf_getphdrnum(elf, &nphdrs), 0);
	for (size_t i = 0; i < nphdrs; i++) {
		GElf_Phdr seg;

		assert_non_null(gelf_getphdr(elf, (int)i, &seg));
		if (seg.p_type != PT_LOAD || !(seg.p_flags & PF_X))
			continue;
		compare_text(cfi, table, seg.p_vaddr, seg.p_vaddr + seg.p_filesz, sum);
		found++;
	}
	return found;
}

static void compare_build_id(Elf *handle, struct cs_elf *elf)
{
	uint8_t mine[CS_BUILD_ID_BYTES];
	const void *id;
	ssize_t n = dwelf_elf_gnu_build_id(handle, &id);

	assert_int_equal(cs_elf_build_id(elf, mine, sizeof(mine)), n > 0 ? n : -ENOENT);
	if (n > 0)
		assert_memory_equal(mine, id, (size_t)n);
}

static void compare_file(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_unwind_table_ struct cs_unwind_table table = {0};
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	struct compared sum = {0};
	Dwarf_CFI *cfi;
	Elf *handle;

	assert_int_equal(cs_elf_open(path, &elf), 0);
	assert_int_equal(cs_unwind_file(elf, &table), 0);
	elf_version(EV_CURRENT);
	handle = elf_begin(fd, ELF_C_READ, NULL);
	assert_non_null(handle);
	compare_build_id(handle, elf);
	cfi = dwarf_getcfi_elf(handle);
	assert_non_null(cfi);
	assert_true(compare_segments(handle, cfi, &table, &sum) > 0);
	dwarf_cfi_end(cfi);
	elf_end(handle);
	print_message(
		"%s: %zu functions, %zu rows, %zu words of %zu bytes of .eh_frame; compared %zu "
		"addresses, %zu rules (%zu expressions), %zu unsupported; %zu entries left out\n",
		path, table.nfunctions, table.nrows, table.nwords, table.eh_bytes, sum.addresses,
		sum.rules, sum.expressions, sum.unsupported, table.ndamaged);
	assert_true(sum.rules > 2 * table.nfunctions);
	assert_true(sum.unsupported * 100 < sum.rules);
	assert_int_equal(table.ndamaged, 0);
}

static void installed_files_agree_with_libdw(void **state)
{
	size_t compared = 0;

	for (size_t i = 0; i < ARRAY_SIZE(installed); i++) {
		if (access(installed[i], R_OK)) {
			print_message("%s is not installed: not compared\n", installed[i]);
			continue;
		}
		compare_file(installed[i]);
		compared++;
	}
	assert_true(compared >= 2);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(installed_files_agree_with_libdw),
	};

	for (int i = 1; i < argc; i++)
		compare_file(argv[i]);
	return argc > 1 ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
