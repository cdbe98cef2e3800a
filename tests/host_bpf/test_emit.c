/* SPDX-License-Identifier: Apache-2.0 */
/* The way into the ring buffer and the accounts, with maps and helpers that the test plays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "decode/decode.h"
#include "walk_host.h"

#include "bpf/emit.bpf.h"

#define NOW      123456789u
#define PID_TGID ((7ull << 32) | 9)

static struct {
	bool full;
	bool no_row; /* the process has none in proc_counters */
	unsigned int calls;
	size_t size;
	unsigned char data[sizeof(struct cs_walk)] __attribute__((aligned(8)));
} fake;
static struct cs_counters all_counts, own_counts;

void *bpf_map_lookup_elem(void *map, const void *key)
{
	__u32 id = *(const __u32 *)key;

	if (map == (void *)&counters) {
		assert_int_equal(id, 0);
		return &all_counts;
	}
	assert_ptr_equal(map, &proc_counters);
	assert_int_equal(id, 7);
	return fake.no_row ? NULL : &own_counts;
}

long bpf_ringbuf_output(void *map, void *data, __u64 size, __u64 flags)
{
	assert_ptr_equal(map, &ring);
	assert_int_equal(flags, BPF_RB_NO_WAKEUP);
	assert_in_range(size, sizeof(struct cs_ev_hdr), sizeof(fake.data));
	fake.calls++;
	if (fake.full)
		return -1;
	memcpy(fake.data, data, size);
	fake.size = size;
	return 0;
}

__u64 bpf_ktime_get_ns(void)
{
	return NOW;
}

static int setup(void **state)
{
	memset(&fake, 0, sizeof(fake));
	memset(&all_counts, 0, sizeof(all_counts));
	memset(&own_counts, 0, sizeof(own_counts));
	*state = calloc(1, sizeof(struct cs_walk));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* Fill a walk with n Python and k kernel frames as the programs do, emit it, decode it. */
static void emit_and_check(struct cs_walk *w, unsigned int n, unsigned int k)
{
	_cleanup_(cs_decoder_freep) struct cs_decoder *decoder = NULL;
	struct cs_event event;
	__u64 *kernel;

	walk_record(w, CS_EV_STACK, 1000);
	w->ev.nframes = n;
	for (unsigned int i = 0; i < n; i++)
		w->frames[i] = (struct cs_py_frame){.code = 0x5000 + i};
	kernel = emit_kernel_room(w);
	for (unsigned int i = 0; i < k; i++)
		kernel[i] = 0xffffffff81000000 + i;
	assert_int_equal(emit_stack(w, PID_TGID, (long)k * 8), 0);

	assert_int_equal(fake.size, sizeof(w->ev) + n * sizeof(struct cs_py_frame) + k * 8);
	assert_int_equal(cs_decoder_new(&decoder), 0);
	assert_int_equal(cs_decode(decoder, fake.data, fake.size, &event), fake.size);
	assert_int_equal(event.ts_ns, NOW);
	assert_int_equal(event.pid, 7);
	assert_int_equal(event.tid, 9);
	assert_int_equal(event.stack.nframes, n);
	assert_int_equal(event.stack.nkernel, k);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(event.stack.frames[i].code, 0x5000 + i);
	for (unsigned int i = 0; i < k; i++)
		assert_int_equal(event.stack.kernel[i], 0xffffffff81000000 + i);
}

static void test_sizes(void **state)
{
	static const unsigned int frames[] = {0, 1, 255, CS_MAX_PY_FRAMES};
	static const unsigned int kernel[] = {0, 1, CS_MAX_KERNEL_FRAMES};

	for (size_t i = 0; i < ARRAY_SIZE(frames); i++)
		for (size_t k = 0; k < ARRAY_SIZE(kernel); k++)
			emit_and_check(*state, frames[i], kernel[k]);
	assert_int_equal(fake.calls, ARRAY_SIZE(frames) * ARRAY_SIZE(kernel));
}

/* bpf_get_stack says a negative error where there is no stack: a record without kernel frames. */
static void test_no_kernel_stack(void **state)
{
	struct cs_walk *w = *state;

	walk_record(w, CS_EV_STACK, 1000);
	w->ev.nframes = 2;
	assert_int_equal(emit_stack(w, PID_TGID, -14), 0);
	assert_int_equal(w->ev.nkernel, 0);
	assert_int_equal(fake.size, sizeof(w->ev) + 2 * sizeof(struct cs_py_frame));
}

/* Counts beyond the scratch are never believed, even though no walk makes them. */
static void test_sizes_beyond_the_scratch(void **state)
{
	struct cs_walk *w = *state;
	const size_t most = sizeof(w->ev) + sizeof(w->frames) + sizeof(w->kernel);

	walk_record(w, CS_EV_STACK, 1000);
	w->ev.nframes = UINT16_MAX;
	assert_ptr_equal(emit_kernel_room(w), w->kernel);
	assert_int_equal(emit_stack(w, PID_TGID, sizeof(w->kernel)), 0);
	assert_int_equal(fake.size, most);
	w->ev.nframes = CS_MAX_PY_FRAMES;
	assert_int_equal(emit_stack(w, PID_TGID, sizeof(w->kernel) + 8), -1);
	assert_int_equal(emit_stack(w, PID_TGID, UINT16_MAX * 8), -1);
	assert_int_equal(fake.calls, 1);
}

static void test_ring_full(void **state)
{
	fake.full = true;
	walk_record(*state, CS_EV_STACK, 1000);
	assert_int_equal(emit_stack(*state, PID_TGID, 0), -1);
	emit_header(CS_EV_EXIT, PID_TGID);
	assert_int_equal(all_counts.v[CS_COUNTER_PROC_EVENTS_RING_FULL], 1);
	assert_int_equal(own_counts.v[CS_COUNTER_PROC_EVENTS_RING_FULL], 1);
}

static void test_header(void **state)
{
	const struct cs_ev_hdr *hdr = (const struct cs_ev_hdr *)fake.data;

	emit_header(CS_EV_EXEC, PID_TGID);
	assert_int_equal(fake.size, sizeof(*hdr));
	assert_int_equal(hdr->size, sizeof(*hdr));
	assert_int_equal(hdr->kind, CS_EV_EXEC);
	assert_int_equal(hdr->flags, 0);
	assert_int_equal(hdr->ts_ns, NOW);
	assert_int_equal(hdr->pid, 7);
	assert_int_equal(hdr->tid, 9);
	assert_int_equal(all_counts.v[CS_COUNTER_PROC_EVENTS_RING_FULL], 0);
}

static void test_count(void **state)
{
	count(7, CS_COUNTER_SAMPLES);
	count(0, CS_COUNTER_SAMPLES); /* of no process in particular */
	fake.no_row = true;
	count(7, CS_COUNTER_SAMPLES);
	count(7, CS_COUNTER_IDLE);
	assert_int_equal(all_counts.v[CS_COUNTER_SAMPLES], 3);
	assert_int_equal(all_counts.v[CS_COUNTER_IDLE], 1);
	assert_int_equal(own_counts.v[CS_COUNTER_SAMPLES], 1);
	assert_int_equal(own_counts.v[CS_COUNTER_IDLE], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sizes),
		TEST(test_no_kernel_stack),
		TEST(test_sizes_beyond_the_scratch),
		TEST(test_ring_full),
		TEST(test_header),
		TEST(test_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
