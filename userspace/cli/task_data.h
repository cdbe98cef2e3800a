/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tasks of processes for programs to read: `ps` and `pstree` share both formats.
 *
 * JSON, a process: {"pid", "python", "moment" ("rest": all tasks as they were while their loops slept; "instant": as they were at
 * one instant of a loop that did not; "task": each at a moment of its own), "missing" (tasks that changed whenever they were read),
 * "tasks": [...]}; several of them: {"processes": [...]}. A task: "id", "name" (null: not known),
 * "state" ("finished" for a ghost), "thread", "parent" (id or null), "link" ("await", "strong",
 * "created" or null), "how" (cs_wait_how_text, null unless the parent waits), "probable",
 * "parents" (how many tasks wait for it), "waiters_cut" (there may be others), "waiters" [{"id", "how", "probable"}], "coroutines"
 * [{"name", "file", "line"}], outermost first, "awaits" (type of what the innermost awaits, or
 * null), "creator" (id or null), "creation" (frames, as coroutines), "age" and "waited" in seconds
 * (null: not known), "age_exact" and "waited_exact" (false: at least so long). Creator and
 * creation are known only where age_exact is true.
 *
 * CSV, quoted as in RFC 4180 with plain newlines: a header line, then one row per task: the same
 * values, ids of waiters separated by blanks, frames by " > ". Control characters in texts are
 * escaped as \xNN.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "cli/task_table.h"

/* One process as JSON; a new reference, or NULL without memory. */
json_t *cs_task_data_json(const struct cs_task_table *table);

/* Append the CSV header, and one process's rows. Return 0 or -ENOMEM. */
int cs_task_data_csv_header(struct cs_buf *out);
int cs_task_data_csv(const struct cs_task_table *table, struct cs_buf *out);
