/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of a profile: order, what is counted once, what has no label, sums, texts that would steer a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cli/by.h"
#include "core/cleanup.h"
#include "unit/export/made_profile.h"

#define MS 1000000ull

static void check(struct cs_profile *profile, const char *by, const char *expected)
{
	_cleanup_buf_ struct cs_buf out = {0};

	assert_non_null(cs_by_name(by));
	assert_int_equal(cs_by_table(cs_by_name(by), profile, &out), 0);
	assert_string_equal(cs_buf_str(&out), expected);
}

static uint32_t string(struct cs_profile *profile, const char *text)
{
	return (uint32_t)cs_profile_string(profile, text, strlen(text));
}

/* A task's frame, told from others of its name by a number; 0: not told. */
static uint32_t task_frame(struct cs_profile *profile, const char *text, uint64_t number)
{
	const struct cs_frame frame = {
		.name = string(profile, text), .kind = CS_FRAME_TASK, .task = number};

	return (uint32_t)cs_profile_frame(profile, &frame);
}

/* A sample of 10 ms on the CPU (0 or 1) and 10 ms of the clock, in a task that some other one waits for. */
static void add(struct cs_profile *profile, const char *task, uint64_t number, unsigned int cpu)
{
	const uint32_t frames[] = {task_frame(profile, "<task outer>", 99),
				   task_frame(profile, task, number)};
	const uint64_t values[CS_VALUE_MAX_] = {1, cpu * 10 * MS, 10 * MS};
	const struct cs_labels labels = {
		.process_id = 7, .task_id = 0x1000, .task_name = string(profile, task)};

	assert_int_equal(cs_profile_add(profile, frames, 2, &labels, values), 0);
}

static void add_without_task(struct cs_profile *profile, const char *origin)
{
	const uint32_t frame = made_frame(profile, CS_FRAME_PYTHON, "work", "", 0);
	const uint64_t values[CS_VALUE_MAX_] = {1, 10 * MS, 10 * MS};
	const struct cs_labels labels = {.process_id = 7,
					 .thread_id = 8,
					 .origin_task_id = *origin ? 0x1000 : 0,
					 .origin_task_name = string(profile, origin)};

	assert_int_equal(cs_profile_add(profile, &frame, 1, &labels, values), 0);
}

static void test_empty(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(true);

	check(profile, "task",
	      "           cpu          wall       tasks     samples  task\n"
	      "       0.000 s       0.000 s           0           0  in sum\n");
}

/* Tasks at one address, one after the other, are two; the same task twice is one. */
static void test_tasks(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(true);

	add(profile, "b", 1, 1);
	add(profile, "b", 2, 0);
	add(profile, "b", 2, 0);
	add(profile, "a", 3, 0);
	add(profile, "c", 4, 0);
	check(profile, "task",
	      "           cpu          wall       tasks     samples  task\n"
	      "       0.010 s       0.030 s           2           3  b\n"
	      "       0.000 s       0.010 s           1           1  a\n"
	      "       0.000 s       0.010 s           1           1  c\n"
	      "       0.010 s       0.050 s           4           5  in sum\n");
}

static void test_without_a_task_and_for_one(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);

	add_without_task(profile, "");
	add_without_task(profile, "");
	add_without_task(profile, "asks");
	check(profile, "task",
	      "           cpu       tasks     samples  task\n"
	      "       0.010 s           1           1  asks\n"
	      "       0.020 s           -           2  (no task)\n"
	      "       0.030 s           1           3  in sum\n");
}

/* Spans that were seen from begin to end tell how long they took, those of an endpoint if they are local roots. */
static void test_durations(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(true);
	struct cs_traced span = {
		.process_id = 7,
		.type = string(profile, "web"),
		.resource = string(profile, "GET /"),
		.outcome = CS_OUTCOME_OK,
	};

	for (uint64_t i = 1; i <= 100; i++) {
		span.span_id = span.root_span_id = i;
		span.from_ns = 1000 * MS;
		span.to_ns = span.from_ns + i * MS;
		span.outcome = i % 10 ? CS_OUTCOME_OK : CS_OUTCOME_ERROR;
		assert_int_equal(cs_profile_add_traced(profile, &span), 0);
	}
	span.span_id = 101; /* below the last one */
	assert_int_equal(cs_profile_add_traced(profile, &span), 0);
	span.span_id = span.root_span_id = 102;
	span.to_ns = 0;
	assert_int_equal(cs_profile_add_traced(profile, &span), 0);
	check(profile, "endpoint",
	      "           cpu          wall       roots     samples     ended    errors          p50          p95          p99  endpoint\n"
	      "       0.000 s       0.000 s           0           0       100        10    50.000 ms    95.000 ms    99.000 ms  GET /\n"
	      "       0.000 s       0.000 s           0           0       100        10    50.000 ms    95.000 ms    99.000 ms  in sum\n");
	check(profile, "thread",
	      "           cpu          wall     threads     samples  thread\n"
	      "       0.000 s       0.000 s           0           0  in sum\n");
}

