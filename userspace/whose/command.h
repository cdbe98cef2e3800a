/* SPDX-License-Identifier: Apache-2.0 */
/* A guess at what a program is called, from how it was started. */
#pragma once

#include <stddef.h>

#include "whose/facts.h"

/*
 * Of a Python command line (arguments terminated by NUL bytes) the module or script that runs, without its folder and ".py"; of a package's
 * __main__.py the package; of a process that has renamed itself ("gunicorn: worker [shop]") the first word. Else the
 * executable's name, "" if that is not known either. Tells CS_FACT_PROGRAM. Returns 0 or -ENOMEM. Source: Python's "Command line
 * and environment".
 */
int cs_command_guess(const char *arguments, size_t len, const char *executable,
		     struct cs_facts *facts);
