/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pprof files in a directory. The time in a name is that of the profile's start, in UTC, for people; which is older the number behind it says, which a clock that is set does
 * not change.
 */
#include "deliver/directory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "deliver/folder.h"
#include "export/exporter.h"

#define PREFIX "coroscope-"

/* Of a file of ours the number; 0: it is another's. */
static uint64_t number_of(const char *name)
{
	const char *at = strrchr(name, '-');
	uint64_t number;

	return !strncmp(name, PREFIX, strlen(PREFIX)) && sscanf(at, "-%18" SCNu64 ".", &number) == 1
		       ? number
		       : 0;
}

/* The oldest first. */
static int by_number(const void *a, const void *b)
{
	const struct cs_folder_file *one = a, *two = b;
	uint64_t first = number_of(one->name), second = number_of(two->name);

	return first != second ? (first > second) - (first < second) : strcmp(one->name, two->name);
}

static int make_room(int folder, const struct cs_directory_limits *limits, uint64_t more,
		     const struct cs_folder_file *files, size_t n,
		     struct cs_directory_counts *counts)
{
	uint64_t now = cs_folder_now_ns(), bytes = more;
	int err = 0;

	for (size_t i = 0; i < n; i++)
		bytes += number_of(files[i].name) ? files[i].bytes : 0;
	for (size_t i = 0; !err && i < n; i++) {
		uint64_t written = files[i].written_ns;
		bool old = now > written && now - written > limits->age_ns;

		if (!number_of(files[i].name) || (!old && bytes <= limits->bytes))
			continue;
		err = cs_folder_remove(folder, files[i].name);
		bytes -= files[i].bytes;
		counts->removed += !err;
	}
	return err;
}

/* Behind all that are there. */
static void choose_name(const struct cs_profile *profile, const struct cs_folder_file *files,
			size_t n, char name[64])
{
	uint64_t ns = cs_profile_meta(profile)->start_realtime_ns;
	time_t seconds = (time_t)(ns / 1000000000u);
	char time[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(time, sizeof(time), "%Y%m%dT%H%M%S", &tm);
	snprintf(name, 64, PREFIX "%s.%09uZ-%010" PRIu64 "%s", time,
		 (unsigned int)(ns % 1000000000u), n ? number_of(files[n - 1].name) + 1 : 1,
		 cs_export_pprof.suffix);
}

int cs_directory_write(const char *path, const struct cs_directory_limits *limits,
		       const struct cs_profile *profile, struct cs_directory_counts *counts)
{
	_cleanup_free_ struct cs_folder_file *files = NULL;
	_cleanup_close_ int folder = cs_folder_open(path);
	_cleanup_buf_ struct cs_buf bytes = {0};
	struct iovec part;
	char name[64];
	size_t n = 0;
	int err;

	if (folder < 0)
		return folder;
	err = cs_export_pprof.write(profile, &bytes);
	if (!err && bytes.len > limits->bytes)
		err = -EFBIG;
	if (!err)
		err = cs_folder_list(folder, cs_export_pprof.suffix, &files, &n);
	if (!err && n)
		qsort(files, n, sizeof(*files), by_number);
	if (!err)
		err = make_room(folder, limits, bytes.len, files, n, counts);
	if (err)
		return err;
	choose_name(profile, files, n, name);
	part = (struct iovec){bytes.data, bytes.len};
	err = cs_folder_write(folder, name, &part, 1);
	counts->written += !err;
	counts->bytes += err ? 0 : bytes.len;
	return err;
}
