/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel side's native walk over this very process: the tables are made from the files that it has mapped, the stack is its
 * own, and the C library's backtrace() is the reference. And over registers and stacks that lie.
 */
#include <execinfo.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "proc/elf.h"
#include "proc/maps.h"
#include "unwind/unwind.h"

#include <coroscope/native.h>

#define MAX_TABLES 64

static struct cs_native_proc process = {.id = 1};
static struct cs_unwind_table tables[MAX_TABLES];
static uint32_t ntables = CS_NATIVE_FIRST_TABLE;
static bool known = true;

static long read_self(void *dst, size_t size, uint64_t src)
{
	struct iovec local = {dst, size},
		     remote = {(void *)src, size}; // NOLINT(performance-no-int-to-ptr)

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size ? 0 : -1;
}

static void *table_of(__u32 file)
{
	return file < ntables ? &tables[file] : NULL;
}

static const __u64 *word_of(const struct cs_unwind_table *table, __u32 i)
{
	return i < table->nwords ? (const __u64 *)&table->words[i] : NULL;
}

#define CS_UNWIND_READ(dst, size, src) read_self(dst, size, src)
#define CS_UNWIND_PROC(c)              (known ? &process : NULL)
#define CS_UNWIND_TABLE(place)         table_of(place)
#define CS_UNWIND_WORD(table, i)       word_of(table, i)
#define CS_UNWIND_LOCATE(c)            native_locate(c)
#define CS_UNWIND_LEARN(c)             native_learn(c)
#define CS_UNWIND_FILL(s, at)          native_fill(s, at)
#include "bpf/native_unwind.bpf.h"

static struct cs_native native;

static void walk(uint64_t pc, uint64_t sp, uint64_t fp)
{
	native_begin(&native, 1, pc, sp, fp);
	for (unsigned int i = 0; i <= CS_MAX_NATIVE_FRAMES; i++)
		if (native_step(&native))
			return;
}

static void add_mapping(const struct cs_mapping *mapping, uint32_t file, uint64_t vaddr)
{
	process.mappings[process.n++] = (struct cs_native_mapping){
		.start_table = mapping->start >> CS_PAGE_SHIFT << 24 | file,
		.vaddr_pages = vaddr >> CS_PAGE_SHIFT << 40 |
			       (mapping->end - mapping->start) >> CS_PAGE_SHIFT,
	};
}

/* What collect/natives.c does for every process. */
static int learn_self(void **state)
{
	_cleanup_maps_ struct cs_maps maps = {0};
	char path[512];

	assert_int_equal(cs_maps_read(getpid(), &maps), 0);
	for (size_t i = 0; i < maps.n; i++) {
		_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
		const struct cs_mapping *mapping = &maps.items[i];
		struct cs_elf_code code;

		if (!mapping->executable || !mapping->inode)
			continue;
		assert_int_equal(cs_maps_open_path(getpid(), mapping, path, sizeof(path)), 0);
		assert_int_equal(cs_elf_open(path, &elf), 0);
		assert_int_equal(cs_elf_code(elf, &code, 1), 1);
		assert_int_equal(cs_unwind_file(elf, &tables[ntables]), 0);
		add_mapping(mapping, ntables++, mapping->offset - code.offset + code.vaddr);
	}
	return 0;
}

static int forget_self(void **state)
{
	for (uint32_t i = CS_NATIVE_FIRST_TABLE; i < ntables; i++)
		cs_unwind_table_free(&tables[i]);
	return 0;
}

/*
 * The walk from here must go where the reference goes, up to the root. The innermost frames differ: each is somewhere in this
 * function, and a sanitizer puts one of its own between this function and the reference. Returns how many there are.
 */
