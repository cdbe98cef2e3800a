/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer harness: an interpreter that lies about itself. What it publishes of its own layout is the input's, and its memory
 * is damaged; if the verdict is READY nevertheless, everything is read by the offsets that were taken over.
 *
 * An input is a version; from 3.13 on the words of _PyRuntime's table and of .AsyncioDebug; and patches (world.h).
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "python/judge.h"
#include "python/layout.h"
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TABLE_BYTES (8 * CS_PY_PUBLISHED_WORDS)

/* A misfit is looked at again after a pause, which here changes nothing. */
int nanosleep(const struct timespec *duration, struct timespec *left)
{
	return 0;
}

/* Copy so many bytes of the input, or what is left of it. */
static void take(const uint8_t **data, size_t *size, void *dst, size_t n)
{
	if (n > *size)
		n = *size;
	memcpy(dst, *data, n);
	*data += n;
	*size -= n;
}

/* How detection begins with it, before any of its memory was read. */
static struct cs_interp candidate(const struct world *world)
{
	const struct cs_interp *made = &world->made.interp;

	return (struct cs_interp){
		.pid = made->pid,
		.major = made->major,
		.minor = made->minor,
		.micro = -1,
		.flavour = "gil",
		.runtime = world->runtime,
		.type_coro = made->type_coro,
		.type_gen = made->type_gen,
		.type_async_gen = made->type_async_gen,
	};
}

static void judge(struct world *world, const struct cs_py_binary *binary)
{
	struct cs_mapping data = {.start = world->runtime,
				  .end = world->runtime + 1,
				  .readable = true,
				  .writable = true,
				  .path = ""};
	const struct cs_maps maps = {.items = &data, .n = 1};
	const struct cs_interp made = world->made.interp;
	struct cs_interp judged = candidate(world);

	if (cs_interp_judge(&judged, binary, &maps, world->made.ctx.mem))
		abort();
	if (judged.state == CS_INTERP_READY) {
		world->made.interp = judged;
		world_read_objects(world);
		world_read_tasks(world);
		world->made.interp = made;
	} else if (judged.state == CS_INTERP_UNSUPPORTED && !*judged.reason) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cs_py_binary binary = {.python = true, .has_asyncio_debug = true};
	static uint8_t runtime[TABLE_BYTES];
	struct world *world;
	void *table;

	if (!size)
		return 0;
	world = world_get(data[0]);
	data++;
	size--;
	table = (void *)(uintptr_t)world->runtime;
	memcpy(runtime, table, sizeof(runtime));
	if (cs_py_publishes(world->made.interp.minor)) {
		take(&data, &size, table, sizeof(runtime));
		take(&data, &size, binary.asyncio_debug, sizeof(binary.asyncio_debug));
		/* stands behind the shorter tables */
		made_put(&world->made, world->made.interp.info.interpreters_head, 0,
			 world->interpreter);
	}
	world_patch(world, data, size);
	judge(world, &binary);
	world_mend(world);
	memcpy(table, runtime, sizeof(runtime));
	return 0;
}
