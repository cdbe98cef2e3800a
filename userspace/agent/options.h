/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `coroscope agent`, and with it all sources of its options. */
#pragma once

#include "agent/settings.h"

struct cs_command {
	struct cs_settings *settings; /* what all sources say; owned */
	struct cs_config *config;     /* owned */
	bool print;                   /* only print what is in effect */
};

/*
 * Read flags, environment and file. Wrong flags are said, and end the program. Returns 0, -EINVAL (see why) or -ENOMEM. May be
 * called again with the same arguments: files are read anew.
 */
int cs_command_read(struct cs_command *ret, int argc, char **argv, struct cs_why *why);
void cs_command_free(struct cs_command *command);
