/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of one process's native code: by the names and mappings that the capture has of it, and by what can be looked up elsewhere. */
#pragma once

#include "core/buf.h"
#include "symbolize/lookup.h"
#include "symbolize/places.h"

struct cs_native_symbol;
struct cs_native_frame;

struct cs_native {
	uint32_t pid;
	struct cs_places places;
	struct cs_native_symbol *names; /* of functions, by address */
	struct cs_native_frame *frames; /* that were made for this profile, by address */
};

void cs_native_free(struct cs_native *native); /* leaves an empty one */

/* What is asked for from now on is for another profile. */
void cs_native_begin(struct cs_native *native);

int cs_native_feed_mapping(struct cs_native *native,
			   const struct cs_event_mapping *event); /* 0 or -ENOMEM */

/* A function's name, demangled, or none any more. scratch: for one text. Returns 0 or -ENOMEM. */
int cs_native_feed_symbol(struct cs_native *native, const struct cs_event_symbol *event,
			  struct cs_buf *scratch);

/*
 * The frame of an address: of several functions there the innermost, which refers to the others (inlined_into). lookup: NULL if there
 * is nobody to ask. Returns its index or -ENOMEM.
 */
int64_t cs_native_frame(struct cs_native *native, struct cs_profile *profile,
			const struct cs_lookup *lookup, uint64_t addr, struct cs_buf *scratch);
