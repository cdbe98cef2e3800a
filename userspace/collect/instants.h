/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of a process's pages at one instant, made by the kernel in the context of one of its threads (bpf/instant.bpf.c), on kernels
 * that can: 6.18 and later. One copy is made at a time, and waited for. Loaded when first needed: the room for a copy is 8 MiB.
 * Nothing is pinned; a request that is still open when the descriptors go, goes with them.
 */
#pragma once

#include <coroscope/status.h>
#include <stdbool.h>
#include <stdint.h>

#include "python/instant.h"

struct cs_instants;

/* Does this kernel have what it takes? */
bool cs_instants_possible(void);

/* Nothing is loaded yet. counters (borrowed, or NULL) gets what became of requests. Returns 0 or -ENOMEM. */
int cs_instants_new(uint64_t counters[CS_COUNTER_MAX_], struct cs_instants **ret);
void cs_instants_free(struct cs_instants *instants); /* detaches and unloads; NULL is fine */

/*
 * Load now, and not in the time for which the first copy is waited for. Returns 0, or -EOPNOTSUPP: there will be no copies, since the kernel is
 * older or nothing may be loaded.
 */
int cs_instants_load(struct cs_instants *instants);

/*
 * Once a turn: all copies together may be waited for until deadline_ns (CLOCK_MONOTONIC), and threads that have not been asked lately
 * are let go.
 */
void cs_instants_turn(struct cs_instants *instants, uint64_t deadline_ns);

/* For python/: borrowed, lives as long as instants. */
const struct cs_instant_source *cs_instants_source(struct cs_instants *instants);
