/* SPDX-License-Identifier: Apache-2.0 */
/* What of a capture is shown, and how: options that record and report share. */
#pragma once

#include <argp.h>
#include <stdbool.h>

struct cs_view {
	const char *thread; /* only threads of this name; NULL: all. Borrowed from argv. */
	bool first_lines;   /* where functions begin, in place of where they execute */
};

/* A child parser; its input is a struct cs_view. */
extern const struct argp cs_view_argp;
