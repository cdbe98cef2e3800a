/* SPDX-License-Identifier: Apache-2.0 */
/* A text of our own, which outlives profiles: a string of each of them once it is asked for. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "decode/decode.h"
#include "profile/profile.h"

struct cs_own_text {
	char *bytes; /* owned, terminated; NULL: none was given */
	size_t len;
	uint32_t string; /* of the profile; 0: it was not asked for yet */
};

int cs_own_text_set(struct cs_own_text *text, struct cs_text value); /* 0 or -ENOMEM */

/* The text as a string of the profile, which must be the same until `string` is set to 0. Returns 0 or -ENOMEM. */
int cs_own_text_string(struct cs_own_text *text, struct cs_profile *profile, uint32_t *ret);
