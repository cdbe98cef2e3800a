/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/task. Outside containers one look at the first thread tells that both ids are the same. */
#include "proc/threads.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "core/cleanup.h"

/* The innermost id of one thread, 0 if it cannot be told; *ret_nested: the process lives in a pid namespace below ours. */
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

pid_t cs_thread_outer(pid_t pid, uint64_t inner)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	bool nested = false;
	char path[64];

	snprintf(path, sizeof(path), "%" PRIu64, inner);
	if (inner_id(pid, path, &nested) == inner && !nested)
		return (pid_t)inner;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && inner_id(pid, entry->d_name, &nested) == inner)
			return (pid_t)strtol(entry->d_name, NULL, 10);
	return 0;
}

uint64_t cs_thread_inner(pid_t pid, uint32_t tid)
{
	bool nested;
	char name[16];

	snprintf(name, sizeof(name), "%u", tid);
	return inner_id(pid, name, &nested);
}

bool cs_threads_nested(pid_t pid)
{
	bool nested = false;
	char tid[32];

	snprintf(tid, sizeof(tid), "%d", pid);
	inner_id(pid, tid, &nested);
	return nested;
}

static bool read_file(pid_t pid, pid_t tid, const char *name, char *dst, size_t size)
{
	_cleanup_close_ int fd = -1;
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, dst, size - 1);
	dst[n > 0 ? n : 0] = '\0';
	return n > 0;
}

void cs_thread_rest(pid_t pid, pid_t tid, struct cs_thread_rest *ret)
{
	char text[1024], *state;

	*ret = (struct cs_thread_rest){0};
	if (read_file(pid, tid, "stat", text, sizeof(text))) {
		state = strrchr(text, ')');
		ret->off_cpu = state && state[1] && state[2] != 'R';
	}
	if (read_file(pid, tid, "schedstat", text, sizeof(text)))
		sscanf(text, "%*u %*u %llu", &ret->runs);
}

void cs_thread_name(pid_t pid, pid_t tid, char *dst, size_t size)
{
	read_file(pid, tid, "comm", dst, size);
	dst[strcspn(dst, "\n")] = '\0';
}
