/* SPDX-License-Identifier: Apache-2.0 */
/* Parcels on their way: order, bounds, damage, what a later run finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "deliver/parcels.h"

#define FILE_BYTES 164 /* of a parcel with a body of 100 bytes and no type */

static const struct cs_parcels_limits ample = {.bytes = 1 << 20, .age_ns = UINT64_MAX};

static int make_folder(void **state)
{
	*state = strdup("/tmp/coroscope-parcels-XXXXXX");
	return *state && mkdtemp(*state) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r -- %s", (char *)*state);
	free(*state);
	return system(command);
}

static struct cs_parcels *open_parcels(void **state, const struct cs_parcels_limits *limits)
{
	struct cs_parcels *parcels;

	assert_int_equal(cs_parcels_open(*state, limits, &parcels), 0);
	return parcels;
}

static int put(struct cs_parcels *parcels, char letter)
{
	_cleanup_(cs_parcel_free) struct cs_parcel parcel = {0};

	assert_int_equal(cs_parcel_begin(&parcel, "", ""), 0);
	assert_non_null(memset(cs_buf_extend(&parcel.body, 100), letter, 100));
	return cs_parcels_put(parcels, &parcel);
}

static void check_first(struct cs_parcels *parcels, char letter, uint32_t attempts)
{
	_cleanup_(cs_parcel_free) struct cs_parcel parcel = {0};

	assert_int_equal(cs_parcels_first(parcels, &parcel), 0);
	assert_int_equal(parcel.body.data[0], letter);
	assert_int_equal(parcel.attempts, attempts);
}

static void check_none(struct cs_parcels *parcels)
{
	struct cs_parcel parcel;

	assert_int_equal(cs_parcels_first(parcels, &parcel), -ENOENT);
	assert_int_equal(cs_parcels_note_attempt(parcels), -ENOENT);
	assert_int_equal(cs_parcels_drop(parcels), -ENOENT);
	assert_int_equal(cs_parcels_n(parcels), 0);
	assert_int_equal(cs_parcels_bytes(parcels), 0);
}

/* The path of the i-th file in the order of names. */
static void file_path(const char *folder, int i, char path[512])
{
	struct dirent **names;
	int n = scandir(folder, &names, NULL, alphasort);

	assert_true(n > i + 2);
	snprintf(path, 512, "%s/%s", folder, names[i + 2]->d_name);
	while (n--)
		free(names[n]);
	free(names);
}

static void test_order(void **state)
{
	_cleanup_(cs_parcels_closep) struct cs_parcels *parcels = open_parcels(state, &ample);

	check_none(parcels);
	for (char letter = 'a'; letter <= 'z'; letter++)
		assert_int_equal(put(parcels, letter), 0);
	assert_int_equal(cs_parcels_n(parcels), 26);
	assert_int_equal(cs_parcels_bytes(parcels), 26 * FILE_BYTES);
	for (char letter = 'a'; letter <= 'z'; letter++) {
		check_first(parcels, letter, 0);
		assert_int_equal(cs_parcels_drop(parcels), 0);
	}
	check_none(parcels);
}

static void test_attempts_last(void **state)
{
	struct cs_parcels *parcels = open_parcels(state, &ample);

	assert_int_equal(put(parcels, 'a'), 0);
	assert_int_equal(put(parcels, 'b'), 0);
	assert_int_equal(cs_parcels_note_attempt(parcels), 0);
	assert_int_equal(cs_parcels_note_attempt(parcels), 0);
	check_first(parcels, 'a', 2);
	cs_parcels_close(parcels);
	parcels = open_parcels(state, &ample);
	assert_int_equal(cs_parcels_n(parcels), 2);
	check_first(parcels, 'a', 2);
	assert_int_equal(cs_parcels_drop(parcels), 0);
	check_first(parcels, 'b', 0);
	/* new ones stand behind what was found */
	assert_int_equal(put(parcels, 'c'), 0);
	assert_int_equal(cs_parcels_drop(parcels), 0);
	check_first(parcels, 'c', 0);
	cs_parcels_close(parcels);
}

static void test_one_at_a_time(void **state)
{
	_cleanup_(cs_parcels_closep) struct cs_parcels *parcels = open_parcels(state, &ample);
	struct cs_parcels *second;

	assert_int_equal(cs_parcels_open(*state, &ample, &second), -EBUSY);
}

