/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parcels on their way. A file is named SEQUENCE-ATTEMPTS.parcel, zero-padded, so that the order of names is that of
 * arrival. What is in the directory is listed once; from then on the list in memory is kept in step, as nobody else
 * may have it open.
 */
#include "deliver/parcels.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "deliver/folder.h"

#define SUFFIX ".parcel"

struct entry {
	uint64_t sequence, bytes;
	int64_t born_ns; /* CLOCK_BOOTTIME: a wall clock that is set makes nothing older */
	uint32_t attempts;
};

struct cs_parcels {
	char *path;
	int folder;
	struct cs_parcels_limits limits;
	struct cs_parcels_counts counts;
	struct entry *entries; /* of first <= i < end, the oldest first */
	size_t first, end, cap;
	uint64_t bytes, next;
};

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* How old a file of an earlier run is only the wall clock tells; one of the future is new. */
static int64_t born_ns(const struct cs_folder_file *file)
{
	uint64_t wall_ns = cs_folder_now_ns();

	return now_ns() - (int64_t)(wall_ns > file->written_ns ? wall_ns - file->written_ns : 0);
}

static void name_of(const struct entry *entry, char name[64])
{
	snprintf(name, 64, "%020" PRIu64 "-%010" PRIu32 SUFFIX, entry->sequence, entry->attempts);
}

/* Only what name_of writes. */
static bool parse_name(const char *name, struct entry *ret)
{
	char again[64];

	if (sscanf(name, "%20" SCNu64 "-%10" SCNu32 SUFFIX, &ret->sequence, &ret->attempts) != 2)
		return false;
	name_of(ret, again);
	return !strcmp(name, again);
}

static int append(struct cs_parcels *parcels, const struct entry *entry)
{
	size_t n = parcels->end - parcels->first, cap;
	struct entry *entries;

	if (parcels->first && parcels->first >= parcels->cap / 2) {
		memmove(parcels->entries, parcels->entries + parcels->first, n * sizeof(*entries));
		parcels->first = 0;
		parcels->end = n;
	}
	if (parcels->end == parcels->cap) {
		cap = parcels->cap ? parcels->cap * 2 : 64;
		entries = reallocarray(parcels->entries, cap, sizeof(*entries));
		if (!entries)
			return -ENOMEM;
		parcels->entries = entries;
		parcels->cap = cap;
	}
	parcels->entries[parcels->end++] = *entry;
	parcels->bytes += entry->bytes;
	if (entry->sequence >= parcels->next)
		parcels->next = entry->sequence + 1;
	return 0;
}

/* What an earlier run has left. */
static int take_over(struct cs_parcels *parcels)
{
	_cleanup_free_ struct cs_folder_file *files = NULL;
	size_t n;
	int err = cs_folder_list(parcels->folder, SUFFIX, &files, &n);

	for (size_t i = 0; !err && i < n; i++) {
		struct entry entry = {.bytes = files[i].bytes, .born_ns = born_ns(&files[i])};

		if (parse_name(files[i].name, &entry))
			err = append(parcels, &entry);
	}
	return err;
}

int cs_parcels_open(const char *path, const struct cs_parcels_limits *limits,
		    struct cs_parcels **ret)
{
	_cleanup_(cs_parcels_closep) struct cs_parcels *parcels = calloc(1, sizeof(*parcels));
	int err;

	if (!parcels)
		return -ENOMEM;
	parcels->limits = *limits;
	parcels->folder = cs_folder_open(path);
	if (parcels->folder < 0)
		return parcels->folder;
	parcels->path = strdup(path);
	if (!parcels->path)
		return -ENOMEM;
	err = take_over(parcels);
	if (err)
		return err;
	*ret = TAKE_PTR(parcels);
	return 0;
}

void cs_parcels_close(struct cs_parcels *parcels)
{
	if (!parcels)
		return;
	if (parcels->folder >= 0)
		close(parcels->folder);
	free(parcels->entries);
	free(parcels->path);
	free(parcels);
}

int cs_parcels_drop(struct cs_parcels *parcels)
{
	const struct entry *entry = &parcels->entries[parcels->first];
	char name[64];
	int err;

	if (parcels->first == parcels->end)
		return -ENOENT;
	name_of(entry, name);
	err = cs_folder_remove(parcels->folder, name);
	/* a directory in its place is no parcel, now or for the next run: it may stay */
	if (err && err != -ENOENT && err != -EISDIR)
		return err;
	parcels->bytes -= entry->bytes;
	parcels->first++;
	return 0;
}

