/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up tasks. */
#include "made_tasks.h"

#include "core/cleanup.h"
#include "test.h"

#define CODE_BYTES 512

void world_begin(struct world *world, int minor)
{
	*world = (struct world){0};
	made_begin(&world->made, minor);
	world->code = made_object(&world->made, world->made.type_code, CODE_BYTES);
	world->leaf_type = made_type(&world->made, "_asyncio.FutureIter", 0, 0, 0);
	world->loop = made_object(&world->made, world->leaf_type, 64);
	world->asyncio.loaded = true;
	world->asyncio.nmodules = 1;
	world->asyncio.modules[0].task_type = world->made.type_task;
}

void world_watch(struct world *world, const uint64_t *tasks, size_t n, size_t nslots)
{
	uint64_t refs[128];

	for (size_t i = 0; i < n; i++) {
		refs[i] = made_object(&world->made, world->made.type_weakref, 64);
		made_put(&world->made, refs[i], world->made.interp.info.off.weakref_object,
			 tasks[i]);
	}
	world->asyncio.modules[0].sets[0] = made_set(&world->made, refs, n, nslots);
	world->asyncio.modules[0].is_weak[0] = true;
	world->asyncio.modules[0].nsets = 1;
	assert_int_equal(cs_tasks_new(&world->made.interp, &world->asyncio, &world->tasks), 0);
}

void world_end(struct world *world)
{
	cs_tasks_free(world->tasks);
	cs_buf_free(&world->out);
	made_end(&world->made);
}

uint64_t made_coro(struct world *world, uint64_t type, int state, uint64_t awaits)
{
	const struct cs_py_offsets *off = &world->made.interp.info.off;
	uint64_t coro = made_object(&world->made, type, 512);
	uint64_t frame = coro + off->gen_iframe;

	made_put8(&world->made, coro, off->gen_frame_state, (uint8_t)state);
	made_put(&world->made, frame, off->frame_executable, world->code);
	made_put(&world->made, frame, off->frame_instr_ptr,
		 world->code + off->code_instructions + 20);
	made_put8(&world->made, frame, off->frame_owner, 1);
	made_put32(&world->made, frame, off->frame_stacktop, 2);
	made_put(&world->made, frame, off->frame_localsplus + 8, awaits);
	return coro;
}

uint64_t made_suspended(struct world *world, uint64_t awaits)
{
	return made_coro(world, world->made.interp.type_coro, -1, awaits);
}

uint64_t made_leaf(struct world *world)
{
	return made_object(&world->made, world->leaf_type, 64);
}

uint64_t made_task(struct world *world, uint64_t coro, uint64_t name, uint64_t waiter)
{
	const struct cs_py_offsets *off = &world->made.interp.info.off;
	uint64_t task = made_object(&world->made, world->made.type_task, off->task_size);

	made_put(&world->made, task, off->task_coro, coro);
	made_put(&world->made, task, off->task_name, name);
	made_put(&world->made, task, off->task_fut_waiter, waiter);
	made_put(&world->made, task, off->future_loop, world->loop);
	return task;
}
