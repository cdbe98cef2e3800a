/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passes over made-up tasks in this process. The kernel says of the thread that asks that it is in a system
 * call, so a pass over ourselves is a quiet one unless another thread runs.
 */
#include "python/tasks.h"

#include <coroscope/event.h>
#include <coroscope/limits.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "made_calls.h"
#include "made_tasks.h"
#include "python/digest.h"
#include "test.h"

static int world_pass(struct world *world)
{
	world->out.len = 0;
	return cs_tasks_pass(world->tasks, world->made.ctx.mem, 1000, 0, &world->out,
			     &world->result);
}

/* The record of a task in the last pass, or NULL. */
static const struct cs_ev_task *task_record(const struct world *world, uint64_t task)
{
	for (size_t at = 0; at < world->out.len;) {
		const struct cs_ev_task *ev = (const void *)(world->out.data + at);

		assert_true(ev->hdr.size && ev->hdr.size % 8 == 0);
		if (ev->hdr.kind == CS_EV_TASK && ev->task == task)
			return ev;
		at += ev->hdr.size;
	}
	return NULL;
}

static const struct cs_ev_pass *pass_record(const struct world *world)
{
	size_t at = 0;

	for (;;) {
		const struct cs_ev_hdr *hdr = (const void *)(world->out.data + at);

		assert_true(at < world->out.len);
		if (hdr->kind == CS_EV_PASS) {
			assert_int_equal(at + hdr->size, world->out.len);
			return (const void *)hdr;
		}
		at += hdr->size;
	}
}

static void a_chain_becomes_a_record(void **state)
{
	for (int minor = 11; minor <= 13; minor++) {
		const struct cs_ev_task *ev;
		const struct cs_ev_pass *pass;
		uint64_t leaf, task;
		struct world world;

		world_begin(&world, minor);
		leaf = made_leaf(&world);
		task = made_task(&world, made_suspended(&world, made_suspended(&world, leaf)),
				 made_str(&world.made, "worker"), leaf);
		world_watch(&world, &task, 1, 8);
		assert_int_equal(world_pass(&world), 0);
		assert_int_equal(world.result.ntasks, 1);
		assert_int_equal(world.result.ndropped, 0);
		/* we read ourselves: being preempted meanwhile is no torn reading, but no quiet one either */
		assert_in_range(world.result.coherence, CS_COHERENT_QUIET, CS_COHERENT_PER_TASK);
		ev = task_record(&world, task);
		assert_non_null(ev);
		assert_int_equal(ev->state, CS_TASK_WAITING);
		assert_int_equal(ev->waiter, leaf);
		assert_int_equal(ev->hdr.flags, 0);
		assert_int_equal(ev->nframes, 2);
		assert_int_equal(ev->frames[0].code, world.code);
		assert_int_equal(ev->frames[0].lasti, 20);
		assert_int_equal(ev->frames[0].check, 0);
		assert_int_equal(ev->name_len, 6);
		assert_int_equal(ev->leaf_len, 19);
		assert_memory_equal(&ev->frames[2], "worker_asyncio.FutureIter", 25);
		pass = pass_record(&world);
		assert_int_equal(pass->ntasks, 1);
		assert_int_equal(pass->tasks[0], task);
		assert_int_equal(pass->weight_ns, 1000);
		world_end(&world);
	}
}

static void only_changes_are_written(void **state)
{
	const struct cs_py_offsets *off;
	uint64_t tasks[2];
	struct world world;

	world_begin(&world, 13);
	off = &world.made.interp.info.off;
	for (int i = 0; i < 2; i++)
		tasks[i] = made_task(&world, made_suspended(&world, made_leaf(&world)),
				     made_int(&world.made, 7 + i), 0);
	world_watch(&world, tasks, 2, 8);
	assert_int_equal(world_pass(&world), 0);
	assert_non_null(task_record(&world, tasks[0]));
	assert_memory_equal(&task_record(&world, tasks[1])->frames[1], "Task-8", 6);
	assert_int_equal(world_pass(&world), 0);
	assert_null(task_record(&world, tasks[0]));
	assert_null(task_record(&world, tasks[1]));
	assert_int_equal(pass_record(&world)->ntasks, 2);
	made_put(&world.made, tasks[1], off->task_fut_waiter, tasks[0]);
	assert_int_equal(world_pass(&world), 0);
	assert_null(task_record(&world, tasks[0]));
	assert_int_equal(task_record(&world, tasks[1])->waiter, tasks[0]);
	world_end(&world);
}

