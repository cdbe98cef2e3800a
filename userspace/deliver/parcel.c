/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent in one go. The numbers of a file are those of this machine: it is read by nobody else. */
#include "deliver/parcel.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <zlib.h>

#include "core/cleanup.h"
#include "deliver/folder.h"

#define MAGIC "CSPARCL1"

struct header {
	char magic[8];
	uint32_t crc; /* of everything behind it */
	uint16_t type_len, encoding_len;
	uint64_t packed_ns;
	uint64_t body_len;
	char id[32];
};
_Static_assert(sizeof(struct header) == sizeof(struct cs_parcel_header), "its bytes");
#define CHECKED_FROM offsetof(struct header, type_len)

void cs_parcel_free(struct cs_parcel *parcel)
{
	cs_buf_free(&parcel->body);
	*parcel = (struct cs_parcel){0};
}

int cs_parcel_begin(struct cs_parcel *parcel, const char *type, const char *encoding)
{
	uint8_t random[16];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	*parcel = (struct cs_parcel){.packed_ns = cs_folder_now_ns()};
	snprintf(parcel->type, sizeof(parcel->type), "%s", type);
	snprintf(parcel->encoding, sizeof(parcel->encoding), "%s", encoding);
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(parcel->id + 2 * i, 3, "%02x", random[i]);
	return 0;
}

static uint32_t checksum(const struct header *header, const struct iovec *parts, int nparts)
{
	uLong crc =
		crc32_z(0, (const Bytef *)header + CHECKED_FROM, sizeof(*header) - CHECKED_FROM);

	/* a NULL pointer would mean the first value, not "nothing" */
	for (int i = 0; i < nparts; i++)
		if (parts[i].iov_len)
			crc = crc32_z(crc, parts[i].iov_base, parts[i].iov_len);
	return (uint32_t)crc;
}

void cs_parcel_write(const struct cs_parcel *parcel, struct cs_parcel_header *ret,
		     struct iovec parts[CS_PARCEL_PARTS])
{
	struct header header = {
		.magic = MAGIC,
		.type_len = (uint16_t)strlen(parcel->type),
		.encoding_len = (uint16_t)strlen(parcel->encoding),
		.packed_ns = parcel->packed_ns,
		.body_len = parcel->body.len,
	};

	memcpy(header.id, parcel->id, sizeof(header.id));
	parts[0] = (struct iovec){ret->bytes, sizeof(ret->bytes)};
	parts[1] = (struct iovec){(char *)parcel->type, header.type_len};
	parts[2] = (struct iovec){(char *)parcel->encoding, header.encoding_len};
	parts[3] = (struct iovec){parcel->body.data, parcel->body.len};
	header.crc = checksum(&header, parts + 1, CS_PARCEL_PARTS - 1);
	memcpy(ret->bytes, &header, sizeof(header));
}

/* They become headers of a request: one line each, and no more. */
static bool copy_text(const char *from, size_t len, char *to, size_t size)
{
	if (len >= size)
		return false;
	for (size_t i = 0; i < len; i++)
		if (from[i] < 0x20 || from[i] > 0x7e)
			return false;
	memcpy(to, from, len);
	to[len] = '\0';
	return true;
}

int cs_parcel_read(const void *bytes, size_t len, struct cs_parcel *ret)
{
	const char *at = (const char *)bytes + sizeof(struct header);
	_cleanup_(cs_parcel_free) struct cs_parcel parcel = {0};
	struct iovec rest = {(char *)at, 0};
	struct header header;

	if (len < sizeof(header))
		return -EBADMSG;
	memcpy(&header, bytes, sizeof(header));
	rest.iov_len = len -= sizeof(header);
	if (memcmp(header.magic, MAGIC, sizeof(header.magic)) ||
	    header.body_len > CS_PARCEL_BYTES ||
	    len != header.type_len + (size_t)header.encoding_len + header.body_len ||
	    header.crc != checksum(&header, &rest, 1))
		return -EBADMSG;
	if (!copy_text(at, header.type_len, parcel.type, sizeof(parcel.type)) ||
	    !copy_text(at + header.type_len, header.encoding_len, parcel.encoding,
		       sizeof(parcel.encoding)) ||
	    !copy_text(header.id, sizeof(header.id), parcel.id, sizeof(parcel.id)))
		return -EBADMSG;
	parcel.packed_ns = header.packed_ns;
	if (cs_buf_append(&parcel.body, at + header.type_len + header.encoding_len,
			  header.body_len))
		return -ENOMEM;
	*ret = parcel;
	parcel = (struct cs_parcel){0};
	return 0;
}
