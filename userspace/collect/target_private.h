/* SPDX-License-Identifier: Apache-2.0 */
/* What target.c and target_spans.c share. */
#pragma once

#include "collect/target.h"

/* Looks at a loaded process for what no import tells: another interpreter, the first job of an executor, a tracer's next class. */
#define CS_TARGET_LOADED_NS 5000000000ull

/* The distance between two such looks: in a crowd up to eight times as far where they find nothing again and again. */
uint64_t cs_target_loaded_pause(const struct cs_target *target);

/*
 * The row says what is known of the program, unless the process has begun another one since that was found out: then the kernel side has marked the
 * row stale, and its record of that is still to be heeded. Returns 0 or -errno.
 */
int cs_target_tell_row(const struct cs_target *target, struct cs_probes *probes);

/*
 * Look for tracers, which are imported at any time, if it is time: what is looked for in vain costs a pass over all that is imported. mark: see
 * cs_asyncio_mark. Returns 0 or -ESRCH.
 */
int cs_target_refresh_tracers(struct cs_target *target, struct cs_probes *probes, uint64_t mark,
			      uint64_t now_ns);
