/* SPDX-License-Identifier: Apache-2.0 */
/* A small profile with one of everything, shared by the tests of the exporters. */
#pragma once

#include <stdbool.h>

#include "profile/profile.h"

#define MADE_INTERVAL_NS 10000000

/* Frame made of these texts; fails the test without memory. */
uint32_t made_frame(struct cs_profile *profile, enum cs_frame_kind kind, const char *name,
		    const char *file, uint32_t line);

/* Empty, 100 Hz; fails the test without memory. */
struct cs_profile *made_empty(bool wall);

/*
 * Two threads of process 42: one in a task (twice at different lines, kernel frame on top), one in
 * native code and without any frame of its own; losses, notes.
 */
struct cs_profile *made_profile(bool wall);

/* A stack of two native frames of libx.so, which has a build id: "known", and "libx.so+0x220" that has no name. */
void made_native(struct cs_profile *profile);

/* A stack, root first: "outer" at line 30, into which "middle" was inlined (line 20), and into that "inner" (line 10). */
void made_inlined(struct cs_profile *profile);
