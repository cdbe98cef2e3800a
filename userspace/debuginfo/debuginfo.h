/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What separate debug information says of addresses that a capture has: names that were stripped off, lines, inlined functions. After
 * the capture, from the files of this machine and from debuginfod's servers, if DEBUGINFOD_URLS is set. A file is believed if it has
 * the build id that the capture tells.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "symbolize/lookup.h"

struct cs_debuginfo;

/* inlines: lines and inlined functions too, from DWARF. Returns 0 or -ENOMEM. */
int cs_debuginfo_new(bool inlines, struct cs_debuginfo **ret);
void cs_debuginfo_free(struct cs_debuginfo *debuginfo); /* NULL is fine */
static inline void cs_debuginfo_freep(struct cs_debuginfo **debuginfo)
{
	cs_debuginfo_free(*debuginfo);
}

/* To be asked; valid as long as debuginfo. */
struct cs_lookup cs_debuginfo_lookup(struct cs_debuginfo *debuginfo);

struct cs_debuginfo_stats {
	size_t found, missing; /* files asked for */
	bool timed_out;        /* servers were too slow: some files were not asked for */
};
struct cs_debuginfo_stats cs_debuginfo_stats(const struct cs_debuginfo *debuginfo);