/* Who waits in another way than by an await stands between frames and texts; a record is new when that changes. */
static void links_are_part_of_the_record(void **state)
{
	const struct cs_py_offsets *off;
	const struct cs_task_link *links;
	const struct cs_ev_task *ev;
	uint64_t tasks[2], function;
	struct made_calls calls;
	struct world world;

	world_begin(&world, 13);
	off = &world.made.interp.info.off;
	made_calls_begin(&calls, &world.made);
	for (int i = 0; i < 2; i++)
		tasks[i] = made_task(&world, made_suspended(&world, made_leaf(&world)),
				     made_str(&world.made, "name"), made_future(&calls));
	function = MADE_FUNCTION(&calls, "asyncio.tasks", "gather.<locals>._done_callback",
				 .cells = {made_future(&calls)});
	made_done_callback(&calls, tasks[0], function);
	world_watch(&world, tasks, 2, 8);
	assert_int_equal(world_pass(&world), 0);
	assert_int_equal(task_record(&world, tasks[0])->nlinks, 0);
	/* another callback, through which tasks[1] waits */
	cs_mem_read_u64(world.made.ctx.mem, tasks[1] + off->task_fut_waiter, &function);
	made_done_callback(&calls, function, made_wakeup(&calls, tasks[1]));
	made_done_callback(&calls, tasks[0], made_builtin_method(&calls, function));
	assert_int_equal(world_pass(&world), 0);
	ev = task_record(&world, tasks[0]);
	assert_non_null(ev);
	assert_null(task_record(&world, tasks[1]));
	assert_int_equal(ev->nlinks, 1);
	assert_int_equal(ev->hdr.flags, 0);
	links = (const void *)&ev->frames[ev->nframes];
	assert_int_equal(links->waiter, tasks[1]);
	assert_int_equal(links->how, CS_WAIT_OTHER);
	assert_int_equal(links->flags, CS_LINKF_PROBABLE);
	assert_memory_equal(&links[1], "name_asyncio.FutureIter", 23);
	/* the waiter goes on; nothing that is the task's own has changed */
	made_put(&world.made, tasks[1], off->task_fut_waiter, 0);
	assert_int_equal(world_pass(&world), 0);
	assert_int_equal(task_record(&world, tasks[0])->nlinks, 0);
	/* where more may wait, that is told */
	made_put(&world.made, function, off->future_callback0, 0x1000);
	assert_int_equal(world_pass(&world), 0);
	assert_int_equal(task_record(&world, tasks[0])->hdr.flags, CS_TASKF_WAITERS_CUT);
	world_end(&world);
}

/* Says that the span in a Context is the Context's first word, and notes which were asked for. */
static bool read_made_span(void *arg, struct cs_mem *mem, uint64_t context,
			   struct cs_active_span *ret)
{
	unsigned int *asked = arg;
	uint64_t id = 0;

	++*asked;
	cs_mem_read_u64(mem, context, &id);
	*ret = (struct cs_active_span){.kind = CS_TRACER_DDTRACE, .span_id = id};
	return id != 0;
}

static const struct cs_active_span *span_of(const struct world *world, uint64_t task)
{
	const struct cs_ev_task *ev = task_record(world, task);

	assert_non_null(ev);
	return ev->hdr.flags & CS_TASKF_SPAN ? (const void *)&ev->frames[ev->nframes] : NULL;
}