__attribute__((noinline)) static uint32_t compare_here(void)
{
	void *reference[CS_MAX_NATIVE_FRAMES];
	uint32_t n = (uint32_t)backtrace(reference, CS_MAX_NATIVE_FRAMES), inside;
	ucontext_t context;

	assert_int_equal(getcontext(&context), 0);
	walk((uint64_t)context.uc_mcontext.gregs[REG_RIP],
	     (uint64_t)context.uc_mcontext.gregs[REG_RSP],
	     (uint64_t)context.uc_mcontext.gregs[REG_RBP]);
	assert_int_equal(native.ev.status, CS_STATUS_COMPLETE);
	assert_in_range(n - native.ev.n, 0, 1);
	inside = n - native.ev.n;
	for (uint32_t i = 1; i < native.ev.n; i++) {
		uint64_t expected = (uint64_t)(uintptr_t)reference[i + inside];

		assert_true(native.addresses[i] == expected - 1 || native.addresses[i] == expected);
	}
	return native.ev.n;
}

__attribute__((noinline)) static uint32_t descend(unsigned int depth)
{
	volatile char room[40];

	room[0] = (char)depth;
	return (depth ? descend(depth - 1) : compare_here()) + (uint32_t)(room[0] - (char)depth);
}

static void own_stack_is_walked_to_its_root(void **state)
{
	uint32_t shallow = descend(0);

	assert_int_equal(descend(100), shallow + 100);
}

static uint32_t in_handler;

static void on_signal(int sig)
{
	in_handler = compare_here();
}

static void signal_frames_are_passed(void **state)
{
	uint32_t outside = compare_here();

	signal(SIGUSR1, on_signal);
	assert_int_equal(raise(SIGUSR1), 0);
	/* the handler, the kernel's frame, and raise with what it calls */
	assert_true(in_handler > outside + 2);
}

static int compare_ints(const void *a, const void *b)
{
	compare_here();
	return *(const int *)a - *(const int *)b;
}

static void library_code_is_passed(void **state)
{
	int numbers[] = {3, 1, 2};

	qsort(numbers, 3, sizeof(*numbers), compare_ints);
	assert_int_equal(numbers[0], 1);
}

static int too_deep(int depth)
{
	ucontext_t context;
	volatile int result;

	if (depth) {
		result = too_deep(depth - 1);
		return result + 1;
	}
	assert_int_equal(getcontext(&context), 0);
	walk((uint64_t)context.uc_mcontext.gregs[REG_RIP],
	     (uint64_t)context.uc_mcontext.gregs[REG_RSP],
	     (uint64_t)context.uc_mcontext.gregs[REG_RBP]);
	return 0;
}

static void what_is_too_deep_is_cut(void **state)
{
	too_deep(CS_MAX_NATIVE_FRAMES);
	assert_int_equal(native.ev.status, CS_STATUS_TRUNCATED);
	assert_int_equal(native.ev.n, CS_MAX_NATIVE_FRAMES);
}

static void lies_end_the_walk(void **state)
{
	uint64_t code = (uint64_t)(uintptr_t)lies_end_the_walk;
	uint64_t stack[64] = {0};

	known = false;
	walk(code, (uint64_t)(uintptr_t)stack, 0);
	assert_int_equal(native.ev.status, CS_STATUS_NATIVE_NOT_YET);
	assert_int_equal(native.ev.n, 1);
	known = true;
	walk((uint64_t)(uintptr_t)stack, (uint64_t)(uintptr_t)stack, 0); /* no code there */
	assert_int_equal(native.ev.status, CS_STATUS_NATIVE_NO_CODE);
	walk(code, 0x1000, 0x1000);
	assert_int_equal(native.ev.status, CS_STATUS_NATIVE_UNREADABLE);
	walk(code, UINT64_MAX - 15, UINT64_MAX - 7);
	assert_int_equal(native.ev.status, CS_STATUS_NATIVE_UNREADABLE);
	walk(code, (uint64_t)(uintptr_t)stack + 3, 0);
	assert_int_equal(native.ev.status, CS_STATUS_NATIVE_UNREADABLE);
	walk(code, (uint64_t)(uintptr_t)stack, 0); /* returns to 0 */
	assert_int_equal(native.ev.status, CS_STATUS_NATIVE_NO_CODE);
	assert_int_equal(native.ev.n, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_stack_is_walked_to_its_root),
		cmocka_unit_test(signal_frames_are_passed),
		cmocka_unit_test(library_code_is_passed),
		cmocka_unit_test(what_is_too_deep_is_cut),
		cmocka_unit_test(lies_end_the_walk),
	};

	return cmocka_run_group_tests(tests, learn_self, forget_self);
}
