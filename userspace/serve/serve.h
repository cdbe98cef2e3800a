/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What probes and Prometheus ask over HTTP: /healthz, /readyz, /metrics; GET and nothing else. A thread of its own answers from a
 * copy of what was published last, so that an answer neither waits for the owner's work nor touches its data. Bounded in all that a client
 * can choose: connections, bytes of a request, and seconds that one may take.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "serve/metrics.h"

/* Add the rows of now. Called by cs_serve_publish, in its thread. Returns 0, or -errno of cs_metrics_add: then nothing is published. */
typedef int cs_serve_rows(void *ctx, struct cs_metrics *metrics);

/* Borrowed as long as the server lives. */
struct cs_serve_options {
	const char *address; /* numeric, of version 4 or 6; NULL: 127.0.0.1 */
	uint16_t port;       /* 0: any that is free, see cs_serve_port */
	uint64_t
		stale_ns; /* nothing published for so long: /healthz says that the owner hangs; 0: 60 s */
	uint64_t request_ns; /* a request that takes longer is ended; 0: 15 s */
	cs_serve_rows *rows; /* NULL: no metrics */
	void *ctx;
};

struct cs_serve;

/* Returns 0, -EINVAL: no such address, -EADDRINUSE, -EACCES, or another -errno. Until something is published nothing is ready. */
int cs_serve_new(const struct cs_serve_options *options, struct cs_serve **ret);
void cs_serve_free(struct cs_serve *serve); /* NULL is fine */
static inline void cs_serve_freep(struct cs_serve **serve)
{
	cs_serve_free(*serve);
}

/* The port that it listens on. */
uint16_t cs_serve_port(const struct cs_serve *serve);

/*
 * A sign of life, to be given every second or so: collects the rows, tells whether we are ready (why_not NULL) or why not, one line.
 * Ends connections that take too long. Returns 0, what options->rows returned, or -ENOMEM.
 */
int cs_serve_publish(struct cs_serve *serve, const char *why_not);
