/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which samples of a finished profile are shown, by what their labels say. It comes last, since some labels are known only
 * when the whole capture was read.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/args.h"
#include "profile/profile.h"

/* What was asked for, all of which must hold. NULL: not asked for; else borrowed. */
struct cs_filter {
	const char *task; /* a pattern: the task, or the one that a worker thread works for */
	uint64_t span;    /* the active span, or its local root; 0: not asked for */
	char trace[CS_ID_DIGITS + 1]; /* the trace's id, as its label has it; "": not asked for */
};

/* Is it a POSIX extended regular expression? */
bool cs_filter_is_pattern(const char *text);

/*
 * Remove the samples of all trees that the filter does not let pass, and add a note that says so, with the share of the time
 * that is left. Patterns may match anywhere in a text; a sample without the label never passes. Returns 0 or -ENOMEM.
 */
int cs_filter_apply(const struct cs_filter *wanted, struct cs_profile *profile);