/* The span of a task's context is part of its record; nobody reads a running task's. */
static void spans_are_part_of_the_record(void **state)
{
	unsigned int asked = 0;
	const struct cs_span_source source = {read_made_span, &asked};
	const struct cs_py_offsets *off;
	uint64_t tasks[2], context;
	struct world world;

	world_begin(&world, 13);
	off = &world.made.interp.info.off;
	context = made_object(&world.made, world.leaf_type, 64);
	made_put(&world.made, context, 0, 77);
	for (int i = 0; i < 2; i++) {
		tasks[i] = made_task(&world,
				     made_coro(&world, world.made.interp.type_coro, i ? 0 : -1,
					       made_leaf(&world)),
				     made_str(&world.made, "name"), 0);
		made_put(&world.made, tasks[i], off->task_context, context);
	}
	world_watch(&world, tasks, 2, 8);
	assert_int_equal(world_pass(&world), 0);
	assert_null(span_of(&world, tasks[0]));
	cs_tasks_use_spans(world.tasks, &source);
	assert_int_equal(world_pass(&world), 0);
	assert_int_equal(asked, 1);
	assert_int_equal(span_of(&world, tasks[0])->span_id, 77);
	assert_memory_equal(span_of(&world, tasks[0]) + 1, "name_asyncio.FutureIter", 23);
	assert_null(task_record(&world, tasks[1]));
	/* the same again is no news; another span is */
	cs_tasks_use_spans(world.tasks, &source);
	assert_int_equal(world_pass(&world), 0);
	assert_int_equal(asked, 2);
	assert_null(task_record(&world, tasks[0]));
	made_put(&world.made, context, 0, 0);
	cs_tasks_use_spans(world.tasks, &source);
	assert_int_equal(world_pass(&world), 0);
	assert_null(span_of(&world, tasks[0]));
	world_end(&world);
}

