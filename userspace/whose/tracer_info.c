/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memfd of Datadog's tracers. The little of MessagePack that is read here, strings in one map, with everything else passed over,
 * is shorter than the use of a library would be, and allocates nothing that the file could choose.
 *
 * Source: MessagePack's specification (msgpack/spec.md).
 */
#include "whose/tracer_info.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "core/cleanup.h"
#include "proc/file.h"

#define PREFIX      "/memfd:datadog-tracer-info-"
#define MAX_BYTES   65536
#define MAX_ENTRIES 64

struct reader {
	const uint8_t *at, *end;
};

struct text {
	const char *str;
	size_t len;
};

/* A big-endian number of n bytes. */
static bool take_number(struct reader *r, size_t n, uint64_t *ret)
{
	if ((size_t)(r->end - r->at) < n)
		return false;
	for (*ret = 0; n; n--)
		*ret = *ret << 8 | *r->at++;
	return true;
}

static bool take_bytes(struct reader *r, uint64_t n)
{
	if ((uint64_t)(r->end - r->at) < n)
		return false;
	r->at += n;
	return true;
}

/* The length of what the byte begins, if it is a string's. */
static bool take_text(struct reader *r, struct text *ret)
{
	uint64_t len;

	if (r->at == r->end)
		return false;
	if ((*r->at & 0xe0) == 0xa0)
		len = *r->at++ & 0x1f;
	else if (*r->at < 0xd9 || *r->at > 0xdb)
		return false;
	else if (!take_number(r, 1u << (*r->at++ - 0xd9), &len))
		return false;
	ret->str = (const char *)r->at;
	ret->len = len;
	return take_bytes(r, len);
}

/* What stands behind the first byte: bytes of a number or text, or values that follow. */
static bool pass_one(struct reader *r, uint64_t *values)
{
	static const uint8_t fixed[] = {
		[0xca - 0xca] = 4, [0xcb - 0xca] = 8, [0xcc - 0xca] = 1,  [0xcd - 0xca] = 2,
		[0xce - 0xca] = 4, [0xcf - 0xca] = 8, [0xd0 - 0xca] = 1,  [0xd1 - 0xca] = 2,
		[0xd2 - 0xca] = 4, [0xd3 - 0xca] = 8, [0xd4 - 0xca] = 2,  [0xd5 - 0xca] = 3,
		[0xd6 - 0xca] = 5, [0xd7 - 0xca] = 9, [0xd8 - 0xca] = 17,
	};
	uint64_t n = 0;
	uint8_t byte = *r->at++;

	*values = 0;
	if (byte < 0x80 || byte >= 0xe0 ||
	    (byte >= 0xc0 && byte <= 0xc3)) /* a small number, nil, a bool */
		return byte != 0xc1;
	if (byte < 0x90) {
		*values = 2 * (uint64_t)(byte & 0x0f);
		return true;
	}
	if (byte < 0xa0) {
		*values = byte & 0x0f;
		return true;
	}
	if (byte < 0xc0)
		return take_bytes(r, byte & 0x1f);
	if (byte <= 0xc6) /* bin */
		return take_number(r, 1u << (byte - 0xc4), &n) && take_bytes(r, n);
	if (byte <= 0xc9) /* ext */
		return take_number(r, 1u << (byte - 0xc7), &n) && take_bytes(r, n + 1);
	if (byte <= 0xd8)
		return take_bytes(r, fixed[byte - 0xca]);
	if (byte <= 0xdb)
		return take_number(r, 1u << (byte - 0xd9), &n) && take_bytes(r, n);
	if (!take_number(r, byte & 1 ? 4 : 2, &n))
		return false;
	*values = byte <= 0xdd ? n : 2 * n;
	return true;
}

/* Without recursion, and a byte each: what is nested or promised without end stops at the end of the bytes. */
static bool pass_value(struct reader *r)
{
	uint64_t left = 1, more;

	for (; left; left += more - 1)
		if (r->at == r->end || !pass_one(r, &more) || left > MAX_BYTES)
			return false;
	return true;
}

