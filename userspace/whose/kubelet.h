/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kubelet's list of the pods of this node, asked for without ever waiting: a step starts what is due and goes on with what is under
 * way. Certificates are verified, redirects not followed, answers bounded; after a failure it waits longer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "whose/pods.h"

/* Borrowed as long as the kubelet lives. */
struct cs_kubelet_options {
	const char *
		url; /* of the kubelet, as https://NODE:10250; "/pods" is added if it has no path */
	const char *ca_file;    /* NULL: the system's */
	const char *token_file; /* NULL: none is sent; read for each request */
};

struct cs_kubelet;

/* Returns 0, -EINVAL: no URL of http or https; or -ENOMEM. */
int cs_kubelet_new(const struct cs_kubelet_options *options, struct cs_kubelet **ret);
void cs_kubelet_free(struct cs_kubelet *kubelet); /* NULL is fine */
static inline void cs_kubelet_freep(struct cs_kubelet **kubelet)
{
	cs_kubelet_free(*kubelet);
}

/*
 * Go on. wanted: a pod is not known, so ask, but not more often than every 10 s; else once in 5 minutes. Returns whether pods has a new
 * list.
 */
bool cs_kubelet_step(struct cs_kubelet *kubelet, bool wanted, uint64_t now_ns,
		     struct cs_pods *pods);

/* Why the last request failed, one line of printable text; "": it did not. */
const char *cs_kubelet_error(const struct cs_kubelet *kubelet);
