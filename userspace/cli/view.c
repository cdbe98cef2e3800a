/* SPDX-License-Identifier: Apache-2.0 */
/* What of a capture is shown. */
#include "cli/view.h"

#include <string.h>

#include "cli/args.h"

enum { KEY_THREAD = 0x200, KEY_LINES };

static const struct argp_option options[] = {
	{"thread", KEY_THREAD, "NAME", 0,
	 "show only threads of this name (in Python, else as in ps -L -o comm)", 3},
	{"lines", KEY_LINES, "current|first", 0,
	 "lines of frames: what executes (default), or where the function begins", 3},
	{0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct cs_view *view = state->input;

	switch (key) {
	case KEY_THREAD:
		view->thread = arg;
		return 0;
	case KEY_LINES:
		if (strcmp(arg, "first") && strcmp(arg, "current"))
			cs_usage_error("no lines '%s': current or first", arg);
		view->first_lines = !strcmp(arg, "first");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp cs_view_argp = {.options = options, .parser = parse_option};
