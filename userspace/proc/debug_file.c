/* SPDX-License-Identifier: Apache-2.0 */
/* What was stripped off an ELF file, and is kept elsewhere or packed. */
#include "proc/debug_file.h"

#include <errno.h>
#include <libgen.h>
#include <lzma.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>

#include "core/cleanup.h"
#include "proc/elf_private.h"
#include "proc/file.h"

#define MAX_PACKED    ((size_t)64 << 20)
#define MAX_UNPACKED  ((size_t)64 << 20)
/* xz -9 needs 65 MiB to unpack; what .gnu_debugdata is made with needs far less. */
#define MAX_XZ_MEMORY ((uint64_t)96 << 20)
/* A file is read whole for its checksum, only if there are no build ids: some 50 ms. */
#define MAX_SUMMED    ((off_t)64 << 20)
#define MAX_LINK      4096
#define MAX_PATH      4096

struct build_id {
	uint8_t bytes[CS_BUILD_ID_BYTES];
	int len; /* negative: none */
};

static struct build_id build_id_of(struct cs_elf *elf)
{
	struct build_id id;

	id.len = cs_elf_build_id(elf, id.bytes, sizeof(id.bytes));
	return id;
}

static bool same_id(const struct build_id *a, const struct build_id *b)
{
	return a->len > 0 && a->len == b->len && !memcmp(a->bytes, b->bytes, (size_t)a->len);
}

/* Debian's and Fedora's place for what was stripped off. */
static int open_by_id(const struct build_id *id, const char *root, struct cs_elf **ret)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	char path[64 + 2 * CS_BUILD_ID_BYTES], *at = path;
	struct build_id found;
	int fd;

	if (id->len < 2)
		return -ENOENT;
	at += sprintf(at, "/usr/lib/debug/.build-id/%02x/", id->bytes[0]);
	for (int i = 1; i < id->len; i++)
		at += sprintf(at, "%02x", id->bytes[i]);
	sprintf(at, ".debug");
	fd = cs_open_in_root(root, path);
	if (fd < 0 || cs_elf_open_fd(fd, &elf))
		return -ENOENT;
	found = build_id_of(elf);
	if (!same_id(id, &found))
		return -ENOENT;
	*ret = TAKE_PTR(elf);
	return 0;
}

/* .gnu_debuglink: a file name, terminated and padded to 4 bytes, and the CRC-32 of that file. */
struct debug_link {
	char name[256];
	uint32_t crc;
};

static bool read_link(struct cs_elf *elf, struct debug_link *ret)
{
	const Elf_Data *data = cs_elf_section_data(elf, ".gnu_debuglink", MAX_LINK);
	size_t len, at;

	if (!data)
		return false;
	len = strnlen(data->d_buf, data->d_size);
	at = (len + 4) & ~(size_t)3;
	if (!len || len >= sizeof(ret->name) || at + sizeof(ret->crc) > data->d_size ||
	    memchr(data->d_buf, '/', len))
		return false;
	memcpy(ret->name, data->d_buf, len + 1);
	memcpy(&ret->crc, (const char *)data->d_buf + at, sizeof(ret->crc));
	return true;
}

static bool has_crc(int fd, uint32_t wanted)
{
	unsigned char bytes[65536];
	uLong crc = crc32(0, NULL, 0);
	off_t at = 0;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) || st.st_size > MAX_SUMMED)
		return false;
	/* the file may grow meanwhile: no further than the bound */
	while (at <= MAX_SUMMED && (n = pread(fd, bytes, sizeof(bytes), at)) > 0) {
		crc = crc32(crc, bytes, (uInt)n);
		at += n;
	}
	return crc == wanted;
}

/* The file of this name, if it is the one that was meant. */
static int open_linked(const struct build_id *id, const struct debug_link *link, const char *root,
		       const char *path, struct cs_elf **ret)
{
	_cleanup_(cs_elf_closep) struct cs_elf *elf = NULL;
	int fd = cs_open_in_root(root, path);
	struct build_id found;

	if (fd < 0 || cs_elf_open_fd(fd, &elf))
		return -ENOENT;
	found = build_id_of(elf);
	if (id->len > 0 && found.len > 0 ? !same_id(id, &found) : !has_crc(elf->fd, link->crc))
		return -ENOENT;
	*ret = TAKE_PTR(elf);
	return 0;
}

static int open_by_link(struct cs_elf *elf, const struct build_id *id,
			const struct cs_elf_home *home, struct cs_elf **ret)
{
	static const char *const places[][2] = {
		{"", "/"}, {"", "/.debug/"}, {"/usr/lib/debug", "/"}};
	char beside[MAX_PATH], path[MAX_PATH + 512];
	struct debug_link link;
	const char *dir;

	if (!home || !home->path || *home->path != '/' || strlen(home->path) >= sizeof(beside) ||
	    !read_link(elf, &link))
		return -ENOENT;
	memcpy(beside, home->path, strlen(home->path) + 1);
	dir = dirname(beside);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(path, sizeof(path), "%s%s%s%s", places[i][0], dir, places[i][1],
			 link.name);
		/* a file that names itself has nothing more to tell */
		if (strcmp(path, home->path) && !open_linked(id, &link, home->path_root, path, ret))
			return 0;
	}
	return -ENOENT;
}

int cs_debug_file_open(struct cs_elf *elf, const struct cs_elf_home *home, struct cs_elf **ret)
{
	struct build_id id = build_id_of(elf);

	if (home && strcmp(home->root, "/") && !open_by_id(&id, home->root, ret))
		return 0;
	if (!open_by_id(&id, "/", ret))
		return 0;
	return open_by_link(elf, &id, home, ret);
}

/* Unpack into a file in memory. Returns its descriptor, -ENOENT (damaged, or too large) or -ENOMEM. */
static int unpack(const unsigned char *packed, size_t len)
{
	_cleanup_close_ int fd = memfd_create("debugdata", MFD_CLOEXEC);
	lzma_stream stream = LZMA_STREAM_INIT;
	unsigned char bytes[65536];
	lzma_ret state = LZMA_OK;
	size_t total = 0;

	if (fd < 0 || lzma_stream_decoder(&stream, MAX_XZ_MEMORY, 0) != LZMA_OK)
		return -ENOMEM;
	stream.next_in = packed;
	stream.avail_in = len;
	while (state == LZMA_OK && total <= MAX_UNPACKED) {
		size_t n;

		stream.next_out = bytes;
		stream.avail_out = sizeof(bytes);
		state = lzma_code(&stream, LZMA_FINISH);
		n = sizeof(bytes) - stream.avail_out;
		if (write(fd, bytes, n) != (ssize_t)n)
			state = LZMA_MEM_ERROR;
		total += n;
	}
	lzma_end(&stream);
	return state == LZMA_STREAM_END && total <= MAX_UNPACKED ? TAKE_FD(fd) : -ENOENT;
}

int cs_debug_data_open(struct cs_elf *elf, struct cs_elf **ret)
{
	const Elf_Data *data = cs_elf_section_data(elf, ".gnu_debugdata", MAX_PACKED);
	int fd = data ? unpack(data->d_buf, data->d_size) : -ENOENT;

	if (fd < 0)
		return fd;
	return cs_elf_open_fd(fd, ret) ? -ENOENT : 0;
}
