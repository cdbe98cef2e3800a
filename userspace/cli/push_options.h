/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `coroscope push`. */
#pragma once

#include "deliver/backend.h"
#include "deliver/parcels.h"
#include "deliver/transport.h"

#define CS_PUSH_DESTINATIONS 8
#define CS_PUSH_LIST         32 /* headers, tags: of one destination */

/* Where to, and how. Texts are borrowed from argv where nothing else is said. */
struct cs_push_destination {
	const struct cs_backend *backend; /* NULL: a directory */
	char *where;                      /* URL or path; owned */
	char *spool;                      /* owned; NULL: none */
	struct cs_transport_options transport;
	struct cs_header headers[CS_PUSH_LIST];
	struct cs_export_tag tags[CS_PUSH_LIST];
	size_t ntags;
	const char *service;
	const char *spool_parent;
	struct cs_parcels_limits limits;
};

struct cs_push_options {
	const char *capture; /* NULL: only what waits in spools */
	struct cs_push_destination to[CS_PUSH_DESTINATIONS];
	size_t n;
	uint64_t keep_trying_ns; /* 0: until it is done */
};

/* Parse, or say what is wrong and exit. */
void cs_push_options_parse(struct cs_push_options *options, int argc, char **argv);
void cs_push_options_free(struct cs_push_options *options);
