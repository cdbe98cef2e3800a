/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a kind of server takes: one .c file each, which turns a profile into parcels of the size that such servers
 * accept. A new one is such a file and a line in the table of backend.c.
 */
#pragma once

#include "deliver/parcel.h"
#include "deliver/transport.h"
#include "export/process.h"
#include "profile/profile.h"

/* Borrowed. */
struct cs_pack_options {
	const char *service;              /* of every process; NULL: guessed for each */
	const struct cs_export_tag *tags; /* of every process */
	size_t ntags;
	const char *version; /* of coroscope */
};

/* Takes a parcel over, whatever it returns: 0 or -errno, which ends the packing. */
typedef int cs_pack_fn(void *ctx, struct cs_parcel *parcel);

struct cs_verdict_text {
	uint64_t rejected; /* items refused of a request that was taken */
	char message[256]; /* the server's words, printable; "": none */
};

struct cs_backend {
	const char *name;
	const char *path;                /* of the URL, if the user gives none */
	const struct cs_header *headers; /* of every request, besides the user's */
	size_t nheaders;
	/* Make the parcels of a profile, none if it has no samples. Returns 0, what put returned, or -errno. */
	int (*pack)(const struct cs_profile *profile, const struct cs_pack_options *options,
		    cs_pack_fn *put, void *ctx);
	/* Read an answer's body, which is foreign; NULL: its beginning is the message if the request was refused. */
	void (*read_answer)(const void *body, size_t len, bool taken, struct cs_verdict_text *ret);
};

extern const struct cs_backend cs_backend_otlp;
extern const struct cs_backend cs_backend_pyroscope;
extern const struct cs_backend cs_backend_datadog;

/* NULL: there is none of that name. */
const struct cs_backend *cs_backend_by_name(const char *name);

/* The URL to send to: the one given, with the backend's path if it names none. Returns it, to be freed; NULL without memory. */
char *cs_backend_url(const struct cs_backend *backend, const char *url);

/* What the server says about a request that was taken or refused. */
void cs_backend_read_answer(const struct cs_backend *backend, const void *body, size_t len,
			    bool taken, struct cs_verdict_text *ret);
