/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of OTLP's profiles signal, and what servers answer to them. */
#pragma once

#include "core/buf.h"
#include "export/process.h"
#include "profile/profile.h"

struct cs_otlp_options {
	const char *
		service; /* service.name of every process; NULL: unknown_service:NAME OF THE PROCESS */
	const char *version;              /* of coroscope; NULL: not told */
	const struct cs_export_tag *tags; /* attributes of every process */
	size_t ntags;
	size_t from, to; /* only these samples: from <= i < to */
};

/*
 * Append the request (an ExportProfilesServiceRequest, which is the same bytes as ProfilesData; not compressed). Each
 * process is a resource; each kind of time a profile of its own, the main one first. Equal profiles give equal bytes, their ids
 * included, so a receiver that gets one twice can tell. Returns 0 or -ENOMEM.
 */
int cs_otlp_write(const struct cs_profile *profile, const struct cs_otlp_options *options,
		  struct cs_buf *out);

struct cs_otlp_answer {
	uint64_t rejected; /* profiles that were refused of a request that was taken */
	char message[256]; /* the server's words; "": none */
};

/*
 * Read the body of an answer, which is foreign: to a request that was taken, or (ok false) was not. What is no answer
 * of OTLP's leaves nothing rejected and no message.
 */
void cs_otlp_read_answer(const void *body, size_t len, bool ok, struct cs_otlp_answer *ret);
