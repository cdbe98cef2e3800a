/* SPDX-License-Identifier: Apache-2.0 */
/* The time of a profile by one of its labels, as a table: report --by. */
#pragma once

#include "core/buf.h"
#include "profile/profile.h"

/* What samples are put together by. */
struct cs_by;

/* By its name ("task"), or NULL. */
const struct cs_by *cs_by_name(const char *name);

/* All names, as "process, thread or ...". */
extern const char cs_by_names[];

/*
 * Append a line for each value that the label has, largest first: CPU time, in wall mode wall time (of suspended tasks too,
 * each its whole time), how many different ones of its kind these are, samples, and the value. Where spans were seen to begin and end, also how many of
 * its spans (its local roots, by what is of a request), how many in error, and how long 50, 95 and 99% of them took at most. What has no such label is a
 * line of its own, and the sum is the last. Tasks of one name are told apart only in a profile that does. Returns 0 or -ENOMEM.
 */
int cs_by_table(const struct cs_by *by, const struct cs_profile *profile, struct cs_buf *out);
