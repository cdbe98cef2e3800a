/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer harness: a process whose interpreter was damaged, and what finds asyncio in it and reads its tasks, their coroutines,
 * event loops, the threads that run these, and who waits for them. An input is a version and patches (world.h).
 */
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return world_run(data, size, world_read_tasks);
}
