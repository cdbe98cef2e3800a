/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process's environment says of its service. Environments hold secrets: of all variables but a handful not a byte of a value is
 * copied, and what passed through the reading buffer is wiped.
 */
#pragma once

#include <sys/types.h>

#include "whose/facts.h"

/* From an open /proc/PID/environ, or a file like it. Returns 0 (what cannot be read says nothing) or -ENOMEM. */
int cs_environ_read(int fd, struct cs_facts *facts);
