/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each record kind there and back, cut off at every byte, and with every count and enum forged.
 * Records are built in an exactly sized allocation, so that AddressSanitizer sees a read beyond the
 * end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "decode/decode.h"

static struct cs_decoder *decoder;

static int set_up(void **state)
{
	return cs_decoder_new(&decoder);
}

static int tear_down(void **state)
{
	cs_decoder_free(decoder);
	return 0;
}

/*
 * A record under construction: a buffer `name_buf` and, in it, the fixed part `name`. The buffer
 * has room for small tails, so that the pointer survives add(); fetch it again after longer ones.
 */
#define RECORD(type, name, record_kind)               \
	_cleanup_buf_ struct cs_buf name##_buf = {0}; \
	struct type *name = new_record(&name##_buf, sizeof(*name), record_kind)

static void *new_record(struct cs_buf *record, size_t fixed_size, unsigned int kind)
{
	struct cs_ev_hdr *hdr = cs_buf_extend(record, 4096);

	assert_non_null(hdr);
	record->len = fixed_size;
	hdr->kind = (uint16_t)kind;
	hdr->ts_ns = 12345;
	hdr->pid = 100;
	hdr->tid = 101;
	return hdr;
}

static void add(struct cs_buf *record, const void *bytes, size_t n)
{
	assert_int_equal(cs_buf_append(record, bytes, n), 0);
}

/*
 * Decode from a copy that ends where the record ends. keep receives it: the event points into it.
 */
static int64_t decode(struct cs_buf *record, void **keep, struct cs_event *event)
{
	struct cs_ev_hdr *hdr;

	while (record->len % 8)
		add(record, "", 1);
	hdr = (struct cs_ev_hdr *)record->data;
	hdr->size = (uint32_t)record->len;
	free(*keep);
	*keep = malloc(record->len);
	memcpy(*keep, record->data, record->len);
	return cs_decode(decoder, *keep, record->len, event);
}

/*
 * Cut off anywhere, a record is incomplete (0); shortened with its header saying so, it is
 * malformed or sane.
 */
static void check_cuts(struct cs_buf *record)
{
	struct cs_event event;
	size_t len;

	for (len = 0; len < record->len; len++) {
		_cleanup_free_ char *copy = malloc(len ? len : 1);
		int64_t ret;

		memcpy(copy, record->data, len);
		assert_int_equal(cs_decode(decoder, copy, len, &event), 0);
		if (len < sizeof(struct cs_ev_hdr))
			continue;
		((struct cs_ev_hdr *)copy)->size = (uint32_t)len;
		ret = cs_decode(decoder, copy, len, &event);
		assert_true(ret == -EBADMSG || ret == (int64_t)len);
	}
}

static void check_text(struct cs_text text, const char *expected)
{
	assert_int_equal(text.len, strlen(expected));
	assert_memory_equal(text.str, expected, text.len);
}

#define check_bad(record) assert_int_equal(decode(record, &bytes, &event), -EBADMSG)
#define check_good(record)                                       \
	do {                                                     \
		int64_t used_ = decode(record, &bytes, &event);  \
		assert_int_equal(used_, (int64_t)(record)->len); \
		assert_int_equal(event.ts_ns, 12345);            \
		assert_int_equal(event.pid, 100);                \
		assert_int_equal(event.tid, 101);                \
	} while (0)

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

/* What only the collector acts on may be in a capture: it is passed over. */
static void test_collectors_kinds(void **state)
{
	static const enum cs_ev_kind kinds[] = {CS_EV_CODE_SEEN, CS_EV_FORK, CS_EV_FILE,
						CS_EV_TYPE_MET};
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_code_seen, wire, CS_EV_CODE_SEEN);

	wire->name_bytes = UINT16_MAX;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		wire->hdr.kind = (uint16_t)kinds[i];
		check_good(&wire_buf);
		assert_int_equal(event.kind, 0);
	}
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

