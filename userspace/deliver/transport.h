/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One POST at a time to one address, over HTTP or HTTPS. Certificates are
 * verified, always; redirects are not followed; what a server answers is read
 * up to a bound, whatever it sends.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "deliver/parcel.h"

#define CS_ANSWER_BYTES (64u << 10) /* of a body that are read */

/* A header of every request. Its value is prefix and text, or prefix and what
 * the file holds at the time, without spaces around it. */
struct cs_header {
	const char *name, *prefix, *text, *file;
};

/* Borrowed, for as long as the transport lives. NULL and 0: not given. */
struct cs_transport_options {
	const char *url;
	const char *proxy; /* NULL: as the environment says; "": none */
	const char *ca_file;
	const char *cert_file, *key_file;
	const struct cs_header *headers;
	size_t nheaders;
	const struct cs_header *fixed; /* likewise: what such servers want of everybody */
	size_t nfixed;
	const char *user_agent;
	uint64_t timeout_ns;               /* of a whole request; 0: 30 s */
	const volatile sig_atomic_t *stop; /* once it is not 0 a request under way ends */
};

struct cs_answer {
	int status;              /* of HTTP; 0: there was none */
	uint64_t retry_after_ns; /* as the server asks; 0: it does not */
	struct cs_buf body;      /* its first CS_ANSWER_BYTES */
	char error[256];         /* why there is no status: one line, printable */
};

void cs_answer_free(struct cs_answer *answer);

struct cs_transport;

/* Returns 0, -EINVAL: no URL of http or https, or one with a user's name in it;
 * -ENOMEM. */
int cs_transport_new(const struct cs_transport_options *options, struct cs_transport **ret);
void cs_transport_free(struct cs_transport *transport);
static inline void cs_transport_freep(struct cs_transport **transport)
{
	cs_transport_free(*transport);
}

/*
 * Send a parcel and wait for the answer, which is to be freed. Returns 0 if
 * there is a status, whichever; -ECANCELED: stop; -EIO: none came, and
 * answer->error says why; -ENOMEM.
 */
int cs_transport_post(struct cs_transport *transport, const struct cs_parcel *parcel,
		      struct cs_answer *answer);