static void test_ours_alone(void **state)
{
	struct cs_parcels *parcels;
	struct stat st;
	char path[512];

	assert_int_equal(chmod(*state, 0770), 0);
	assert_int_equal(cs_parcels_open(*state, &ample, &parcels), -EPERM);
	assert_int_equal(chmod(*state, 0700), 0);
	parcels = open_parcels(state, &ample);
	assert_int_equal(put(parcels, 'a'), 0);
	cs_parcels_close(parcels);
	file_path(*state, 0, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_bytes(void **state)
{
	const struct cs_parcels_limits limits = {.bytes = 3 * FILE_BYTES + 10,
						 .age_ns = UINT64_MAX};
	_cleanup_(cs_parcels_closep) struct cs_parcels *parcels = open_parcels(state, &limits);
	_cleanup_(cs_parcel_free) struct cs_parcel large = {0};

	for (char letter = 'a'; letter <= 'f'; letter++)
		assert_int_equal(put(parcels, letter), 0);
	assert_int_equal(cs_parcels_n(parcels), 3);
	assert_int_equal(cs_parcels_counts(parcels)->over_bytes, 3);
	check_first(parcels, 'd', 0);
	/* what alone is too large costs the others nothing */
	assert_int_equal(cs_parcel_begin(&large, "", ""), 0);
	assert_non_null(cs_buf_extend(&large.body, 1000));
	assert_int_equal(cs_parcels_put(parcels, &large), -EFBIG);
	assert_int_equal(cs_parcels_counts(parcels)->over_bytes, 4);
	assert_int_equal(cs_parcels_n(parcels), 3);
}

static void test_age(void **state)
{
	const struct cs_parcels_limits limits = {.bytes = 1 << 20, .age_ns = 3600000000000};
	struct cs_parcels *parcels = open_parcels(state, &limits);
	struct timespec times[2] = {{0}};
	char path[512];

	assert_int_equal(put(parcels, 'a'), 0);
	assert_int_equal(put(parcels, 'b'), 0);
	assert_int_equal(put(parcels, 'c'), 0);
	cs_parcels_close(parcels);
	file_path(*state, 0, path);
	times[0].tv_sec = times[1].tv_sec = time(NULL) - 3700;
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	/* a clock that was set back is no age */
	file_path(*state, 1, path);
	times[0].tv_sec = times[1].tv_sec = time(NULL) + 100000;
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	parcels = open_parcels(state, &limits);
	check_first(parcels, 'b', 0);
	assert_int_equal(cs_parcels_counts(parcels)->over_age, 1);
	assert_int_equal(cs_parcels_n(parcels), 2);
	cs_parcels_close(parcels);
}

static void write_text(const char *folder, const char *name, const char *text)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void test_damage(void **state)
{
	struct cs_parcels *parcels = open_parcels(state, &ample);
	char path[512];

	for (char letter = 'a'; letter <= 'd'; letter++)
		assert_int_equal(put(parcels, letter), 0);
	cs_parcels_close(parcels);
	file_path(*state, 0, path);
	assert_int_equal(truncate(path, FILE_BYTES / 2), 0);
	file_path(*state, 1, path);
	assert_int_equal(truncate(path, 0), 0);
	file_path(*state, 2, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	parcels = open_parcels(state, &ample);
	/* the link is no file, so it was not even listed */
	check_first(parcels, 'd', 0);
	assert_int_equal(cs_parcels_counts(parcels)->damaged, 2);
	assert_int_equal(cs_parcels_n(parcels), 1);
	cs_parcels_close(parcels);
}

static void test_foreign_files(void **state)
{
	static const char *const names[] = {"notes.txt", "1-0.parcel",
					    "00000000000000000001-0000000000.parcel.half",
					    "x.parcel", "00000000000000000001-00000000zz.parcel"};
	_cleanup_(cs_parcels_closep) struct cs_parcels *parcels = NULL;
	char path[512];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		write_text(*state, names[i], "whatever");
	parcels = open_parcels(state, &ample);
	check_none(parcels);
	/* what an interrupted write has left is gone, what is another's is not */
	snprintf(path, sizeof(path), "%s/%s", (char *)*state, names[2]);
	assert_int_equal(access(path, F_OK), -1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", (char *)*state, names[i]);
		assert_int_equal(access(path, F_OK), i == 2 ? -1 : 0);
	}
}

static void test_vanished(void **state)
{
	_cleanup_(cs_parcels_closep) struct cs_parcels *parcels = open_parcels(state, &ample);
	char path[512];

	assert_int_equal(put(parcels, 'a'), 0);
	assert_int_equal(put(parcels, 'b'), 0);
	file_path(*state, 0, path);
	assert_int_equal(unlink(path), 0);
	check_first(parcels, 'b', 0);
	assert_int_equal(cs_parcels_counts(parcels)->damaged, 1);
}

static void test_directory_in_its_place(void **state)
{
	_cleanup_(cs_parcels_closep) struct cs_parcels *parcels = open_parcels(state, &ample);
	char path[512];

	assert_int_equal(put(parcels, 'a'), 0);
	assert_int_equal(put(parcels, 'b'), 0);
	file_path(*state, 0, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	check_first(parcels, 'b', 0);
	assert_int_equal(cs_parcels_counts(parcels)->damaged, 1);
	assert_int_equal(cs_parcels_n(parcels), 1);
}

static void test_removed_folder(void **state)
{
	_cleanup_(cs_parcels_closep) struct cs_parcels *parcels = open_parcels(state, &ample);
	char path[512];

	assert_int_equal(put(parcels, 'a'), 0);
	file_path(*state, 0, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(*state), 0);
	assert_int_equal(put(parcels, 'b'), 0);
	assert_int_equal(put(parcels, 'c'), 0);
	check_first(parcels, 'b', 0);
	assert_int_equal(cs_parcels_counts(parcels)->damaged, 1);
	assert_int_equal(cs_parcels_n(parcels), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		TEST(test_order),          TEST(test_attempts_last),
		TEST(test_one_at_a_time),  TEST(test_ours_alone),
		TEST(test_bytes),          TEST(test_age),
		TEST(test_damage),         TEST(test_foreign_files),
		TEST(test_vanished),       TEST(test_directory_in_its_place),
		TEST(test_removed_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
