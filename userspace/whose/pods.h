/* SPDX-License-Identifier: Apache-2.0 */
/* The pods of a node, by uid: what the kubelet's /pods says, or for our own pod the downward API. */
#pragma once

#include <stddef.h>

#include "whose/facts.h"

#define CS_PODS_BYTES  (8u << 20) /* of the kubelet's list: some 500 pods */
#define CS_MAX_PODS    4096
#define CS_MAX_POD_BOX 64 /* containers of one pod */

struct cs_pod;

struct cs_pods {
	struct cs_pod *by_uid; /* owned; a uthash table */
	/* Of the pod that coroscope itself is in, and its node; owned; NULL: not told. */
	char *own_uid, *own_name, *own_namespace, *node;
};

/* Read the downward API: K8S_NODE_NAME or NODE_NAME, and likewise POD_NAME, POD_NAMESPACE, POD_UID. Returns 0 or -ENOMEM. */
int cs_pods_init(struct cs_pods *pods);
void cs_pods_clear(struct cs_pods *pods);

/* Take over a list (JSON of a PodList) in place of the last one. Returns 0, -EBADMSG: it is none, the last one stays; or -ENOMEM. */
int cs_pods_learn(struct cs_pods *pods, const char *json, size_t len);

/*
 * Tell of a process whose container and pod uid are known what belongs to them, whatever it says itself. Returns 1: there is such a pod
 * or no pod uid; 0: the pod is not known (yet); or -ENOMEM.
 */
int cs_pods_tell(const struct cs_pods *pods, struct cs_facts *facts);
