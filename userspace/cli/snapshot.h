/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One look at one live process for `dump` and `pstree`: its records are made by the collector's own code, and go through
 * the same decoding, stitching and naming as a capture's.
 */
#pragma once

#include <sys/types.h>

#include "collect/target.h"
#include "decode/decode.h"
#include "profile/profile.h"
#include "stitch/stitch.h"
#include "symbolize/symbolize.h"

struct cs_snapshot {
	struct cs_target *target;
	struct cs_profile *profile; /* strings and frames */
	struct cs_symbols *symbols;
	struct cs_stitch *stitch;
};

/* Find the interpreter. Says what is wrong; returns an exit code, CS_EXIT_OK with *snapshot filled. */
int cs_snapshot_open(pid_t pid, struct cs_snapshot *snapshot);
void cs_snapshot_close(struct cs_snapshot *snapshot);

/* Every suspended task, into the stitcher's graph. Says what is wrong; returns an exit code. */
int cs_snapshot_tasks(struct cs_snapshot *snapshot);

/* Name the records and hand each, decoded, to fn (which may be NULL). Returns 0 or -errno. */
int cs_snapshot_feed(struct cs_snapshot *snapshot, struct cs_buf *records,
		     int (*fn)(void *ctx, const struct cs_event *event), void *ctx);

/* Text of a Python frame as text formats show it. Appends to out; returns 0 or -ENOMEM. */
int cs_snapshot_frame(struct cs_snapshot *snapshot, const struct cs_py_frame *frame,
		      struct cs_buf *out);

/* Parse the one PID argument of a subcommand. Says what is wrong; returns it or 0. */
pid_t cs_snapshot_pid(const char *arg);
