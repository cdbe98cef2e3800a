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
	bool no_row;  /* the process has none in proc_counters */
	bool ticking; /* the clock goes on with each look at it */
	unsigned int looks;
	unsigned int calls;
	size_t size;
	uint64_t flags, met_flags;
	unsigned char data[sizeof(struct cs_walk)] __attribute__((aligned(8)));
	struct cs_ev_span span;
	struct cs_ev_type_met met;
	struct cs_ev_resource resource;
	struct cs_ev_origin origin; /* the last one, with the number of its call */
	unsigned int origin_call;
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
	fake.flags = flags;
	assert_in_range(size, sizeof(struct cs_ev_hdr), sizeof(fake.data));
	fake.calls++;
	if (fake.full)
		return -1;
	if (((struct cs_ev_hdr *)data)->kind == CS_EV_ORIGIN) {
		assert_int_equal(size, sizeof(fake.origin));
		fake.origin_call = fake.calls;
		memcpy(&fake.origin, data, size);
	}
	if (((struct cs_ev_hdr *)data)->kind == CS_EV_SPAN) {
		assert_int_equal(size, sizeof(fake.span));
		memcpy(&fake.span, data, size);
	}
	if (((struct cs_ev_hdr *)data)->kind == CS_EV_RESOURCE) {
		assert_int_equal(size, sizeof(fake.resource));
		memcpy(&fake.resource, data, size);
	}
	if (((struct cs_ev_hdr *)data)->kind == CS_EV_TYPE_MET) {
		assert_int_equal(size, sizeof(fake.met));
		memcpy(&fake.met, data, size);
		fake.met_flags = flags;
	}
	memcpy(fake.data, data, size);
	fake.size = size;
	return 0;
}

__u64 bpf_ktime_get_ns(void)
{
	return NOW + (fake.ticking ? fake.looks++ : 0);
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
	struct cs_ev_hdr hdr = {};

	fake.full = true;
	walk_record(*state, CS_EV_STACK, 1000);
	assert_int_equal(emit_stack(*state, PID_TGID, 0), -1);
	emit_event(&hdr, sizeof(hdr), CS_EV_EXIT, PID_TGID, BPF_RB_NO_WAKEUP);
	assert_int_equal(all_counts.v[CS_COUNTER_PROC_EVENTS_RING_FULL], 1);
	assert_int_equal(own_counts.v[CS_COUNTER_PROC_EVENTS_RING_FULL], 1);
}

static void expect_origins(unsigned int found, unsigned int unknown, unsigned int lost)
{
	const struct cs_counters *counts[] = {&all_counts, &own_counts};

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		assert_int_equal(counts[i]->v[CS_COUNTER_ORIGINS], found);
		assert_int_equal(counts[i]->v[CS_COUNTER_ORIGINS_UNKNOWN], unknown);
		assert_int_equal(counts[i]->v[CS_COUNTER_ORIGINS_RING_FULL], lost);
	}
}

/* Whom the thread works for is told just before its stack, as of the same time. */
static void test_origin(void **state)
{
	_cleanup_(cs_decoder_freep) struct cs_decoder *decoder = NULL;
	const struct cs_ev_stack *stack = (const struct cs_ev_stack *)fake.data;
	struct cs_event event;
	struct cs_walk *w = *state;

	fake.ticking = true;
	w->tgid = 7;
	walk_record(w, CS_EV_STACK, 1000);
	w->ev.hdr.flags = CS_ORIGIN_WALL;
	w->ev.nframes = 2;
	w->work_item = 0x4000;
	w->origin.waiter = (struct cs_running_task){
		.task = 0x7000, .coro = 0x7100, .root_frame = 1, .name_kind = CS_NAME_NONE};
	assert_int_equal(emit_stack(w, PID_TGID, 0), 0);
	assert_int_equal(fake.calls, 2);
	assert_int_equal(fake.origin_call, 1);
	assert_int_equal(fake.flags, BPF_RB_NO_WAKEUP);
	assert_int_equal(fake.origin.hdr.flags, 0);
	assert_int_equal(stack->hdr.kind, CS_EV_STACK);
	assert_int_equal(stack->hdr.flags, CS_ORIGIN_WALL);
	assert_int_equal(stack->hdr.size, fake.size);
	assert_int_equal(cs_decoder_new(&decoder), 0);
	assert_int_equal(cs_decode(decoder, &fake.origin, sizeof(fake.origin), &event),
			 sizeof(fake.origin));
	assert_int_equal(event.kind, CS_EV_ORIGIN);
	assert_int_equal(event.ts_ns, stack->hdr.ts_ns);
	assert_int_equal(event.pid, 7);
	assert_int_equal(event.tid, 9);
	assert_int_equal(event.origin.task, 0x7000);
	assert_int_equal(event.origin.coro, 0x7100);
	assert_int_equal(event.origin.root_frame, 1);
	expect_origins(1, 0, 0);
}