static enum cs_fact fact_of(struct text key, bool inherited)
{
	static const struct {
		const char *key;
		enum cs_fact fact;
		bool of_run; /* of this process alone */
	} keys[] = {
		{"service_name", CS_FACT_SERVICE, false},
		{"service_env", CS_FACT_ENVIRONMENT, false},
		{"service_version", CS_FACT_VERSION, false},
		{"tracer_version", CS_FACT_TRACER_VERSION, false},
		{"runtime_id", CS_FACT_RUNTIME_ID, true},
		{"container_id", CS_FACT_CONTAINER, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (key.len == strlen(keys[i].key) && !memcmp(key.str, keys[i].key, key.len))
			return inherited && keys[i].of_run ? (enum cs_fact)0 : keys[i].fact;
	return (enum cs_fact)0;
}

static bool take_map(struct reader *r, uint64_t *n)
{
	if (r->at == r->end)
		return false;
	if ((*r->at & 0xf0) == 0x80) {
		*n = *r->at++ & 0x0f;
		return true;
	}
	return (*r->at == 0xde || *r->at == 0xdf) && take_number(r, *r->at++ == 0xde ? 2 : 4, n);
}

int cs_tracer_info_parse(const void *bytes, size_t len, bool inherited, struct cs_facts *facts)
{
	struct reader r = {bytes, (const uint8_t *)bytes + len};
	struct text key, value;
	uint64_t n = 0;
	int err = 0;

	if (!take_map(&r, &n))
		return 0;
	for (uint64_t i = 0; !err && i < n && i < MAX_ENTRIES && take_text(&r, &key); i++) {
		enum cs_fact fact = fact_of(key, inherited);

		if (take_text(&r, &value))
			err = fact ? cs_facts_tell(facts, fact, value.str, value.len) : 0;
		else if (!pass_value(&r))
			break;
	}
	return err;
}

/* A name can be forged, a memfd not: without a name in any directory, on the kernel's own tmpfs. */
static int open_memfd(int dir, const char *name, struct stat *st)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct statfs fs;

	if (fd < 0 || fstat(fd, st) || fstatfs(fd, &fs))
		return -errno;
	return S_ISREG(st->st_mode) && !st->st_nlink && fs.f_type == TMPFS_MAGIC ? TAKE_FD(fd)
										 : -EINVAL;
}

static uint64_t written_ns(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;
}

/* A descriptor that is called so. */
static bool is_called(int dir, const char *name)
{
	char target[sizeof(PREFIX) - 1];

	return isdigit((unsigned char)*name) &&
	       readlinkat(dir, name, target, sizeof(target)) == (ssize_t)sizeof(target) &&
	       !memcmp(target, PREFIX, sizeof(target));
}

static DIR *open_files(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	return opendir(path);
}

/* The newest of them; -1: there is none. */
static int find(DIR *dir, struct stat *ret)
{
	_cleanup_close_ int best = -1;
	struct dirent *entry;

	for (unsigned int i = 0; i < CS_MAX_FDS && (entry = readdir(dir)); i++) {
		_cleanup_close_ int fd = -1;
		struct stat st = {0};

		if (!is_called(dirfd(dir), entry->d_name))
			continue;
		fd = open_memfd(dirfd(dir), entry->d_name, &st);
		if (fd < 0 || (best >= 0 && written_ns(&st) < written_ns(ret)))
			continue;
		*ret = st;
		cs_cleanup_close(&best);
		best = TAKE_FD(fd);
	}
	return TAKE_FD(best);
}

static bool has(pid_t pid, const struct stat *file)
{
	_cleanup_closedir_ DIR *dir = open_files(pid);
	struct dirent *entry;
	struct stat st;

	for (unsigned int i = 0; dir && i < CS_MAX_FDS && (entry = readdir(dir)); i++)
		if (is_called(dirfd(dir), entry->d_name) &&
		    !fstatat(dirfd(dir), entry->d_name, &st, 0) && st.st_dev == file->st_dev &&
		    st.st_ino == file->st_ino)
			return true;
	return false;
}

int cs_tracer_info_read(pid_t pid, pid_t parent, uint64_t started_ns, struct cs_facts *facts)
{
	_cleanup_closedir_ DIR *dir = open_files(pid);
	_cleanup_free_ char *bytes = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st = {0};
	bool inherited;
	ssize_t n;

	fd = dir ? find(dir, &st) : -1;
	if (fd < 0)
		return 0;
	bytes = malloc(MAX_BYTES);
	if (!bytes)
		return -ENOMEM;
	inherited = written_ns(&st) < started_ns || (parent > 0 && has(parent, &st));
	n = pread(fd, bytes, MAX_BYTES, 0);
	return n > 0 ? cs_tracer_info_parse(bytes, (size_t)n, inherited, facts) : 0;
}