/* Make room: for what is too old none is left at all. */
static int keep_limits(struct cs_parcels *parcels, uint64_t more)
{
	int64_t now = now_ns();
	int err = 0;

	while (!err && parcels->first < parcels->end) {
		int64_t born = parcels->entries[parcels->first].born_ns;
		bool old = (uint64_t)(now - born) > parcels->limits.age_ns;

		if (!old && parcels->bytes + more <= parcels->limits.bytes)
			break;
		err = cs_parcels_drop(parcels);
		if (!err && old)
			parcels->counts.over_age++;
		else if (!err)
			parcels->counts.over_bytes++;
	}
	return err;
}

/* Somebody has removed the directory, perhaps with its parent: what was in it is lost, what comes is not. */
static int make_again(struct cs_parcels *parcels)
{
	char *slash = strrchr(parcels->path, '/');
	int folder;

	if (slash && slash != parcels->path) {
		*slash = '\0';
		mkdir(parcels->path, 0700); /* if it cannot, the next line says why */
		*slash = '/';
	}
	folder = cs_folder_open(parcels->path);
	if (folder < 0)
		return folder;
	close(parcels->folder);
	parcels->folder = folder;
	return 0;
}

int cs_parcels_put(struct cs_parcels *parcels, const struct cs_parcel *parcel)
{
	struct entry entry = {
		.sequence = parcels->next, .born_ns = now_ns(), .attempts = parcel->attempts};
	struct iovec parts[CS_PARCEL_PARTS];
	struct cs_parcel_header header;
	char name[64];
	int err;

	cs_parcel_write(parcel, &header, parts);
	for (int i = 0; i < CS_PARCEL_PARTS; i++)
		entry.bytes += parts[i].iov_len;
	if (entry.bytes > parcels->limits.bytes || parcel->body.len > CS_PARCEL_BYTES) {
		parcels->counts.over_bytes++;
		return -EFBIG;
	}
	err = keep_limits(parcels, entry.bytes);
	if (err)
		return err;
	name_of(&entry, name);
	err = cs_folder_write(parcels->folder, name, parts, CS_PARCEL_PARTS);
	if (err == -ENOENT && !make_again(parcels))
		err = cs_folder_write(parcels->folder, name, parts, CS_PARCEL_PARTS);
	if (err)
		/* EFBIG: a limit of the system's, not ours */
		return err == -EFBIG ? -ENOSPC : err;
	err = append(parcels, &entry);
	if (err)
		cs_folder_remove(parcels->folder, name);
	return err;
}

static int read_file(int folder, const char *name, struct cs_buf *ret)
{
	_cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	size_t at = 0, size;
	struct stat st;
	char *bytes;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > CS_PARCEL_BYTES + 4096u)
		return -EBADMSG;
	size = (size_t)st.st_size;
	bytes = cs_buf_extend(ret, size);
	if (!bytes)
		return -ENOMEM;
	while (at < size) {
		ssize_t n = read(fd, bytes + at, size - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EBADMSG;
		at += (size_t)n;
	}
	return 0;
}

int cs_parcels_first(struct cs_parcels *parcels, struct cs_parcel *ret)
{
	int err = keep_limits(parcels, 0);

	while (!err && parcels->first < parcels->end) {
		const struct entry *entry = &parcels->entries[parcels->first];
		_cleanup_buf_ struct cs_buf bytes = {0};
		char name[64];

		name_of(entry, name);
		err = read_file(parcels->folder, name, &bytes);
		if (!err)
			err = cs_parcel_read(bytes.data, bytes.len, ret);
		if (!err) {
			ret->attempts = entry->attempts;
			return 0;
		}
		/* what the disk cannot read now it may read later; what is wrong stays wrong */
		if (err != -EBADMSG && err != -ENOENT && err != -ELOOP)
			return err;
		err = cs_parcels_drop(parcels);
		parcels->counts.damaged += !err;
	}
	return err ? err : -ENOENT;
}

int cs_parcels_note_attempt(struct cs_parcels *parcels)
{
	struct entry *entry = &parcels->entries[parcels->first];
	char from[64], to[64];
	int err;

	if (parcels->first == parcels->end)
		return -ENOENT;
	name_of(entry, from);
	entry->attempts++;
	name_of(entry, to);
	err = cs_folder_rename(parcels->folder, from, to);
	/* renamed, perhaps, but not lastingly: the list follows what is there */
	if (err && faccessat(parcels->folder, to, F_OK, 0))
		entry->attempts--;
	return err;
}

size_t cs_parcels_n(const struct cs_parcels *parcels)
{
	return parcels->end - parcels->first;
}

uint64_t cs_parcels_bytes(const struct cs_parcels *parcels)
{
	return parcels->bytes;
}

const struct cs_parcels_counts *cs_parcels_counts(const struct cs_parcels *parcels)
{
	return &parcels->counts;
}
