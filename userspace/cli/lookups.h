/* SPDX-License-Identifier: Apache-2.0 */
/* Names of native code that a capture lacks, and what was inlined: from elsewhere, as far as the view asks for it. */
#pragma once

#include "cli/view.h"
#include "debuginfo/debuginfo.h"
#include "symbolize/symbolize.h"

struct cs_lookups {
	struct cs_debuginfo *debuginfo; /* NULL: nobody to ask */
	struct cs_lookup lookup;
};

/* Begin to ask for the frames of symbols, if it is wanted or there are servers to ask. lookups must outlive symbols. Returns 0 or -ENOMEM. */
int cs_lookups_begin(struct cs_lookups *lookups, const struct cs_view *view,
		     struct cs_symbols *symbols);
void cs_lookups_end(struct cs_lookups *lookups);

/* Note in the profile what could not be asked for. Returns 0 or -ENOMEM. */
int cs_lookups_note(const struct cs_lookups *lookups, struct cs_profile *profile);