static void test_span(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_span, wire, CS_EV_SPAN);
	struct cs_active_span *span = &wire->span;

	*span = (struct cs_active_span){.span_id = ~0ull,
					.root_id = 2,
					.parent_id = 3,
					.trace_hi = 4,
					.trace_lo = 5,
					.kind = CS_TRACER_OTEL,
					.flags = 0xff,
					.type_bytes = 4,
					.type = "we\xe9\xff"};
	check_good(&wire_buf);
	assert_int_equal(event.kind, CS_EV_SPAN);
	assert_int_equal(event.span.span_id, ~0ull);
	assert_int_equal(event.span.root_id, 2);
	assert_int_equal(event.span.parent_id, 3);
	assert_int_equal(event.span.trace_hi, 4);
	assert_int_equal(event.span.trace_lo, 5);
	assert_int_equal(event.span.kind, CS_TRACER_OTEL);
	assert_int_equal(event.span.flags, 0x3f);
	check_text(event.span.type, "we\xc3\xa9\xc3\xbf...");
	check_cuts(&wire_buf);
	span->flags = 0;
	span->type_bytes = 0;
	check_good(&wire_buf);
	check_text(event.span.type, "");
	span->type_bytes = CS_SPAN_TYPE_BYTES + 1;
	check_bad(&wire_buf);
	span->type_bytes = CS_SPAN_TYPE_BYTES;
	check_good(&wire_buf);
	span->kind = CS_TRACER_OTEL + 1;
	check_bad(&wire_buf);
	span->kind = CS_TRACER_NONE;
	check_bad(&wire_buf);
	span->kind = CS_TRACER_DDTRACE;
	span->span_id = 0;
	check_bad(&wire_buf);
}

static void test_resource(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_resource, wire, CS_EV_RESOURCE);

	wire->root_id = 2;
	wire->trace_lo = 5;
	wire->bytes = 6;
	wire->cut = 1;
	memcpy(wire->text, "GET /\xe9", 6);
	check_good(&wire_buf);
	assert_int_equal(event.kind, CS_EV_RESOURCE);
	assert_int_equal(event.resource.root_id, 2);
	assert_int_equal(event.resource.trace_lo, 5);
	check_text(event.resource.text, "GET /\xc3\xa9...");
	check_cuts(&wire_buf);
	wire->bytes = wire->cut = 0;
	check_good(&wire_buf);
	check_text(event.resource.text, "");
	wire->bytes = CS_RESOURCE_BYTES + 1;
	check_bad(&wire_buf);
	wire->bytes = CS_RESOURCE_BYTES;
	check_good(&wire_buf);
	wire->root_id = 0;
	check_bad(&wire_buf);
}

static void test_span_change(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_span_change, wire, CS_EV_SPAN_CHANGE);

	wire->hdr.flags = CS_SPAN_ENDED;
	wire->span = (struct cs_active_span){.span_id = 7, .kind = CS_TRACER_OTEL};
	wire->duration_ns = 8;
	wire->start_ns = 9;
	wire->outcome = CS_SPAN_ERROR;
	wire->flags = CS_SPAN_RESOURCE_CUT | CS_SPAN_SERVER;
	wire->resource_bytes = 6;
	wire->service_bytes = 2;
	memcpy(wire->resource, "GET /\xe9", 6);
	memcpy(wire->service, "ab", 2);
	check_good(&wire_buf);
	assert_int_equal(event.kind, CS_EV_SPAN_CHANGE);
	assert_int_equal(event.span_change.change, CS_SPAN_ENDED);
	assert_int_equal(event.span_change.span.span_id, 7);
	assert_int_equal(event.span_change.duration_ns, 8);
	assert_int_equal(event.span_change.start_ns, 9);
	assert_int_equal(event.span_change.outcome, CS_SPAN_ERROR);
	assert_true(event.span_change.server);
	check_text(event.span_change.resource, "GET /\xc3\xa9...");
	check_text(event.span_change.service, "ab");
	check_cuts(&wire_buf);
	wire->resource_bytes = CS_RESOURCE_BYTES + 1;
	check_bad(&wire_buf);
	wire->resource_bytes = CS_RESOURCE_BYTES;
	check_good(&wire_buf);
	wire->service_bytes = CS_SERVICE_BYTES + 1;
	check_bad(&wire_buf);
	wire->service_bytes = 0;
	wire->outcome = CS_SPAN_ERROR + 1;
	check_bad(&wire_buf);
	wire->outcome = 0;
	wire->hdr.flags = CS_SPAN_LEFT + 1;
	check_bad(&wire_buf);
	wire->hdr.flags = 0;
	check_bad(&wire_buf);
	wire->hdr.flags = CS_SPAN_LEFT;
	wire->span.span_id = 0;
	check_bad(&wire_buf);
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

