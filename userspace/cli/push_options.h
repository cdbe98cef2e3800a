/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `coroscope push`. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cli/destination.h"

struct cs_push_options {
	const char *capture; /* NULL: only what waits in spools */
	struct cs_destination to[CS_DESTINATIONS];
	size_t n;
	uint64_t keep_trying_ns; /* 0: until it is done */
};

/* Parse, or say what is wrong and exit. */
void cs_push_options_parse(struct cs_push_options *options, int argc, char **argv);
void cs_push_options_free(struct cs_push_options *options);
