/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching processes for a while before a look, so that the look knows who created which task and
 * since when each waits: a capture into a private file, as `record` makes it, that is read back
 * with the look (cs_snapshot_tell).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cs_watch;

/*
 * Watch these processes, or with all every one there is, and return when it is over: after
 * duration_ns, on Ctrl-C, or when none of them lives. What hinders it is said; a process that
 * cannot be watched is left to the look. Returns an exit code; *ret goes on watching until
 * cs_watch_end.
 */
int cs_watch_begin(const pid_t *pids, unsigned int n, bool all, uint64_t duration_ns,
		   struct cs_watch **ret);

/* Between two looks: take what the kernel has seen meanwhile, before it runs out of room. */
void cs_watch_keep_up(struct cs_watch *watch);

/*
 * The looks are taken: write what was seen up to now. Returns a file that cs_watch_free closes, or
 * -errno.
 */
int cs_watch_end(struct cs_watch *watch);

void cs_watch_free(struct cs_watch *watch); /* detaches everything; NULL is fine */
static inline void cs_watch_freep(struct cs_watch **watch)
{
	cs_watch_free(*watch);
}