/* The span that is active is told just before its stack, as of the same time. */
static void test_span(void **state)
{
	_cleanup_(cs_decoder_freep) struct cs_decoder *decoder = NULL;
	const struct cs_ev_stack *stack = (const struct cs_ev_stack *)fake.data;
	struct cs_event event;
	struct cs_walk *w = *state;

	fake.ticking = true;
	w->tgid = 7;
	walk_record(w, CS_EV_STACK, 1000);
	w->ev.hdr.flags = CS_ORIGIN_WALL;
	w->span.span = (struct cs_active_span){.span_id = 5, .kind = CS_TRACER_DDTRACE};
	w->span_failed = 1; /* another tracer's */
	assert_int_equal(emit_stack(w, PID_TGID, 0), 0);
	assert_int_equal(fake.calls, 2);
	assert_int_equal(stack->hdr.kind, CS_EV_STACK);
	assert_int_equal(cs_decoder_new(&decoder), 0);
	assert_int_equal(cs_decode(decoder, &fake.span, sizeof(fake.span), &event),
			 sizeof(fake.span));
	assert_int_equal(event.kind, CS_EV_SPAN);
	assert_int_equal(event.ts_ns, stack->hdr.ts_ns);
	assert_int_equal(event.pid, 7);
	assert_int_equal(event.tid, 9);
	assert_int_equal(event.span.span_id, 5);
	assert_int_equal(own_counts.v[CS_COUNTER_SPANS], 1);
	assert_int_equal(own_counts.v[CS_COUNTER_SPANS_UNREADABLE], 0);
	/* the next stack has none, and nothing of this one */
	walk_record(w, CS_EV_STACK, 1000);
	assert_int_equal(emit_stack(w, PID_TGID, 0), 0);
	assert_int_equal(fake.calls, 3);
	fake.full = true;
	w->span.span.span_id = 5;
	assert_int_equal(emit_stack(w, PID_TGID, 0), -1);
	assert_int_equal(own_counts.v[CS_COUNTER_SPANS], 1);
	assert_int_equal(own_counts.v[CS_COUNTER_SPANS_RING_FULL], 1);
}

/* What the span's local root is about is told besides, once. */
static void test_resource(void **state)
{
	struct cs_walk *w = *state;

	w->tgid = 7;
	walk_record(w, CS_EV_STACK, 1000);
	w->span.span = (struct cs_active_span){.span_id = 5, .kind = CS_TRACER_DDTRACE};
	w->resource.root_id = 3;
	w->resource.bytes = 5;
	assert_int_equal(emit_stack(w, PID_TGID, 0), 0);
	assert_int_equal(fake.calls, 3);
	assert_int_equal(fake.resource.hdr.kind, CS_EV_RESOURCE);
	assert_int_equal(fake.resource.hdr.pid, 7);
	assert_int_equal(fake.resource.root_id, 3);
	assert_int_equal(fake.resource.bytes, 5);
	walk_record(w, CS_EV_STACK, 1000);
	assert_int_equal(emit_stack(w, PID_TGID, 0), 0);
	assert_int_equal(fake.calls, 4);
}

