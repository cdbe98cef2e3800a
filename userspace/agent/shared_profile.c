/* SPDX-License-Identifier: Apache-2.0 */
/* A profile that several threads read. */
#include "agent/shared_profile.h"

#include <stdatomic.h>
#include <stdlib.h>

struct cs_shared_profile {
	atomic_uint refs;
	struct cs_profile *profile;
};

struct cs_shared_profile *cs_shared_profile_new(struct cs_profile *profile)
{
	struct cs_shared_profile *shared = malloc(sizeof(*shared));

	if (!shared) {
		cs_profile_free(profile);
		return NULL;
	}
	atomic_init(&shared->refs, 1);
	shared->profile = profile;
	return shared;
}

struct cs_shared_profile *cs_shared_profile_ref(struct cs_shared_profile *shared)
{
	atomic_fetch_add(&shared->refs, 1);
	return shared;
}

void cs_shared_profile_unref(struct cs_shared_profile *shared)
{
	if (!shared || atomic_fetch_sub(&shared->refs, 1) > 1)
		return;
	cs_profile_free(shared->profile);
	free(shared);
}

const struct cs_profile *cs_shared_profile_get(const struct cs_shared_profile *shared)
{
	return shared->profile;
}
