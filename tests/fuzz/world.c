/* SPDX-License-Identifier: Apache-2.0 */
/* A made-up interpreter with asyncio, two threads, a few tasks and what is called when they are done; and patches to it. */
#include "world.h"

#include <string.h>
#include <unistd.h>

#include "check.h"
#include "core/cleanup.h"
#include "unit/python/made_calls.h"

#define PATCH_BYTES 12
#define HEXVERSION  0xf0 /* with the version in the upper 16 bits: a final release */
#define STACK_BYTES 256
#define SUSPENDED   (-1) /* where gen_yield_from is not told */
#define NOT_TOLD    127

static uint64_t here(const void *at)
{
	return (uint64_t)(uintptr_t)at;
}

static const struct cs_py_offsets *offsets(const struct world *world)
{
	return &world->made.interp.info.off;
}

static uint64_t make_module(struct world *world, const char *const *names, const uint64_t *values,
			    size_t n)
{
	uint64_t module = made_object(&world->made, world->made.meta, 64);

	made_put(&world->made, module, offsets(world)->module_dict,
		 made_namespace(&world->made, names, values, n));
	return module;
}

/* An instance of a class of its own. */
static uint64_t make_instance(struct world *world, const char *const *names, const uint64_t *values,
			      size_t n)
{
	return made_instance_of(&world->made, made_class(&world->made, "Made", 0, 0), names, values,
				n);
}

static uint64_t make_bytes(struct world *world, const char *bytes, size_t n)
{
	uint64_t obj =
		made_object(&world->made, world->made.type_bytes, offsets(world)->bytes_data + n);

	made_put(&world->made, obj, offsets(world)->object_var_size, n);
	memcpy((void *)(uintptr_t)(obj + offsets(world)->bytes_data), bytes, n);
	return obj;
}

static uint64_t make_code(struct world *world)
{
	static const char bytes[] = "\x80\x00\x02\x01\x90\x04\x05\x06\x48\x02\x48\x03";
	const struct cs_py_offsets *off = offsets(world);
	uint64_t code = made_object(&world->made, world->made.type_code, 512);
	uint64_t table = make_bytes(world, bytes, sizeof(bytes) - 1);

	made_put(&world->made, code, off->code_name, world->text);
	if (off->code_qualname)
		made_put(&world->made, code, off->code_qualname, world->text);
	if (off->code_bytes)
		made_put(&world->made, code, off->code_bytes, table);
	made_put(&world->made, code, off->code_filename,
		 made_str(&world->made, "/lib/python3.12/asyncio/tasks.py"));
	made_put(&world->made, code, off->code_linetable, table);
	made_put32(&world->made, code, off->code_firstlineno, 3);
	return code;
}

/* The top of its stack is what it awaits. */
static void put_stack(struct world *world, uint64_t frame, uint64_t awaits)
{
	const struct cs_py_offsets *off = offsets(world);
	uint32_t top = 1u + (uint32_t)world->made.interp.info.traits.awaited_slot;
	uint64_t base = frame + off->frame_localsplus;

	if (off->frame_valuestack)
		made_put(&world->made, frame, off->frame_valuestack, base);
	if (off->frame_stackpointer)
		made_put(&world->made, frame, off->frame_stackpointer, base + 8ull * top);
	else
		made_put32(&world->made, frame, off->frame_stacktop, top);
	made_put(&world->made, base, 8, awaits);
}

/* A suspended coroutine or generator that awaits another object. */
static uint64_t make_coro(struct world *world, uint64_t type, uint64_t awaits)
{
	const struct cs_py_traits *traits = &world->made.interp.info.traits;
	const struct cs_py_offsets *off = offsets(world);
	struct made *made = &world->made;
	int state = traits->gen_yield_from == NOT_TOLD ? SUSPENDED : traits->gen_yield_from;
	size_t fixed = off->frame_localsplus + STACK_BYTES;
	uint64_t coro = made_object(made, type, off->gen_iframe + fixed), frame;

	if (traits->frame_is_object) {
		frame = made_object(made, made->type_none, fixed);
		made_put(made, coro, off->gen_frame, frame);
		if (off->frame_state)
			made_put8(made, frame, off->frame_state, (uint8_t)state);
		made_put32(made, frame, off->frame_instr_ptr, 4);
	} else {
		frame = coro + off->gen_iframe;
		made_put8(made, coro, off->gen_frame_state, (uint8_t)state);
		made_put8(made, frame, off->frame_owner, 1);
		made_put(made, frame, off->frame_instr_ptr,
			 world->code + off->code_instructions + 4);
	}
	made_put(made, frame, off->frame_executable, world->code);
	put_stack(world, frame, awaits);
	return coro;
}

/* A chain with all kinds of links. Returns its outermost coroutine. */
static uint64_t make_chain(struct world *world, uint64_t leaf)
{
	const struct cs_interp *interp = &world->made.interp;
	uint64_t type = made_type(&world->made, "coroutine_wrapper", 0, 0, 0);
	uint64_t wrapper = made_object(&world->made, type, 64);

	made_put(&world->made, wrapper, offsets(world)->object_var_size,
		 make_coro(world, interp->type_gen, leaf));
	return make_coro(world, interp->type_coro,
			 make_coro(world, interp->type_async_gen, wrapper));
}

