/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw capture made up of fixed events, the same bytes in every run: a Python process with a tree of tasks, and
 * processes of other kinds. What it should look like is in capture.collapsed and capture.pprof.txt.
 */
#pragma once

#include "core/buf.h"

/* Append the whole capture, file header first. Returns 0 or -ENOMEM. */
int made_capture(struct cs_buf *out);

/* The names of its tasks that stand in its stacks, NULL-terminated. */
extern const char *const made_capture_tasks[];
