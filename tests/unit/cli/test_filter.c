/* SPDX-License-Identifier: Apache-2.0 */
/* What a filter lets pass, what it says of the rest, and that the profile stays whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cli/filter.h"
#include "core/cleanup.h"
#include "export/exporter.h"
#include "unit/export/made_profile.h"

/* One sample in two trees. */
static void add(struct cs_profile *profile, const char *task, const char *origin, uint64_t wall_ns)
{
	const uint32_t frame = made_frame(profile, CS_FRAME_PYTHON, "work", "", 0);
	const uint64_t values[CS_VALUE_MAX_] = {1, 0, wall_ns};
	const struct cs_labels labels = {
		.task_name = (uint32_t)cs_profile_string(profile, task, strlen(task)),
		.origin_task_name = (uint32_t)cs_profile_string(profile, origin, strlen(origin)),
	};

	assert_int_equal(cs_profile_add(profile, &frame, 1, &labels, values), 0);
	assert_int_equal(cs_profile_add_in(profile, CS_TREE_THREADS, &frame, 1, &labels, values),
			 0);
}

static struct cs_profile *made(void)
{
	struct cs_profile *profile = made_empty(true);

	add(profile, "fetch-1", "", 10);
	add(profile, "", "", 20);
	add(profile, "store", "fetch-1", 30);
	add(profile, "", "fetch-2", 40);
	return profile;
}

static void test_patterns(void **state)
{
	assert_true(cs_filter_is_pattern("^a(b|c)+$"));
	assert_true(cs_filter_is_pattern(""));
	assert_false(cs_filter_is_pattern("("));
	assert_false(cs_filter_is_pattern("[a"));
}

static void test_nothing_asked(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made();

	assert_int_equal(cs_filter_apply(&(struct cs_filter){0}, profile), 0);
	assert_int_equal(cs_profile_nsamples(profile), 4);
	assert_int_equal(cs_profile_nnotes(profile), 0);
}

static uint32_t text_of(struct cs_profile *profile, const char *text)
{
	return (uint32_t)cs_profile_string(profile, text, strlen(text));
}

/* A process with one sample, and what is known of whose it is. */
static void add_process(struct cs_profile *profile, uint32_t pid, const char *service,
			const char *program, const char *container, const char *labels)
{
	const uint32_t frame = made_frame(profile, CS_FRAME_PYTHON, "work", "", 0);
	const uint64_t values[CS_VALUE_MAX_] = {1, 0, 100};
	struct cs_owner *owner = cs_profile_owner(profile, pid);

	assert_non_null(owner);
	owner->facts[CS_FACT_SERVICE] = text_of(profile, service);
	owner->facts[CS_FACT_PROGRAM] = text_of(profile, program);
	owner->facts[CS_FACT_CONTAINER] = text_of(profile, container);
	owner->facts[CS_FACT_CONTAINER_NAME] = *container ? text_of(profile, "app") : 0;
	owner->facts[CS_FACT_POD_LABELS] = text_of(profile, labels);
	assert_int_equal(
		cs_profile_add(profile, &frame, 1, &(struct cs_labels){.process_id = pid}, values),
		0);
}

/* The ids of the processes that are left, as digits. */
static void expect_processes(const struct cs_filter *filter, const char *expected)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(true);
	char left[8] = "";

	add_process(profile, 1, "shop", "python3", "abc1", "app=shop,tier=web");
	add_process(profile, 2, "", "shopper", "", "");
	add_process(profile, 3, "bank", "shop", "abd2", "app=bank,tier=web");
	assert_int_equal(cs_filter_apply(filter, profile), 0);
	for (size_t i = 0; i < cs_profile_nsamples(profile); i++)
		left[i] = (char)('0' + cs_profile_sample(profile, i)->labels.process_id);
	assert_string_equal(left, expected);
}