static void states_come_from_the_outermost_coroutine(void **state)
{
	static const enum cs_task_state expected[] = {CS_TASK_CREATED, CS_TASK_RUNNING,
						      CS_TASK_READY};
	struct world world;
	uint64_t tasks[5];
	int states[5];

	world_begin(&world, 13);
	states[0] = world.made.interp.info.traits.gen_created;
	states[1] = 0;
	states[2] = -1;
	states[3] = 1;
	for (int i = 0; i < 4; i++)
		tasks[i] = made_task(&world,
				     made_coro(&world, world.made.interp.type_coro, states[i],
					       made_leaf(&world)),
				     made_int(&world.made, i), 0);
	tasks[4] = made_task(&world, 0, made_int(&world.made, 4), 0);
	world_watch(&world, tasks, 5, 8);
	assert_int_equal(world_pass(&world), 0);
	assert_int_equal(world.result.ndropped, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(task_record(&world, tasks[i])->state, expected[i]);
	/* Done: ended, or without a coroutine. */
	assert_null(task_record(&world, tasks[3]));
	assert_null(task_record(&world, tasks[4]));
	assert_int_equal(pass_record(&world)->ntasks, 3);
	world_end(&world);
}

static void generators_are_followed_in_an_await_only(void **state)
{
	for (int minor = 11; minor <= 13; minor++) {
		for (int after = 1; after <= 3; after++) {
			uint64_t inner, outer, task;
			struct world world;
			int suspended;

			world_begin(&world, minor);
			inner = made_suspended(&world, made_leaf(&world));
			suspended = minor == 13 && after == 1 ? -2 : -1;
			outer = made_coro(&world, world.made.interp.type_gen, suspended, inner);
			made_put8(&world.made, world.code,
				  world.made.interp.info.off.code_instructions + 23,
				  (uint8_t)after);
			task = made_task(&world, outer, made_int(&world.made, 1), 0);
			world_watch(&world, &task, 1, 8);
			assert_int_equal(world_pass(&world), 0);
			assert_int_equal(task_record(&world, task)->nframes, after > 1 ? 2 : 1);
			assert_int_equal(task_record(&world, task)->leaf_len, after > 1 ? 19 : 0);
			world_end(&world);
		}
	}
}

static void cycles_and_broken_chains_are_marked(void **state)
{
	const struct cs_py_offsets *off;
	uint64_t coro, wrapper, tasks[4];
	struct world world;

	world_begin(&world, 13);
	off = &world.made.interp.info.off;
	coro = made_suspended(&world, 0);
	made_put(&world.made, coro + off->gen_iframe, off->frame_localsplus + 8, coro);
	tasks[0] = made_task(&world, coro, made_int(&world.made, 0), 0);
	coro = made_suspended(&world, made_leaf(&world));
	made_put32(&world.made, coro + off->gen_iframe, off->frame_stacktop, 0x7fffffff);
	tasks[1] = made_task(&world, made_suspended(&world, coro), made_int(&world.made, 1), 0);
	tasks[2] = made_task(&world, made_suspended(&world, 0x10), made_int(&world.made, 2), 0);
	wrapper =
		made_object(&world.made, made_type(&world.made, "coroutine_wrapper", 0, 0, 0), 64);
	made_put(&world.made, wrapper, off->object_var_size, wrapper);
	tasks[3] = made_task(&world, made_suspended(&world, wrapper), made_int(&world.made, 3), 0);
	world_watch(&world, tasks, 4, 8);
	assert_int_equal(world_pass(&world), 0);
	assert_int_equal(task_record(&world, tasks[0])->hdr.flags, CS_TASKF_CHAIN_CUT);
	assert_int_equal(task_record(&world, tasks[0])->nframes, CS_MAX_CHAIN);
	assert_int_equal(task_record(&world, tasks[1])->hdr.flags, CS_TASKF_CHAIN_UNREADABLE);
	assert_int_equal(task_record(&world, tasks[1])->nframes, 1);
	assert_int_equal(task_record(&world, tasks[2])->hdr.flags, CS_TASKF_CHAIN_UNREADABLE);
	assert_int_equal(task_record(&world, tasks[3])->hdr.flags, CS_TASKF_CHAIN_CUT);
	world_end(&world);
}

static void what_is_no_task_is_dropped(void **state)
{
	uint64_t good, tasks[6];
	struct world world;

	world_begin(&world, 12);
	good = made_suspended(&world, made_leaf(&world));
	tasks[0] = made_task(&world, good, made_str(&world.made, "ok"), 0);
	tasks[1] = made_str(&world.made, "a string is no task, however long it may be, is it?");
	tasks[2] = 0x7fff00001000;
	tasks[3] = made_task(&world, 0x30, made_str(&world.made, "no coroutine"), 0);
	tasks[4] = made_task(&world, good, good, 0);                   /* its name is a coroutine */
	tasks[5] = made_object(&world.made, world.made.type_none, 64); /* it is gone */
	world_watch(&world, tasks, 6, 16);
	assert_int_equal(world_pass(&world), 0);
	assert_int_equal(world.result.ntasks, 1);
	assert_int_equal(world.result.ndropped, 4);
	assert_non_null(task_record(&world, tasks[0]));
	assert_int_equal(pass_record(&world)->ndropped, 4);
	world_end(&world);
}

/* Those that are written in Python: one waits, one is ready, two are done, and one has no attributes. */
static void tasks_in_python_have_records(void **state)
{
	for (int minor = 11; minor <= 13; minor++) {
		struct made_python_task task = {.state = 0};
		struct made_calls calls;
		uint64_t class, none, tasks[5];
		struct world world;

		world_begin(&world, minor);
		made_calls_begin(&calls, &world.made);
		class = made_class_of(&calls, "Task", "asyncio.tasks");
		none = made_object(&world.made, world.made.type_none, 16);
		task.coro = made_suspended(&world, made_leaf(&world));
		task.name = made_str(&world.made, "in Python");
		task.loop = world.loop;
		task.waiter = made_leaf(&world);
		tasks[0] = made_python_task(&calls, class, &task);
		task.waiter = none;
		tasks[1] = made_python_task(&calls, class, &task);
		task.state = made_str(&world.made, "FINISHED");
		tasks[2] = made_python_task(&calls, class, &task);
		task.state = 0;
		task.coro = none;
		tasks[3] = made_python_task(&calls, class, &task);
		tasks[4] = made_object(
			&world.made, made_type(&world.made, "Task", CS_PYTYPE_HEAP, class, 16), 64);
		world_watch(&world, tasks, 5, 16);
		assert_int_equal(world_pass(&world), 0);
		assert_int_equal(world.result.ntasks, 2);
		assert_int_equal(world.result.ndropped, 1);
		assert_int_equal(task_record(&world, tasks[0])->state, CS_TASK_WAITING);
		assert_int_equal(task_record(&world, tasks[1])->state, CS_TASK_READY);
		assert_int_equal(task_record(&world, tasks[1])->waiter, 0);
		assert_int_equal(task_record(&world, tasks[0])->nframes, 1);
		assert_int_equal(task_record(&world, tasks[0])->loop, world.loop);
		assert_memory_equal(&task_record(&world, tasks[0])->frames[1], "in Python", 9);
		world_end(&world);
	}
}

static void hostile_sets_give_the_pass_up(void **state)
{
	static const uint64_t masks[] = {(1ull << 40) - 1, 12, ~0ull};
	const struct cs_py_offsets *off;
	struct world world;
	uint64_t set;

	world_begin(&world, 11);
	off = &world.made.interp.info.off;
	world_watch(&world, NULL, 0, 8);
	set = world.asyncio.modules[0].sets[0];
	assert_int_equal(world_pass(&world), 0);
	assert_int_equal(pass_record(&world)->ntasks, 0);
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		made_put(&world.made, set, off->set_mask, masks[i]);
		assert_int_equal(world_pass(&world), -EAGAIN);
		assert_int_equal(world.out.len, 0);
		assert_int_equal(world.result.coherence, 0);
	}
	made_put(&world.made, set, off->set_mask, 7);
	made_put(&world.made, set, off->set_table, 0x1000);
	assert_int_equal(world_pass(&world), -EAGAIN);
	world_end(&world);
}

