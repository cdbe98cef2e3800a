/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel side's native walk over stacks that are made up, of code with frame pointers: wherever frames lie, and wherever the
 * memory around them ends, it must find what was put there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <coroscope/native.h>

#define CODE       0x7f0000000000ull
#define STACK      0x7ffe00000000ull
#define BYTES      (8 * CS_PAGE_BYTES)
#define MAX_FRAMES 64

static struct {
	struct cs_native_proc proc;
	uint64_t memory[BYTES / 8]; /* from STACK on */
	uint64_t start, end;        /* what lies around is not mapped: whole pages */
	unsigned int reads;
} fake;

/* room: where alone the kernel side may be written to */
static long read_stack(const uint8_t *room, size_t room_bytes, void *dst, uint64_t size,
		       uint64_t src)
{
	assert_true((uint8_t *)dst >= room && (uint8_t *)dst + size <= room + room_bytes);
	fake.reads++;
	memset(dst, 0xee, size); /* what fails leaves anything */
	if (src < fake.start || src > fake.end || size > fake.end - src)
		return -14;
	memcpy(dst, (const char *)fake.memory + (src - STACK), size);
	return 0;
}

#define CS_UNWIND_READ(dst, size, src) read_stack(s->chunk, sizeof(s->chunk), dst, size, src)
#define CS_UNWIND_PROC(c)              (&fake.proc)
#define CS_UNWIND_TABLE(place)         ((void)(place), (void *)NULL)
#define CS_UNWIND_WORD(table, i)       ((void)(table), (void)(i), (const __u64 *)NULL)
#define CS_UNWIND_LOCATE(c)            native_locate(c)
#define CS_UNWIND_LEARN(c)             native_learn(c)
#define CS_UNWIND_FILL(s, at)          native_fill(s, at)
#include "bpf/native_unwind.bpf.h"

static struct cs_native native;

static int begin(void **state)
{
	memset(&fake, 0, sizeof(fake));
	memset(&native, 0, sizeof(native));
	fake.start = STACK;
	fake.end = STACK + BYTES;
	fake.proc.id = 1;
	fake.proc.n = 1;
	fake.proc.mappings[0] = (struct cs_native_mapping){
		.start_table = CODE >> CS_PAGE_SHIFT << 24 | CS_NATIVE_FRAME_POINTERS,
		.vaddr_pages = 16,
	};
	return 0;
}

static void put(uint64_t at, uint64_t value)
{
	fake.memory[(at - STACK) / 8] = value;
}

static void walk(uint64_t sp, uint64_t fp)
{
	fake.reads = 0;
	native_begin(&native, 1, CODE + 1, sp, fp);
	for (unsigned int i = 0; i <= CS_MAX_NATIVE_FRAMES; i++)
		if (native_step(&native))
			return;
}

/*
 * Frames at these addresses, ascending, 16 bytes each: where the next one is, and where that frame's call returns to, which tells
 * its number. The last one's is in no code.
 */
static void put_frames(const uint64_t *frames, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		put(frames[i], i + 1 < n ? frames[i + 1] : 0);
		put(frames[i] + 8, i + 1 < n ? CODE + 100 + i : 1);
	}
}

/* What the walk found must be these n frames, and the address in no code above them. */
static void check_frames(unsigned int n)
{
	assert_int_equal(native.ev.status, CS_STATUS_NATIVE_NO_CODE);
	assert_int_equal(native.ev.n, n + 1);
	assert_int_equal(native.addresses[0], CODE + 1);
	for (unsigned int i = 1; i < n; i++)
		assert_int_equal(native.addresses[i], CODE + 100 + i - 2);
	assert_int_equal(native.addresses[n], 0);
}