static void test_small_kinds(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_same, same, CS_EV_SAME);
	RECORD(cs_ev_hdr, exec, CS_EV_EXEC);
	RECORD(cs_ev_hdr, gone, CS_EV_EXIT);
	RECORD(cs_ev_end, end, CS_EV_END);

	same->weight_ns = 77;
	check_good(&same_buf);
	assert_int_equal(event.kind, CS_EV_SAME);
	assert_int_equal(event.same_weight_ns, 77);
	check_cuts(&same_buf);
	check_good(&exec_buf);
	assert_int_equal(event.kind, CS_EV_EXEC);
	check_cuts(&exec_buf);
	check_good(&gone_buf);
	assert_int_equal(event.kind, CS_EV_EXIT);
	end->reason = CS_END_SPOOL_FULL;
	check_good(&end_buf);
	assert_int_equal(event.end_reason, CS_END_SPOOL_FULL);
	check_cuts(&end_buf);
	end->reason = CS_END_SPOOL_FULL + 1;
	check_bad(&end_buf);
}

static void test_capture(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_capture, wire, CS_EV_CAPTURE);

	wire->realtime_ns = 1;
	wire->interval_ns = 2;
	wire->mode = CS_MODE_WALL;
	wire->ncpu = 4;
	wire->host_len = 4;
	wire->command_len = 7;
	add(&wire_buf, "hostcommand", 11);
	check_good(&wire_buf);
	assert_int_equal(event.capture.realtime_ns, 1);
	assert_int_equal(event.capture.interval_ns, 2);
	assert_int_equal(event.capture.mode, CS_MODE_WALL);
	assert_int_equal(event.capture.ncpu, 4);
	check_text(event.capture.host, "host");
	check_text(event.capture.command, "command");
	check_cuts(&wire_buf);
	wire->command_len = 13;
	check_bad(&wire_buf);
	wire->command_len = 7;
	wire->mode = CS_MODE_OFF_CPU + 1;
	check_bad(&wire_buf);
}

static void test_process(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_process, wire, CS_EV_PROCESS);

	wire->py_major = 3;
	wire->py_minor = 12;
	wire->py_micro = 1;
	wire->status = CS_STATUS_UNSUPPORTED;
	wire->comm_len = 2;
	wire->cmdline_len = 3;
	wire->note_len = 1;
	add(&wire_buf,
	    "\xff"
	    "c"
	    "a\xfe"
	    "b"
	    "\xfd",
	    6); /* each text repaired in a place of its own */
	check_good(&wire_buf);
	assert_int_equal(event.process.py_major, 3);
	assert_int_equal(event.process.py_minor, 12);
	assert_int_equal(event.process.py_micro, 1);
	assert_int_equal(event.process.status, CS_STATUS_UNSUPPORTED);
	check_text(event.process.comm, "\xef\xbf\xbd"
				       "c");
	check_text(event.process.cmdline, "a\xef\xbf\xbd"
					  "b");
	check_text(event.process.note, "\xef\xbf\xbd");
	check_cuts(&wire_buf);
	wire->note_len = UINT16_MAX;
	check_bad(&wire_buf);
	wire->note_len = 1;
	wire->status = 99;
	check_bad(&wire_buf);
}

