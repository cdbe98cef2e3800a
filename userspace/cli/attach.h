/* SPDX-License-Identifier: Apache-2.0 */
/* What every command that attaches to the kernel has to say when it may not. */
#pragma once

#include <stdbool.h>

/*
 * Why the programs could not be loaded (err and log of cs_session_new), and what to do. Says it;
 * returns the exit code.
 */
int cs_attach_explain(int err, const char *log);

/*
 * The kernel's programs count processes as the first pid namespace does; in another one no number
 * would match. Says so if this is another one, and returns false.
 */
bool cs_attach_possible(void);
