/* SPDX-License-Identifier: Apache-2.0 */
/* pprof files in a directory: which go first, whatever the clock says. */
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
#include <unistd.h>

#include "core/cleanup.h"
#include "deliver/directory.h"
#include "unit/export/made_profile.h"

#define HOUR_NS 3600000000000ull

static int make_folder(void **state)
{
	*state = strdup("/tmp/coroscope-directory-XXXXXX");
	return *state && mkdtemp(*state) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r -- %s", (char *)*state);
	free(*state);
	return system(command);
}

static struct cs_profile *begun_at(uint64_t ns)
{
	struct cs_profile *profile = made_empty(false);
	const uint32_t frame = made_frame(profile, CS_FRAME_PYTHON, "f", "f.py", 1);
	const uint64_t values[CS_VALUE_MAX_] = {1, 1, 1};
	const struct cs_labels labels = {.thread_id = 1};

	assert_int_equal(cs_profile_add(profile, &frame, 1, &labels, values), 0);
	cs_profile_meta_mut(profile)->start_realtime_ns = ns;
	return profile;
}

/* Returns how many were removed for it. */
static uint64_t write_one(void **state, uint64_t hour, uint64_t bytes)
{
	const struct cs_directory_limits limits = {bytes, UINT64_MAX};
	_cleanup_(cs_profile_freep) struct cs_profile *profile =
		begun_at(1700000000000000000u + hour * HOUR_NS);
	struct cs_directory_counts counts = {0};

	assert_int_equal(cs_directory_write(*state, &limits, profile, &counts), 0);
	assert_int_equal(counts.written, 1);
	return counts.removed;
}

/* The number behind the time, of each file in the order of names; returns how many there are. */
static int numbers(const char *folder, long found[8])
{
	struct dirent **names;
	int n = scandir(folder, &names, NULL, alphasort), files = 0;

	for (int i = 0; i < n; i++) {
		const char *at = strrchr(names[i]->d_name, '-');

		if (*names[i]->d_name != '.' && files < 8)
			found[files++] = at ? strtol(at + 1, NULL, 10) : 0;
		free(names[i]);
	}
	free(names);
	return files;
}

static uint64_t size_of_one(void **state)
{
	struct dirent **names;
	char path[512];
	struct stat st;
	int n = scandir(*state, &names, NULL, alphasort);

	assert_int_equal(n, 3);
	snprintf(path, sizeof(path), "%s/%s", (char *)*state, names[2]->d_name);
	assert_int_equal(stat(path, &st), 0);
	while (n--)
		free(names[n]);
	free(names);
	return (uint64_t)st.st_size;
}

/* The clock is set back: what is written then is no older than what was there. */
static void test_clock_back(void **state)
{
	long found[8];
	uint64_t size;

	assert_int_equal(write_one(state, 5, UINT64_MAX), 0);
	size = size_of_one(state);
	assert_int_equal(write_one(state, 6, UINT64_MAX), 0);
	assert_int_equal(write_one(state, 1, UINT64_MAX), 0);
	assert_int_equal(numbers(*state, found), 3);
	assert_int_equal(found[0], 3);
	assert_int_equal(write_one(state, 2, size * 2 + size / 2), 2);
	assert_int_equal(numbers(*state, found), 2);
	assert_int_equal(found[0], 3);
	assert_int_equal(found[1], 4);
}

/* Files of others, and those of an earlier version, whose numbers begin anew with each time. */
static void test_found(void **state)
{
	static const char *const names[] = {"coroscope-notes.pb.gz", "coroscope.pb.gz", "x-7.pb.gz",
					    "coroscope-20231114T221320.000000000Z-0001.pb.gz",
					    "coroscope-20231114T221321.000000000Z-0001.pb.gz"};
	char path[512];
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_close_ int fd = -1;

		snprintf(path, sizeof(path), "%s/%s", (char *)*state, names[i]);
		fd = open(path, O_CREAT | O_WRONLY, 0600);
		assert_int_equal(write(fd, "12345", 5), 5);
	}
	assert_int_equal(write_one(state, 0, 1000000), 0);
	snprintf(path, sizeof(path), "%s/coroscope-20231114T221320.000000000Z-0000000002.pb.gz",
		 (char *)*state);
	assert_int_equal(stat(path, &st), 0);
	/* room for both of ours, but for one byte */
	assert_int_equal(write_one(state, 0, (uint64_t)st.st_size * 2 + 4), 2);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", (char *)*state, names[i]);
		assert_int_equal(access(path, F_OK), i < 3 ? 0 : -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_clock_back, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_found, make_folder, remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
