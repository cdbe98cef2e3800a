/* SPDX-License-Identifier: Apache-2.0 */
/* A raw capture through all stages: decode, stitch, symbolize, into a profile. Needs no privilege. */
#pragma once

#include <stddef.h>

#include "cli/view.h"
#include "profile/profile.h"

/*
 * Read the capture in fd (from its start) into a new profile, as far as the view shows it; what it leaves out is told by a note. A capture that was cut off or is damaged gives what
 * could be read, marked partial. Returns 0, -EBADMSG (not a raw capture), -EPROTONOSUPPORT (another version's) or -errno.
 */
int cs_pipeline_read(int fd, const struct cs_view *view, struct cs_profile **ret);
