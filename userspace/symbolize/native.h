/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of one process's native code, by the names and mappings that the capture has of it. */
#pragma once

#include "core/buf.h"
#include "symbolize/places.h"

struct cs_native_symbol;

struct cs_native {
	struct cs_places places;
	struct cs_native_symbol *names; /* of functions, by address */
};

void cs_native_free(struct cs_native *native); /* leaves an empty one */

/* What is asked for from now on is for another profile. */
void cs_native_begin(struct cs_native *native);

/* A function's name, demangled, or none any more. scratch: for one text. Returns 0 or -ENOMEM. */
int cs_native_feed_symbol(struct cs_native *native, const struct cs_event_symbol *event,
			  struct cs_buf *scratch);

/* The frame of an address. Returns its index or -ENOMEM. */
int64_t cs_native_frame(struct cs_native *native, struct cs_profile *profile, uint64_t addr,
			struct cs_buf *scratch);
