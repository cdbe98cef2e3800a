/* SPDX-License-Identifier: Apache-2.0 */
/* Spans: as test_decode.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "unit/decode/made_records.h"

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
	assert_int_equal(event.span.flags, 0x7f);
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
	span->kind = CS_TRACER_OTHER + 1;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_span),
		cmocka_unit_test(test_resource),
		cmocka_unit_test(test_span_change),
		cmocka_unit_test(test_task_span),
	};

	return cmocka_run_group_tests(tests, made_decoder_set_up, made_decoder_tear_down);
}