/* Records must be whole and consistent, whatever is in the memory they were made from. */
static void check_records(const struct world *world)
{
	for (size_t at = 0; at < world->out.len;) {
		const struct cs_ev_task *ev = (const void *)(world->out.data + at);

		assert_true(ev->hdr.size % 8 == 0 && ev->hdr.size <= world->out.len - at);
		if (ev->hdr.kind == CS_EV_TASK)
			assert_true(sizeof(*ev) + ev->nframes * sizeof(ev->frames[0]) +
					    ev->name_len + ev->leaf_len <=
				    ev->hdr.size);
		at += ev->hdr.size;
	}
}

static void random_damage_does_no_harm(void **state)
{
	uint64_t tasks[32], begin, next = 1;
	struct world world;

	for (int round = 0; round < 60; round++) {
		world_begin(&world, 11 + round % 3);
		begin = (uint64_t)(uintptr_t)world.made.arena;
		for (size_t i = 0; i < ARRAY_SIZE(tasks); i++)
			tasks[i] = made_task(
				&world,
				made_suspended(&world, made_suspended(&world, made_leaf(&world))),
				i & 1 ? made_int(&world.made, (int)i)
				      : made_str(&world.made, "some name"),
				0);
		world_watch(&world, tasks, ARRAY_SIZE(tasks), 64);
		for (int step = 0; step < 300; step++) {
			uint64_t at = begin + (cs_digest_word(next, 1) % world.made.used & ~7ull);
			int err;

			/* A pointer to elsewhere in the arena, or garbage, or a flipped bit. */
			next = cs_digest_word(next, (uint64_t)step) | 1;
			if (next >> 62 == 0)
				made_put(&world.made, at, 0, begin + (next >> 8) % world.made.used);
			else if (next >> 62 == 1)
				made_put(&world.made, at, 0, next >> (next >> 8 & 63));
			else
				made_put8(&world.made, at, next >> 16 & 7, (uint8_t)(next >> 24));
			err = world_pass(&world);
			assert_true(err == 0 || err == -EAGAIN);
			check_records(&world);
		}
		world_end(&world);
	}
}

