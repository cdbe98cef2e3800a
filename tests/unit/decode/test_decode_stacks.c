/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks, Python and native, and who runs there: as test_decode.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "unit/decode/made_records.h"

static const struct cs_py_frame two_frames[] = {{0x1000, 24, 0}, {0x2000, -1, 3}};

static void test_stack(void **state)
{
	const uint64_t kernel[] = {0xffffffff81000000, 0xffffffff81000010, 7};
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_stack, wire, CS_EV_STACK);

	wire->weight_ns = 10;
	wire->step = (struct cs_step){11, 14};
	wire->tstate = 12;
	wire->user_ip = 13;
	wire->status = CS_STATUS_TRUNCATED;
	wire->gil = CS_GIL_HELD;
	wire->hdr.flags = CS_ORIGIN_WALL;
	wire->nframes = 2;
	wire->nkernel = 3;
	memcpy(wire->comm, "0123456789abcde\xff", 16); /* neither terminated nor UTF-8 */
	add(&wire_buf, two_frames, sizeof(two_frames));
	add(&wire_buf, kernel, sizeof(kernel));
	check_good(&wire_buf);
	assert_int_equal(event.kind, CS_EV_STACK);
	assert_int_equal(event.stack.weight_ns, 10);
	assert_int_equal(event.stack.subject, 0);
	assert_int_equal(event.stack.step.context_ver, 11);
	assert_int_equal(event.stack.step.caller, 14);
	assert_int_equal(event.stack.tstate, 12);
	assert_int_equal(event.stack.user_ip, 13);
	assert_int_equal(event.stack.origin, CS_ORIGIN_WALL);
	assert_int_equal(event.stack.status, CS_STATUS_TRUNCATED);
	assert_int_equal(event.stack.gil, CS_GIL_HELD);
	assert_int_equal(event.stack.nskipped, 0);
	assert_int_equal(event.stack.nframes, 2);
	assert_memory_equal(event.stack.frames, two_frames, sizeof(two_frames));
	assert_int_equal(event.stack.nkernel, 3);
	assert_memory_equal(event.stack.kernel, kernel, sizeof(kernel));
	assert_int_equal(event.stack.running.task, 0);
	check_text(event.stack.comm, "0123456789abcde\xef\xbf\xbd");
	check_cuts(&wire_buf);
}

static void test_off_cpu_stack(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_stack, wire, CS_EV_STACK);

	wire->weight_ns = 10;
	wire->blocked_ns = 7;
	wire->hdr.flags = CS_ORIGIN_OFF_CPU | CS_WAIT_REASON_PIPE << CS_STACK_REASON_SHIFT;
	check_good(&wire_buf);
	assert_int_equal(event.stack.origin, CS_ORIGIN_OFF_CPU);
	assert_int_equal(event.stack.reason, CS_WAIT_REASON_PIPE);
	assert_int_equal(event.stack.weight_ns, 10);
	assert_int_equal(event.stack.blocked_ns, 7);
	assert_int_equal(event.stack.step.context_ver, 0); /* those bytes are the length */
	assert_false(event.stack.before || event.stack.still);
	wire->hdr.flags |= CS_STACKF_BEFORE;
	check_good(&wire_buf);
	assert_true(event.stack.before && !event.stack.still);
	wire->hdr.flags = CS_ORIGIN_OFF_CPU | CS_STACKF_STILL;
	check_good(&wire_buf);
	assert_true(!event.stack.before && event.stack.still);
	wire->hdr.flags = CS_ORIGIN_OFF_CPU | CS_WAIT_REASON_MAX_ << CS_STACK_REASON_SHIFT;
	check_bad(&wire_buf);
	wire->hdr.flags = CS_ORIGIN_OFF_CPU + 1;
	check_bad(&wire_buf);
	/* others have no reason */
	wire->hdr.flags = CS_ORIGIN_WALL | 1 << CS_STACK_REASON_SHIFT;
	check_bad(&wire_buf);
}

static void test_waker(void **state)
{
	const uint64_t kernel[CS_MAX_WAKER_FRAMES] = {5, 6};
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_waker, wire, CS_EV_WAKER);

	wire->hdr.flags = CS_WAKER_THREAD;
	wire->by_pid = 7;
	wire->by_tid = 8;
	wire->n = 2;
	memcpy(wire->comm, "writer", 6);
	add(&wire_buf, kernel, sizeof(kernel));
	check_good(&wire_buf);
	assert_int_equal(event.kind, CS_EV_WAKER);
	assert_int_equal(event.waker.kind, CS_WAKER_THREAD);
	assert_int_equal(event.waker.pid, 7);
	assert_int_equal(event.waker.tid, 8);
	check_text(event.waker.comm, "writer");
	assert_int_equal(event.waker.n, 2);
	assert_memory_equal(event.waker.kernel, kernel, 2 * sizeof(*kernel));
	check_cuts(&wire_buf);
	wire = (struct cs_ev_waker *)wire_buf.data;
	wire->n = CS_MAX_WAKER_FRAMES;
	check_good(&wire_buf);
	wire->n++;
	check_bad(&wire_buf);
	wire->n = 2;
	wire->hdr.flags = CS_WAKER_INTERRUPT + 1;
	check_bad(&wire_buf);
}

