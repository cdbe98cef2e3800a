/* SPDX-License-Identifier: Apache-2.0 */
/* What a capture tells of whose each process is, into the owners of the model; from one period's profile to the next. */
#pragma once

#include "decode/decode.h"
#include "profile/profile.h"

struct cs_owner_names;

int cs_owner_names_new(struct cs_owner_names **ret);    /* 0 or -ENOMEM */
void cs_owner_names_free(struct cs_owner_names *names); /* NULL is fine */

/* The next event is told to another profile, and what is known with it. What has ended a period ago is forgotten. */
void cs_owner_names_begin(struct cs_owner_names *names);

/* Learn from one event and tell the profile; kinds that say nothing about it are ignored. Returns 0 or -ENOMEM. */
int cs_owner_names_feed(struct cs_owner_names *names, struct cs_profile *profile,
			const struct cs_event *event);
