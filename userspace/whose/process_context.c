/* SPDX-License-Identifier: Apache-2.0 */
/* The published process context: found in the maps, read twice, unpacked. */
#include "whose/process_context.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "process_context.pb-c.h"
#include "proc/maps.h"
#include "proc/mem.h"

#define VERSION  2
#define ATTEMPTS 3

#define KEY_MAP "threadlocal.attribute_key_map"

struct header {
	char signature[8];
	uint32_t version;
	uint32_t size;
	uint64_t published_ns; /* 0: it is being written */
	uint64_t payload;
};
_Static_assert(sizeof(struct header) == 32, "as in the specification");

static int tell(struct cs_facts *facts, const Context__KeyValue *pair)
{
	enum cs_fact fact = cs_facts_by_key((const char *)pair->key.data, pair->key.len);
	Context__Value *value;
	int err = 0;

	if (!fact)
		return 0;
	value = context__value__unpack(NULL, pair->value.len, pair->value.data);
	if (value)
		err = cs_facts_tell(facts, fact, value->text, strlen(value->text));
	context__value__free_unpacked(value, NULL);
	return err;
}

/* What is made of a message. */
struct parsing {
	struct cs_facts *facts;
	const char *key; /* or: which item of the list of keys it is */
	unsigned int n;
	bool found;
};

int cs_process_context_parse(const void *bytes, size_t len, struct cs_facts *facts)
{
	Context__ProcessContext *context =
		len <= CS_CONTEXT_BYTES ? context__process_context__unpack(NULL, len, bytes) : NULL;
	int err = 0;

	for (size_t i = 0;
	     !err && context && context->resource && i < context->resource->n_attributes; i++)
		err = tell(facts, context->resource->attributes[i]);
	if (context)
		context__process_context__free_unpacked(context, NULL);
	return err;
}

static bool is_key_map(const Context__KeyValue *pair)
{
	return pair->key.len == strlen(KEY_MAP) && !memcmp(pair->key.data, KEY_MAP, pair->key.len);
}

static bool find_in_list(const Context__KeyValue *pair, const char *key, unsigned int *ret)
{
	Context__List *list = context__list__unpack(NULL, pair->value.len, pair->value.data);
	bool found = false;

	for (size_t i = 0; list && list->texts && i < list->texts->n_items && !found; i++) {
		*ret = (unsigned int)i;
		found = !strcmp(list->texts->items[i]->text, key);
	}
	if (list)
		context__list__free_unpacked(list, NULL);
	return found;
}

static bool find_in_pairs(Context__KeyValue **pairs, size_t n, const char *key, unsigned int *ret)
{
	for (size_t i = 0; i < n; i++)
		if (is_key_map(pairs[i]))
			return find_in_list(pairs[i], key, ret);
	return false;
}

int cs_process_context_parse_key(const void *bytes, size_t len, const char *key, unsigned int *ret)
{
	Context__ProcessContext *context =
		len <= CS_CONTEXT_BYTES ? context__process_context__unpack(NULL, len, bytes) : NULL;
	bool found;

	if (!context)
		return -ENOENT;
	/* of the process; some have it among those of the resource */
	found = find_in_pairs(context->attributes, context->n_attributes, key, ret) ||
		(context->resource && find_in_pairs(context->resource->attributes,
						    context->resource->n_attributes, key, ret));
	context__process_context__free_unpacked(context, NULL);
	return found ? 0 : -ENOENT;
}

static int parse(struct parsing *parsing, const void *bytes, size_t len)
{
	if (!parsing->key)
		return cs_process_context_parse(bytes, len, parsing->facts);
	parsing->found = !cs_process_context_parse_key(bytes, len, parsing->key, &parsing->n);
	return 0;
}

static bool is_named(const struct cs_mapping *mapping)
{
	static const char *const names[] = {"[anon_shmem:OTEL_CTX]", "[anon:OTEL_CTX]",
					    "/memfd:OTEL_CTX"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(mapping->path, names[i], strlen(names[i])))
			return mapping->readable &&
			       mapping->end - mapping->start >= sizeof(struct header);
	return false;
}

/* Whether the header is one, and nobody writes. */
static bool read_header(struct cs_mem *mem, uint64_t addr, struct header *ret)
{
	cs_mem_forget(mem);
	return !cs_mem_read(mem, addr, ret, sizeof(*ret)) &&
	       !memcmp(ret->signature, "OTEL_CTX", sizeof(ret->signature)) &&
	       ret->version == VERSION && ret->published_ns && ret->size &&
	       ret->size <= CS_CONTEXT_BYTES;
}

/* Returns 0, -EAGAIN: it was rewritten meanwhile, -ENOENT: there is none, or -ENOMEM. */
static int read_payload(struct cs_mem *mem, uint64_t addr, char *payload, struct parsing *parsing)
{
	struct header before, after;

	if (!read_header(mem, addr, &before))
		return -ENOENT;
	if (cs_mem_read(mem, before.payload, payload, before.size) ||
	    !read_header(mem, addr, &after) || memcmp(&before, &after, sizeof(before)))
		return -EAGAIN;
	return parse(parsing, payload, before.size);
}

static int read_mapping(struct cs_mem *mem, uint64_t addr, struct parsing *parsing)
{
	_cleanup_free_ char *payload = malloc(CS_CONTEXT_BYTES);
	int err = payload ? 0 : -ENOMEM;

	for (int i = 0; !err && i < ATTEMPTS; i++) {
		err = read_payload(mem, addr, payload, parsing);
		if (err != -EAGAIN)
			break;
		err = 0;
	}
	return err == -ENOMEM ? err : 0;
}

static int read_context(const struct cs_maps *maps, struct cs_mem *mem, struct parsing *parsing)
{
	for (size_t i = 0; i < maps->n; i++)
		if (is_named(&maps->items[i]))
			return read_mapping(mem, maps->items[i].start, parsing);
	return 0;
}

int cs_process_context_read(pid_t pid, struct cs_facts *facts)
{
	_cleanup_(cs_mem_freep) struct cs_mem *mem = NULL;
	_cleanup_maps_ struct cs_maps maps = {0};
	struct parsing parsing = {.facts = facts};
	int err = cs_maps_read(pid, &maps);

	if (err)
		return err == -ENOMEM ? err : 0;
	err = cs_mem_new(pid, &mem);
	return err ? err : read_context(&maps, mem, &parsing);
}

int cs_process_context_key(const struct cs_maps *maps, struct cs_mem *mem, const char *key,
			   unsigned int *ret)
{
	struct parsing parsing = {.key = key};
	int err = read_context(maps, mem, &parsing);

	*ret = parsing.n;
	return err || parsing.found ? err : -ENOENT;
}
