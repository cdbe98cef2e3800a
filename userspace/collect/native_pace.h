/* SPDX-License-Identifier: Apache-2.0 */
/* How much of a capture's time goes to looking at processes' native code: before the clocks start, in the first turn, in each. */
#pragma once

#include <stdint.h>

#include "collect/natives.h"

/* Before the clocks start: the first sample of most that run has its stack. */
void cs_native_pace_start(struct cs_natives *natives);

/* When they have started, before the first visits, which take as long and longer. */
void cs_native_pace_first(struct cs_natives *natives);

/* In each turn of this length. */
void cs_native_pace_turn(struct cs_natives *natives, uint64_t turn_ns);