/* A circular list of one entry behind its head. */
static void put_list(struct world *world, uint64_t head, uint64_t node)
{
	made_put(&world->made, head, 0, node);
	made_put(&world->made, head, 8, node);
	made_put(&world->made, node, 0, head);
	made_put(&world->made, node, 8, head);
}

static uint64_t make_tstate(struct world *world, uint64_t next, uint64_t thread, uint64_t task)
{
	const struct cs_py_offsets *off = offsets(world);
	uint64_t tstate = made_bytes(&world->made, 2048);

	made_put(&world->made, tstate, off->tstate_next, next);
	made_put(&world->made, tstate, off->tstate_interp, world->interpreter);
	made_put(&world->made, tstate, off->tstate_thread_id, thread);
	if (off->tstate_native_thread_id)
		made_put(&world->made, tstate, off->tstate_native_thread_id, (uint64_t)getpid());
	if (off->task_node)
		put_list(world, tstate + off->tstate_tasks_head, task + off->task_node);
	return tstate;
}

/* Whoever calls this wakes up a task. */
static uint64_t make_awaited(struct made_calls *calls)
{
	uint64_t future = made_future(calls);

	made_waiter(calls, future);
	return future;
}

/* An object with one attribute, and a method that knows it by name. */
static uint64_t make_object(struct made_calls *calls, const char *method, const char *attr,
			    uint64_t value)
{
	const uint64_t function = MADE_FUNCTION(calls, "app", "Job.method", .names = {attr});
	uint64_t methods = made_namespace(calls->made, &method, &function, 1);
	uint64_t class = made_class(calls->made, "Job", methods, 0);

	return made_instance_of(calls->made, class, &attr, &value, 1);
}

/* All ways from a task to those that wait for it, one callback each. */
static void make_callbacks(struct world *world, uint64_t task)
{
	struct made_calls calls;

	made_calls_begin(&calls, &world->made);
	const uint64_t awaited = make_awaited(&calls), outer = make_awaited(&calls);
	const uint64_t function = MADE_FUNCTION(&calls, "asyncio.taskgroups", "TaskGroup._on_task",
						.names = {"future"}, .defaults = {world->text});
	const uint64_t chained =
		MADE_FUNCTION(&calls, "asyncio.futures", "_chain_future.<locals>._call_set_state",
			      .cells = {make_awaited(&calls)});
	const uint64_t getter = make_awaited(&calls);
	const uint64_t queue =
		make_object(&calls, "put_nowait", "_getters", made_deque(&calls, &getter, 1, 63));
	const uint64_t callbacks[WORLD_LINKS] = {
		MADE_FUNCTION(&calls, "asyncio.tasks", "gather.<locals>._done_callback",
			      .cells = {made_list(&world->made, &task, 1), outer}),
		made_partial(&calls, MADE_FUNCTION(&calls, "asyncio.tasks", "_release_waiter"),
			     &awaited, 1),
		made_method(&calls, function,
			    make_object(&calls, "close", "future", make_awaited(&calls))),
		MADE_FUNCTION(&calls, "asyncio.tasks", "as_completed.<locals>._on_completion",
			      .cells = {queue}, .names = {"put_nowait"}),
		MADE_FUNCTION(&calls, "asyncio.futures", "_chain_future.<locals>._call_set_state",
			      .cells = {made_concurrent_future(
				      &calls, made_list(&world->made, &chained, 1))}),
		made_builtin_method(&calls, make_awaited(&calls)),
		make_object(&calls, "__call__", "future", make_awaited(&calls)),
	};

	for (size_t i = 0; i < WORLD_LINKS; i++)
		made_done_callback(&calls, task, callbacks[i]);
}

/* Tasks in a set of weak references, and from 3.14 on two of them in lists; and the threads that have these. */
static void make_tasks(struct world *world)
{
	const struct cs_py_offsets *off = offsets(world);
	struct made *made = &world->made;
	uint64_t refs[WORLD_TASKS], tasks[WORLD_TASKS],
		leaf = made_object(made, made->type_none, 64), first;

	for (size_t i = 0; i < WORLD_TASKS; i++) {
		tasks[i] = made_object(made, made->type_task, off->task_size);
		world->coro = make_chain(world, leaf);
		made_put(made, tasks[i], off->task_coro, world->coro);
		made_put(made, tasks[i], off->task_name, i ? world->text : made_int(made, 7));
		made_put(made, tasks[i], off->task_fut_waiter, i % 2 ? leaf : 0);
		made_put(made, tasks[i], off->future_loop, world->loop);
		refs[i] = made_object(made, made->type_weakref, 64);
		made_put(made, refs[i], off->weakref_object, tasks[i]);
	}
	make_callbacks(world, tasks[0]);
	world->set = made_set(made, refs, WORLD_TASKS, 8);
	world->eager = made_set(made, tasks, 1, 8);
	first = make_tstate(world, make_tstate(world, 0, 2, tasks[1]), world->thread, tasks[0]);
	made_put(made, world->interpreter, off->interp_threads_head, first);
}