static void frames_anywhere_are_found(void **state)
{
	static const unsigned int gaps[] = {16, 40, 200, 1100, 4000};
	uint64_t frames[MAX_FRAMES];

	srand(3);
	for (int i = 0; i < 20000; i++) {
		uint64_t sp = STACK + (unsigned int)rand() % CS_PAGE_BYTES, at = (sp + 7) & ~7ull;
		unsigned int gap = gaps[rand() % 5], n = 0;

		while (n < MAX_FRAMES && at + 16 <= STACK + BYTES) {
			frames[n++] = at;
			at += 16 + (unsigned int)rand() % gap / 8 * 8;
		}
		put_frames(frames, n);
		/* the memory ends with the page of the last frame */
		fake.end =
			(frames[n - 1] + 16 + CS_PAGE_BYTES - 1) & ~(uint64_t)(CS_PAGE_BYTES - 1);
		walk(sp, frames[0]);
		check_frames(n);
		assert_true(fake.reads <= 4 * n);
	}
}

/* Frames one below the other up to the last word of the memory: no word is read for itself. */
static void the_top_of_the_stack_is_read_in_pieces(void **state)
{
	uint64_t frames[MAX_FRAMES];

	for (unsigned int i = 0; i < MAX_FRAMES; i++)
		frames[i] = STACK + BYTES - 16 * (MAX_FRAMES - i);
	put_frames(frames, MAX_FRAMES);
	walk(frames[0], frames[0]);
	check_frames(MAX_FRAMES);
	assert_true(fake.reads <= 2);
	walk(frames[0] - 24, frames[0]);
	check_frames(MAX_FRAMES);
	assert_true(fake.reads <= 4);
}

/* The page below is not mapped: a stack that was only just switched to. */
static void the_bottom_of_the_stack_is_read_from_there_on(void **state)
{
	const uint64_t frames[] = {STACK + CS_PAGE_BYTES, STACK + CS_PAGE_BYTES + 64};

	put_frames(frames, 2);
	fake.start = STACK + CS_PAGE_BYTES;
	walk(STACK, frames[0]);
	check_frames(2);
}

/* Each frame's words lie at the very edges of what one reading holds. */
static void edges_of_a_chunk(void **state)
{
	for (int shift = -32; shift <= 32; shift += 8) {
		const uint64_t first = STACK + CS_STACK_CHUNK + (uint64_t)(int64_t)shift;
		const uint64_t frames[] = {first, first + CS_STACK_CHUNK,
					   first + 2 * CS_STACK_CHUNK - CS_STACK_BELOW,
					   first + 3 * CS_STACK_CHUNK};

		put_frames(frames, 4);
		walk(STACK, frames[0]);
		check_frames(4);
	}
}

static void what_cannot_be_read_ends_the_walk(void **state)
{
	const uint64_t frames[] = {STACK + 64, STACK + BYTES - 16};

	put_frames(frames, 2);
	fake.end = STACK + CS_PAGE_BYTES;
	walk(STACK, frames[0]);
	assert_int_equal(native.ev.status, CS_STATUS_NATIVE_UNREADABLE);
	assert_int_equal(native.ev.n, 2);
	/* frames do not lie below their callees', and not askew */
	put(STACK + 64, STACK);
	walk(STACK, frames[0]);
	assert_int_equal(native.ev.status, CS_STATUS_NATIVE_UNREADABLE);
	put(STACK + 64, STACK + 131);
	walk(STACK, frames[0]);
	assert_int_equal(native.ev.status, CS_STATUS_NATIVE_UNREADABLE);
	/* addresses at both ends */
	walk(0, 8);
	assert_int_equal(native.ev.status, CS_STATUS_NATIVE_UNREADABLE);
	walk(0, UINT64_MAX - 7);
	assert_int_equal(native.ev.status, CS_STATUS_NATIVE_UNREADABLE);
	walk(UINT64_MAX - 15, UINT64_MAX - 31);
	assert_int_equal(native.ev.status, CS_STATUS_NATIVE_UNREADABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(frames_anywhere_are_found, begin),
		cmocka_unit_test_setup(the_top_of_the_stack_is_read_in_pieces, begin),
		cmocka_unit_test_setup(the_bottom_of_the_stack_is_read_from_there_on, begin),
		cmocka_unit_test_setup(edges_of_a_chunk, begin),
		cmocka_unit_test_setup(what_cannot_be_read_ends_the_walk, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