/* A deep stack: what was left out lies behind frames that are there, and before others. */
static void test_deep_stack(void **state)
{
	static const struct cs_py_frame frames[CS_MAX_PY_FRAMES];
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_stack, wire, CS_EV_STACK);

	wire->status = CS_STATUS_CUT;
	wire->nframes = CS_LEAF_FRAMES + 1;
	wire->nskipped = 1744;
	add(&wire_buf, frames, (CS_LEAF_FRAMES + 1) * sizeof(*frames));
	check_good(&wire_buf);
	assert_int_equal(event.stack.status, CS_STATUS_CUT);
	assert_int_equal(event.stack.nskipped, 1744);
	wire = (struct cs_ev_stack *)wire_buf.data;
	wire->nframes = CS_LEAF_FRAMES;
	check_bad(&wire_buf);
}

static void test_stack_hostile(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_stack, wire, CS_EV_TASK_CREATED);

	check_good(&wire_buf);
	assert_int_equal(event.kind, CS_EV_TASK_CREATED);
	wire->nframes = 1;
	check_bad(&wire_buf);
	wire->nframes = 0;
	wire->nkernel = 1;
	check_bad(&wire_buf);
	wire->nkernel = 0;
	wire->status = 200;
	check_bad(&wire_buf);
	wire->status = 0;
	wire->hdr.flags = CS_ORIGIN_OFF_CPU + 1;
	check_bad(&wire_buf);
	wire->hdr.flags = 0;
	memset(cs_buf_extend(&wire_buf, 8192), 0, 8192);
	wire = (struct cs_ev_stack *)wire_buf.data;
	wire->nframes = CS_MAX_PY_FRAMES;
	wire->nkernel = CS_MAX_KERNEL_FRAMES;
	check_good(&wire_buf);
	wire->nframes = CS_MAX_PY_FRAMES + 1;
	check_bad(&wire_buf);
	wire->nframes = 1;
	wire->nkernel = CS_MAX_KERNEL_FRAMES + 1;
	check_bad(&wire_buf);
}

static const struct {
	uint8_t kind, cut;
	uint32_t len;
	const char *bytes;
	const char *expected; /* NULL: malformed */
} name_cases[] = {
	{CS_NAME_NONE, 0, 99, "", ""},
	{CS_NAME_LATIN1, 0, 6, "caf\xe9\n!", "caf\xc3\xa9\n!"},
	{CS_NAME_LATIN1, 1, 2, "ab", "ab..."},
	{CS_NAME_LATIN1, 0, 0, "", ""},
	{CS_NAME_LATIN1, 0, CS_TASK_NAME_BYTES + 1, "", NULL},
	{CS_NAME_UCS2, 0, 4, "\x20\x20\xac\x20", "\xe2\x80\xa0\xe2\x82\xac"},
	{CS_NAME_UCS2, 1, 2, "\x00\xd8", "\xef\xbf\xbd..."},
	{CS_NAME_UCS2, 0, 3, "abc", NULL},
	{CS_NAME_UCS4, 0, 4, "\x00\xf6\x01\x00", "\xf0\x9f\x98\x80"},
	{CS_NAME_UCS4, 0, 4, "\xff\xff\xff\xff", "\xef\xbf\xbd"},
	{CS_NAME_UCS4, 0, 6, "abcdef", NULL},
	{CS_NAME_NUMBER, 0, 8, "\x2a\0\0\0\0\0\0\0", "Task-42"},
	{CS_NAME_NUMBER, 1, 8, "\xff\xff\xff\xff\xff\xff\xff\xff", "Task-18446744073709551615"},
	{CS_NAME_NUMBER, 0, 4, "\x2a\0\0\0", NULL},
	{3, 0, 3, "abc", NULL},
};

static void put_name(struct cs_running_task *task, size_t i)
{
	*task = (struct cs_running_task){
		.task = 0x7000,
		.coro = 0x7100,
		.root_frame = 1,
		.name_kind = name_cases[i].kind,
		.name_cut = name_cases[i].cut,
		.name_bytes = name_cases[i].len,
	};
	if (name_cases[i].len <= CS_TASK_NAME_BYTES)
		memcpy(task->name, name_cases[i].bytes, name_cases[i].len);
}

