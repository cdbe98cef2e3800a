/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up waits. */
#include "made_waits.h"

#include "core/cleanup.h"
#include "test.h"

uint64_t made_new_task(struct made_waits *waits)
{
	return made_future_of(&waits->calls, waits->made.type_task);
}

void made_reading(struct made_waits *waits)
{
	cs_mem_forget(waits->made.ctx.mem);
	cs_types_end(&waits->types);
	assert_int_equal(cs_types_begin(&waits->types, &waits->made.ctx), 0);
	cs_waiters_end(&waits->waiters);
	assert_int_equal(cs_waiters_begin(&waits->waiters, &waits->made.ctx, &waits->asyncio,
					  &waits->types, &waits->keys),
			 0);
	cs_pytask_begin(&waits->keys);
}

void made_waits_begin(struct made_waits *waits, int minor)
{
	*waits = (struct made_waits){0};
	made_begin(&waits->made, minor);
	made_calls_begin(&waits->calls, &waits->made);
	waits->asyncio.nmodules = 1;
	waits->asyncio.modules[0].task_type = waits->made.type_task;
	waits->task = made_new_task(waits);
	waits->future = made_future(&waits->calls);
	waits->waiter = made_waiter(&waits->calls, waits->future);
	made_reading(waits);
}

void made_waits_end(struct made_waits *waits)
{
	cs_waiters_end(&waits->waiters);
	cs_types_end(&waits->types);
	made_end(&waits->made);
}

void made_look(struct made_waits *waits, uint64_t task)
{
	const struct cs_py_offsets *off = &waits->made.interp.info.off;
	struct cs_mem *mem = waits->made.ctx.mem;
	struct cs_waited waited = {.addr = task};

	assert_int_equal(cs_mem_read_u64(mem, task + off->future_callback0, &waited.callback0), 0);
	assert_int_equal(cs_mem_read_u64(mem, task + off->future_callbacks, &waited.callbacks), 0);
	waits->n = cs_waiters_find(&waits->waiters, &waited, waits->links, &waits->cut);
}

void made_look_through(struct made_waits *waits, uint64_t callback)
{
	made_done_callback(&waits->calls, waits->task, callback);
	made_look(waits, waits->task);
}

uint64_t made_gather(struct made_waits *waits, uint64_t outer)
{
	const uint64_t children[] = {waits->task, made_future(&waits->calls)};

	made_waiter(&waits->calls, children[1]);
	return MADE_FUNCTION(&waits->calls, "asyncio.tasks", "gather.<locals>._done_callback",
			     .cells = {made_list(&waits->made, children, 2), outer},
			     .names = {"append", "set_result"});
}

uint64_t made_wait(struct made_waits *waits, uint64_t future)
{
	return MADE_FUNCTION(&waits->calls, "asyncio.tasks", "_wait.<locals>._on_completion",
			     .cells = {future});
}

uint64_t made_wait_for(struct made_waits *waits, uint64_t future)
{
	uint64_t function = MADE_FUNCTION(&waits->calls, "asyncio.tasks", "_release_waiter");

	return made_partial(&waits->calls, function, &future, 1);
}

uint64_t made_shield(struct made_waits *waits, uint64_t future)
{
	made_done_callback(&waits->calls, future,
			   MADE_FUNCTION(&waits->calls, "asyncio.tasks",
					 "shield.<locals>._outer_done_callback",
					 .cells = {waits->task}));
	return MADE_FUNCTION(&waits->calls, "asyncio.tasks", "shield.<locals>._inner_done_callback",
			     .cells = {future});
}

uint64_t made_task_group(struct made_waits *waits, uint64_t future)
{
	const char *const attrs[] = {"_on_completed_fut", "_parent_task", "_tasks"};
	uint64_t class = made_class(&waits->made, "TaskGroup", 0, 0), parent = made_new_task(waits);
	const uint64_t values[] = {future, parent, made_set(&waits->made, &parent, 1, 8)};
	uint64_t function =
		MADE_FUNCTION(&waits->calls, "asyncio.taskgroups", "TaskGroup._on_task_done",
			      .names = {"_tasks", "discard", "_on_completed_fut", "_parent_task"});

	/* who waits for the parent does not wait for its children */
	made_waiter(&waits->calls, parent);
	return made_method(&waits->calls, function,
			   made_instance_of(&waits->made, class, attrs, values, 3));
}

uint64_t made_set_result(struct made_waits *waits, uint64_t future)
{
	return made_builtin_method(&waits->calls, future);
}

uint64_t made_user_closure(struct made_waits *waits, uint64_t future)
{
	return MADE_FUNCTION(&waits->calls, "app", "gather.<locals>.done", .cells = {future});
}

uint64_t made_user_object(struct made_waits *waits, const char *method, uint64_t future)
{
	const uint64_t function =
		MADE_FUNCTION(&waits->calls, "app", "Job.method", .names = {"future"});
	uint64_t methods = made_namespace(&waits->made, &method, &function, 1);
	uint64_t class =
		made_class(&waits->made, "Job", 0, made_class(&waits->made, "Base", methods, 0));

	return made_instance_of(&waits->made, class, (const char *const[]){"future"}, &future, 1);
}

uint64_t made_wait_ended(struct made_waits *waits, uint64_t future)
{
	made_put(&waits->made, waits->waiter, waits->made.interp.info.off.task_fut_waiter,
		 made_future(&waits->calls));
	return made_gather(waits, future);
}
