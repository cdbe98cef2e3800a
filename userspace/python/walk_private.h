/* SPDX-License-Identifier: Apache-2.0 */
/* What the first reading of tasks (walk.c) and the second (walk_again.c) share. */
#pragma once

#include "python/walk.h"

#define CS_WALK_NO_FRAME UINT32_MAX

/* Read a task's own fields. Leaves the state 0 if it is not one. */
void cs_walk_read_own(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		      const struct cs_asyncio *asyncio, struct cs_walk_task *task);

/* Read tasks first to end again and drop those that have changed, but for the links that still stand. Returns 0 or -ENOMEM. */
int cs_walk_check(struct cs_walk *walk, const struct cs_pyobj_ctx *ctx,
		  const struct cs_asyncio *asyncio, size_t first, size_t end);
