/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `ps` and `pstree` share: their arguments, which processes are meant, looking at them, JSON
 * and CSV. A command adds how it prints one process for a person.
 */
#pragma once

#include "cli/task_table.h"

struct cs_task_command {
	const char *name; /* "ps" */
	const char *doc;  /* one line of --help */
	/* Print one process, its header line included. Returns 0 or -ENOMEM. */
	int (*print)(const struct cs_task_table *table);
};

/* Parse argv[1...] and do it all. Returns the exit code. */
int cs_task_command_run(const struct cs_task_command *command, int argc, char **argv);

/*
 * Append "1.25s", "at least 5s" as ">=5.0s", or "?" where nothing is known. Returns 0 or -ENOMEM.
 */
int cs_task_append_span(const struct cs_since_span *span, struct cs_buf *out);

/*
 * Append a name without what would steer a terminal, at most max bytes of it and then "...".
 * Returns 0 or -ENOMEM.
 */
int cs_task_append_short_name(const struct cs_task_node *node, size_t max, struct cs_buf *out);

/* Print "process 12 (python3): Python 3.12.3, 5 tasks". */
void cs_task_print_header(const struct cs_task_table *table);
