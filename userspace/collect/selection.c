/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which processes are meant.
 *
 * Source: cgroups(7) for /proc/PID/cgroup; a cgroup's id is the inode number of its directory (kernfs, 64 bits on 64-bit
 * kernels), as bpf_get_current_ancestor_cgroup_id() gives it.
 */
#include "collect/selection.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "core/cleanup.h"

bool cs_selection_given(const struct cs_selection *selection)
{
	return selection->by_user || *selection->comm || *selection->cgroup;
}

/* Where the unified hierarchy is mounted: alone, or beside those of version 1. */
static const char *unified_root(void)
{
	struct statfs fs;
	bool alone = !statfs("/sys/fs/cgroup", &fs) && fs.f_type == CGROUP2_SUPER_MAGIC;

	return alone ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified";
}

int cs_selection_set_cgroup(struct cs_selection *selection, const char *path)
{
	const char *root = unified_root();
	size_t len = strlen(root);
	const char *below = !strncmp(path, root, len) ? path + len : path;
	char full[4096], controllers[4096 + 32];
	struct stat st;

	while (*below == '/')
		below++;
	snprintf(full, sizeof(full), "%s/%s", root, below);
	snprintf(controllers, sizeof(controllers), "%s/cgroup.controllers", full);
	if (stat(full, &st) || access(controllers, F_OK))
		return -ENOENT;
	snprintf(selection->cgroup, sizeof(selection->cgroup), "/%s", below);
	len = strlen(selection->cgroup);
	while (len > 1 && selection->cgroup[len - 1] == '/')
		selection->cgroup[--len] = '\0';
	selection->cgroup_id = st.st_ino;
	selection->cgroup_level = len > 1;
	for (const char *at = strchr(selection->cgroup + 1, '/'); at; at = strchr(at + 1, '/'))
		selection->cgroup_level++;
	return 0;
}

static bool has_line(pid_t pid, const char *file, bool (*test)(const struct cs_selection *, char *),
		     const struct cs_selection *selection)
{
	_cleanup_fclose_ FILE *lines = NULL;
	char path[64], line[4096 + 64];
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	lines = fopen(path, "re");
	while (lines && !found && fgets(line, sizeof(line), lines)) {
		line[strcspn(line, "\n")] = '\0';
		found = test(selection, line);
	}
	return found;
}

static bool is_user(const struct cs_selection *selection, char *line)
{
	unsigned int real, effective;

	return sscanf(line, "Uid: %u %u", &real, &effective) == 2 && effective == selection->uid;
}

static bool is_comm(const struct cs_selection *selection, char *line)
{
	return !strcmp(line, selection->comm);
}

/* "0::/a/b": in the group, or below it. */
static bool is_in_cgroup(const struct cs_selection *selection, char *line)
{
	size_t len = strlen(selection->cgroup);

	if (strncmp(line, "0::", 3))
		return false;
	line += 3;
	return !strcmp(selection->cgroup, "/") ||
	       (!strncmp(line, selection->cgroup, len) && (!line[len] || line[len] == '/'));
}

bool cs_selection_chooses(const struct cs_selection *selection, pid_t pid)
{
	return (!selection->by_user || has_line(pid, "status", is_user, selection)) &&
	       (!*selection->comm || has_line(pid, "comm", is_comm, selection)) &&
	       (!*selection->cgroup || has_line(pid, "cgroup", is_in_cgroup, selection));
}