static void test_whose(void **state)
{
	/* a program's name counts where there is no service's */
	expect_processes(&(struct cs_filter){.whose[CS_FILTER_SERVICE] = "shop"}, "12");
	expect_processes(&(struct cs_filter){.whose[CS_FILTER_SERVICE] = "^shop$"}, "1");
	/* id or name */
	expect_processes(&(struct cs_filter){.whose[CS_FILTER_CONTAINER] = "^ab"}, "13");
	expect_processes(&(struct cs_filter){.whose[CS_FILTER_CONTAINER] = "^app$"}, "13");
	expect_processes(&(struct cs_filter){.whose[CS_FILTER_POD_LABEL] = "tier=web"}, "13");
	/* all must hold; what is not known never does */
	expect_processes(&(struct cs_filter){.whose = {[CS_FILTER_CONTAINER] = "^abc",
						       [CS_FILTER_POD_LABEL] = "tier=web"}},
			 "1");
	expect_processes(&(struct cs_filter){.whose[CS_FILTER_POD] = ""}, "");
}

static void test_tasks(void **state)
{
	static const struct {
		const char *task, *note;
		unsigned int n;
		uint64_t weights[4];
	} cases[] = {
		{"fetch", "only tasks matching fetch: 50.0% of the time in samples", 2, {10, 40}},
		{"^fetch-1$",
		 "only tasks matching ^fetch-1$: 10.0% of the time in samples",
		 1,
		 {10}},
		{"2|st", "only tasks matching 2|st: 70.0% of the time in samples", 2, {30, 40}},
		{"Fetch", "only tasks matching Fetch: 0.0% of the time in samples", 0, {0}},
		/* one without a name is no task */
		{"", "only tasks matching : 80.0% of the time in samples", 3, {10, 30, 40}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(cs_profile_freep) struct cs_profile *profile = made();
		const struct cs_filter filter = {.task = cases[i].task};

		assert_int_equal(cs_filter_apply(&filter, profile), 0);
		assert_int_equal(cs_profile_nsamples(profile), cases[i].n);
		assert_int_equal(cs_profile_nsamples_in(profile, CS_TREE_THREADS), cases[i].n);
		for (unsigned int k = 0; k < cases[i].n; k++)
			assert_int_equal(cs_profile_sample(profile, k)->values[CS_VALUE_WALL_NS],
					 cases[i].weights[k]);
		assert_string_equal(cs_profile_get_note(profile, 0), cases[i].note);
	}
}

/* What was removed can be added again, and what stayed is still found. */
static void test_profile_stays_whole(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made();

	assert_int_equal(cs_filter_apply(&(struct cs_filter){.task = "store"}, profile), 0);
	add(profile, "store", "fetch-1", 5);
	assert_int_equal(cs_profile_nsamples(profile), 1);
	add(profile, "", "", 7);
	assert_int_equal(cs_profile_nsamples(profile), 2);
	assert_int_equal(cs_profile_sample(profile, 0)->values[CS_VALUE_WALL_NS], 35);
	assert_int_equal(cs_profile_sample(profile, 1)->values[CS_VALUE_WALL_NS], 7);
}

/* Ids of 64 bits, of the active span or its local root; a trace by the text of its label. */
static void test_spans(void **state)
{
#define TRACE "000000000000000000000000000000ff"
#define OTHER "0000000000000000000000000000000f"
	static const struct {
		struct cs_filter filter;
		const char *note;
		unsigned int n;
		uint64_t weights[3];
	} cases[] = {
		{{.span = 1},
		 "only span 0000000000000001: 30.0% of the time in samples",
		 2,
		 {10, 20}},
		{{.span = 0xffffffffffffff02},
		 "only span ffffffffffffff02: 20.0% of the time in samples",
		 1,
		 {20}},
		{{.span = 9}, "only span 0000000000000009: 0.0% of the time in samples", 0, {0}},
		{{.trace = TRACE},
		 "only trace " TRACE ": 60.0% of the time in samples",
		 3,
		 {10, 20, 30}},
		{{.endpoint = "^GET /u"},
		 "only endpoints matching ^GET /u: 30.0% of the time in samples",
		 2,
		 {10, 20}},
		{{.trace = OTHER}, "only trace " OTHER ": 0.0% of the time in samples", 0, {0}},
		{{.span = 3, .trace = TRACE, .task = "a"},
		 "only tasks matching a, span 0000000000000003, trace " TRACE
		 ": 30.0% of the time in samples",
		 1,
		 {30}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(true);
		const uint64_t ids[][2] = {{1, 1}, {0xffffffffffffff02, 1}, {3, 3}, {0, 0}};
		const uint32_t frame = made_frame(profile, CS_FRAME_PYTHON, "work", "", 0);

		for (uint64_t k = 0; k < ARRAY_SIZE(ids); k++) {
			const uint64_t values[CS_VALUE_MAX_] = {1, 0, 10 * (k + 1)};
			const struct cs_labels labels = {
				.task_name = (uint32_t)cs_profile_string(profile, "a", 1),
				.span_id = ids[k][0],
				.root_span_id = ids[k][1],
				.trace_id =
					ids[k][0] ? (uint32_t)cs_profile_string(profile, TRACE, 32)
						  : 0,
				.trace_endpoint = ids[k][1] == 1
							  ? (uint32_t)cs_profile_string(
								    profile, "GET /u/{id}", 11)
							  : 0,
			};

			assert_int_equal(cs_profile_add(profile, &frame, 1, &labels, values), 0);
		}
		assert_int_equal(cs_filter_apply(&cases[i].filter, profile), 0);
		assert_string_equal(cs_profile_get_note(profile, 0), cases[i].note);
		assert_int_equal(cs_profile_nsamples(profile), cases[i].n);
		for (unsigned int k = 0; k < cases[i].n; k++)
			assert_int_equal(cs_profile_sample(profile, k)->values[CS_VALUE_WALL_NS],
					 cases[i].weights[k]);
	}
}

/* Of several processes and threads, in another profile: the one that it is of stays as it is. */
static void test_copy(void **state)
{
	static const pid_t pids[] = {1, 42, 77};
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(true), *copy = NULL;
	const struct cs_filter filter = {.pids = pids, .npids = ARRAY_SIZE(pids), .thread = "main"};
	const struct cs_filter others = {.pids = pids, .npids = 1};
	size_t n = cs_profile_nsamples(profile);

	assert_int_equal(cs_profile_note_of(profile, 42, "of 42"), 0);
	assert_int_equal(cs_filter_copy(&filter, profile, CS_TREE_AWAIT, false, &copy), 0);
	assert_int_equal(cs_profile_nsamples(copy), 2);
	assert_int_equal(cs_profile_nsamples(profile), n);
	assert_string_equal(cs_profile_get_note(copy, cs_profile_nnotes(copy) - 2), "of 42");
	assert_string_equal(
		cs_profile_get_note(copy, cs_profile_nnotes(copy) - 1),
		"only processes 1,42,77, threads named main: 50.0% of the time in samples");
	cs_profile_free(TAKE_PTR(copy));
	assert_int_equal(cs_filter_copy(&others, profile, CS_TREE_AWAIT, false, &copy), 0);
	assert_int_equal(cs_profile_nsamples(copy), 0);
	assert_string_equal(cs_profile_get_note(copy, cs_profile_nnotes(copy) - 1),
			    "only process 1: 0.0% of the time in samples");
}

/* Nothing is asked for: every format of the copy is the same, byte for byte. */
static void test_copy_of_all(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_profile(true), *copy = NULL;
	const struct cs_exporter *const *exporter;

	made_native(profile);
	made_inlined(profile);
	assert_int_equal(
		cs_filter_copy(&(struct cs_filter){0}, profile, CS_TREE_AWAIT, false, &copy), 0);
	for (exporter = cs_exporters; *exporter; exporter++) {
		_cleanup_buf_ struct cs_buf before = {0}, after = {0};

		assert_int_equal((*exporter)->write(profile, &before), 0);
		assert_int_equal((*exporter)->write(copy, &after), 0);
		assert_true(before.len > 100);
		assert_int_equal(before.len, after.len);
		assert_memory_equal(before.data, after.data, before.len);
	}
}

static void add_span(struct cs_profile *profile, uint32_t pid, uint64_t id, uint64_t root,
		     const char *resource, const char *task)
{
	const struct cs_traced traced = {.process_id = pid,
					 .span_id = id,
					 .root_span_id = root,
					 .trace_id = text_of(profile, root == 1 ? "aa" : "bb"),
					 .type = text_of(profile, id == root ? "web" : "sql"),
					 .resource = text_of(profile, resource),
					 .task_name = text_of(profile, task)};

	assert_int_equal(cs_profile_add_traced(profile, &traced), 0);
}

/* Two requests, 1 and 3, with a child each, and another process with the same ids. A sample has met 2 only. */
static struct cs_profile *made_spans(void)
{
	struct cs_profile *profile = made_empty(true);
	const uint32_t frame = made_frame(profile, CS_FRAME_PYTHON, "work", "", 0);
	const struct cs_labels labels = {.process_id = 10,
					 .thread_name = text_of(profile, "MainThread"),
					 .task_name = text_of(profile, "fetch"),
					 .trace_id = text_of(profile, "aa"),
					 .span_id = 2,
					 .root_span_id = 1};

	cs_profile_owner(profile, 10)->facts[CS_FACT_SERVICE] = text_of(profile, "shop");
	cs_profile_owner(profile, 20)->facts[CS_FACT_SERVICE] = text_of(profile, "bank");
	assert_int_equal(
		cs_profile_add(profile, &frame, 1, &labels, (uint64_t[CS_VALUE_MAX_]){1, 0, 100}),
		0);
	add_span(profile, 10, 1, 1, "GET /cart", "Task-1");
	add_span(profile, 10, 2, 1, "SELECT", "Task-1");
	add_span(profile, 10, 3, 3, "GET /items", "Task-2");
	add_span(profile, 10, 4, 3, "SELECT", "store");
	add_span(profile, 20, 1, 1, "GET /rates", "Task-1");
	return profile;
}

/* The ids of the spans that are left, as digits; of the other process in letters. */
static void expect_spans(const struct cs_filter *filter, const char *expected)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_spans(), *copy = NULL;
	char left[8] = "", copied[8] = "";

	assert_int_equal(cs_filter_copy(filter, profile, CS_TREE_AWAIT, false, &copy), 0);
	assert_int_equal(cs_filter_apply(filter, profile), 0);
	for (size_t i = 0; i < cs_profile_ntraced(profile); i++) {
		const struct cs_traced *traced = cs_profile_get_traced(profile, i);

		left[i] = (char)((traced->process_id == 10 ? '0' : 'A') + traced->span_id);
	}
	for (size_t i = 0; i < cs_profile_ntraced(copy); i++) {
		const struct cs_traced *traced = cs_profile_get_traced(copy, i);

		copied[i] = (char)((traced->process_id == 10 ? '0' : 'A') + traced->span_id);
	}
	assert_string_equal(left, expected);
	assert_string_equal(copied, expected);
}

/* Spans that began or ended go as their samples do, and by what is known of themselves where no sample met them. */
static void test_traced(void **state)
{
	const pid_t pid = 20;

	expect_spans(&(struct cs_filter){0}, "1234B");
	expect_spans(&(struct cs_filter){.pids = &pid, .npids = 1}, "B");
	expect_spans(&(struct cs_filter){.whose[CS_FILTER_SERVICE] = "shop"}, "1234");
	expect_spans(&(struct cs_filter){.span = 3}, "34");
	expect_spans(&(struct cs_filter){.span = 4}, "4");
	expect_spans(&(struct cs_filter){.trace = "aa"}, "12B");
	expect_spans(&(struct cs_filter){.endpoint = "items"}, "34");
	expect_spans(&(struct cs_filter){.endpoint = "^GET"}, "1234B");
	expect_spans(&(struct cs_filter){.endpoint = "SELECT"}, "");
	/* the task in which it began, or one in which a sample met it */
	expect_spans(&(struct cs_filter){.task = "store"}, "4");
	expect_spans(&(struct cs_filter){.task = "fetch"}, "12");
	expect_spans(&(struct cs_filter){.thread = "MainThread"}, "12");
	expect_spans(&(struct cs_filter){.thread = "other"}, "");
}

static void test_empty(void **state)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = made_empty(true);

	assert_int_equal(cs_filter_apply(&(struct cs_filter){.task = "x"}, profile), 0);
	assert_string_equal(cs_profile_get_note(profile, 0),
			    "only tasks matching x: 0.0% of the time in samples");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_nothing_asked),
		cmocka_unit_test(test_whose),
		cmocka_unit_test(test_tasks),
		cmocka_unit_test(test_profile_stays_whole),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_traced),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_copy_of_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
