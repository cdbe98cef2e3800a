/* SPDX-License-Identifier: Apache-2.0 */
/* Spans: entries of their own in an array by index and in a hash by whose span it is. */
#include "profile/traced.h"

#include <errno.h>
#include <stdlib.h>

/* Without memory an element is not added and its hh.tbl stays NULL, instead of exit(). */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "core/cleanup.h"

/* What makes two spans one. No padding: the bytes are the key. */
struct key {
	uint64_t span_id;
	uint32_t owner, trace_id;
};
_Static_assert(sizeof(struct key) == 16, "padding would be part of the key");

struct entry {
	UT_hash_handle hh;
	struct key key;
	struct cs_traced traced;
};

struct cs_traced_table {
	struct entry **at;
	size_t n, cap;
	struct entry *by_key;
	uint64_t dropped;
};

int cs_traced_table_new(struct cs_traced_table **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void cs_traced_table_free(struct cs_traced_table *table)
{
	if (!table)
		return;
	HASH_CLEAR(hh, table->by_key);
	for (size_t i = 0; i < table->n; i++)
		free(table->at[i]);
	free(table->at);
	free(table);
}

static int reserve(struct cs_traced_table *table)
{
	size_t cap = table->cap ? table->cap * 2 : 64;
	struct entry **at;

	if (table->n < table->cap)
		return 0;
	at = reallocarray(table->at, cap, sizeof(*at));
	if (!at)
		return -ENOMEM;
	table->at = at;
	table->cap = cap;
	return 0;
}

static int add_new(struct cs_traced_table *table, const struct key *key,
		   const struct cs_traced *traced)
{
	_cleanup_free_ struct entry *added = NULL;

	if (table->n >= CS_MAX_TRACED_SPANS) {
		table->dropped++;
		return 0;
	}
	added = calloc(1, sizeof(*added));
	if (!added || reserve(table))
		return -ENOMEM;
	added->key = *key;
	added->traced = *traced;
	HASH_ADD(hh, table->by_key, key, sizeof(added->key), added);
	if (!added->hh.tbl)
		return -ENOMEM;
	table->at[table->n++] = TAKE_PTR(added);
	return 0;
}

static void first_known(uint64_t *known, uint64_t told)
{
	if (!*known)
		*known = told;
}

static void last_known(uint32_t *known, uint32_t told)
{
	if (told)
		*known = told;
}

static void merge(struct cs_traced *known, const struct cs_traced *told)
{
	if (!known->thread_id)
		known->thread_id = told->thread_id;
	first_known(&known->task_id, told->task_id);
	if (known->task_id == told->task_id)
		last_known(&known->task_name, told->task_name);
	first_known(&known->root_span_id, told->root_span_id);
	first_known(&known->parent_span_id, told->parent_span_id);
	last_known(&known->name, told->name);
	last_known(&known->resource, told->resource);
	last_known(&known->service, told->service);
	last_known(&known->type, told->type);
	if (told->outcome != CS_OUTCOME_UNKNOWN)
		known->outcome = told->outcome;
	if (told->from_ns && (!known->from_ns || told->from_ns < known->from_ns))
		known->from_ns = told->from_ns;
	if (told->to_ns > known->to_ns)
		known->to_ns = told->to_ns;
}

int cs_traced_table_add(struct cs_traced_table *table, const struct cs_traced *traced)
{
	struct key key = {traced->span_id, traced->owner, traced->trace_id};
	struct entry *entry;

	HASH_FIND(hh, table->by_key, &key, sizeof(key), entry);
	if (!entry)
		return add_new(table, &key, traced);
	merge(&entry->traced, traced);
	return 0;
}

void cs_traced_table_keep(struct cs_traced_table *table,
			  bool (*keep)(void *ctx, const struct cs_traced *traced), void *ctx)
{
	size_t n = 0;

	for (size_t i = 0; i < table->n; i++) {
		struct entry *entry = table->at[i];

		if (keep(ctx, &entry->traced)) {
			table->at[n++] = entry;
			continue;
		}
		HASH_DEL(table->by_key, entry);
		free(entry);
	}
	table->n = n;
}

size_t cs_traced_table_n(const struct cs_traced_table *table)
{
	return table->n;
}

const struct cs_traced *cs_traced_table_at(const struct cs_traced_table *table, size_t i)
{
	return &table->at[i]->traced;
}

uint64_t cs_traced_table_dropped(const struct cs_traced_table *table)
{
	return table->dropped;
}

void cs_traced_table_add_dropped(struct cs_traced_table *table, uint64_t n)
{
	table->dropped += n;
}
