/* SPDX-License-Identifier: Apache-2.0 */
/* Which file's code is where in one process, as the capture's MAPPING events told. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "decode/decode.h"
#include "profile/profile.h"
#include "symbolize/text.h"

struct cs_place {
	uint64_t start, end, offset;
	struct cs_own_text path, file; /* file: the path's last component */
	struct cs_own_text build_id;   /* in hexadecimal; empty: not known */
	uint8_t build_id_bytes[CS_MAX_BUILD_ID];
	uint64_t vaddr;   /* with a build id: of start, in the file's own address space */
	uint32_t mapping; /* of the profile: index + 1; 0: it was not asked for yet */
};

struct cs_places {
	struct cs_place *items; /* in order of arrival: the last one that fits is true */
	size_t n, cap;
};

/* Beyond 65,536 places nothing is added. Returns 0 or -ENOMEM. */
int cs_places_add(struct cs_places *places, const struct cs_event_mapping *event);
void cs_places_free(struct cs_places *places); /* leaves an empty one */

/* What is asked for from now on is for another profile. */
void cs_places_begin(struct cs_places *places);

/* The place of this address, or NULL. */
struct cs_place *cs_places_find(const struct cs_places *places, uint64_t addr);

/* The place as a mapping of the profile: index + 1, or -ENOMEM. */
int64_t cs_place_mapping(struct cs_place *place, struct cs_profile *profile);
