/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of code made at run time. Code is freed and its memory used again: of two functions that overlap the one told later is
 * there, and the other is gone, whole.
 */
#include "proc/perf_map.h"

#include <coroscope/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "proc/file.h"

#define CHUNK       ((size_t)64 << 10)
#define MAX_CHUNKS  16                    /* of one refresh */
#define MAX_BYTES   ((uint64_t)128 << 20) /* in the life of a process, however often it begins anew */
#define MAX_ENTRIES ((size_t)1 << 19)
#define MAX_STATUS  8192

struct entry {
	uint64_t start, end;
	uint32_t name;   /* offset into names */
	uint32_t number; /* counts the lines */
};

struct entries {
	struct entry *items;
	size_t n, cap;
};

struct cs_perf_map {
	struct entries known; /* ascending, without overlap */
	struct entries fresh; /* scratch */
	struct cs_buf names;  /* terminated strings */
	uint32_t lines;
	dev_t dev; /* of the file; 0: none yet */
	ino_t ino;
	off_t read;     /* of it, so far */
	uint64_t total; /* of all */
};

int cs_perf_map_new(struct cs_perf_map **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void cs_perf_map_free(struct cs_perf_map *map)
{
	if (!map)
		return;
	free(map->known.items);
	free(map->fresh.items);
	cs_buf_free(&map->names);
	free(map);
}

static int push(struct entries *list, const struct entry *entry)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 1024;
		struct entry *items = reallocarray(list->items, cap, sizeof(*items));

		if (!items)
			return -ENOMEM;
		list->items = items;
		list->cap = cap;
	}
	list->items[list->n++] = *entry;
	return 0;
}

/* One line, terminated. What is no line of such a file is left out. Returns 0 or -ENOMEM. */
static int add_line(struct cs_perf_map *map, const char *line)
{
	struct entry entry = {.name = (uint32_t)map->names.len, .number = map->lines};
	char *end, *name;
	uint64_t size;

	errno = 0;
	entry.start = strtoull(line, &end, 16);
	if (end == line || *end != ' ')
		return 0;
	size = strtoull(end + 1, &name, 16);
	if (errno || name == end + 1 || *name != ' ' || !name[1] || !size ||
	    __builtin_add_overflow(entry.start, size, &entry.end) ||
	    map->known.n + map->fresh.n >= MAX_ENTRIES)
		return 0;
	map->lines++;
	if (cs_buf_append(&map->names, name + 1, strnlen(name + 1, CS_MAX_SYMBOL)) ||
	    cs_buf_append(&map->names, "", 1))
		return -ENOMEM;
	return push(&map->fresh, &entry);
}

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->start != y->start)
		return x->start > y->start ? 1 : -1;
	return (x->number > y->number) - (x->number < y->number);
}

/* In ascending order; of two that overlap the later one stays. */
static int settle(struct entries *list, const struct entry *entry)
{
	struct entry *last = list->n ? &list->items[list->n - 1] : NULL;

	if (!last || last->end <= entry->start)
		return push(list, entry);
	if (entry->number > last->number)
		*last = *entry;
	return 0;
}

/* The fresh ones among the known ones. */
static int merge(struct cs_perf_map *map)
{
	const struct entries *known = &map->known, *fresh = &map->fresh;
	struct entries all = {0};
	size_t i = 0, j = 0;
	int err = 0;

	if (!fresh->n)
		return 0;
	qsort(fresh->items, fresh->n, sizeof(*fresh->items), compare);
	while (!err && (i < known->n || j < fresh->n)) {
		bool old = j == fresh->n ||
			   (i < known->n && compare(&known->items[i], &fresh->items[j]) < 0);

		err = settle(&all, old ? &known->items[i++] : &fresh->items[j++]);
	}
	map->fresh.n = 0;
	if (err) {
		free(all.items);
		return err;
	}
	free(map->known.items);
	map->known = all;
	return 0;
}

/* The whole lines of a chunk. Returns how many bytes they are, or -ENOMEM. */
static ssize_t add_lines(struct cs_perf_map *map, char *chunk, size_t n)
{
	char *at = chunk, *end = at + n, *newline;

	/* a zero byte would end a line's text, not the line */
	while ((newline = memchr(at, '\n', (size_t)(end - at)))) {
		*newline = '\0';
		if (add_line(map, at))
			return -ENOMEM;
		at = newline + 1;
	}
	/* a line that long is none */
	return at == chunk && n == CHUNK ? (ssize_t)n : at - chunk;
}

static void start_anew(struct cs_perf_map *map, const struct stat *st)
{
	map->known.n = map->fresh.n = 0;
	map->names.len = 0;
	map->lines = 0;
	map->read = 0;
	map->dev = st->st_dev;
	map->ino = st->st_ino;
}

bool cs_perf_map_read(struct cs_perf_map *map, int fd)
{
	_cleanup_free_ char *chunk = NULL;
	bool changed = false;
	struct stat st;

	if (fstat(fd, &st))
		return false;
	if (st.st_dev != map->dev || st.st_ino != map->ino || st.st_size < map->read) {
		changed = map->known.n;
		start_anew(map, &st);
	}
	if (st.st_size > map->read)
		chunk = malloc(CHUNK);
	for (int i = 0; chunk && i < MAX_CHUNKS && map->total < MAX_BYTES; i++) {
		ssize_t n = pread(fd, chunk, CHUNK, map->read);
		ssize_t used = n > 0 ? add_lines(map, chunk, (size_t)n) : 0;

		if (used <= 0)
			break;
		map->read += used;
		map->total += (uint64_t)used;
	}
	changed = changed || map->fresh.n;
	return !merge(map) && changed;
}

/* From /proc/PID/status: its number in its own namespace, and its user. Returns false if it cannot be read. */
static bool read_status(pid_t pid, pid_t *ret_inner, uid_t *ret_uid)
{
	char path[64], text[MAX_STATUS];
	_cleanup_close_ int fd = -1;
	const char *uid, *inner;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* real, effective, ...; from here to the innermost. The process's name stands above them, with its newlines escaped */
	uid = strstr(text, "\nUid:");
	inner = strstr(text, "\nNSpid:");
	if (!uid || sscanf(uid, "\nUid: %*u %u", ret_uid) != 1 || !inner)
		return false;
	inner += strlen("\nNSpid:");
	n = (ssize_t)strcspn(inner, "\n");
	while (n && inner[n - 1] != '\t')
		n--;
	*ret_inner = atoi(inner + n);
	return *ret_inner > 0;
}

bool cs_perf_map_refresh(struct cs_perf_map *map, pid_t pid)
{
	char root[64], path[64];
	_cleanup_close_ int fd = -1;
	struct stat st;
	pid_t inner;
	uid_t uid;

	if (!read_status(pid, &inner, &uid))
		return false;
	snprintf(root, sizeof(root), "/proc/%d/root", pid);
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", inner);
	fd = cs_open_in_root(root, path);
	if (fd < 0 || fstat(fd, &st) || (st.st_uid != uid && st.st_uid != 0))
		return false;
	return cs_perf_map_read(map, fd);
}

const char *cs_perf_map_find(const struct cs_perf_map *map, uint64_t addr)
{
	const struct entry *items = map->known.items;
	size_t lo = 0, hi = map->known.n;

	while (lo < hi) {
		size_t middle = lo + (hi - lo) / 2;

		if (items[middle].start <= addr)
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo && addr < items[lo - 1].end ? map->names.data + items[lo - 1].name : NULL;
}

size_t cs_perf_map_count(const struct cs_perf_map *map)
{
	return map->known.n;
}
