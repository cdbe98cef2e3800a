/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One look at one live process for `dump`, `ps` and `pstree`: its records are made by the
 * collector's own code, and go through the same decoding, stitching and naming as a capture's.
 * What was captured before the look (cli/watch.h) can be told first, so that it is the last moment
 * of a story.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "cli/since.h"
#include "collect/instants.h"
#include "collect/target.h"
#include "core/buf.h"
#include "decode/decode.h"
#include "profile/profile.h"
#include "stitch/stitch.h"
#include "symbolize/symbolize.h"

struct cs_snapshot {
	struct cs_target *target;
	struct cs_profile *profile; /* strings and frames */
	struct cs_symbols *symbols;
	struct cs_stitch *stitch;
	struct cs_since *since;
	struct cs_buf look; /* the records of the tasks, named */
	uint64_t looked_ns; /* when they were true */
	uint32_t ndropped;  /* tasks that are missing: they changed whenever they were read */
	uint32_t coherence; /* enum cs_coherence: at one moment, or each task at its own? */
	char note[256];     /* of the capture on the process, e.g. why it has no creators; or "" */
};

/*
 * Find the interpreter. Says what is wrong; returns an exit code, CS_EXIT_OK with *snapshot
 * filled.
 */
int cs_snapshot_open(pid_t pid, struct cs_snapshot *snapshot);
void cs_snapshot_close(struct cs_snapshot *snapshot); /* also after a failure; twice is fine */

/*
 * The same without a word, for a process met by chance. Returns 0, -ESRCH, -EPERM, -EACCES,
 * -ENOEXEC (no Python), -ENOTSUP (a Python that is not supported), -EAGAIN (it is starting), or
 * another -errno. cs_snapshot_explain says it.
 */
int cs_snapshot_try(pid_t pid, struct cs_snapshot *snapshot);

/*
 * Read every suspended task; nothing is decoded yet. A loop that never rests is read from copies that `instants` makes, where it can:
 * then all tasks are as they were at one moment. Returns 0, -ENODATA (asyncio is not loaded),
 * -EAGAIN (they changed faster than they could be read), -ESRCH or another -errno.
 */
int cs_snapshot_look(struct cs_snapshot *snapshot, struct cs_instants *instants);

/* Say what cs_snapshot_try or cs_snapshot_look returned; returns the exit code for it. */
int cs_snapshot_explain(const struct cs_snapshot *snapshot, pid_t pid, int err);

/*
 * What the capture in fd (-1: none) tells of the time before the look, then the look itself, into
 * the stitcher's graph and `since`. Returns 0, -EBADMSG or -errno.
 */
int cs_snapshot_tell(struct cs_snapshot *snapshot, int fd);

/* Name the records and hand each, decoded, to fn (which may be NULL). Returns 0 or -errno. */
int cs_snapshot_feed(struct cs_snapshot *snapshot, struct cs_buf *records,
		     int (*fn)(void *ctx, const struct cs_event *event), void *ctx);

/*
 * Text of a Python frame as text formats show it. Appends to out; returns 0, -ENOENT (none to
 * show) or -ENOMEM.
 */
int cs_snapshot_frame(struct cs_snapshot *snapshot, const struct cs_py_frame *frame,
		      struct cs_buf *out);

/* Parse the one PID argument of a subcommand. Says what is wrong; returns it or 0. */
pid_t cs_snapshot_pid(const char *arg);
