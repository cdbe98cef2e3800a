/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the stitcher's samples have become which of the profile's. Most repeat what was there a moment ago: suspended
 * tasks do not move. To know one again is several times cheaper than to find its names again. A bounded number is known:
 * those that were looked for last.
 */
#pragma once

#include <stdint.h>

#include "stitch/stitch.h"

struct cs_known_samples;

int cs_known_samples_new(struct cs_known_samples **ret); /* 0 or -ENOMEM */
void cs_known_samples_free(struct cs_known_samples *known);

/* The profile's index of a sample with the same tree, labels and parts; -ENOENT: not known. Values do not count. */
int64_t cs_known_samples_find(struct cs_known_samples *known, const struct cs_stitched *sample);

/* The sample that was looked for last, in vain, is the profile's sample with this index. */
void cs_known_samples_add(struct cs_known_samples *known, uint32_t index);

/* After this event names may be others: then all is forgotten. */
void cs_known_samples_heed(struct cs_known_samples *known, const struct cs_event *event);

/* The profile is another one now: all is forgotten. */
void cs_known_samples_forget(struct cs_known_samples *known);