static void test_code(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_code, wire, CS_EV_CODE);

	wire->code = 0x5000;
	wire->firstlineno = 17;
	wire->hdr.flags = CS_CODE_LOOP | 0x8000;
	wire->name_len = 3;
	wire->file_len = 4;
	wire->linetable_len = 2;
	add(&wire_buf, "runa.py\x80\x01", 9);
	check_good(&wire_buf);
	assert_int_equal(event.code.code, 0x5000);
	assert_int_equal(event.code.firstlineno, 17);
	assert_int_equal(event.code.flags, CS_CODE_LOOP);
	check_text(event.code.name, "run");
	check_text(event.code.file, "a.py");
	assert_int_equal(event.code.linetable_len, 2);
	assert_memory_equal(event.code.linetable, "\x80\x01", 2);
	check_cuts(&wire_buf);
	wire->linetable_len = UINT32_MAX;
	check_bad(&wire_buf);
	wire->linetable_len = 100;
	check_bad(&wire_buf);
	wire->linetable_len = 2;
	wire->linetable_kind = CS_LINETABLE_LINES;
	check_good(&wire_buf);
	assert_int_equal(event.code.linetable_kind, CS_LINETABLE_LINES);
	wire->linetable_kind = CS_LINETABLE_LINES + 1;
	check_bad(&wire_buf);
	wire->linetable_kind = 0;
	memset(cs_buf_extend(&wire_buf, 8192), 'x', 8192);
	wire = (struct cs_ev_code *)wire_buf.data;
	wire->name_len = CS_MAX_NAME + 1;
	check_bad(&wire_buf);
	wire->name_len = CS_MAX_NAME;
	wire->file_len = CS_MAX_PATH + 1;
	check_bad(&wire_buf);
	wire->file_len = CS_MAX_PATH;
	check_good(&wire_buf);
}

static void test_task(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_task, wire, CS_EV_TASK);

	wire->task = 1;
	wire->coro = 2;
	wire->waiter = 3;
	wire->loop = 4;
	wire->state = CS_TASK_WAITING;
	wire->hdr.flags = CS_TASKF_CHAIN_CUT | 0x100;
	wire->nframes = 2;
	wire->name_len = 6;
	wire->leaf_len = 6;
	add(&wire_buf, two_frames, sizeof(two_frames));
	add(&wire_buf, "Task-1Future", 12);
	check_good(&wire_buf);
	assert_int_equal(event.task.task, 1);
	assert_int_equal(event.task.coro, 2);
	assert_int_equal(event.task.waiter, 3);
	assert_int_equal(event.task.loop, 4);
	assert_int_equal(event.task.state, CS_TASK_WAITING);
	assert_int_equal(event.task.flags, CS_TASKF_CHAIN_CUT);
	assert_int_equal(event.task.nframes, 2);
	assert_memory_equal(event.task.frames, two_frames, sizeof(two_frames));
	check_text(event.task.name, "Task-1");
	check_text(event.task.leaf, "Future");
	check_cuts(&wire_buf);
	wire->state = 0;
	check_bad(&wire_buf);
	wire->state = CS_TASK_UNREADABLE + 1;
	check_bad(&wire_buf);
	wire->state = CS_TASK_DONE;
	wire->nframes = UINT32_MAX;
	check_bad(&wire_buf);
	wire->nframes = 0x10000001; /* times 16 is 16 in 32 bits */
	check_bad(&wire_buf);
	memset(cs_buf_extend(&wire_buf, 8192), 0, 8192);
	wire = (struct cs_ev_task *)wire_buf.data;
	wire->nframes = CS_MAX_CHAIN + 1;
	check_bad(&wire_buf);
	wire->nframes = CS_MAX_CHAIN;
	check_good(&wire_buf);
}

/* The span of a suspended task stands before its texts. */
static void test_task_span(void **state)
{
	struct cs_active_span span = {
		.span_id = 7, .kind = CS_TRACER_DDTRACE, .type_bytes = 3, .type = "web"};
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_task, wire, CS_EV_TASK);

	wire->state = CS_TASK_WAITING;
	wire->hdr.flags = CS_TASKF_SPAN;
	wire->name_len = 6;
	add(&wire_buf, &span, sizeof(span));
	add(&wire_buf, "Task-1", 6);
	check_good(&wire_buf);
	assert_int_equal(event.task.flags, 0);
	assert_int_equal(event.task.span.span_id, 7);
	check_text(event.task.span.type, "web");
	check_text(event.task.name, "Task-1");
	check_cuts(&wire_buf);
	wire->hdr.flags = 0;
	check_good(&wire_buf);
	assert_int_equal(event.task.span.span_id, 0);
	wire->hdr.flags = CS_TASKF_SPAN;
	((struct cs_active_span *)(wire_buf.data + sizeof(*wire)))->span_id = 0;
	check_bad(&wire_buf);
}

