/* SPDX-License-Identifier: Apache-2.0 */
/* From a span to its local root, through the spans that were seen. */
#include "link/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/cleanup.h"

#define PID   7
#define TRACE 0x1234

static struct cs_event_span made_span(uint64_t id, uint64_t parent, uint64_t root)
{
	return (struct cs_event_span){
		.span_id = id,
		.root_id = root,
		.parent_id = parent,
		.trace_lo = TRACE,
		.kind = CS_TRACER_OTEL,
	};
}

static void see(struct cs_spans *spans, struct cs_event_span span)
{
	struct cs_event event = {.kind = CS_EV_SPAN, .pid = PID, .span = span};

	assert_int_equal(cs_spans_feed(spans, &event), 0);
}

static uint64_t root_of(const struct cs_spans *spans, struct cs_event_span span)
{
	return cs_spans_root(spans, PID, &span);
}

static void test_own_root(void **state)
{
	_cleanup_(cs_spans_freep) struct cs_spans *spans = NULL;

	assert_int_equal(cs_spans_new(&spans), 0);
	assert_int_equal(root_of(spans, made_span(5, 0, 5)), 5);
	assert_int_equal(root_of(spans, made_span(5, 0, 3)), 3);
	assert_int_equal(root_of(spans, made_span(5, 0, 0)), 0);
}

static void test_up_through_parents(void **state)
{
	_cleanup_(cs_spans_freep) struct cs_spans *spans = NULL;

	assert_int_equal(cs_spans_new(&spans), 0);
	assert_int_equal(root_of(spans, made_span(3, 2, 0)), 0);
	see(spans, made_span(2, 1, 0));
	assert_int_equal(root_of(spans, made_span(3, 2, 0)), 0);
	see(spans, made_span(1, 0, 1));
	assert_int_equal(root_of(spans, made_span(3, 2, 0)), 1);
}

/* The same numbers in another process or trace are other spans. */
static void test_others(void **state)
{
	_cleanup_(cs_spans_freep) struct cs_spans *spans = NULL;
	struct cs_event_span span = made_span(3, 1, 0);

	assert_int_equal(cs_spans_new(&spans), 0);
	see(spans, made_span(1, 0, 1));
	assert_int_equal(cs_spans_root(spans, PID, &span), 1);
	assert_int_equal(cs_spans_root(spans, PID + 1, &span), 0);
	span.trace_lo++;
	assert_int_equal(cs_spans_root(spans, PID, &span), 0);
}

/* Forged: spans that are each other's parents. */
static void test_cycle(void **state)
{
	_cleanup_(cs_spans_freep) struct cs_spans *spans = NULL;

	assert_int_equal(cs_spans_new(&spans), 0);
	see(spans, made_span(1, 2, 0));
	see(spans, made_span(2, 1, 0));
	assert_int_equal(root_of(spans, made_span(3, 2, 0)), 0);
}

static void test_only_spans(void **state)
{
	_cleanup_(cs_spans_freep) struct cs_spans *spans = NULL;
	struct cs_event event = {.kind = CS_EV_STACK, .pid = PID, .span = made_span(1, 0, 1)};

	assert_int_equal(cs_spans_new(&spans), 0);
	cs_spans_feed(spans, &event);
	assert_int_equal(root_of(spans, made_span(3, 1, 0)), 0);
}

static void tell(struct cs_spans *spans, uint64_t root, const char *text)
{
	struct cs_event event = {.kind = CS_EV_RESOURCE, .pid = PID};

	event.resource = (struct cs_event_resource){root, TRACE, {text, strlen(text)}};
	assert_int_equal(cs_spans_feed(spans, &event), 0);
}

/* The last one told holds, for this root of this process and trace only. */
static void test_endpoint(void **state)
{
	_cleanup_(cs_spans_freep) struct cs_spans *spans = NULL;

	assert_int_equal(cs_spans_new(&spans), 0);
	assert_null(cs_spans_endpoint(spans, PID, 1, TRACE));
	tell(spans, 1, "GET /");
	tell(spans, 1, "GET /users/{id}");
	tell(spans, 1, "GET /users/{id}");
	assert_string_equal(cs_spans_endpoint(spans, PID, 1, TRACE), "GET /users/{id}");
	assert_null(cs_spans_endpoint(spans, PID + 1, 1, TRACE));
	assert_null(cs_spans_endpoint(spans, PID, 1, TRACE + 1));
	assert_null(cs_spans_endpoint(spans, PID, 2, TRACE));
	/* it is a root, so what is below it has one */
	assert_int_equal(root_of(spans, made_span(3, 1, 0)), 1);
}

/* A parent is often seen after its child. */
static void test_root_found_later(void **state)
{
	_cleanup_(cs_spans_freep) struct cs_spans *spans = NULL;

	assert_int_equal(cs_spans_new(&spans), 0);
	see(spans, made_span(3, 2, 0));
	see(spans, made_span(2, 1, 0));
	assert_int_equal(cs_spans_root_of(spans, PID, 3, TRACE), 0);
	see(spans, made_span(1, 0, 1));
	assert_int_equal(cs_spans_root_of(spans, PID, 3, TRACE), 1);
	assert_int_equal(cs_spans_root_of(spans, PID, 3, TRACE + 1), 0);
}

/* ddtrace's spans tell their root when it is known: a propagated one may be told to have another one later, which says nothing of before. */
static void test_root_of_ddtrace(void **state)
{
	_cleanup_(cs_spans_freep) struct cs_spans *spans = NULL;
	struct cs_event_span span = made_span(3, 0, 0);

	assert_int_equal(cs_spans_new(&spans), 0);
	span.kind = CS_TRACER_DDTRACE;
	see(spans, span);
	span.root_id = 9;
	see(spans, span);
	assert_int_equal(cs_spans_root_of(spans, PID, 3, TRACE), 0);
}

