/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile on its way to the guest who asked for it, in a thread of its own: to make the file may take a while, and the file may be of a slow
 * file system.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/shared_profile.h"
#include "cli/agent_request.h"

struct cs_ondemand_write;

/*
 * Begin. Takes guest and output over, also when it fails; the request is copied, the profile only referred to. At the end the guest has its answer. Returns
 * 0 or -errno.
 */
int cs_ondemand_write_new(const struct cs_agent_request *request, struct cs_shared_profile *profile,
			  int guest, int output, struct cs_ondemand_write **ret);
bool cs_ondemand_write_is_over(struct cs_ondemand_write *write);

/* Wait for the end, for at most so long: a file system that does not answer keeps thread and memory, and that is said. NULL is fine. */
void cs_ondemand_write_free(struct cs_ondemand_write *write, uint64_t within_ns);
