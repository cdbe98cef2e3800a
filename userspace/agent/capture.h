/* SPDX-License-Identifier: Apache-2.0 */
/* A capture without an end, that becomes a profile every period: nothing of it is kept but what is known of processes that are there. */
#pragma once

#include <coroscope/status.h>

#include "agent/config.h"
#include "cli/agent_request.h"
#include "collect/ease.h"
#include "collect/session.h"
#include "profile/profile.h"

struct cs_capture;

/* Attach and begin. config is borrowed for the call. What hinders is said. Returns an exit code (cli/cli.h). */
int cs_capture_new(const struct cs_config *config, struct cs_capture **ret);
void cs_capture_free(struct cs_capture *capture); /* detaches everything; NULL is fine */
static inline void cs_capture_freep(struct cs_capture **capture)
{
	cs_capture_free(*capture);
}

/* Sleep until something is to be done, or a signal comes, and do it. Returns 0, or -errno: it cannot go on. */
int cs_capture_turn(struct cs_capture *capture);

/* End the period: its profile, owned by the caller. Returns 0 or -errno: it cannot go on. */
int cs_capture_end_period(struct cs_capture *capture, struct cs_profile **ret);

/*
 * Begin the next one, in which everything is looked at so many times more seldom than the config says. Its profile has what was asked for
 * (NULL: nothing) besides what all have: other trees, which task is which. Returns 0 or -errno.
 */
int cs_capture_begin_period(struct cs_capture *capture, struct cs_ease ease,
			    const struct cs_agent_request *asked);

const struct cs_session *cs_capture_session(const struct cs_capture *capture);
