/* SPDX-License-Identifier: Apache-2.0 */
/* The command that `record -- COMMAND` starts: held until the profiler is attached, run as the user behind sudo. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct cs_child {
	pid_t pid;  /* 0: none */
	int go;     /* write end of the pipe it waits on */
	int report; /* read end: errno of a failed exec */
	bool reaped;
	int status; /* of waitpid */
};

/* Fork; the child waits. argv is NULL-terminated. Returns 0 or -errno. */
int cs_child_start(struct cs_child *child, char **argv);

/* Let it exec. Returns 0, or -errno of the exec. */
int cs_child_go(struct cs_child *child);

/* Has it ended? Never blocks. */
bool cs_child_ended(struct cs_child *child);

/* SIGTERM if it still runs, SIGKILL after five seconds; reap it. Safe to call twice and without a child. */
void cs_child_end(struct cs_child *child);

/* Its exit status as a shell counts it: 128 + signal for a signal. */
int cs_child_exit_status(const struct cs_child *child);
