/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captures on demand: a guest on the agent's socket asks for one (cli/agent_request.h), and it becomes a period of its own. One at a time; root only. What a guest
 * sends, or does not, never holds the agent up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/shared_profile.h"
#include "cli/agent_request.h"

struct cs_ondemand_options {
	const char *path; /* copied */
	bool (*profiles)(void *ctx,
			 pid_t pid); /* is this process among those that the agent profiles? */
	void *ctx;
	uint64_t request_ns; /* a guest who has not asked by then is sent away; 0: 5 s */
};

struct cs_ondemand;

/* Begin to listen. What hinders is said. Returns 0, -EADDRINUSE: another agent does, or another -errno. */
int cs_ondemand_new(const struct cs_ondemand_options *options, struct cs_ondemand **ret);

/* Who has not got the answer by now gets a last one, and a profile that is being written a few seconds. For all functions NULL is fine: nobody ever asks. */
void cs_ondemand_free(struct cs_ondemand *ondemand);

/* Often: hear guests. Returns whether the period is to end now: a capture was asked for, or the one that was is over. */
bool cs_ondemand_turn(struct cs_ondemand *ondemand);

/* A period begins: that of the capture which was asked for, or NULL. */
const struct cs_agent_request *cs_ondemand_begin(struct cs_ondemand *ondemand);

/* Is this period such a capture? */
bool cs_ondemand_runs(const struct cs_ondemand *ondemand);

/* The period is over: tell in its profile why it is shorter than asked for; cut: because of the agent, NULL: not so. Returns 0 or -ENOMEM. */
int cs_ondemand_tell_end(const struct cs_ondemand *ondemand, const char *cut,
			 struct cs_profile *profile);

/* ... and this is it, borrowed: the guest gets what was asked for of it. */
void cs_ondemand_put(struct cs_ondemand *ondemand, struct cs_shared_profile *profile);