/* What stood in the way of a span is told if its type is to be learned, and counted in any case. */
static void test_span_unreadable(void **state)
{
	struct cs_walk *w = *state;

	w->tgid = 7;
	walk_record(w, CS_EV_STACK, 1000);
	w->span_failed = 1;
	assert_int_equal(emit_stack(w, PID_TGID, 0), 0);
	assert_int_equal(fake.calls, 1);
	assert_int_equal(own_counts.v[CS_COUNTER_SPANS_UNREADABLE], 1);
	walk_record(w, CS_EV_STACK, 1000);
	w->span_failed = 1;
	w->met_type = 0x4444;
	assert_int_equal(emit_stack(w, PID_TGID, 0), 0);
	assert_int_equal(fake.calls, 3);
	assert_int_equal(fake.met.type, 0x4444);
	assert_int_equal(fake.met.hdr.pid, 7);
	assert_int_equal(fake.met_flags, BPF_RB_NO_WAKEUP);
	assert_int_equal(own_counts.v[CS_COUNTER_SPANS_UNREADABLE], 2);
	/* at once, if user space waits for it: the instance is gone in a moment */
	walk_record(w, CS_EV_STACK, 1000);
	w->span_failed = 1;
	w->met_type = 0x4444;
	w->met_object = 0x8888;
	w->met_wake = 1;
	assert_int_equal(emit_stack(w, PID_TGID, 0), 0);
	assert_int_equal(fake.met.object, 0x8888);
	assert_int_equal(fake.met_flags, BPF_RB_FORCE_WAKEUP);
	assert_int_equal(fake.flags, BPF_RB_NO_WAKEUP);
}

static void test_origin_unknown(void **state)
{
	struct cs_walk *w = *state;

	w->tgid = 7;
	walk_record(w, CS_EV_STACK, 1000);
	w->work_item = 0x4000;
	assert_int_equal(emit_stack(w, PID_TGID, 0), 0);
	assert_int_equal(fake.calls, 1);
	expect_origins(0, 1, 0);
	/* the next thread works for nobody, and nothing of this one is told of it */
	w->origin.waiter.task = 0x7000;
	walk_record(w, CS_EV_STACK, 1000);
	assert_int_equal(emit_stack(w, PID_TGID, 0), 0);
	assert_int_equal(fake.calls, 2);
	expect_origins(0, 1, 0);
}

static void test_origin_ring_full(void **state)
{
	struct cs_walk *w = *state;

	fake.full = true;
	w->tgid = 7;
	walk_record(w, CS_EV_STACK, 1000);
	w->work_item = 0x4000;
	w->origin.waiter.task = 0x7000;
	assert_int_equal(emit_stack(w, PID_TGID, 0), -1);
	expect_origins(0, 0, 1);
}

static void test_event(void **state)
{
	const struct cs_ev_fork *fork = (const struct cs_ev_fork *)fake.data;
	struct cs_ev_fork ev = {.child = 12};

	emit_event(&ev.hdr, sizeof(ev), CS_EV_FORK, PID_TGID, BPF_RB_NO_WAKEUP);
	assert_int_equal(fake.size, sizeof(ev));
	assert_int_equal(fake.flags, BPF_RB_NO_WAKEUP);
	assert_int_equal(fork->hdr.size, sizeof(ev));
	assert_int_equal(fork->hdr.kind, CS_EV_FORK);
	assert_int_equal(fork->hdr.flags, 0);
	assert_int_equal(fork->hdr.ts_ns, NOW);
	assert_int_equal(fork->hdr.pid, 7);
	assert_int_equal(fork->hdr.tid, 9);
	assert_int_equal(fork->child, 12);
	emit_event(&ev.hdr, sizeof(ev), CS_EV_FILE, PID_TGID, BPF_RB_FORCE_WAKEUP);
	assert_int_equal(fake.flags, BPF_RB_FORCE_WAKEUP);
	assert_int_equal(all_counts.v[CS_COUNTER_PROC_EVENTS_RING_FULL], 0);
}

/* What a str of n characters of that kind, each 'x', should be in a record: whole or cut at a character. */
static void expect_text(const char *text, unsigned int bytes, unsigned int kind, size_t n,
			size_t max)
{
	size_t shown = n < max / kind ? n : max / kind;

	assert_int_equal(bytes, shown * kind);
	for (size_t i = 0; i < shown; i++)
		assert_memory_equal(text + i * kind, "x\0\0", kind);
}

