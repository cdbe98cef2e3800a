/* SPDX-License-Identifier: Apache-2.0 */
/* A capture without an end, cut into periods: what is known lives on, accounts are each period's own, who is gone is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <coroscope/event.h>

#include "cli/pipeline.h"
#include "collect/record.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "golden/made_capture.h"

/* The process of the made capture. */
#define PID 42

struct fixture {
	struct cs_view view;
	struct cs_pipeline *pipeline;
	struct cs_buf capture; /* its records, without the file's header */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	_cleanup_buf_ struct cs_buf file = {0};

	*state = f;
	return made_capture(&file) ||
	       cs_buf_append(&f->capture, file.data + sizeof(struct cs_raw_file_header),
			     file.len - sizeof(struct cs_raw_file_header)) ||
	       cs_pipeline_new(&f->view, &f->pipeline);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	cs_pipeline_free(f->pipeline);
	cs_buf_free(&f->capture);
	free(f);
	return 0;
}

/* Records by which people's names for things come. */
static bool names_something(const struct cs_ev_hdr *record)
{
	return record->kind == CS_EV_CODE || record->kind == CS_EV_KSYM ||
	       record->kind == CS_EV_MAPPING || record->kind == CS_EV_PROCESS ||
	       record->kind == CS_EV_SYMBOL || record->kind == CS_EV_THREAD;
}

/* The made capture once more, but its accounts and end, and with or without names. */
static void feed_capture(struct fixture *f, bool with_names)
{
	_cleanup_buf_ struct cs_buf records = {0};

	for (size_t at = 0; at < f->capture.len;) {
		const struct cs_ev_hdr *record = (const void *)(f->capture.data + at);

		at += record->size;
		if (record->kind != CS_EV_STATS && record->kind != CS_EV_END &&
		    (with_names || !names_something(record)))
			assert_int_equal(cs_buf_append(&records, record, record->size), 0);
	}
	assert_int_equal(cs_pipeline_feed(f->pipeline, records.data, records.len), 0);
}

static void feed_ticks(struct fixture *f, uint64_t ticks)
{
	uint64_t counters[CS_COUNTER_MAX_] = {[CS_COUNTER_TICKS] = ticks};
	_cleanup_buf_ struct cs_buf records = {0};

	assert_int_equal(cs_record_stats(&records, 2000000000u, 0, counters), 0);
	assert_int_equal(cs_pipeline_feed(f->pipeline, records.data, records.len), 0);
}

static struct cs_profile *take(struct fixture *f)
{
	struct cs_profile *profile = NULL;

	assert_int_equal(cs_pipeline_take(f->pipeline, &profile), 0);
	return profile;
}

static uint64_t sum(const struct cs_profile *profile, enum cs_value value)
{
	uint64_t n = 0;

	for (size_t i = 0; i < cs_profile_nsamples(profile); i++)
		n += cs_profile_sample(profile, i)->values[value];
	return n;
}

/* How many frames of the profile's stacks are called so. */
static unsigned int called(const struct cs_profile *profile, const char *name)
{
	unsigned int n = 0;

	for (size_t i = 0; i < cs_profile_nframes(profile); i++)
		n += !strcmp(
			cs_profile_str(profile, cs_profile_get_frame(profile, (uint32_t)i)->name),
			name);
	return n;
}

static unsigned int tasks_told_apart(const struct cs_profile *profile)
{
	unsigned int n = 0;

	for (size_t i = 0; i < cs_profile_nframes(profile); i++)
		n += !!cs_profile_get_frame(profile, (uint32_t)i)->task;
	return n;
}

static void test_names_live_on(void **state)
{
	static const char *const names[] = {"main", "fetch", "query", "parse",
					    "BaseEventLoop.run_forever"};
	struct fixture *f = *state;
	_cleanup_(cs_profile_freep) struct cs_profile *first = NULL, *second = NULL;

	feed_capture(f, true);
	first = take(f);
	feed_capture(f, false);
	second = take(f);
	assert_int_equal(sum(first, CS_VALUE_SAMPLES), 12);
	assert_int_equal(sum(second, CS_VALUE_SAMPLES), 12);
	assert_int_equal(sum(second, CS_VALUE_WALL_NS), sum(first, CS_VALUE_WALL_NS));
	assert_int_equal(called(second, "[unreadable]"), called(first, "[unreadable]"));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(called(second, names[i]), called(first, names[i]));
	assert_true(called(first, "main"));
	assert_int_equal(cs_profile_meta(second)->interval_ns, 10000000);
	assert_int_equal(cs_profile_meta(second)->start_realtime_ns, 1700000000000000000);
	assert_int_equal(cs_profile_meta(second)->duration_ns, cs_profile_meta(first)->duration_ns);
	assert_false(cs_profile_meta(second)->partial);
	/* the first is the caller's: it must not have changed, nor need the pipeline */
	assert_int_equal(called(first, "[unreadable]"), called(second, "[unreadable]"));
}

