/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a profile as a profile of its own, which holds nothing of the rest: no text, no frame, no note. */
#pragma once

#include "profile/profile.h"

struct cs_profile_part {
	bool (*keep)(void *ctx, const struct cs_sample *sample); /* NULL: all samples */
	bool (*keep_process)(void *ctx, uint32_t pid); /* its notes and spans; NULL: all */
	/* Of the spans of these processes, cs_profile_get_traced's; NULL: all. */
	bool (*keep_traced)(void *ctx, const struct cs_traced *traced);
	void *ctx;
	enum cs_tree tree; /* that is the main one; all are copied */
	bool first_lines;  /* Python frames by the line where their function begins */
};

/*
 * Owned by the caller; the whole is only read. Samples and spans come in the order of their owners. What is equal in the copy becomes one. Returns 0 or
 * -ENOMEM.
 */
int cs_profile_copy(const struct cs_profile *whole, const struct cs_profile_part *part,
		    struct cs_profile **ret);
