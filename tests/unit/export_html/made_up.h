/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles made up for the tests of the HTML page: the unit test and the browser test share them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "profile/profile.h"

/*
 * Closes a script element, ends a string, and holds control characters and bytes that are not
 * UTF-8.
 */
#define MADE_UP_HOSTILE \
	"</script><script>window.broken=1</script><!--\"\\\x01\n\x7f\xff\xc0\x80\xed\xa0\x80\xe2\x82\xac"

/*
 * A web service on asyncio, wall clock: threads, tasks above tasks, created and finished ones,
 * losses, notes.
 */
int made_up_service(struct cs_profile **ret);
/* A partial CPU profile of stacks about 30 frames deep that make about nnodes nodes. */
int made_up_large(struct cs_profile **ret, uint32_t nnodes);
/*
 * All three trees of a process with one thread and this many tasks of one coroutine that were created at two places, and
 * one task of each mark.
 */
int made_up_tasks(struct cs_profile **ret, uint32_t nfetches);
/*
 * Two services with spans: a request with two queries of which one failed, one that was seen neither to begin nor to end, one
 * that only samples tell of. backwards: the same, told in another order.
 */
int made_up_spans(struct cs_profile **ret, bool backwards);
/* This many spans, four a trace, of which every second was met by a sample and every tenth failed. */
int made_up_many_spans(struct cs_profile **ret, uint32_t n);
/* Every text is MADE_UP_HOSTILE. */
int made_up_hostile(struct cs_profile **ret);

/* Frame indices of a profile frame made of these; -ENOMEM. */
int64_t made_up_frame(struct cs_profile *profile, enum cs_frame_kind kind, const char *name,
		      const char *file, uint32_t line);
