/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debug files from the servers in DEBUGINFOD_URLS, through elfutils' client and its cache (~/.cache/debuginfod_client). A thread of
 * its own asks; who wants a file waits no longer than what is left of a bound for all of them together.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cs_fetch;

/* budget_ns: how long all waiting together may take. Returns 0, -ENOENT (no servers are set) or -errno. */
int cs_fetch_new(uint64_t budget_ns, struct cs_fetch **ret);
/* What is under way is given up. NULL is fine. */
void cs_fetch_free(struct cs_fetch *fetch);

/*
 * The debug file of this build id. It is what a server sent: the caller checks it. Returns a descriptor that is the caller's,
 * -ENOENT (no server has it), -ETIMEDOUT (the bound is reached: nothing more is asked for), or another -errno.
 */
int cs_fetch_debug_file(struct cs_fetch *fetch, const uint8_t *build_id, size_t len);
