/* SPDX-License-Identifier: Apache-2.0 */
/* Where the records of a capture go. */
#include "collect/spool.h"

#include <coroscope/event.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/user.h"

#define FLUSH_BYTES (256 * 1024)

struct cs_spool {
	int fd;          /* -1: none */
	cs_spool_fn *fn; /* NULL: into the file */
	void *ctx;
	int err;        /* of the first failed write */
	bool begun;     /* the file is truncated and has its header */
	bool temporary; /* remove it at the end */
	uint64_t whole; /* bytes on disk that end at a record's end */
	struct cs_buf pending;
	char path[PATH_MAX];
};

static int create_file(struct cs_spool *spool, const char *path)
{
	const char *dir = getenv("TMPDIR");

	if (path) {
		snprintf(spool->path, sizeof(spool->path), "%s", path);
		spool->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (spool->fd >= 0)
			cs_give_to_user(spool->fd);
		else if (errno == EEXIST)
			spool->fd = open(path, O_RDWR | O_CLOEXEC);
	} else {
		snprintf(spool->path, sizeof(spool->path), "%s/coroscope-XXXXXX.raw",
			 dir && *dir ? dir : "/var/tmp");
		spool->fd = mkostemps(spool->path, (int)strlen(".raw"), O_CLOEXEC);
		spool->temporary = spool->fd >= 0;
	}
	return spool->fd < 0 ? -errno : 0;
}

int cs_spool_new(const char *path, struct cs_spool **ret)
{
	_cleanup_(cs_spool_freep) struct cs_spool *spool = calloc(1, sizeof(*spool));
	int err;

	if (!spool)
		return -ENOMEM;
	spool->fd = -1;
	err = create_file(spool, path);
	if (err)
		return err;
	*ret = TAKE_PTR(spool);
	return 0;
}

int cs_spool_new_to(cs_spool_fn *fn, void *ctx, struct cs_spool **ret)
{
	struct cs_spool *spool = calloc(1, sizeof(*spool));

	if (!spool)
		return -ENOMEM;
	spool->fd = -1;
	spool->fn = fn;
	spool->ctx = ctx;
	spool->begun = true;
	*ret = spool;
	return 0;
}

/* The first record is there: only now may what the file held before go. */
static int begin(struct cs_spool *spool)
{
	const struct cs_raw_file_header header = {
		.magic = CS_RAW_MAGIC,
		.version = CS_RAW_VERSION,
		.header_size = sizeof(header),
	};

	spool->begun = true;
	if (ftruncate(spool->fd, 0) < 0)
		return -errno;
	return cs_buf_append(&spool->pending, &header, sizeof(header));
}

void cs_spool_free(struct cs_spool *spool)
{
	if (!spool)
		return;
	if (!spool->fn)
		cs_spool_flush(spool);
	if (spool->fd >= 0)
		close(spool->fd);
	if (spool->temporary)
		unlink(spool->path);
	cs_buf_free(&spool->pending);
	free(spool);
}

/* The failed write may have left part of a record behind: cut it off. */
static int give_up(struct cs_spool *spool, int err)
{
	spool->err = err;
	if (!spool->fn && ftruncate(spool->fd, (off_t)spool->whole) == 0)
		lseek(spool->fd, (off_t)spool->whole, SEEK_SET);
	cs_buf_free(&spool->pending);
	return err;
}

static int hand_over(struct cs_spool *spool)
{
	int err = spool->fn(spool->ctx, spool->pending.data, spool->pending.len);

	if (err)
		return give_up(spool, err);
	spool->whole += spool->pending.len;
	spool->pending.len = 0;
	return 0;
}

int cs_spool_flush(struct cs_spool *spool)
{
	size_t done = 0;

	if (spool->err)
		return spool->err;
	if (spool->fn)
		return hand_over(spool);
	while (done < spool->pending.len) {
		ssize_t n = write(spool->fd, spool->pending.data + done, spool->pending.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return give_up(spool, n < 0 ? -errno : -EIO);
		done += (size_t)n;
	}
	spool->whole += done;
	spool->pending.len = 0;
	return 0;
}

int cs_spool_append(struct cs_spool *spool, const void *records, size_t size)
{
	if (!spool->err && !spool->begun)
		spool->err = begin(spool);
	if (spool->err)
		return spool->err;
	if (cs_buf_append(&spool->pending, records, size))
		return give_up(spool, -ENOMEM);
	return spool->pending.len < FLUSH_BYTES ? 0 : cs_spool_flush(spool);
}

uint64_t cs_spool_size(const struct cs_spool *spool)
{
	return spool->whole + spool->pending.len;
}

const char *cs_spool_path(const struct cs_spool *spool)
{
	return spool->path;
}

int cs_spool_fd(const struct cs_spool *spool)
{
	return spool->fd;
}

void cs_spool_keep(struct cs_spool *spool)
{
	if (spool->temporary)
		cs_give_to_user(spool->fd);
	spool->temporary = false;
}
