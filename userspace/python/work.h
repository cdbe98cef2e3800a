/* SPDX-License-Identifier: Apache-2.0 */
/* How a worker thread of concurrent.futures leads to the task that waits for its job, in one process: what the kernel side is told. */
#pragma once

#include <coroscope/proc_info.h>

#include "python/objects.h"

/*
 * Look for it in one interpreter, whose sys.modules are given. *ret_item_type: the class _WorkItem, also if
 * no job has been handed out yet; 0: it is not loaded. Returns 0, -ENOENT (no executor has been
 * used yet, or nothing of asyncio's has), or another error of objects.h.
 * Source: Lib/concurrent/futures/{thread,_base}.py and Lib/asyncio/{futures,tasks}.py of 3.8 to 3.15.
 */
int cs_work_find(const struct cs_pyobj_ctx *ctx, uint64_t modules, struct cs_work *ret,
		 uint64_t *ret_item_type);
