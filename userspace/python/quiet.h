/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Was a process at rest while its memory was read? Tells for some of its threads, or all, whether they were
 * off the CPU from one moment to another, without stopping them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct cs_quiet;

#define CS_QUIET_THREADS 256 /* the most that can be watched at once, two open files each */

/*
 * A process with more than `most` threads to be watched is never found at rest. All of them are watched until told otherwise.
 * Returns 0 or -ENOMEM.
 */
int cs_quiet_new(pid_t pid, size_t most, struct cs_quiet **ret);
void cs_quiet_free(struct cs_quiet *quiet);

/* Which threads matter: these, or with n 0 all that the process has when cs_quiet_begin is called. */
void cs_quiet_watch(struct cs_quiet *quiet, const uint32_t *tids, size_t n);

/* Are these threads (n 0: all of them) among the watched ones? */
bool cs_quiet_covers(const struct cs_quiet *quiet, const uint32_t *tids, size_t n);

/* Are all watched threads off the CPU, and not about to run? Notes how often each has run. */
bool cs_quiet_begin(struct cs_quiet *quiet);

/* Has none of them run since cs_quiet_begin said true? */
bool cs_quiet_end(const struct cs_quiet *quiet);
