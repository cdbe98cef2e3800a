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
static int read_payload(struct cs_mem *mem, uint64_t addr, char *payload, struct cs_facts *facts)
{
	struct header before, after;

	if (!read_header(mem, addr, &before))
		return -ENOENT;
	if (cs_mem_read(mem, before.payload, payload, before.size) ||
	    !read_header(mem, addr, &after) || memcmp(&before, &after, sizeof(before)))
		return -EAGAIN;
	return cs_process_context_parse(payload, before.size, facts);
}

static int read_mapping(pid_t pid, uint64_t addr, struct cs_facts *facts)
{
	_cleanup_(cs_mem_freep) struct cs_mem *mem = NULL;
	_cleanup_free_ char *payload = malloc(CS_CONTEXT_BYTES);
	int err = payload ? cs_mem_new(pid, &mem) : -ENOMEM;

	if (err)
		return err;
	for (int i = 0; i < ATTEMPTS; i++) {
		err = read_payload(mem, addr, payload, facts);
		if (err != -EAGAIN)
			break;
	}
	return err == -ENOMEM ? err : 0;
}

int cs_process_context_read(pid_t pid, struct cs_facts *facts)
{
	_cleanup_maps_ struct cs_maps maps = {0};
	int err = cs_maps_read(pid, &maps);

	if (err)
		return err == -ENOMEM ? err : 0;
	for (size_t i = 0; i < maps.n; i++)
		if (is_named(&maps.items[i]))
			return read_mapping(pid, maps.items[i].start, facts);
	return 0;
}