/* How they ended may not be known. */
static void test_no_outcome(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);
	const struct cs_traced span = {
		.process_id = 7, .span_id = 5, .root_span_id = 5, .from_ns = MS, .to_ns = 3 * MS};

	assert_int_equal(cs_profile_add_traced(profile, &span), 0);
	check(profile, "span",
	      "           cpu       spans     samples     ended    errors          p50          p95          p99  span\n"
	      "       0.000 s           0           0         1         -     2.000 ms     2.000 ms     2.000 ms  0000000000000005\n"
	      "       0.000 s           0           0         1         -     2.000 ms     2.000 ms     2.000 ms  in sum\n");
}

static void test_threads_and_processes(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(true);

	check(profile, "thread",
	      "           cpu          wall     threads     samples  thread\n"
	      "       0.060 s       0.100 s           1           6  main\n"
	      "       0.060 s       0.100 s           -           6  (thread without a name)\n"
	      "       0.120 s       0.200 s           1          12  in sum\n");
	check(profile, "process",
	      "           cpu          wall   processes     samples  process\n"
	      "       0.120 s       0.200 s           1          12  python3 app.py (42)\n"
	      "       0.120 s       0.200 s           1          12  in sum\n");
}

/* Three spans of two local roots, and what belongs to none. */
static void test_spans(void **state)
{
	static const uint64_t ids[][2] = {
		{1, 1}, {2, 1}, {2, 1}, {0xf000000000000003, 0xf000000000000003}, {0, 0}};
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(true);

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		const uint32_t frame = made_frame(profile, CS_FRAME_PYTHON, "f", "", (uint32_t)i);
		const uint64_t values[CS_VALUE_MAX_] = {1, 0, 10 * MS};
		const struct cs_labels labels = {
			.span_id = ids[i][0],
			.root_span_id = ids[i][1],
			.trace_id = string(profile, ids[i][0] ? "00ff" : ""),
			.trace_type = string(profile, ids[i][1] == 1 ? "web" : ""),
		};

		assert_int_equal(cs_profile_add(profile, &frame, 1, &labels, values), 0);
	}
	check(profile, "span",
	      "           cpu          wall       spans     samples  span\n"
	      "       0.000 s       0.020 s           1           2  0000000000000002\n"
	      "       0.000 s       0.010 s           1           1  0000000000000001\n"
	      "       0.000 s       0.010 s           1           1  f000000000000003\n"
	      "       0.000 s       0.010 s           -           1  (no span)\n"
	      "       0.000 s       0.050 s           3           5  in sum\n");
	check(profile, "root",
	      "           cpu          wall       spans     samples  root\n"
	      "       0.000 s       0.030 s           2           3  0000000000000001\n"
	      "       0.000 s       0.010 s           1           1  f000000000000003\n"
	      "       0.000 s       0.010 s           -           1  (no local root)\n"
	      "       0.000 s       0.050 s           3           5  in sum\n");
	check(profile, "trace",
	      "           cpu          wall       spans     samples  trace\n"
	      "       0.000 s       0.040 s           3           4  00ff\n"
	      "       0.000 s       0.010 s           -           1  (no trace)\n"
	      "       0.000 s       0.050 s           3           5  in sum\n");
	check(profile, "type",
	      "           cpu          wall       roots     samples  type\n"
	      "       0.000 s       0.030 s           1           3  web\n"
	      "       0.000 s       0.020 s           -           2  (no type)\n"
	      "       0.000 s       0.050 s           1           5  in sum\n");
}

/* What a program calls its tasks is its own affair, but a line is a line. */
static void test_texts_are_escaped(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(false);

	add(profile, "a\n\x1b[2J", 1, 1);
	check(profile, "task",
	      "           cpu       tasks     samples  task\n"
	      "       0.010 s           1           1  a\\x0a\\x1b[2J\n"
	      "       0.010 s           1           1  in sum\n");
}

static void test_names(void **state)
{
	assert_null(cs_by_name(""));
	assert_null(cs_by_name("tas"));
	assert_null(cs_by_name("colour"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_tasks),
		cmocka_unit_test(test_without_a_task_and_for_one),
		cmocka_unit_test(test_threads_and_processes),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_no_outcome),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_texts_are_escaped),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
