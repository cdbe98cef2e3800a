/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods of a node.
 *
 * Source: Kubernetes' API, v1 PodList; a static pod's cgroup has the digest of its manifest for a uid, which its annotation
 * kubernetes.io/config.hash tells.
 */
#include "whose/pods.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Without memory an element is not added and its hh.tbl stays NULL, instead of exit(). */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "core/buf.h"
#include "core/cleanup.h"

#define MAX_LABELS 32

struct box {
	char *id, *name;
};

struct cs_pod {
	char *uid;
	struct cs_facts facts;
	struct box boxes[CS_MAX_POD_BOX]; /* its containers */
	size_t nboxes;
	UT_hash_handle hh;
};

static void json_freep(json_t **json)
{
	json_decref(*json);
}

static void pod_free(struct cs_pod *pod)
{
	cs_facts_free(&pod->facts);
	for (size_t i = 0; i < pod->nboxes; i++) {
		free(pod->boxes[i].id);
		free(pod->boxes[i].name);
	}
	free(pod->uid);
	free(pod);
}

static void forget(struct cs_pod **by_uid)
{
	struct cs_pod *pod, *tmp;

	HASH_ITER (hh, *by_uid, pod, tmp) {
		HASH_DEL(*by_uid, pod);
		pod_free(pod);
	}
}

/* The first of the variables that is set and not empty. Returns 0 or -ENOMEM. */
static int from_environment(const char *first, const char *second, char **ret)
{
	const char *value = getenv(first);

	if (!value || !*value)
		value = getenv(second);
	if (!value || !*value)
		return 0;
	*ret = strdup(value);
	return *ret ? 0 : -ENOMEM;
}

int cs_pods_init(struct cs_pods *pods)
{
	int err;

	*pods = (struct cs_pods){0};
	err = from_environment("K8S_NODE_NAME", "NODE_NAME", &pods->node);
	if (!err)
		err = from_environment("K8S_POD_NAME", "POD_NAME", &pods->own_name);
	if (!err)
		err = from_environment("K8S_POD_NAMESPACE", "POD_NAMESPACE", &pods->own_namespace);
	return err ? err : from_environment("K8S_POD_UID", "POD_UID", &pods->own_uid);
}

void cs_pods_clear(struct cs_pods *pods)
{
	forget(&pods->by_uid);
	free(pods->own_uid);
	free(pods->own_name);
	free(pods->own_namespace);
	free(pods->node);
	*pods = (struct cs_pods){0};
}

static int tell(struct cs_facts *facts, enum cs_fact fact, const json_t *text)
{
	/* a text that is none has no bytes */
	return json_is_string(text) ? cs_facts_tell(facts, fact, json_string_value(text),
						    json_string_length(text))
				    : 0;
}

/* As Kubernetes has them: neither a comma nor "=" in a key or value. */
static bool is_label(const char *text)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("-_./", *text))
			return false;
	return true;
}

/* In the order of the list, as many as fit whole. */
static int tell_labels(struct cs_facts *facts, json_t *labels)
{
	_cleanup_buf_ struct cs_buf list = {0};
	const char *key;
	json_t *value;
	size_t n = 0;
	int err;

	json_object_foreach(labels, key, value)
	{
		size_t before = list.len;

		if (!json_is_string(value) || n++ == MAX_LABELS || !is_label(key) ||
		    !is_label(json_string_value(value)))
			continue;
		if (cs_buf_printf(&list, "%s%s=%s", before ? "," : "", key,
				  json_string_value(value)))
			return -ENOMEM;
		if (list.len > CS_MAX_FACT_LIST)
			list.len = before;
	}
	err = cs_facts_tell(facts, CS_FACT_POD_LABELS, list.data, list.len);
	return err;
}

/* "containerd://ID" */
static int add_box(struct cs_pod *pod, const json_t *status)
{
	const char *id = json_string_value(json_object_get(status, "containerID"));
	const char *name = json_string_value(json_object_get(status, "name"));
	struct box *box = &pod->boxes[pod->nboxes];

	id = id ? strstr(id, "://") : NULL;
	if (!id || !name || pod->nboxes == CS_MAX_POD_BOX)
		return 0;
	*box = (struct box){strdup(id + 3), strdup(name)};
	pod->nboxes++;
	return box->id && box->name ? 0 : -ENOMEM;
}

