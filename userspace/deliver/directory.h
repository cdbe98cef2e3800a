/* SPDX-License-Identifier: Apache-2.0 */
/* pprof files in a directory, the oldest of which go over a bound. */
#pragma once

#include <stdint.h>

#include "profile/profile.h"

struct cs_directory_limits {
	uint64_t bytes; /* of all files together */
	uint64_t age_ns;
};

struct cs_directory_counts {
	uint64_t written, bytes;
	uint64_t removed; /* for the limits */
};

/*
 * Write the profile as coroscope-TIME-NUMBER.pb.gz, whole or not at all, and remove the oldest files of that kind for the limits.
 * Adds to counts. Returns 0, -EFBIG: alone over the bound, or as cs_folder_open and cs_folder_write.
 */
int cs_directory_write(const char *path, const struct cs_directory_limits *limits,
		       const struct cs_profile *profile, struct cs_directory_counts *counts);
