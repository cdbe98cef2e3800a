/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent knows of itself, written by its main thread, for whoever asks in another. */
#pragma once

#include <coroscope/status.h>
#include <stdint.h>

#include "core/figures.h"

struct cs_board;

struct cs_board_state {
	uint64_t counters[CS_COUNTER_MAX_]; /* of the captures so far */
	uint64_t profiles;                  /* periods that ended */
	uint64_t started_realtime_ns, last_profile_realtime_ns;
	unsigned int processes;                         /* watched now */
	double rate_hz;                                 /* now */
	double cpu_share, kernel_cpu_share, cpu_budget; /* of the machine, in the last window */
	double memory_bytes, memory_budget;
};

int cs_board_new(struct cs_board **ret); /* 0 or -ENOMEM */
void cs_board_free(struct cs_board *board);
static inline void cs_board_freep(struct cs_board **board)
{
	cs_board_free(*board);
}

void cs_board_set(struct cs_board *board, const struct cs_board_state *state);
struct cs_board_state cs_board_get(struct cs_board *board);

/* A struct cs_figure_source's each. */
void cs_board_figures(void *source, cs_figure_fn *fn, void *ctx);
