/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads at rest, told from two files that stay open: /proc/PID/task/TID/syscall says "running" for a thread
 * that runs or could run (the kernel makes sure that any other is off its CPU), and the third number of
 * schedstat counts how often it was given a CPU. Blocked after the count was noted, and the count the same at
 * the end: it did not run in between. (Its CPU time alone proves nothing: it is brought up to date late.)
 * Kernels without the syscall file have the state letter of stat.
 */
#include "python/quiet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

struct thread {
	uint32_t tid;
	int state_fd;
	bool state_is_stat; /* state_fd is stat, else syscall */
	int runs_fd;
	uint64_t runs;
};

struct cs_quiet {
	pid_t pid;
	bool all;
	bool too_many;
	size_t n, most;
	struct thread threads[CS_QUIET_THREADS];
};

int cs_quiet_new(pid_t pid, size_t most, struct cs_quiet **ret)
{
	struct cs_quiet *quiet = calloc(1, sizeof(*quiet));

	if (!quiet)
		return -ENOMEM;
	quiet->pid = pid;
	quiet->most = most < CS_QUIET_THREADS ? most : CS_QUIET_THREADS;
	quiet->all = true;
	*ret = quiet;
	return 0;
}

static void thread_close(struct thread *thread)
{
	cs_cleanup_close(&thread->state_fd);
	cs_cleanup_close(&thread->runs_fd);
}

void cs_quiet_free(struct cs_quiet *quiet)
{
	if (!quiet)
		return;
	for (size_t i = 0; i < quiet->n; i++)
		thread_close(&quiet->threads[i]);
	free(quiet);
}

static int open_file(pid_t pid, uint32_t tid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%u/%s", pid, tid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool read_file(int fd, char *dst, size_t size)
{
	ssize_t n = pread(fd, dst, size - 1, 0);

	if (n <= 0)
		return false;
	dst[n] = '\0';
	return true;
}

static struct thread thread_open(pid_t pid, uint32_t tid)
{
	struct thread thread = {.tid = tid};
	char text[256];

	thread.runs_fd = open_file(pid, tid, "schedstat");
	thread.state_fd = open_file(pid, tid, "syscall");
	if (thread.state_fd < 0 || !read_file(thread.state_fd, text, sizeof(text))) {
		cs_cleanup_close(&thread.state_fd);
		thread.state_fd = open_file(pid, tid, "stat");
		thread.state_is_stat = true;
	}
	return thread;
}

static int compare_tids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Watch exactly these threads, given in ascending order: keep open files, close and open the others. */
static void watch_sorted(struct cs_quiet *quiet, const uint32_t *tids, size_t n)
{
	struct thread old[CS_QUIET_THREADS];
	size_t nold = quiet->n, k = 0;

	memcpy(old, quiet->threads, nold * sizeof(*old));
	quiet->n = 0;
	for (size_t i = 0; i < n; i++) {
		while (k < nold && old[k].tid < tids[i])
			thread_close(&old[k++]);
		if (k < nold && old[k].tid == tids[i])
			quiet->threads[quiet->n++] = old[k++];
		else if (!i || tids[i] != tids[i - 1])
			quiet->threads[quiet->n++] = thread_open(quiet->pid, tids[i]);
	}
	while (k < nold)
		thread_close(&old[k++]);
}

void cs_quiet_watch(struct cs_quiet *quiet, const uint32_t *tids, size_t n)
{
	uint32_t sorted[CS_QUIET_THREADS];

	quiet->all = n == 0;
	quiet->too_many = n > quiet->most;
	if (quiet->all || quiet->too_many)
		return;
	memcpy(sorted, tids, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare_tids);
	watch_sorted(quiet, sorted, n);
}

bool cs_quiet_covers(const struct cs_quiet *quiet, const uint32_t *tids, size_t n)
{
	bool found = n > 0;

	for (size_t i = 0; i < n && found; i++) {
		found = false;
		for (size_t k = 0; k < quiet->n && !found; k++)
			found = quiet->threads[k].tid == tids[i];
	}
	return quiet->all || found;
}

static void watch_all(struct cs_quiet *quiet)
{
	_cleanup_closedir_ DIR *dir = NULL;
	uint32_t tids[CS_QUIET_THREADS];
	struct dirent *entry;
	char path[32];
	size_t n = 0;

	quiet->too_many = false;
	snprintf(path, sizeof(path), "/proc/%d/task", quiet->pid);
	dir = opendir(path);
	while (dir && !quiet->too_many && (entry = readdir(dir))) {
		unsigned long tid = strtoul(entry->d_name, NULL, 10);

		if (tid && n == quiet->most)
			quiet->too_many = true;
		else if (tid)
			tids[n++] = (uint32_t)tid;
	}
	/* files that would be of no use are not kept open */
	if (quiet->too_many)
		n = 0;
	qsort(tids, n, sizeof(*tids), compare_tids);
	watch_sorted(quiet, tids, n);
}

static bool read_runs(const struct thread *thread, uint64_t *ret)
{
	char text[96];
	unsigned long on_cpu, waited, runs;

	if (!read_file(thread->runs_fd, text, sizeof(text)) ||
	    sscanf(text, "%lu %lu %lu", &on_cpu, &waited, &runs) != 3)
		return false;
	*ret = runs;
	return true;
}

static bool is_blocked(const struct thread *thread)
{
	const char *state;
	char text[256];

	if (!read_file(thread->state_fd, text, sizeof(text)))
		return false;
	if (!thread->state_is_stat)
		return strncmp(text, "running", 7) != 0;
	/* "pid (comm) S ...": the name may hold anything, parentheses included. */
	state = strrchr(text, ')');
	return state && state[1] == ' ' && state[2] && state[2] != 'R';
}

bool cs_quiet_begin(struct cs_quiet *quiet)
{
	if (quiet->all)
		watch_all(quiet);
	if (quiet->too_many || !quiet->n)
		return false;
	for (size_t i = 0; i < quiet->n; i++) {
		struct thread *thread = &quiet->threads[i];

		if (!read_runs(thread, &thread->runs) || !is_blocked(thread))
			return false;
	}
	return true;
}

bool cs_quiet_end(const struct cs_quiet *quiet)
{
	uint64_t runs;

	for (size_t i = 0; i < quiet->n; i++) {
		if (!read_runs(&quiet->threads[i], &runs) || runs != quiet->threads[i].runs)
			return false;
	}
	return true;
}