/* What was learned but not seen is no burden to a period. */
static void test_only_what_was_seen(void **state)
{
	struct fixture *f = *state;
	_cleanup_(cs_profile_freep) struct cs_profile *first = NULL, *second = NULL;

	feed_capture(f, true);
	first = take(f);
	second = take(f);
	assert_true(cs_profile_nstrings(first) > 20);
	assert_int_equal(cs_profile_nsamples(second), 0);
	assert_int_equal(cs_profile_nframes(second), 0);
	assert_int_equal(cs_profile_nstrings(second), 1);
	assert_int_equal(cs_profile_nnotes(second), 0);
}

static void test_accounts_of_the_period(void **state)
{
	struct fixture *f = *state;
	_cleanup_(cs_profile_freep) struct cs_profile *first = NULL, *second = NULL;

	feed_capture(f, true);
	feed_ticks(f, 100);
	first = take(f);
	feed_capture(f, false);
	feed_ticks(f, 250);
	second = take(f);
	assert_int_equal(cs_profile_meta(first)->counters[CS_COUNTER_TICKS], 100);
	assert_int_equal(cs_profile_meta(second)->counters[CS_COUNTER_TICKS], 150);
}

/* Names of a process are kept until the end of the period in which it has ended. */
static void test_who_is_gone_is_forgotten(void **state)
{
	struct fixture *f = *state;
	_cleanup_(cs_profile_freep) struct cs_profile *first = NULL, *second = NULL, *third = NULL;
	const uint64_t counters[CS_COUNTER_MAX_] = {0};
	_cleanup_buf_ struct cs_buf end = {0};

	feed_capture(f, true);
	first = take(f);
	assert_int_equal(cs_record_stats(&end, 3000000000u, PID, counters), 0);
	assert_int_equal(cs_pipeline_feed(f->pipeline, end.data, end.len), 0);
	feed_capture(f, false);
	second = take(f);
	feed_capture(f, false);
	third = take(f);
	assert_int_equal(called(second, "main"), called(first, "main"));
	assert_int_equal(called(third, "main"), 0);
	assert_true(called(third, "[unreadable]"));
	assert_int_equal(sum(third, CS_VALUE_CPU_NS), sum(first, CS_VALUE_CPU_NS));
}

/* One period in all trees, with which task is which and when; those before and after as ever. */
static void test_shown_otherwise(void **state)
{
	struct fixture *f = *state;
	_cleanup_(cs_profile_freep) struct cs_profile *before = NULL, *whole = NULL, *after = NULL;

	feed_capture(f, true);
	before = take(f);
	assert_int_equal(cs_pipeline_show(f->pipeline, CS_ALL_TREES, true), 0);
	feed_capture(f, false);
	whole = take(f);
	assert_int_equal(cs_pipeline_show(f->pipeline, 1u << CS_TREE_AWAIT, false), 0);
	feed_capture(f, false);
	after = take(f);
	assert_int_equal(cs_profile_nsamples_in(before, CS_TREE_CREATION), 0);
	assert_int_equal(cs_profile_nsamples_in(after, CS_TREE_CREATION), 0);
	assert_true(cs_profile_nsamples_in(whole, CS_TREE_CREATION));
	assert_true(cs_profile_nsamples_in(whole, CS_TREE_THREADS));
	assert_int_equal(sum(whole, CS_VALUE_WALL_NS), sum(before, CS_VALUE_WALL_NS));
	assert_int_equal(sum(after, CS_VALUE_WALL_NS), sum(before, CS_VALUE_WALL_NS));
	assert_int_equal(tasks_told_apart(before), 0);
	assert_int_equal(tasks_told_apart(after), 0);
	assert_true(tasks_told_apart(whole));
	assert_int_equal(cs_profile_sample(before, 0)->nspans, 0);
	assert_true(cs_profile_sample(whole, 0)->nspans);
	assert_int_equal(cs_profile_sample(after, 0)->nspans, 0);
}

static void test_damaged(void **state)
{
	struct fixture *f = *state;
	struct cs_ev_hdr wrong = {.size = 4096, .kind = CS_EV_STACK, .pid = PID};

	assert_int_equal(cs_pipeline_feed(f->pipeline, (const char *)&wrong, sizeof(wrong)),
			 -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names_live_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_what_was_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_accounts_of_the_period, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_is_gone_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shown_otherwise, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
