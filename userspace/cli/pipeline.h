/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw records through all stages: decode, stitch, symbolize, into a profile. Needs no privilege. A capture is one period; one without an
 * end is cut into many, each a profile of its own: processes, threads, tasks and names stay known from one to the next.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/view.h"
#include "profile/profile.h"

struct cs_pipeline;

int cs_pipeline_new(const struct cs_view *view,
		    struct cs_pipeline **ret);       /* view is borrowed; 0 or -ENOMEM */
void cs_pipeline_free(struct cs_pipeline *pipeline); /* NULL is fine */
static inline void cs_pipeline_freep(struct cs_pipeline **pipeline)
{
	cs_pipeline_free(*pipeline);
}

/*
 * Take whole records, which follow those before. A period's first is a CS_EV_CAPTURE: it begins at that moment and lasts until its last
 * record. Returns 0, -EBADMSG: one cannot be read, those before it count, or -ENOMEM.
 */
int cs_pipeline_feed(struct cs_pipeline *pipeline, const char *records, size_t len);

/*
 * The profile of what was fed since the last time, as far as the view shows it (owned by the caller); its accounts are this period's. Returns 0 or -ENOMEM.
 */
int cs_pipeline_take(struct cs_pipeline *pipeline, struct cs_profile **ret);

/*
 * Between two periods, for those that follow: every sample in each of these trees (bits 1 << enum cs_tree; the view's is one of them) in place of what the
 * view says; whole: tasks of one name are told apart, and it is told when samples were seen. Returns 0 or -ENOMEM, then nothing has changed.
 */
int cs_pipeline_show(struct cs_pipeline *pipeline, unsigned int trees, bool whole);

/*
 * Read the capture in fd (from its start) into a new profile, as far as the view shows it; what it leaves out is told by a note. A capture that was cut off or is damaged gives what
 * could be read, marked partial. Returns 0, -EBADMSG (not a raw capture), -EPROTONOSUPPORT (another version's) or -errno.
 */
int cs_pipeline_read(int fd, const struct cs_view *view, struct cs_profile **ret);