static void test_task_links(void **state)
{
	static const struct cs_task_link links[] = {
		{.waiter = 5, .how = CS_WAIT_GATHER},
		{.waiter = 6, .how = CS_WAIT_OTHER, .flags = CS_LINKF_PROBABLE},
	};
	static const uint8_t bad_hows[] = {0, CS_WAIT_OTHER + 1, UINT8_MAX};
	_cleanup_free_ void *bytes = NULL;
	struct cs_task_link *second;
	struct cs_event event;
	RECORD(cs_ev_task, wire, CS_EV_TASK);

	wire->state = CS_TASK_WAITING;
	wire->hdr.flags = CS_TASKF_WAITERS_CUT;
	wire->nframes = 2;
	wire->nlinks = 2;
	wire->name_len = 6;
	add(&wire_buf, two_frames, sizeof(two_frames));
	add(&wire_buf, links, sizeof(links));
	add(&wire_buf, "Task-1", 6);
	check_good(&wire_buf);
	assert_int_equal(event.task.flags, CS_TASKF_WAITERS_CUT);
	assert_int_equal(event.task.nlinks, 2);
	assert_memory_equal(event.task.links, links, sizeof(links));
	check_text(event.task.name, "Task-1");
	check_cuts(&wire_buf);
	second = (struct cs_task_link *)(wire_buf.data + sizeof(*wire) + sizeof(two_frames)) + 1;
	for (size_t i = 0; i < ARRAY_SIZE(bad_hows); i++) {
		second->how = bad_hows[i];
		check_bad(&wire_buf);
	}
	second->how = CS_WAIT_AWAIT;
	check_good(&wire_buf);
	wire->nlinks = UINT32_MAX;
	check_bad(&wire_buf);
	wire->nlinks = 0x10000001; /* times 16 is 16 in 32 bits */
	check_bad(&wire_buf);
	for (uint32_t i = 2; i < CS_MAX_LINKS + 1; i++)
		add(&wire_buf, links, sizeof(*links));
	wire->name_len = wire->nframes = 0;
	memset((char *)wire + sizeof(*wire), 1, (CS_MAX_LINKS + 1) * sizeof(*links));
	wire->nlinks = CS_MAX_LINKS;
	check_good(&wire_buf);
	assert_int_equal(event.task.nlinks, CS_MAX_LINKS);
	wire->nlinks = CS_MAX_LINKS + 1;
	check_bad(&wire_buf);
}

static void test_pass(void **state)
{
	const uint64_t tasks[] = {0x10, 0x20};
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_pass, wire, CS_EV_PASS);

	wire->weight_ns = 9;
	wire->ntasks = 2;
	wire->ndropped = 5;
	wire->coherence = CS_COHERENT_PER_TASK;
	add(&wire_buf, tasks, sizeof(tasks));
	check_good(&wire_buf);
	assert_int_equal(event.pass.weight_ns, 9);
	assert_int_equal(event.pass.ndropped, 5);
	assert_int_equal(event.pass.coherence, CS_COHERENT_PER_TASK);
	assert_int_equal(event.pass.ntasks, 2);
	assert_int_equal(event.pass.every, 1); /* older captures say nothing */
	assert_memory_equal(event.pass.tasks, tasks, sizeof(tasks));
	check_cuts(&wire_buf);
	wire->every = CS_MAX_TASKS + 1;
	check_bad(&wire_buf);
	wire->every = 7;
	check_good(&wire_buf);
	assert_int_equal(event.pass.every, 7);
	wire->ntasks = 3;
	check_bad(&wire_buf);
	wire->ntasks = UINT32_MAX;
	check_bad(&wire_buf);
	wire->ntasks = 2;
	wire->coherence = 0;
	check_bad(&wire_buf);
	wire->coherence = CS_COHERENT_IN_TASK;
	check_good(&wire_buf);
	wire->coherence = CS_COHERENT_IN_TASK + 1;
	check_bad(&wire_buf);
	memset(cs_buf_extend(&wire_buf, (CS_MAX_TASKS + 1) * 8), 0, 8);
	wire = (struct cs_ev_pass *)wire_buf.data;
	wire->coherence = CS_COHERENT_QUIET;
	wire->ntasks = CS_MAX_TASKS;
	check_good(&wire_buf);
	wire->ntasks = CS_MAX_TASKS + 1;
	check_bad(&wire_buf);
}