/* threading._active, of one thread. */
static uint64_t make_active(struct world *world)
{
	const uint64_t values[] = {made_int(&world->made, getpid()), world->text};
	const uint64_t ident = made_int(&world->made, (int64_t)world->thread);
	const uint64_t thread =
		make_instance(world, (const char *const[]){"_native_id", "_name"}, values, 2);

	return made_dict_of(&world->made, &ident, &thread, 1);
}

/* sys.modules with what the readers look for in it. */
static uint64_t make_modules(struct world *world)
{
	uint64_t version = made_int(&world->made,
				    (int64_t)3 << 24 | world->made.interp.minor << 16 | HEXVERSION);
	uint64_t active = make_active(world);
	uint64_t weak = make_instance(world, (const char *const[]){"data"}, &world->set, 1);
	const uint64_t of_c[] = {world->made.type_task, world->dict};
	const uint64_t of_tasks[] = {weak, weak, world->eager, world->dict};
	const uint64_t modules[] = {
		make_module(world, (const char *const[]){"hexversion"}, &version, 1),
		make_module(world, (const char *const[]){"Task", "_current_tasks"}, of_c, 2),
		make_module(world,
			    (const char *const[]){"_all_tasks", "_scheduled_tasks", "_eager_tasks",
						  "_current_tasks"},
			    of_tasks, 4),
		make_module(world, (const char *const[]){"_active"}, &active, 1),
	};

	return made_namespace(
		&world->made,
		(const char *const[]){"sys", "_asyncio", "asyncio.tasks", "threading"}, modules, 4);
}

static void world_begin(struct world *world, int minor)
{
	const struct cs_py_offsets *off;
	uint64_t thread_id;

	made_begin(&world->made, minor);
	off = offsets(world);
	world->thread = made_bytes(&world->made, 8);
	made_put(&world->made, world->thread, 0, world->thread);
	thread_id = made_int(&world->made, (int64_t)world->thread);
	world->text = made_str(&world->made, "Server.handle");
	world->dict = made_namespace(&world->made, (const char *const[]){"a", "b"},
				     (const uint64_t[]){world->text, world->text}, 2);
	world->loop = make_instance(world, (const char *const[]){"_thread_id"}, &thread_id, 1);
	world->code = make_code(world);
	world->runtime = made_bytes(&world->made, 4096);
	world->interpreter = made_bytes(&world->made, 16384);
	make_tasks(world);
	world->made.interp.info.interpreters_head = world->runtime + off->runtime_interpreters_head;
	made_put(&world->made, world->runtime, off->runtime_interpreters_head, world->interpreter);
	made_put(&world->made, world->interpreter, off->interp_modules, make_modules(world));
}

struct world *world_get(uint8_t choice)
{
	static struct world worlds[MADE_LAST_MINOR - MADE_FIRST_MINOR + 1];
	struct world *world = &worlds[choice % ARRAY_SIZE(worlds)];

	if (!world->made.arena)
		world_begin(world, MADE_FIRST_MINOR + choice % (int)ARRAY_SIZE(worlds));
	return world;
}

static uint64_t patched(const struct made *made, uint64_t old, unsigned int how, uint64_t value)
{
	uint64_t other;

	switch (how % 5) {
	case 0:
		return value;
	case 1: /* something in there */
		return here(made->arena) + value % made->used;
	case 2:
		return old ^ value;
	case 3:
		return old + value;
	default: /* what another word in there is */
		memcpy(&other, made->arena + value % (made->used / 8) * 8, sizeof(other));
		return other;
	}
}

void world_patch(struct world *world, const uint8_t *data, size_t size)
{
	struct made *made = &world->made;

	for (; world->nundo < WORLD_PATCHES && size >= PATCH_BYTES; size -= PATCH_BYTES) {
		uint64_t where = data[0] | (uint64_t)data[1] << 8 | (uint64_t)data[2] << 16, value;
		uint64_t *word = (uint64_t *)(void *)made->arena + where % (made->used / 8);

		memcpy(&value, data + 4, sizeof(value));
		world->undo[world->nundo++] = (struct world_undo){word, *word};
		*word = patched(made, *word, data[3], value);
		data += PATCH_BYTES;
	}
	cs_mem_forget(made->ctx.mem);
}

void world_mend(struct world *world)
{
	/* the last patch first: a word may have been changed twice */
	while (world->nundo) {
		const struct world_undo *undo = &world->undo[--world->nundo];

		*undo->word = undo->right;
	}
}

int world_run(const uint8_t *data, size_t size, bool (*read)(struct world *world))
{
	struct world *world;

	if (!size)
		return 0;
	world = world_get(data[0]);
	world_patch(world, data + 1, size - 1);
	/* or else what is damaged is not what anybody reads */
	CHECK(read(world) || world->nundo);
	world_mend(world);
	return 0;
}
