/* SPDX-License-Identifier: Apache-2.0 */
/* The health of event loops as notes of a profile: a line for each loop, and the slow callbacks if they were asked for. */
#pragma once

#include "profile/profile.h"
#include "stitch/loop_health.h"

/*
 * health is finished; its stacks are indices of the profile's samples. start_ns: when the capture began. The profile's mode, interval and slow_ns
 * are known. Returns 0 or -ENOMEM.
 */
int cs_loop_text_notes(const struct cs_loop_health *health, uint64_t start_ns,
		       struct cs_profile *profile);
