/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's configuration file. */
#pragma once

#include "agent/settings.h"

/*
 * Read a YAML file: a mapping of options (agent/config.h) to scalars; lists, where an option may be given several times; and under `to` a
 * list of destinations, each KIND=WHERE or a mapping with its own options. Returns 0, -EINVAL (why says where and what) or -ENOMEM.
 */
int cs_config_file_read(const char *path, struct cs_settings *settings, struct cs_why *why);
