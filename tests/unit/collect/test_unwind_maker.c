/* SPDX-License-Identifier: Apache-2.0 */
/* What a thread makes and takes back, of this program's own file; the kernel's maps are made up (made_tables.h). */
#include "collect/unwind_maker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "unit/collect/made_tables.h"

#define BUDGET  ((size_t)64 << 20)
#define LONG_NS 60000000000ull
#define MANY    8

struct fixture {
	struct cs_unwind_maker *maker;
	struct cs_unwind_making making[MANY];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	made_tables_begin();
	return cs_unwind_maker_new(MADE_FILES, BUDGET, &f->maker);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	cs_unwind_maker_free(f->maker);
	made_tables_end();
	free(f);
	return 0;
}

static void ask(struct fixture *f, size_t i)
{
	f->making[i] = (struct cs_unwind_making){.asker = &f->making[i]};
	assert_int_equal(cs_elf_open("/proc/self/exe", &f->making[i].elf), 0);
	cs_unwind_maker_ask(f->maker, &f->making[i]);
}

static struct cs_kernel_table *made(struct fixture *f)
{
	struct cs_unwind_making *making;

	cs_unwind_maker_wait(f->maker, LONG_NS);
	making = cs_unwind_maker_take(f->maker);
	assert_non_null(making);
	assert_int_equal(making->err, 0);
	return making->table;
}

static void what_was_asked_for_comes_back_in_order(void **state)
{
	struct fixture *f = *state;

	made_tables.hold = true;
	for (size_t i = 0; i < MANY; i++)
		ask(f, i);
	assert_null(cs_unwind_maker_take(f->maker));
	made_tables.hold = false;
	cs_unwind_maker_wait(f->maker, LONG_NS);
	for (size_t i = 0; i < MANY; i++) {
		struct cs_unwind_making *making = cs_unwind_maker_take(f->maker);

		assert_ptr_equal(making, &f->making[i]);
		assert_ptr_equal(making->asker, making);
		assert_null(making->elf);
		/* one file, one table */
		assert_ptr_equal(making->table, f->making[0].table);
	}
	assert_null(cs_unwind_maker_take(f->maker));
	assert_int_equal(cs_unwind_maker_stats(f->maker).files, 1);
	assert_int_equal(made_tables.ntold, 1);
}

static void the_last_user_takes_a_table_back(void **state)
{
	struct fixture *f = *state;
	struct cs_kernel_table *table;

	ask(f, 0);
	table = made(f);
	ask(f, 1);
	assert_ptr_equal(made(f), table);
	cs_unwind_maker_release(f->maker, table);
	cs_unwind_maker_wait(f->maker, LONG_NS);
	assert_int_equal(made_tables.ngone, 0);
	cs_unwind_maker_release(f->maker, table);
	cs_unwind_maker_wait(f->maker, LONG_NS);
	assert_int_equal(made_tables.ngone, 1);
	assert_int_equal(cs_unwind_maker_stats(f->maker).files, 0);
	/* and it begins again after it had nothing to do */
	ask(f, 2);
	made(f);
	assert_int_equal(cs_unwind_maker_stats(f->maker).files, 1);
}

static void who_waits_does_not_wait_longer_than_that(void **state)
{
	struct fixture *f = *state;

	made_tables.hold = true;
	ask(f, 0);
	cs_unwind_maker_wait(f->maker, 1000000);
	assert_null(cs_unwind_maker_take(f->maker));
	made_tables.hold = false;
}

static void what_is_not_made_at_the_end_is_let_go(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < MANY; i++)
		ask(f, i);
}

static void an_error_is_told(void **state)
{
	struct fixture *f = *state;
	struct cs_unwind_making *making;

	made_tables.refuses = true;
	ask(f, 0);
	cs_unwind_maker_wait(f->maker, LONG_NS);
	making = cs_unwind_maker_take(f->maker);
	assert_ptr_equal(making, &f->making[0]);
	assert_int_equal(making->err, -EPERM);
	assert_null(making->table);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_asked_for_comes_back_in_order),
		TEST(the_last_user_takes_a_table_back),
		TEST(who_waits_does_not_wait_longer_than_that),
		TEST(what_is_not_made_at_the_end_is_let_go),
		TEST(an_error_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
