/* SPDX-License-Identifier: Apache-2.0 */
/* pprof files in a directory. The time in a name is that of the profile's start, in UTC, so names are in its order. */
#include "deliver/directory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "deliver/folder.h"
#include "export/exporter.h"

#define PREFIX "coroscope-"

/* All of a name but its number: several profiles may begin at one moment. */
static void make_stem(const struct cs_profile *profile, char stem[48])
{
	uint64_t ns = cs_profile_meta(profile)->start_realtime_ns;
	time_t seconds = (time_t)(ns / 1000000000u);
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(stem, 48, PREFIX "%Y%m%dT%H%M%S", &tm);
	snprintf(stem + n, 48 - n, ".%09uZ-", (unsigned int)(ns % 1000000000u));
}

static int make_room(int folder, const struct cs_directory_limits *limits, uint64_t more,
		     const struct cs_folder_file *files, size_t n,
		     struct cs_directory_counts *counts)
{
	uint64_t now = cs_folder_now_ns(), bytes = more;
	int err = 0;

	for (size_t i = 0; i < n; i++)
		bytes += strncmp(files[i].name, PREFIX, strlen(PREFIX)) ? 0 : files[i].bytes;
	for (size_t i = 0; !err && i < n; i++) {
		uint64_t written = files[i].written_ns;
		bool old = now > written && now - written > limits->age_ns;

		if (strncmp(files[i].name, PREFIX, strlen(PREFIX)) ||
		    (!old && bytes <= limits->bytes))
			continue;
		err = cs_folder_remove(folder, files[i].name);
		bytes -= files[i].bytes;
		counts->removed += !err;
	}
	return err;
}

/* Behind all of its stem. */
static void choose_name(const struct cs_profile *profile, const struct cs_folder_file *files,
			size_t n, char name[64])
{
	unsigned int number, highest = 0;
	char stem[48];

	make_stem(profile, stem);
	for (size_t i = 0; i < n; i++)
		if (!strncmp(files[i].name, stem, strlen(stem)) &&
		    sscanf(files[i].name + strlen(stem), "%4u", &number) == 1 && number > highest)
			highest = number;
	snprintf(name, 64, "%s%04u%s", stem, highest + 1, cs_export_pprof.suffix);
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