static int fill(struct cs_pod *pod, const json_t *item)
{
	static const char *const kinds[] = {"containerStatuses", "initContainerStatuses",
					    "ephemeralContainerStatuses"};
	const json_t *metadata = json_object_get(item, "metadata");
	const json_t *status = json_object_get(item, "status");
	int err = tell(&pod->facts, CS_FACT_POD, json_object_get(metadata, "name"));

	if (!err)
		err = tell(&pod->facts, CS_FACT_POD_NAMESPACE,
			   json_object_get(metadata, "namespace"));
	if (!err)
		err = tell(&pod->facts, CS_FACT_NODE,
			   json_object_get(json_object_get(item, "spec"), "nodeName"));
	if (!err)
		err = tell_labels(&pod->facts, json_object_get(metadata, "labels"));
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		json_t *list = json_object_get(status, kinds[i]), *one;
		size_t at;

		json_array_foreach(list, at, one) if (!err) err = add_box(pod, one);
	}
	return err;
}

static int add_pod(struct cs_pod **by_uid, const char *uid, const json_t *item)
{
	struct cs_pod *pod;
	int err;

	if (!uid || !*uid || HASH_COUNT(*by_uid) == CS_MAX_PODS)
		return 0;
	HASH_FIND_STR(*by_uid, uid, pod);
	if (pod)
		return 0;
	pod = calloc(1, sizeof(*pod));
	if (!pod)
		return -ENOMEM;
	pod->uid = strdup(uid);
	err = pod->uid ? fill(pod, item) : -ENOMEM;
	if (!err) {
		HASH_ADD_KEYPTR(hh, *by_uid, pod->uid, strlen(pod->uid), pod);
		err = pod->hh.tbl ? 0 : -ENOMEM;
	}
	if (err)
		pod_free(pod);
	return err;
}

int cs_pods_learn(struct cs_pods *pods, const char *json, size_t len)
{
	_cleanup_(json_freep) json_t *list = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *items = json_object_get(list, "items"), *item;
	struct cs_pod *by_uid = NULL;
	size_t i;
	int err = 0;

	if (!json_is_array(items))
		return -EBADMSG;
	json_array_foreach(items, i, item)
	{
		const json_t *metadata = json_object_get(item, "metadata");
		const json_t *notes = json_object_get(metadata, "annotations");
		const char *uid = json_string_value(json_object_get(metadata, "uid"));
		const char *digest =
			json_string_value(json_object_get(notes, "kubernetes.io/config.hash"));

		if (!err)
			err = add_pod(&by_uid, uid, item);
		if (!err)
			err = add_pod(&by_uid, digest, item);
	}
	if (err) {
		forget(&by_uid);
		return err;
	}
	forget(&pods->by_uid);
	pods->by_uid = by_uid;
	return 0;
}

static int overrule(struct cs_facts *facts, enum cs_fact fact, const char *text)
{
	return text ? cs_facts_overrule(facts, fact, text, strlen(text)) : 0;
}

static const char *box_name(const struct cs_pod *pod, const char *id)
{
	for (size_t i = 0; id && i < pod->nboxes; i++)
		if (!strcmp(pod->boxes[i].id, id))
			return pod->boxes[i].name;
	return NULL;
}

int cs_pods_tell(const struct cs_pods *pods, struct cs_facts *facts)
{
	static const enum cs_fact of_pod[] = {CS_FACT_POD, CS_FACT_POD_NAMESPACE, CS_FACT_NODE,
					      CS_FACT_POD_LABELS};
	const char *uid = facts->at[CS_FACT_POD_UID];
	struct cs_pod *pod = NULL;
	int err = overrule(facts, CS_FACT_NODE, pods->node);

	if (uid)
		HASH_FIND_STR(pods->by_uid, uid, pod);
	for (size_t i = 0; !err && pod && i < ARRAY_SIZE(of_pod); i++)
		err = overrule(facts, of_pod[i], pod->facts.at[of_pod[i]]);
	if (!err && pod)
		err = overrule(facts, CS_FACT_CONTAINER_NAME,
			       box_name(pod, facts->at[CS_FACT_CONTAINER]));
	if (err || pod || !uid)
		return err ? err : 1;
	if (!pods->own_uid || strcmp(uid, pods->own_uid))
		return 0;
	err = overrule(facts, CS_FACT_POD, pods->own_name);
	if (!err)
		err = overrule(facts, CS_FACT_POD_NAMESPACE, pods->own_namespace);
	return err ? err : 1;
}
