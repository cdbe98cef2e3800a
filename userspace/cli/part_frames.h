/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a stack as frames of the profile: what each is called in every format. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "profile/profile.h"
#include "stitch/stitch.h"
#include "symbolize/symbolize.h"

struct cs_part_frames {
	struct cs_profile *profile; /* both borrowed */
	struct cs_symbols *symbols;
	bool tell_tasks;    /* of one name apart */
	struct cs_buf text; /* scratch for one name; to be freed */
};

/*
 * The frame index of one part of a stack; next: the part above it, or NULL. -ENOENT: not a frame of the program, show nothing.
 * Or -ENOMEM, as for the others.
 */
int64_t cs_part_frame(struct cs_part_frames *frames, uint32_t pid, const struct cs_part *part,
		      const struct cs_part *next);

/* The frames that every stack begins with. */
int64_t cs_part_frame_process(struct cs_part_frames *frames, const char *name, uint32_t pid);
int64_t cs_part_frame_thread(struct cs_part_frames *frames, const char *name, uint32_t tid);
