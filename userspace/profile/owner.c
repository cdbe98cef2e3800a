/* SPDX-License-Identifier: Apache-2.0 */
/* Owners: an array, and the last one of each pid by a hash. */
#include "profile/owner.h"

#include <errno.h>
#include <stdlib.h>

/* Without memory an element is not added and its hh.tbl stays NULL, instead of exit(). */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct current {
	uint32_t pid, index;
	UT_hash_handle hh;
};

struct cs_owners {
	struct cs_owner *at;
	size_t n, cap;
	struct current *by_pid;
};

int cs_owners_new(struct cs_owners **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void cs_owners_free(struct cs_owners *owners)
{
	struct current *it, *tmp;

	if (!owners)
		return;
	HASH_ITER (hh, owners->by_pid, it, tmp) {
		HASH_DEL(owners->by_pid, it);
		free(it);
	}
	free(owners->at);
	free(owners);
}

static int reserve(struct cs_owners *owners)
{
	size_t cap = owners->cap ? owners->cap * 2 : 8;
	struct cs_owner *at;

	if (owners->n < owners->cap)
		return 0;
	at = owners->n < UINT32_MAX / 2 ? reallocarray(owners->at, cap, sizeof(*at)) : NULL;
	if (!at)
		return -ENOMEM;
	owners->at = at;
	owners->cap = cap;
	return 0;
}

int64_t cs_owners_find(struct cs_owners *owners, uint32_t pid)
{
	struct current *it;

	HASH_FIND(hh, owners->by_pid, &pid, sizeof(pid), it);
	if (it)
		return it->index;
	it = calloc(1, sizeof(*it));
	if (!it || reserve(owners)) {
		free(it);
		return -ENOMEM;
	}
	it->pid = pid;
	it->index = (uint32_t)owners->n;
	HASH_ADD(hh, owners->by_pid, pid, sizeof(it->pid), it);
	if (!it->hh.tbl) {
		free(it);
		return -ENOMEM;
	}
	owners->at[owners->n++] = (struct cs_owner){.pid = pid};
	return it->index;
}

void cs_owners_end(struct cs_owners *owners, uint32_t pid)
{
	struct current *it;

	HASH_FIND(hh, owners->by_pid, &pid, sizeof(pid), it);
	if (!it)
		return;
	HASH_DEL(owners->by_pid, it);
	free(it);
}

struct cs_owner *cs_owners_at(const struct cs_owners *owners, uint32_t index)
{
	return &owners->at[index];
}
