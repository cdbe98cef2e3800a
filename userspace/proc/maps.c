/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/PID/maps as an array. The text is kept and cut into strings in place; a process chooses the
 * names of its files and the number of its mappings, so both are bounded.
 */
#include "proc/maps.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"

#define MAX_MAPPINGS 65536u
#define MAX_TEXT     ((size_t)32 << 20)
#define READ_BYTES   ((size_t)64 << 10)

void cs_maps_free(struct cs_maps *maps)
{
	free(maps->items);
	free(maps->text);
	*maps = (struct cs_maps){0};
}

/* A number with what ends it; behind the last one there may be nothing. sscanf() takes several times as long, of hundreds of lines a process. */
static bool take_number(char **at, int base, char end, uint64_t *ret)
{
	char *behind;

	if (!isxdigit((unsigned char)**at))
		return false;
	*ret = strtoul(*at, &behind, base);
	if (behind == *at || (*behind != end && *behind))
		return false;
	*at = behind + (*behind == end);
	return true;
}

/* One line, terminated, as fs/proc/task_mmu.c prints it: start-end perms offset dev inode [path] */
static bool parse_line(char *line, struct cs_mapping *ret)
{
	static const char deleted[] = " (deleted)";
	struct cs_mapping m = {0};
	uint64_t major, minor;
	char perms[4];
	size_t len;

	if (!take_number(&line, 16, '-', &m.start) || !take_number(&line, 16, ' ', &m.end) ||
	    m.start >= m.end || strnlen(line, 5) < 5 || line[4] != ' ')
		return false;
	memcpy(perms, line, sizeof(perms));
	line += sizeof(perms) + 1;
	if (!take_number(&line, 16, ' ', &m.offset) || !take_number(&line, 16, ':', &major) ||
	    !take_number(&line, 16, ' ', &minor) || !take_number(&line, 10, ' ', &m.inode))
		return false;
	m.dev_major = (uint32_t)major;
	m.dev_minor = (uint32_t)minor;
	m.readable = perms[0] == 'r';
	m.writable = perms[1] == 'w';
	m.executable = perms[2] == 'x';
	line += strspn(line, " ");
	len = strlen(line);
	if (len > strlen(deleted) && !strcmp(line + len - strlen(deleted), deleted)) {
		m.deleted = true;
		line[len - strlen(deleted)] = '\0';
	}
	m.path = line;
	*ret = m;
	return true;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

int cs_maps_parse(char *text, struct cs_maps *ret)
{
	_cleanup_maps_ struct cs_maps maps = {.text = text};
	size_t nlines = count_lines(text) + 1;
	char *save = NULL;

	if (nlines > MAX_MAPPINGS + 1)
		return -E2BIG;
	maps.items = calloc(nlines, sizeof(*maps.items));
	if (!maps.items)
		return -ENOMEM;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct cs_mapping *m = &maps.items[maps.n];

		/* The kernel prints ascending ranges; cs_maps_find relies on it. */
		if (parse_line(line, m) && (!maps.n || m->start >= m[-1].end))
			maps.n++;
	}
	*ret = maps;
	maps = (struct cs_maps){0};
	return 0;
}

static int read_text(int fd, struct cs_buf *text)
{
	for (;;) {
		char *at;
		ssize_t n;

		if (text->len > MAX_TEXT)
			return -E2BIG;
		at = cs_buf_extend(text, READ_BYTES);
		if (!at)
			return -ENOMEM;
		n = read(fd, at, READ_BYTES);
		text->len -= READ_BYTES - (n > 0 ? (size_t)n : 0);
		if (n < 0)
			return errno == ESRCH ? -ENOENT : -errno;
		if (!n)
			return 0;
	}
}

int cs_maps_read(pid_t pid, struct cs_maps *ret)
{
	_cleanup_close_ int fd = -1;
	_cleanup_buf_ struct cs_buf text = {0};
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ESRCH ? -ENOENT : errno == EPERM ? -EACCES : -errno;
	err = read_text(fd, &text);
	if (err)
		return err;
	if (cs_buf_append(&text, "", 1))
		return -ENOMEM;
	return cs_maps_parse(TAKE_PTR(text.data), ret);
}

const struct cs_mapping *cs_maps_find(const struct cs_maps *maps, uint64_t addr)
{
	size_t lo = 0, hi = maps->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (addr >= maps->items[mid].end)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < maps->n && addr >= maps->items[lo].start ? &maps->items[lo] : NULL;
}

/* Only regular files: opening a mapped device could have effects. */
static bool opens(const char *path)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0;
}

int cs_maps_open_path(pid_t pid, const struct cs_mapping *mapping, char *dst, size_t size)
{
	int n;

	n = snprintf(dst, size, "/proc/%d/map_files/%lx-%lx", pid, mapping->start, mapping->end);
	if (n > 0 && (size_t)n < size && opens(dst))
		return 0;
	if (mapping->deleted || mapping->path[0] != '/')
		return -ENOENT;
	n = snprintf(dst, size, "/proc/%d/root%s", pid, mapping->path);
	if (n > 0 && (size_t)n < size && opens(dst))
		return 0;
	return -ENOENT;
}
