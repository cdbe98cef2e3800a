/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes of the machine are meant: the words of the command line, asked of a process that runs already. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cs_selection {
	bool by_user;
	uid_t uid;         /* effective */
	char comm[16];     /* "": any; else exactly this, as the kernel cuts it */
	char cgroup[4096]; /* path below the root of the unified hierarchy, "/a/b"; "": any */
	uint64_t cgroup_id;
	uint32_t cgroup_level; /* "/a" is 1 */
};

/* Is any test asked for? */
bool cs_selection_given(const struct cs_selection *selection);

/*
 * Set the cgroup from what a user writes: a path below /sys/fs/cgroup, with or without that, or relative to it. Returns 0,
 * or -errno (-ENOENT: no such group in the unified hierarchy).
 */
int cs_selection_set_cgroup(struct cs_selection *selection, const char *path);

/* Is this process chosen? The same question that bpf/proc_events.bpf.c asks of one that begins a program. */
bool cs_selection_chooses(const struct cs_selection *selection, pid_t pid);