static void test_mapping_and_ksym(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_mapping, mapping, CS_EV_MAPPING);
	RECORD(cs_ev_ksym, ksym, CS_EV_KSYM);

	mapping->start = 0x1000;
	mapping->end = 0x2000;
	mapping->offset = 0x3000;
	mapping->path_len = 5;
	add(&mapping_buf, "/a/b\xff", 5);
	check_good(&mapping_buf);
	assert_int_equal(event.mapping.start, 0x1000);
	assert_int_equal(event.mapping.end, 0x2000);
	assert_int_equal(event.mapping.offset, 0x3000);
	check_text(event.mapping.path, "/a/b\xef\xbf\xbd");
	check_cuts(&mapping_buf);
	assert_int_equal(event.mapping.build_id_len, 0);
	mapping->path_len = UINT32_MAX;
	check_bad(&mapping_buf);
	mapping->path_len = 5;
	mapping->end = 0x1000;
	check_bad(&mapping_buf);

	ksym->addr = 0xffffffff81000000;
	ksym->name_len = 8;
	add(&ksym_buf, "schedule", 8);
	check_good(&ksym_buf);
	assert_int_equal(event.ksym.addr, 0xffffffff81000000);
	check_text(event.ksym.name, "schedule");
	check_cuts(&ksym_buf);
	ksym->name_len = 9;
	check_bad(&ksym_buf);
}

static void test_thread(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_thread, wire, CS_EV_THREAD);

	wire->name_len = 7;
	add(&wire_buf, "loop-\xff-", 7);
	check_good(&wire_buf);
	check_text(event.thread_name, "loop-\xef\xbf\xbd-");
	check_cuts(&wire_buf);
	wire->name_len = UINT16_MAX;
	check_bad(&wire_buf);
}

static void add_fact(struct cs_buf *record, unsigned int fact, const char *text, size_t len)
{
	const struct cs_ev_fact head = {.fact = (__u16)fact, .len = (__u16)len};

	add(record, &head, sizeof(head));
	add(record, text, len);
}

static void test_whose(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_whose, wire, CS_EV_WHOSE);

	wire->nfacts = 5;
	add_fact(&wire_buf, CS_FACT_SERVICE, "shop\xff", 5);
	add_fact(&wire_buf, CS_FACT_SERVICE, "told twice", 10);
	add_fact(&wire_buf, 999, "not known", 9);
	add_fact(&wire_buf, 0, "none", 4);
	add_fact(&wire_buf, CS_FACT_CONTAINER, "c\n", 2);
	check_good(&wire_buf);
	check_text(event.whose.facts[CS_FACT_SERVICE], "shop\xef\xbf\xbd");
	check_text(event.whose.facts[CS_FACT_CONTAINER], "c\n");
	check_text(event.whose.facts[CS_FACT_POD], "");
	check_cuts(&wire_buf);
	wire->nfacts = 7; /* padding may pass for one */
	check_bad(&wire_buf);
}

static void test_whose_forged(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	char text[CS_MAX_FACT_LIST + 1];
	RECORD(cs_ev_whose, wire, CS_EV_WHOSE);

	/* empty ones, each of which would want a place of its own */
	wire->nfacts = 500;
	for (int i = 0; i < 500; i++)
		add_fact(&wire_buf, CS_FACT_SERVICE, "", 0);
	check_good(&wire_buf);
	wire->nfacts = UINT32_MAX;
	check_bad(&wire_buf);
	wire_buf.len = sizeof(*wire);
	wire->nfacts = 1;
	memset(text, 'x', sizeof(text));
	add_fact(&wire_buf, CS_FACT_SERVICE, text, sizeof(text));
	check_bad(&wire_buf);
}

