/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/task. Outside containers one look at the first thread tells that both ids are the same. */
#include "proc/threads.h"

#include <stdbool.h>
#include <string.h>

#include "core/cleanup.h"

/* The innermost id of one thread; *ret_nested: the process lives in a pid namespace below ours. */
static uint64_t inner_id(pid_t pid, const char *tid, bool *ret_nested)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[64], line[512];

	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/status", pid, tid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "NSpid:", 6)) {
			const char *last = strrchr(line, '\t');

			*ret_nested = last > line + 6;
			return last ? strtoull(last, NULL, 10) : 0;
		}
	}
	return 0;
}

size_t cs_threads_list(pid_t pid, uint64_t *ids, size_t max)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	bool nested = true; /* until the first thread says otherwise */
	char path[64];
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && n < max && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		ids[n++] = nested ? inner_id(pid, entry->d_name, &nested)
				  : strtoull(entry->d_name, NULL, 10);
	}
	return n;
}
