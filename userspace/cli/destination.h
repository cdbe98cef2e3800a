/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where profiles are delivered, and how: what `push` and `agent` understand of a user's words. Functions return 0, or -EINVAL with one
 * sentence in why, or -ENOMEM. Texts are borrowed, and those that are split ("KEY=VALUE") are changed.
 */
#pragma once

#include "core/why.h"
#include "deliver/backend.h"
#include "deliver/parcels.h"
#include "deliver/transport.h"

#define CS_DESTINATIONS     8
#define CS_DESTINATION_LIST 32 /* headers, tags: of one destination */

struct cs_destination {
	const struct cs_backend *backend; /* NULL: a directory */
	char *where;                      /* URL or path; owned */
	char *spool;                      /* owned; NULL: none */
	struct cs_transport_options transport;
	struct cs_header headers[CS_DESTINATION_LIST];
	struct cs_export_tag tags[CS_DESTINATION_LIST];
	size_t ntags;
	const char *service;
	const char *spool_parent;
	struct cs_parcels_limits limits;
	uint64_t memory_bytes; /* of what waits in memory; 0: as in the spool */
};

/* The limits of one that says nothing of them. */
extern const struct cs_parcels_limits cs_destination_limits;

/* "KIND=WHERE" */
int cs_destination_set_to(struct cs_destination *to, char *text, struct cs_why *why);
int cs_destination_set_service(struct cs_destination *to, const char *text, struct cs_why *why);
/* "KEY=VALUE" */
int cs_destination_add_tag(struct cs_destination *to, char *text, struct cs_why *why);
/* "NAME=VALUE", "NAME=FILE", or a file with a bearer token */
int cs_destination_add_header(struct cs_destination *to, char *text, struct cs_why *why);
int cs_destination_add_header_file(struct cs_destination *to, char *text, struct cs_why *why);
int cs_destination_add_token_file(struct cs_destination *to, char *text, struct cs_why *why);

/* All was set: what is known only now. The destination must not move in memory any more. */
int cs_destination_complete(struct cs_destination *to, struct cs_why *why);

void cs_destination_free(struct cs_destination *to); /* what it owns */
