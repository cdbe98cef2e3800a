/* SPDX-License-Identifier: Apache-2.0 */
/* A profile that several threads read: nobody changes it any more, the last one frees it. */
#pragma once

#include "profile/profile.h"

struct cs_shared_profile;

/* Takes the profile over. Returns it with one reference, or NULL without memory (the profile is then freed). */
struct cs_shared_profile *cs_shared_profile_new(struct cs_profile *profile);
struct cs_shared_profile *cs_shared_profile_ref(struct cs_shared_profile *shared);
void cs_shared_profile_unref(struct cs_shared_profile *shared); /* NULL is fine */
const struct cs_profile *cs_shared_profile_get(const struct cs_shared_profile *shared);
