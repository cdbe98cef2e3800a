/* SPDX-License-Identifier: Apache-2.0 */
/* Whose samples are whose: across an exec, an exit, and a pid that is used again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "symbolize/owner_names.h"

static struct cs_profile *profile;
static struct cs_owner_names *names;

static int set_up(void **state)
{
	return cs_profile_new(&profile) || cs_owner_names_new(&names);
}

static int tear_down(void **state)
{
	cs_profile_free(profile);
	cs_owner_names_free(names);
	return 0;
}

static void feed(const struct cs_event *event)
{
	assert_int_equal(cs_owner_names_feed(names, profile, event), 0);
}

static void happen(enum cs_ev_kind kind, uint32_t pid)
{
	feed(&(struct cs_event){.kind = kind, .pid = pid});
}

static void tell(uint32_t pid, const char *service)
{
	struct cs_event event = {.kind = CS_EV_WHOSE, .pid = pid};

	event.whose.facts[CS_FACT_SERVICE] = (struct cs_text){service, strlen(service)};
	feed(&event);
}

static size_t sample(uint32_t pid)
{
	const struct cs_labels labels = {.process_id = pid};
	const uint64_t values[CS_VALUE_MAX_] = {1};

	assert_int_equal(cs_profile_add(profile, (uint32_t[]){0}, 0, &labels, values), 0);
	return cs_profile_last(profile);
}

static void check(size_t i, const char *service)
{
	const struct cs_labels *labels = &cs_profile_sample(profile, i)->labels;
	const struct cs_owner *owner = cs_profile_get_owner(profile, labels->owner);

	assert_int_equal(owner->pid, labels->process_id);
	assert_string_equal(cs_profile_str(profile, owner->facts[CS_FACT_SERVICE]), service);
}

static void test_late(void **state)
{
	size_t before = sample(1), other = sample(2);

	tell(1, "first");
	tell(1, "published later");
	assert_int_equal(sample(1), before);
	check(before, "published later");
	check(other, "");
}

static void test_exec(void **state)
{
	size_t shell, python;

	tell(1, "shell");
	shell = sample(1);
	happen(CS_EV_EXEC, 1);
	python = sample(1);
	assert_int_not_equal(shell, python);
	check(shell, "shell");
	check(python, "");
	tell(1, "python");
	check(shell, "shell");
	check(python, "python");
}

static void test_exit(void **state)
{
	size_t old = sample(1), last, fresh;

	happen(CS_EV_PROCESS, 1);
	tell(1, "old");
	happen(CS_EV_EXIT, 1);
	/* a last look at its tasks, and what was found out about it, may come later */
	last = sample(1);
	tell(1, "old, told late");
	assert_int_equal(old, last);
	happen(CS_EV_PROCESS, 1);
	fresh = sample(1);
	check(last, "old, told late");
	check(fresh, "");
	tell(1, "new");
	check(last, "old, told late");
	check(fresh, "new");
	/* it is described again when more is known of it */
	happen(CS_EV_PROCESS, 1);
	assert_int_equal(sample(1), fresh);
	check(fresh, "new");
}

static void begin_period(void)
{
	cs_profile_free(profile);
	assert_int_equal(cs_profile_new(&profile), 0);
	cs_owner_names_begin(names);
	happen(CS_EV_CAPTURE, 0);
}

/* What is known goes from one profile to the next; what has ended does so once, for its last samples. */
static void test_periods(void **state)
{
	tell(1, "stays");
	tell(2, "ends");
	sample(1);
	begin_period();
	check(sample(1), "stays");
	happen(CS_EV_EXIT, 2);
	check(sample(2), "ends");
	begin_period();
	check(sample(2), "ends");
	begin_period();
	check(sample(2), "");
	check(sample(1), "stays");
	happen(CS_EV_STATS, 1);
	begin_period();
	happen(CS_EV_PROCESS, 1);
	check(sample(1), "");
}

/* A capture is no more to be trusted than a process. */
static void test_forged(void **state)
{
	size_t i = sample(1);

	tell(1, "a\n\x1b[31m");
	check(i, "a\\x0a\\x1b[31m");
	tell(1, "");
	check(i, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_late, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_exec, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_exit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_periods, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forged, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