static void begin(struct cs_spans *spans, struct cs_event_span span, uint64_t ts_ns,
		  uint64_t start_ns, const char *resource)
{
	struct cs_event event = {.kind = CS_EV_SPAN_CHANGE, .pid = PID, .ts_ns = ts_ns};

	event.span_change = (struct cs_event_span_change){
		.change = CS_SPAN_BEGUN,
		.span = span,
		.start_ns = start_ns,
		.resource = {resource, strlen(resource)},
	};
	assert_int_equal(cs_spans_feed(spans, &event), 0);
}

/* Spans that are told to begin are seen, too; a root of type web tells its endpoint. */
static void test_changes(void **state)
{
#define S 1000000000ull
	_cleanup_(cs_spans_freep) struct cs_spans *spans = NULL;
	struct cs_event capture = {.kind = CS_EV_CAPTURE, .ts_ns = 5 * S};
	struct cs_event_span web = made_span(1, 0, 1);

	capture.capture.realtime_ns = 1005 * S;
	web.type = (struct cs_text){"web", 3};
	assert_int_equal(cs_spans_new(&spans), 0);
	assert_int_equal(cs_spans_feed(spans, &capture), 0);
	begin(spans, web, 6 * S, 1006 * S, "GET /");
	begin(spans, made_span(2, 1, 0), 7 * S, 0, "step");
	begin(spans, made_span(3, 2, 0), 8 * S, 1005 * S, "older");
	assert_string_equal(cs_spans_endpoint(spans, PID, 1, TRACE), "GET /");
	assert_null(cs_spans_endpoint(spans, PID, 2, TRACE));
	assert_int_equal(cs_spans_root_of(spans, PID, 3, TRACE), 1);
	assert_int_equal(cs_spans_begun_ns(spans, PID, 1, TRACE), 6 * S);
	assert_int_equal(cs_spans_begun_ns(spans, PID, 2, TRACE), 7 * S);
	/* what has begun before anything was told of the process may have been active for long */
	assert_int_equal(cs_spans_begun_ns(spans, PID, 3, TRACE), 0);
	assert_int_equal(cs_spans_begun_ns(spans, PID, 4, TRACE), 0);
	/* again active: it began when it did */
	begin(spans, web, 9 * S, 1006 * S, "GET /");
	assert_int_equal(cs_spans_begun_ns(spans, PID, 1, TRACE), 6 * S);
}

static void tell_at(struct cs_spans *spans, uint64_t ts_ns, const char *text)
{
	struct cs_event event = {.kind = CS_EV_RESOURCE, .ts_ns = ts_ns, .pid = PID};

	event.resource = (struct cs_event_resource){1, TRACE, {text, strlen(text)}};
	assert_int_equal(cs_spans_feed(spans, &event), 0);
}

/* What was read of a task before a root ended is told after that: it is still what the root was about before. */
static void test_endpoint_order(void **state)
{
	_cleanup_(cs_spans_freep) struct cs_spans *spans = NULL;
	struct cs_event event = {.kind = CS_EV_SPAN_CHANGE, .ts_ns = 9 * S, .pid = PID};

	event.span_change = (struct cs_event_span_change){
		.span = made_span(1, 0, 1), .change = CS_SPAN_ENDED, .resource = {"GET /end", 8}};
	event.span_change.span.type = (struct cs_text){"web", 3};
	assert_int_equal(cs_spans_new(&spans), 0);
	tell_at(spans, 6 * S, "GET /");
	tell_at(spans, 5 * S, "not known yet");
	assert_string_equal(cs_spans_endpoint(spans, PID, 1, TRACE), "GET /");
	tell_at(spans, 7 * S, "GET /users");
	assert_string_equal(cs_spans_endpoint(spans, PID, 1, TRACE), "GET /users");
	assert_int_equal(cs_spans_feed(spans, &event), 0);
	tell_at(spans, 8 * S, "GET /users");
	assert_string_equal(cs_spans_endpoint(spans, PID, 1, TRACE), "GET /end");
	/* a reading that took until then is not of a later moment */
	tell_at(spans, 10 * S, "GET /users");
	assert_string_equal(cs_spans_endpoint(spans, PID, 1, TRACE), "GET /end");
}

/* What nobody has seen or asked for in a whole period is gone. */
static void test_periods(void **state)
{
	_cleanup_(cs_spans_freep) struct cs_spans *spans = NULL;

	assert_int_equal(cs_spans_new(&spans), 0);
	tell(spans, 1, "GET /");
	tell(spans, 2, "POST /");
	cs_spans_begin(spans);
	assert_string_equal(cs_spans_endpoint(spans, PID, 2, TRACE), "POST /");
	cs_spans_begin(spans);
	assert_null(cs_spans_endpoint(spans, PID, 1, TRACE));
	assert_string_equal(cs_spans_endpoint(spans, PID, 2, TRACE), "POST /");
	assert_int_equal(cs_spans_left_out(spans), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_root),       cmocka_unit_test(test_up_through_parents),
		cmocka_unit_test(test_others),         cmocka_unit_test(test_cycle),
		cmocka_unit_test(test_only_spans),     cmocka_unit_test(test_endpoint),
		cmocka_unit_test(test_endpoint_order), cmocka_unit_test(test_root_found_later),
		cmocka_unit_test(test_periods),        cmocka_unit_test(test_root_of_ddtrace),
		cmocka_unit_test(test_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