static void test_stats(void **state)
{
	uint64_t counters[CS_COUNTER_MAX_ + 2] = {3, 2, 1};
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_stats, wire, CS_EV_STATS);

	wire->n = 3;
	add(&wire_buf, counters, 3 * sizeof(*counters));
	check_good(&wire_buf);
	assert_int_equal(event.stats.n, 3);
	assert_memory_equal(event.stats.counters, counters, 3 * sizeof(*counters));
	check_cuts(&wire_buf);
	wire->n = 4;
	check_bad(&wire_buf);
	wire->n = 0x20000000; /* times 8 is 0 in 32 bits */
	check_bad(&wire_buf);
	wire_buf.len = sizeof(*wire);
	add(&wire_buf, counters, sizeof(counters));
	wire = (struct cs_ev_stats *)wire_buf.data;
	wire->n = ARRAY_SIZE(counters);
	check_good(&wire_buf);
	assert_int_equal(event.stats.n, CS_COUNTER_MAX_);
}

static void test_header(void **state)
{
	_cleanup_free_ void *bytes = NULL;
	struct cs_event event;
	RECORD(cs_ev_hdr, wire, 9999);

	check_good(&wire_buf);
	assert_int_equal(event.kind, 0);
	wire->kind = 6; /* between the known ones */
	check_good(&wire_buf);
	assert_int_equal(event.kind, 0);
	wire->size = 16;
	assert_int_equal(cs_decode(decoder, wire, 24, &event), -EBADMSG);
	wire->size = 25;
	assert_int_equal(cs_decode(decoder, wire, 24, &event), -EBADMSG);
	wire->size = CS_MAX_RECORD + 8;
	assert_int_equal(cs_decode(decoder, wire, 24, &event), -EBADMSG);
	wire->size = CS_MAX_RECORD;
	assert_int_equal(cs_decode(decoder, wire, 24, &event), 0);
}

static void test_file_header(void **state)
{
	struct cs_raw_file_header header = {CS_RAW_MAGIC, CS_RAW_VERSION, sizeof(header)};

	assert_int_equal(cs_decode_file_header(&header, sizeof(header)), sizeof(header));
	assert_int_equal(cs_decode_file_header(&header, sizeof(header) - 1), -EBADMSG);
	assert_int_equal(cs_decode_file_header("", 0), -EBADMSG);
	header.header_size = 24;
	assert_int_equal(cs_decode_file_header(&header, sizeof(header)), -EBADMSG);
	header.version++;
	assert_int_equal(cs_decode_file_header(&header, sizeof(header)), -EPROTONOSUPPORT);
	header.magic++;
	assert_int_equal(cs_decode_file_header(&header, sizeof(header)), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stack),
		cmocka_unit_test(test_off_cpu_stack),
		cmocka_unit_test(test_waker),
		cmocka_unit_test(test_deep_stack),
		cmocka_unit_test(test_collectors_kinds),
		cmocka_unit_test(test_stack_hostile),
		cmocka_unit_test(test_running_name),
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_native_and_symbol),
		cmocka_unit_test(test_span),
		cmocka_unit_test(test_resource),
		cmocka_unit_test(test_span_change),
		cmocka_unit_test(test_running_root_was_cut),
		cmocka_unit_test(test_small_kinds),
		cmocka_unit_test(test_capture),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_code),
		cmocka_unit_test(test_task),
		cmocka_unit_test(test_task_links),
		cmocka_unit_test(test_task_span),
		cmocka_unit_test(test_pass),
		cmocka_unit_test(test_mapping_and_ksym),
		cmocka_unit_test(test_thread),
		cmocka_unit_test(test_whose),
		cmocka_unit_test(test_whose_forged),
		cmocka_unit_test(test_stats),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_file_header),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