/* Meet a code object with a name and a path of so many characters, and a line table; check the record. */
static void see_and_check(struct cs_walk *w, int minor, int kind, size_t nname, size_t nfile,
			  size_t nlines)
{
	_cleanup_(made_freep) struct made_python *py = made_python(minor);
	const struct cs_ev_code_seen *seen = (const struct cs_ev_code_seen *)fake.data;
	static unsigned char text[8192], lines[2048];
	const char *at = seen->text;
	uint64_t code;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % (size_t)kind ? 0 : 'x';
	memset(lines, 0x81, sizeof(lines));
	code = made_code_texts(py, 77, made_str(py, text, nname, kind, kind == 1),
			       made_str(py, text, nfile, kind, false), lines, nlines);
	walk_begin(w, &py->info, 7, 0);
	w->seen.code = code;
	w->seen.check = py_code_check(w, (struct task_struct *)py, code);
	assert_int_not_equal(w->seen.check, CS_CODE_NOT_CHECKED);
	assert_int_equal(emit_code_seen(w, py_code_describe(w, (struct task_struct *)py)), 0);

	assert_int_equal(seen->hdr.kind, CS_EV_CODE_SEEN);
	assert_int_equal(seen->hdr.size, fake.size);
	assert_int_equal(fake.size % 8, 0);
	assert_int_equal(seen->hdr.pid, 7);
	assert_int_equal(seen->code, code);
	assert_int_equal(seen->firstlineno, 77);
	assert_int_equal(seen->name_chars, nname);
	assert_int_equal(seen->file_chars, nfile);
	assert_int_equal(seen->linetable_len, nlines);
	assert_int_equal(seen->name_kind, kind);
	assert_int_equal(seen->file_kind, kind);
	expect_text(at, seen->name_bytes, seen->name_kind, nname, CS_SEEN_NAME_BYTES);
	at += (seen->name_bytes + 7) & ~7;
	expect_text(at, seen->file_bytes, seen->file_kind, nfile, CS_SEEN_FILE_BYTES);
	at += (seen->file_bytes + 7) & ~7;
	assert_int_equal(seen->linetable_bytes,
			 nlines < CS_SEEN_LINES_BYTES ? nlines : CS_SEEN_LINES_BYTES);
	assert_memory_equal(at, lines, seen->linetable_bytes);
	assert_ptr_equal(at + ((seen->linetable_bytes + 7) & ~7), fake.data + fake.size);
}

static void test_code_seen(void **state)
{
	static const size_t sizes[] = {0, 1, 7, 8, 31, 32, 33, 64, 127, 128, 129, 256, 257, 1000};
	unsigned int n = 0;

	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++)
		for (int kind = 1; kind <= 4; kind *= 2)
			for (size_t i = 0; i < ARRAY_SIZE(sizes); i++, n++)
				see_and_check(*state, made_minors[m], kind, sizes[i],
					      sizes[(i * 5) % ARRAY_SIZE(sizes)], 2 * sizes[i]);
	assert_int_equal(all_counts.v[CS_COUNTER_CODES_AT_SIGHT], n);
	assert_int_equal(own_counts.v[CS_COUNTER_CODES_AT_SIGHT], n);
}

/* Texts that cannot be read are empty; so is the line table. */
static void test_code_seen_unreadable(void **state)
{
	_cleanup_(made_freep) struct made_python *py = made_python(13);
	struct task_struct *task = (struct task_struct *)py;
	uint64_t name = made_str(py, "name", 4, 1, true);
	uint64_t code = made_code_texts(py, 5, name, MADE_NOWHERE, "", 0);
	struct cs_walk *w = *state;

	made_put_u64(py, name + py->info.off.unicode_length, UINT64_MAX);
	made_put_u64(py, code + py->info.off.code_linetable, MADE_NOWHERE);
	walk_begin(w, &py->info, 7, 0);
	w->seen.code = code;
	py_code_check(w, task, code);
	assert_int_equal(py_code_describe(w, task), 0);
	assert_int_equal(w->seen.name_kind, CS_NAME_NONE);
	assert_int_equal(w->seen.file_kind, CS_NAME_NONE);
	assert_int_equal(w->seen.name_bytes + w->seen.file_bytes + w->seen.linetable_bytes, 0);
	fake.full = true;
	assert_int_equal(emit_code_seen(w, 0), -1);
	assert_int_equal(all_counts.v[CS_COUNTER_CODES_RING_FULL], 1);
	assert_int_equal(emit_code_seen(w, sizeof(w->seen_text) + 8), -1);
	assert_int_equal(fake.calls, 1);
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
		TEST(test_origin),
		TEST(test_span),
		TEST(test_resource),
		TEST(test_span_unreadable),
		TEST(test_origin_unknown),
		TEST(test_origin_ring_full),
		TEST(test_event),
		TEST(test_code_seen),
		TEST(test_code_seen_unreadable),
		TEST(test_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
