/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel side knows of one process: the value of the `procs` map, keyed by tgid. User space
 * fills it after validating every number; the programs only look it up.
 */
#pragma once

#include <coroscope/py_offsets.h>
#include <coroscope/types.h>

enum cs_proc_flags {
	CS_PROC_PYTHON = 1 << 0,      /* offsets are valid: walk Python frames */
	CS_PROC_STALE = 1 << 1,       /* the process called exec: nothing below is true any more */
	CS_PROC_UNSUPPORTED = 1 << 2, /* a Python, but of a version without a layout */
};

struct cs_proc_info {
	__u32 flags;
	__u32 generation; /* of this description: a stack taken under another one may lack what this one knows */
	__u64 interpreters_head; /* address of _PyRuntime.interpreters.head */
	__u64 current_tasks;     /* address of _asyncio's _current_tasks dict; 0: not loaded */
	struct cs_py_offsets off;
	struct cs_py_traits traits;
};
