/* SPDX-License-Identifier: Apache-2.0 */
/* coroscope record --agent: the agent that runs on this machine captures, and writes into the output that is opened here. */
#pragma once

#include "cli/record_options.h"

/* Returns an exit code; what hinders is said. */
int cs_record_agent(const struct cs_record_options *options);