struct toggler {
	uint64_t *word;
	atomic_bool stop;
};

static void *toggle(void *arg)
{
	struct toggler *toggler = arg;

	while (!atomic_load(&toggler->stop))
		__atomic_add_fetch(toggler->word, 16, __ATOMIC_RELAXED);
	return NULL;
}

/* Two tasks, one of which has a word that changes all the time. Pass until that was met. */
static void pass_while_it_changes(struct world *world, uint32_t offset)
{
	struct timespec start, now;
	struct toggler toggler = {0};
	uint64_t tasks[2];
	pthread_t thread;

	world_begin(world, 13);
	for (int i = 0; i < 2; i++)
		tasks[i] = made_task(world, made_suspended(world, made_leaf(world)),
				     made_int(&world->made, i), 0);
	world_watch(world, tasks, 2, 8);
	toggler.word = (uint64_t *)(uintptr_t)(tasks[1] + offset);
	assert_int_equal(pthread_create(&thread, NULL, toggle, &toggler), 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		assert_int_equal(world_pass(world), 0);
		assert_int_equal(world->result.ntasks + world->result.ndropped, 2);
		assert_int_equal(pass_record(world)->ntasks, world->result.ntasks);
		assert_int_equal(pass_record(world)->tasks[0], tasks[0]);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (!world->result.ndropped && !world->result.nmoved &&
		 now.tv_sec - start.tv_sec < 20);
	atomic_store(&toggler.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(world->result.coherence, CS_COHERENT_PER_TASK);
}

/* Another loop: it is not the same task. */
static void what_changes_between_two_readings_is_dropped(void **state)
{
	struct world world;

	pass_while_it_changes(&world, cs_py_layout_find(3, 13, "gil")->off.future_loop);
	assert_int_equal(world.result.ndropped, 1);
	assert_int_equal(world.result.nmoved, 0);
	world_end(&world);
}

static void a_task_that_goes_on_is_alive(void **state)
{
	struct world world;

	pass_while_it_changes(&world, cs_py_layout_find(3, 13, "gil")->off.task_fut_waiter);
	assert_int_equal(world.result.ndropped, 0);
	assert_int_equal(world.result.nmoved, 1);
	assert_int_equal(task_record(&world, pass_record(&world)->tasks[1])->hdr.flags,
			 CS_TASKF_MOVED);
	world_end(&world);
}

/* A process with the same memory as ours, which sleeps but for one step at each byte it is sent. */
struct sleeper {
	pid_t pid;
	int wake, done; /* pipes */
	struct cs_mem *mem;
};

static void sleeper_begin(struct sleeper *sleeper, struct world *world)
{
	int wake[2], done[2];
	char byte;

	assert_int_equal(pipe(wake), 0);
	assert_int_equal(pipe(done), 0);
	sleeper->pid = fork();
	assert_true(sleeper->pid >= 0);
	if (!sleeper->pid) {
		close(wake[1]);
		while (read(wake[0], &byte, 1) == 1 && write(done[1], &byte, 1) == 1)
			;
		_exit(0);
	}
	close(wake[0]);
	close(done[1]);
	sleeper->wake = wake[1];
	sleeper->done = done[0];
	assert_int_equal(cs_mem_new(sleeper->pid, &sleeper->mem), 0);
	cs_tasks_free(world->tasks);
	world->made.interp.pid = sleeper->pid;
	assert_int_equal(cs_tasks_new(&world->made.interp, &world->asyncio, &world->tasks), 0);
}

static void sleeper_end(struct sleeper *sleeper)
{
	close(sleeper->wake);
	close(sleeper->done);
	waitpid(sleeper->pid, NULL, 0);
	cs_mem_free(sleeper->mem);
}

static void sleeper_step(struct sleeper *sleeper)
{
	char byte = 0;

	assert_int_equal(write(sleeper->wake, &byte, 1), 1);
	assert_int_equal(read(sleeper->done, &byte, 1), 1);
}

/* Change its memory without its doing. */
static void sleeper_put(const struct sleeper *sleeper, uint64_t addr, uint64_t word)
{
	struct iovec from = {&word, sizeof(word)};
	struct iovec to = {(void *)(uintptr_t)addr, sizeof(word)};

	assert_int_equal(process_vm_writev(sleeper->pid, &from, 1, &to, 1, 0), sizeof(word));
}

static void pass_over_sleeper(struct world *world, struct sleeper *sleeper)
{
	do {
		world->out.len = 0;
		assert_int_equal(cs_tasks_pass(world->tasks, sleeper->mem, 1000, 1000000000ull,
					       &world->out, &world->result),
				 0);
	} while (world->result.coherence != CS_COHERENT_QUIET);
}

static void what_has_not_run_is_not_read_again(void **state)
{
	const struct cs_ev_pass_again *again;
	struct sleeper sleeper;
	struct world world;
	uint64_t task, waiter;

	world_begin(&world, 13);
	task = made_task(&world, made_suspended(&world, made_leaf(&world)),
			 made_int(&world.made, 1), 0);
	waiter = task + world.made.interp.info.off.task_fut_waiter;
	world_watch(&world, &task, 1, 8);
	sleeper_begin(&sleeper, &world);
	pass_over_sleeper(&world, &sleeper);
	assert_non_null(task_record(&world, task));
	sleeper_put(&sleeper, waiter, task);
	/* nobody ran: the last reading is taken for this one, and says the same */
	pass_over_sleeper(&world, &sleeper);
	again = (const void *)world.out.data;
	assert_int_equal(world.out.len, sizeof(*again));
	assert_int_equal(again->hdr.kind, CS_EV_PASS_AGAIN);
	assert_int_equal(again->weight_ns, 1000);
	assert_int_equal(world.result.ntasks, 1);
	/* it did: it is read */
	sleeper_step(&sleeper);
	pass_over_sleeper(&world, &sleeper);
	assert_non_null(task_record(&world, task));
	assert_int_equal(task_record(&world, task)->waiter, task);
	/* the task may be a new one at the same address */
	pass_over_sleeper(&world, &sleeper);
	assert_null(task_record(&world, task));
	cs_tasks_renew(world.tasks, task);
	pass_over_sleeper(&world, &sleeper);
	assert_non_null(task_record(&world, task));
	sleeper_end(&sleeper);
	world_end(&world);
}

/* Is this task in the last pass? */
static bool is_listed(const struct world *world, uint64_t task)
{
	const struct cs_ev_pass *pass = pass_record(world);

	for (uint32_t i = 0; i < pass->ntasks; i++) {
		if (pass->tasks[i] == task)
			return true;
	}
	return false;
}

/* Of more tasks than it may read a pass reads a share; those of a cycle are all. One that is gone is told when it would have been read. */
static void of_many_a_share_is_read(void **state)
{
	enum { TASKS = 60, MOST = 20 };
	uint64_t tasks[TASKS];
	unsigned int listed[TASKS] = {0}, ndone = 0;
	struct world world;

	world_begin(&world, 13);
	for (int i = 0; i < TASKS; i++)
		tasks[i] = made_task(&world, made_suspended(&world, made_leaf(&world)),
				     made_int(&world.made, i), 0);
	world_watch(&world, tasks, TASKS, 128);
	cs_tasks_limit(world.tasks, MOST);
	assert_int_equal(world_pass(&world), 0);
	assert_int_equal(world.result.ntasks, TASKS);
	assert_int_equal(world.result.nunread, 0);
	assert_int_equal(pass_record(&world)->every, 1);
	for (int pass = 0; pass < 3; pass++) {
		assert_int_equal(world_pass(&world), 0);
		assert_int_equal(pass_record(&world)->every, 3);
		assert_int_equal(world.result.ntasks + world.result.nunread, TASKS);
		/* all are known */
		assert_int_equal(pass_record(&world)->hdr.size, world.out.len);
		for (int i = 0; i < TASKS; i++)
			listed[i] += is_listed(&world, tasks[i]);
	}
	for (int i = 0; i < TASKS; i++)
		assert_int_equal(listed[i], 1);
	/* its coroutine ends */
	made_put(&world.made, tasks[7], world.made.interp.info.off.task_coro, 0);
	for (int pass = 0; pass < 3; pass++) {
		assert_int_equal(world_pass(&world), 0);
		if (!task_record(&world, tasks[7]))
			continue;
		assert_int_equal(task_record(&world, tasks[7])->state, CS_TASK_DONE);
		assert_false(is_listed(&world, tasks[7]));
		ndone++;
	}
	assert_int_equal(ndone, 1);
	world_end(&world);
}

/* One that has left the set is told after two cycles without it, and only once. */
static void what_left_is_told_later(void **state)
{
	enum { TASKS = 30, MOST = 10, CYCLE = 3 };
	uint64_t tasks[TASKS], table, key, slot;
	int left_at = -1, told_at = -1, ntold = 0;
	struct world world;

	world_begin(&world, 13);
	for (int i = 0; i < TASKS; i++)
		tasks[i] = made_task(&world, made_suspended(&world, made_leaf(&world)),
				     made_int(&world.made, i), 0);
	world_watch(&world, tasks, TASKS, 64);
	cs_tasks_limit(world.tasks, MOST);
	for (int pass = 0; pass < 6 * CYCLE; pass++) {
		assert_int_equal(world_pass(&world), 0);
		if (task_record(&world, tasks[3]) && pass) {
			assert_int_equal(task_record(&world, tasks[3])->state, CS_TASK_DONE);
			told_at = pass;
			ntold++;
		}
		if (left_at < 0 && is_listed(&world, tasks[3]) && pass) {
			cs_mem_forget(world.made.ctx.mem);
			assert_int_equal(
				cs_mem_read_u64(world.made.ctx.mem,
						world.asyncio.modules[0].sets[0] +
							world.made.interp.info.off.set_table,
						&table),
				0);
			for (slot = table;; slot += sizeof(struct cs_pyset_slot)) {
				cs_mem_read_u64(world.made.ctx.mem, slot, &key);
				if (key &&
				    !cs_mem_read_u64(
					    world.made.ctx.mem,
					    key + world.made.interp.info.off.weakref_object,
					    &key) &&
				    key == tasks[3])
					break;
			}
			made_put(&world.made, slot, 8, UINT64_MAX); /* its hash: removed */
			left_at = pass;
		}
	}
	assert_int_equal(ntold, 1);
	assert_in_range(told_at - left_at, CYCLE + 1, 3 * CYCLE);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_becomes_a_record),
		cmocka_unit_test(only_changes_are_written),
		cmocka_unit_test(of_many_a_share_is_read),
		cmocka_unit_test(what_left_is_told_later),
		cmocka_unit_test(links_are_part_of_the_record),
		cmocka_unit_test(spans_are_part_of_the_record),
		cmocka_unit_test(states_come_from_the_outermost_coroutine),
		cmocka_unit_test(generators_are_followed_in_an_await_only),
		cmocka_unit_test(cycles_and_broken_chains_are_marked),
		cmocka_unit_test(what_is_no_task_is_dropped),
		cmocka_unit_test(tasks_in_python_have_records),
		cmocka_unit_test(hostile_sets_give_the_pass_up),
		cmocka_unit_test(random_damage_does_no_harm),
		cmocka_unit_test(what_changes_between_two_readings_is_dropped),
		cmocka_unit_test(a_task_that_goes_on_is_alive),
		cmocka_unit_test(what_has_not_run_is_not_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
