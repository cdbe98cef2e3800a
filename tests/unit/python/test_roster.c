/* SPDX-License-Identifier: Apache-2.0 */
/* What a capture's reader knows of tasks. */
#include "python/roster.h"

#include "test.h"

static void keeps_what_is_there(void **state)
{
	struct cs_roster roster = {0};

	assert_null(cs_roster_find(&roster, 16));
	assert_null(cs_roster_get(&roster, 16));
	assert_int_equal(cs_roster_reserve(&roster, 2), 0);
	assert_null(cs_roster_find(&roster, 16));
	assert_null(cs_roster_get(&roster, 0));
	assert_int_equal(cs_roster_get(&roster, 16)->digest, 0);
	cs_roster_find(&roster, 16)->digest = 7;
	assert_int_equal(cs_roster_get(&roster, 16)->digest, 7);
	assert_int_equal(roster.n, 1);
	assert_null(cs_roster_find(&roster, 32));
	cs_roster_free(&roster);
	assert_null(cs_roster_find(&roster, 16));
}

static bool is_odd(void *arg, const struct cs_roster_entry *entry)
{
	++*(size_t *)arg;
	return entry->digest & 1;
}

static void grows_and_is_swept(void **state)
{
	struct cs_roster roster = {0};
	const size_t n = 5000;
	size_t asked = 0;

	for (size_t i = 1; i <= n; i++) {
		assert_int_equal(cs_roster_reserve(&roster, 1), 0);
		cs_roster_get(&roster, i * 4096)->digest = i;
	}
	assert_int_equal(roster.n, n);
	for (size_t i = 1; i <= n; i++)
		assert_int_equal(cs_roster_find(&roster, i * 4096)->digest, i);
	assert_int_equal(cs_roster_sweep(&roster, is_odd, &asked), 0);
	assert_int_equal(asked, n);
	assert_int_equal(roster.n, n / 2);
	for (size_t i = 1; i <= n; i++)
		assert_int_equal(cs_roster_find(&roster, i * 4096) != NULL, !(i & 1));
	cs_roster_free(&roster);
}

static void is_never_overfilled(void **state)
{
	struct cs_roster roster = {0};
	size_t n = 0;

	assert_int_equal(cs_roster_reserve(&roster, 1), 0);
	while (cs_roster_get(&roster, (n + 1) * 8))
		n++;
	assert_true(n >= 1 && n <= roster.cap / 2);
	cs_roster_free(&roster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_is_there),
		cmocka_unit_test(grows_and_is_swept),
		cmocka_unit_test(is_never_overfilled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
