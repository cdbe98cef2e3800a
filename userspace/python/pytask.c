/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of tasks that are written in Python. */
#include "python/pytask.h"

#include <coroscope/limits.h>
#include <errno.h>

#include "core/cleanup.h"
#include "python/digest.h"

/* Attributes of one object: asyncio's own have about ten. */
#define MAX_ATTRS 64

/* ... and of a reading, together. */
#define MAX_READING_ATTRS (32u * CS_MAX_TASKS)

static const struct {
	const char *name;
	size_t at; /* in struct cs_pytask */
} fields[] = {
	{"_coro", offsetof(struct cs_pytask, coro)},
	{"_fut_waiter", offsetof(struct cs_pytask, waiter)},
	{"_loop", offsetof(struct cs_pytask, loop)},
	{"_name", offsetof(struct cs_pytask, name)},
	{"_callbacks", offsetof(struct cs_pytask, callbacks)},
	{"_context", offsetof(struct cs_pytask, context)},
	{"_state", offsetof(struct cs_pytask, state)},
};

#define NO_FIELD ((unsigned int)ARRAY_SIZE(fields))

struct reading {
	struct cs_pytask_keys *keys;
	const struct cs_pyobj_ctx *ctx;
	struct cs_pytask task;
	unsigned int left;
};

void cs_pytask_begin(struct cs_pytask_keys *keys)
{
	keys->n = 0;
	keys->left = MAX_READING_ATTRS;
}

/* Which field has this name. */
static unsigned int field_of(struct cs_pytask_keys *keys, const struct cs_pyobj_ctx *ctx,
			     uint64_t key)
{
	unsigned int field = 0;

	for (unsigned int i = 0; i < keys->n; i++) {
		if (keys->items[i].key == key)
			return keys->items[i].field;
	}
	while (field < NO_FIELD && !cs_pyobj_str_equals(ctx, key, fields[field].name))
		field++;
	if (keys->n < CS_PYTASK_KEYS) {
		keys->items[keys->n].key = key;
		keys->items[keys->n++].field = field;
	}
	return field;
}

static int visit(void *arg, uint64_t key, uint64_t value)
{
	struct reading *reading = arg;
	unsigned int field;

	if (!reading->left || !reading->keys->left)
		return -E2BIG;
	reading->left--;
	reading->keys->left--;
	field = field_of(reading->keys, reading->ctx, key);
	if (field != NO_FIELD)
		*(uint64_t *)((char *)&reading->task + fields[field].at) = value;
	reading->task.digest = cs_digest_word(cs_digest_word(reading->task.digest, key), value);
	return 0;
}

int cs_pytask_read(struct cs_pytask_keys *keys, const struct cs_pyobj_ctx *ctx, uint64_t obj,
		   struct cs_pytask *ret)
{
	struct reading reading = {.keys = keys, .ctx = ctx, .left = MAX_ATTRS};
	int err = cs_pyobj_attr_each(ctx, obj, visit, &reading);

	if (!err)
		*ret = reading.task;
	return err;
}
