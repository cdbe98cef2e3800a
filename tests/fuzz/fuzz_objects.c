/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer harness: a process whose interpreter was damaged, and what reads code objects, texts, integers, dicts, sets,
 * attributes, coroutines, thread states and threads' names of it. An input is a version and patches (world.h).
 */
#include <stdlib.h>

#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *world;

	if (!size)
		return 0;
	world = world_get(data[0]);
	world_patch(world, data + 1, size - 1);
	/* or else what is damaged is not what anybody reads */
	if (!world_read_objects(world) && !world->nundo)
		abort();
	world_mend(world);
	return 0;
}
