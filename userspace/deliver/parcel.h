/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is sent in one go: the body of a request with all that a later attempt needs of it, in memory or as the bytes of a
 * file.
 */
#pragma once

#include <stdint.h>
#include <sys/uio.h>

#include "core/buf.h"

#define CS_PARCEL_PARTS 4
#define CS_PARCEL_BYTES (64u << 20) /* the longest body */

struct cs_parcel {
	char type[128];     /* Content-Type */
	char encoding[16];  /* Content-Encoding, "": none */
	char id[33];        /* random, hexadecimal: the same in every attempt */
	uint64_t packed_ns; /* when, since 1970 */
	uint32_t attempts;  /* begun so far: any of them may have arrived; not part of the file */
	struct cs_buf body;
};

void cs_parcel_free(struct cs_parcel *parcel);

/* A new one of this type with an empty body. Returns 0 or -errno (no randomness). */
int cs_parcel_begin(struct cs_parcel *parcel, const char *type, const char *encoding);

/* What a file of it begins with, checksum included. Opaque. */
struct cs_parcel_header {
	uint8_t bytes[64];
};

/* The parts of the file, borrowed from parcel and ret. */
void cs_parcel_write(const struct cs_parcel *parcel, struct cs_parcel_header *ret,
		     struct iovec parts[CS_PARCEL_PARTS]);

/*
 * Read the bytes of a file, which may be anything, into a parcel to be freed. Returns 0, -EBADMSG: it is damaged or no parcel,
 * or -ENOMEM.
 */
int cs_parcel_read(const void *bytes, size_t len, struct cs_parcel *ret);
