/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer harness: a process whose interpreter was damaged, and what reads code objects, texts, integers, dicts, sets,
 * attributes, coroutines, thread states and threads' names of it. An input is a version and patches (world.h).
 */
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return world_run(data, size, world_read_objects);
}
