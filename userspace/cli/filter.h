/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which samples of a finished profile are shown, by what their labels say. It comes last, since some labels are known only
 * when the whole capture was read.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/args.h"
#include "profile/profile.h"

/* Whose the process is: asked of what is known of that (include/coroscope/whose.h). */
enum cs_filter_whose {
	CS_FILTER_SERVICE,   /* the program's name where nobody has named a service */
	CS_FILTER_CONTAINER, /* its id or its name */
	CS_FILTER_POD,
	CS_FILTER_POD_NAMESPACE,
	CS_FILTER_POD_LABEL, /* all of them, as key=value with commas between them */
	CS_FILTER_WHOSE_MAX_
};

/* What was asked for, all of which must hold. NULL: not asked for; else borrowed. */
struct cs_filter {
	const char *task; /* a pattern: the task, or the one that a worker thread works for */
	uint64_t span;    /* the active span, or its local root; 0: not asked for */
	char trace[CS_ID_DIGITS + 1]; /* the trace's id, as its label has it; "": not asked for */
	const char *endpoint;         /* a pattern */
	const char *whose[CS_FILTER_WHOSE_MAX_]; /* patterns */
	const char *thread;                      /* the thread's name */
	const pid_t *pids;                       /* ascending */
	unsigned int npids;                      /* 0: not asked for */
};

/* Is anything? */
bool cs_filter_is_asked(const struct cs_filter *filter);

/* Is it a POSIX extended regular expression? */
bool cs_filter_is_pattern(const char *text);

/*
 * Remove the samples of all trees that the filter does not let pass, and add a note that says so, with the share of the time
 * that is left. So with spans that were seen to begin or end. Patterns may match anywhere in a text; a sample without the label never passes. Returns 0 or -ENOMEM.
 */
int cs_filter_apply(const struct cs_filter *wanted, struct cs_profile *profile);

/*
 * The same of a profile that others read: what passes in a profile of its own, whose main tree is this one. first_lines: as in struct cs_profile_part.
 * Of notes about a process only those stay whose process passes. Owned by the caller. Returns 0 or -ENOMEM.
 */
int cs_filter_copy(const struct cs_filter *wanted, const struct cs_profile *profile,
		   enum cs_tree tree, bool first_lines, struct cs_profile **ret);
