/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for a server while its disk is full: in memory, in order, bounded, and back on the disk when that can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "deliver/outbox.h"

static const struct cs_parcels_limits ample = {.bytes = 1 << 20, .age_ns = UINT64_MAX};

static int make_folder(void **state)
{
	signal(SIGXFSZ, SIG_IGN);
	*state = strdup("/tmp/coroscope-outbox-XXXXXX");
	return *state && mkdtemp(*state) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r -- %s", (char *)*state);
	free(*state);
	return system(command);
}

/* No file of this process may have a byte. */
static void set_full(bool full)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = full ? 0 : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static struct cs_outbox *open_box(const char *spool, uint64_t memory_bytes)
{
	struct cs_outbox *box;

	assert_int_equal(cs_outbox_new(spool, &ample, memory_bytes, &box), 0);
	return box;
}

static int put(struct cs_outbox *box, char letter)
{
	struct cs_parcel parcel = {0};

	assert_int_equal(cs_parcel_begin(&parcel, "", ""), 0);
	assert_non_null(memset(cs_buf_extend(&parcel.body, 100), letter, 100));
	return cs_outbox_put(box, &parcel);
}

static void check_begin(struct cs_outbox *box, char letter, uint32_t attempts)
{
	const struct cs_parcel *parcel;

	assert_int_equal(cs_outbox_begin(box, &parcel), 0);
	assert_int_equal(parcel->body.data[0], letter);
	assert_int_equal(parcel->attempts, attempts);
}

static void check_all(struct cs_outbox *box, const char *letters)
{
	const struct cs_parcel *parcel;

	assert_int_equal(cs_outbox_n(box), strlen(letters));
	for (; *letters; letters++) {
		check_begin(box, *letters, 1);
		assert_int_equal(cs_outbox_drop(box), 0);
	}
	assert_int_equal(cs_outbox_begin(box, &parcel), -ENOENT);
}

static void test_full(void **state)
{
	struct cs_outbox *box = open_box(*state, 1000);

	assert_int_equal(put(box, 'a'), 0);
	set_full(true);
	for (char letter = 'b'; letter <= 'd'; letter++)
		assert_int_equal(put(box, letter), -ENOSPC);
	/* what is on the disk is older */
	check_all(box, "abcd");
	assert_int_equal(put(box, 'e'), -ENOSPC);
	check_begin(box, 'e', 1);
	set_full(false);
	assert_int_equal(put(box, 'f'), 0);
	cs_outbox_free(box);
	/* both are on the disk now, in order, and of the first the attempt is known */
	box = open_box(*state, 1000);
	assert_int_equal(cs_outbox_found(box), 2);
	check_begin(box, 'e', 2);
	assert_int_equal(cs_outbox_drop(box), 0);
	check_all(box, "f");
	cs_outbox_free(box);
}

static void test_saved(void **state)
{
	struct cs_outbox *box = open_box(*state, 1000);

	set_full(true);
	assert_int_equal(put(box, 'a'), -ENOSPC);
	assert_int_equal(cs_outbox_save(box), -ENOSPC);
	set_full(false);
	assert_int_equal(cs_outbox_save(box), 0);
	assert_int_equal(cs_outbox_forget(box), 0);
	cs_outbox_free(box);
	box = open_box(*state, 1000);
	check_all(box, "a");
	cs_outbox_free(box);
}

static void test_memory_is_bounded(void **state)
{
	struct cs_outbox *box = open_box(*state, 250);

	set_full(true);
	for (char letter = 'a'; letter <= 'e'; letter++)
		assert_int_equal(put(box, letter), -ENOSPC);
	set_full(false);
	assert_int_equal(cs_outbox_crowded_out(box), 3);
	check_all(box, "de");
	cs_outbox_free(box);
}

static void test_no_spool(void **state)
{
	struct cs_outbox *box = open_box(NULL, 250);

	for (char letter = 'a'; letter <= 'c'; letter++)
		assert_int_equal(put(box, letter), 0);
	assert_int_equal(cs_outbox_crowded_out(box), 1);
	assert_null(cs_outbox_spool_counts(box));
	assert_int_equal(cs_outbox_save(box), 0);
	check_begin(box, 'b', 1);
	check_begin(box, 'b', 2);
	assert_int_equal(cs_outbox_forget(box), 2);
	assert_int_equal(cs_outbox_n(box), 0);
	cs_outbox_free(box);
}

/* Larger than the spool may be: no reason to wait in memory. */
static void test_too_large(void **state)
{
	static const struct cs_parcels_limits tight = {.bytes = 100, .age_ns = UINT64_MAX};
	struct cs_outbox *box;

	assert_int_equal(cs_outbox_new(*state, &tight, 1000, &box), 0);
	assert_int_equal(put(box, 'a'), -EFBIG);
	assert_int_equal(cs_outbox_n(box), 0);
	assert_int_equal(cs_outbox_spool_counts(box)->over_bytes, 1);
	cs_outbox_free(box);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_full),     TEST(test_saved),     TEST(test_memory_is_bounded),
		TEST(test_no_spool), TEST(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