static void check_running(const struct cs_event_running *running, size_t i)
{
	assert_int_equal(running->task, 0x7000);
	assert_int_equal(running->coro, 0x7100);
	assert_int_equal(running->root_frame, 1);
	check_text(running->name, name_cases[i].expected);
	assert_int_equal(running->name_cut, name_cases[i].cut);
}

static void test_running_name(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;

	for (size_t i = 0; i < ARRAY_SIZE(name_cases); i++) {
		RECORD(cs_ev_stack, wire, CS_EV_STACK);

		add(&wire_buf, two_frames, sizeof(two_frames));
		wire->nframes = 2;
		put_name(&wire->running, i);
		if (!name_cases[i].expected) {
			check_bad(&wire_buf);
			continue;
		}
		check_good(&wire_buf);
		check_running(&event.stack.running, i);
	}
}

static void test_origin(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_origin, wire, CS_EV_ORIGIN);

	for (size_t i = 0; i < ARRAY_SIZE(name_cases); i++) {
		put_name(&wire->waiter, i);
		if (!name_cases[i].expected) {
			check_bad(&wire_buf);
			continue;
		}
		check_good(&wire_buf);
		assert_int_equal(event.kind, CS_EV_ORIGIN);
		check_running(&event.origin, i);
		check_cuts(&wire_buf);
	}
	put_name(&wire->waiter, 0);
	/* the stack that follows says how many frames there are */
	wire->waiter.root_frame = UINT16_MAX;
	check_good(&wire_buf);
	assert_int_equal(event.origin.root_frame, UINT16_MAX);
	wire->waiter.task = 0;
	check_bad(&wire_buf);
}

static void test_native_and_symbol(void **state)
{
	const uint64_t addresses[] = {0x401000, 0x7f0000001234};
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_native, native, CS_EV_NATIVE);
	RECORD(cs_ev_symbol, symbol, CS_EV_SYMBOL);

	native->n = 2;
	native->status = CS_STATUS_NATIVE_NO_RULE;
	native->entries[3] = 5;
	add(&native_buf, addresses, sizeof(addresses));
	check_good(&native_buf);
	assert_int_equal(event.native.status, CS_STATUS_NATIVE_NO_RULE);
	assert_int_equal(event.native.n, 2);
	assert_int_equal(event.native.entries[3], 5);
	assert_memory_equal(event.native.addresses, addresses, sizeof(addresses));
	check_cuts(&native_buf);
	native->n = 3; /* more than there are */
	check_bad(&native_buf);
	native->n = 2;
	native->status = 15; /* no such status */
	check_bad(&native_buf);
	native->status = CS_STATUS_COMPLETE;
	add(&native_buf, (const uint64_t[CS_MAX_NATIVE_FRAMES]){0}, CS_MAX_NATIVE_FRAMES * 8);
	native = (struct cs_ev_native *)native_buf.data;
	native->n = CS_MAX_NATIVE_FRAMES;
	check_good(&native_buf);
	native->n = CS_MAX_NATIVE_FRAMES + 1; /* more than there may be */
	check_bad(&native_buf);

	symbol->hdr.flags = CS_SYMBOL_EVAL | 1 << 9; /* the latter is not known */
	symbol->addr = 0x401000;
	symbol->name_len = 4;
	add(&symbol_buf, "main", 4);
	check_good(&symbol_buf);
	assert_int_equal(event.symbol.addr, 0x401000);
	assert_int_equal(event.symbol.flags, CS_SYMBOL_EVAL);
	check_text(event.symbol.name, "main");
	check_cuts(&symbol_buf);
	symbol->name_len = 9;
	check_bad(&symbol_buf);
}

static void test_running_root_was_cut(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_stack, wire, CS_EV_STACK);

	wire->running.task = 0x7000;
	check_good(&wire_buf);
	assert_int_equal(event.stack.running.task, 0);
	add(&wire_buf, two_frames, sizeof(two_frames));
	wire->nframes = 2;
	wire->running.root_frame = 2;
	check_good(&wire_buf);
	assert_int_equal(event.stack.running.task, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stack),
		cmocka_unit_test(test_off_cpu_stack),
		cmocka_unit_test(test_waker),
		cmocka_unit_test(test_deep_stack),
		cmocka_unit_test(test_stack_hostile),
		cmocka_unit_test(test_running_name),
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_native_and_symbol),
		cmocka_unit_test(test_running_root_was_cut),
	};

	return cmocka_run_group_tests(tests, made_decoder_set_up, made_decoder_tear_down);
}
