/* SPDX-License-Identifier: Apache-2.0 */
/* Which thread runs an event loop: asyncio's own says it, of others (uvloop's) the threads do; of every layout. */
#include "python/loops.h"

#include <coroscope/limits.h>
#include <unistd.h>

#include "made_threads.h"
#include "test.h"

#define IDENT(n)    (0x7f0000000000 + (n))
#define RUNNING_KEY "__asyncio_running_event_loop__"

/* Two threads, 4001 and 4002. */
struct world {
	struct made made;
	struct made_thread threads[2];
	uint64_t interpreter, tstates[2];
	struct cs_loops loops;
};

static void begin(struct world *world, int minor)
{
	*world = (struct world){.threads = {{.ident = IDENT(1), .native = 4001, .name = "one"},
					    {.ident = IDENT(2), .native = 4002, .name = "two"}}};
	made_begin(&world->made, minor);
	world->interpreter = made_interpreter(&world->made, world->threads, 2, 0);
	made_first(&world->made, world->interpreter);
	for (size_t i = 0; i < 2; i++) {
		uint32_t native = world->made.interp.info.off.tstate_native_thread_id;

		world->tstates[i] =
			made_tstate(&world->made, world->interpreter, world->threads[i].ident);
		if (native)
			made_put(&world->made, world->tstates[i], native, world->threads[i].native);
	}
	cs_loops_init(&world->loops, getpid());
	world->loops.namespaced = false; /* no such threads are in our /proc */
}

/* Say that a thread runs this loop, as its version does; 0: it runs none any more. */
static void run(struct world *world, size_t thread, uint64_t loop)
{
	const struct cs_py_offsets *off = &world->made.interp.info.off;
	const char *const names[] = {"decimal_context", RUNNING_KEY};
	uint64_t values[] = {world->made.type_none, loop};

	if (off->tstate_running_loop) {
		made_put(&world->made, world->tstates[thread], off->tstate_running_loop, loop);
		return;
	}
	if (off->loop_holder_loop) {
		values[1] = made_object(&world->made, world->made.type_none, 32);
		made_put(&world->made, values[1], off->loop_holder_loop, loop);
	}
	made_put(&world->made, world->tstates[thread], off->tstate_dict,
		 made_namespace(&world->made, names, values, loop ? 2 : 1));
}

/* One pass that meets one loop. */
static void look(struct world *world, uint64_t loop)
{
	cs_mem_forget(world->made.ctx.mem);
	cs_loops_begin(&world->loops);
	cs_loops_add(&world->loops, &world->made.ctx, loop);
}

static void expect(struct world *world, uint64_t loop, uint32_t tid)
{
	uint32_t tids[CS_LOOPS_MAX];

	look(world, loop);
	assert_true(world->loops.complete);
	assert_int_equal(cs_loops_tid(&world->loops, loop), tid);
	assert_int_equal(cs_loops_tids(&world->loops, tids), tid ? 1 : 0);
	if (tid)
		assert_int_equal(tids[0], tid);
}

static uint64_t made_loop(struct world *world, const char *attribute, uint64_t value)
{
	const char *const names[] = {"_closed", attribute};
	const uint64_t values[] = {world->made.type_none, value};
	uint64_t class = made_class(&world->made, "Loop", 0, 0);

	return made_instance_of(&world->made, class, names, values, 2);
}

static void asyncios_own(void **state)
{
	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		struct world world;
		uint64_t loop, slot;

		begin(&world, minor);
		loop = made_loop(&world, "_thread_id", made_int(&world.made, IDENT(2)));
		run(&world, 0, loop); /* it is believed itself */
		expect(&world, loop, 4002);
		assert_int_equal(cs_pyobj_attr_slot(&world.made.ctx, loop, "_thread_id", &slot), 0);
		made_put(&world.made, slot, 0, made_int(&world.made, IDENT(1)));
		expect(&world, loop, 4001);
		made_put(&world.made, slot, 0, made_object(&world.made, world.made.type_none, 16));
		expect(&world, loop, 0);
		/* a thread that has no state */
		made_put(&world.made, slot, 0, made_int(&world.made, IDENT(3)));
		look(&world, loop);
		assert_false(world.loops.complete);
		assert_int_equal(cs_loops_tid(&world.loops, loop), 0);
		made_end(&world.made);
	}
}

static void expect_foreign(struct world *world, uint64_t loop)
{
	expect(world, loop, 0);
	/* two threads' dicts are more than two threads */
	assert_true(world->loops.left < CS_MAX_THREADS - 2);
	run(world, 1, loop);
	expect(world, loop, 4002);
	run(world, 0, 0);
	run(world, 1, made_loop(world, "_closed", 0));
	expect(world, loop, 0);
	run(world, 0, loop);
	expect(world, loop, 4001);
	run(world, 0, 0);
	expect(world, loop, 0);
}

/* Loops that keep no attributes, and those that keep others. */
static void foreign(void **state)
{
	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		struct world world;

		begin(&world, minor);
		expect_foreign(&world,
			       made_object(&world.made,
					   made_type(&world.made, "uvloop.Loop", 0, 0, 64), 64));
		made_end(&world.made);
		begin(&world, minor);
		expect_foreign(&world, made_loop(&world, "_name", world.made.type_none));
		made_end(&world.made);
	}
}

/* What was found is not searched for again while it holds; when the thread's id is another's, it is. */
static void foreign_again(void **state)
{
	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		uint32_t native, ident;
		struct world world;
		uint64_t loop;

		begin(&world, minor);
		native = world.made.interp.info.off.tstate_native_thread_id;
		ident = world.made.interp.info.off.tstate_thread_id;
		loop = made_object(&world.made, made_type(&world.made, "uvloop.Loop", 0, 0, 64),
				   64);
		run(&world, 0, loop);
		expect(&world, loop, 4001);
		assert_true(world.loops.left < CS_MAX_THREADS);
		expect(&world, loop, 4001);
		assert_int_equal(world.loops.left, CS_MAX_THREADS);
		/* the state is a new thread's, which runs a loop at the same address */
		made_put(&world.made, world.tstates[0], ident, IDENT(2));
		made_put(&world.made, world.tstates[1], ident, IDENT(1));
		if (native)
			made_put(&world.made, world.tstates[0], native, 4002);
		expect(&world, loop, 4002);
		made_end(&world.made);
	}
}

/* More threads than one pass may look at: that nobody was found says nothing. */
static void too_many_threads(void **state)
{
	for (int minor = MADE_FIRST_MINOR; minor <= MADE_LAST_MINOR; minor++) {
		struct world world;
		uint64_t loop;

		begin(&world, minor);
		loop = made_object(&world.made, made_type(&world.made, "uvloop.Loop", 0, 0, 64),
				   64);
		/* the list of states goes in a circle */
		made_put(&world.made, world.tstates[0], world.made.interp.info.off.tstate_next,
			 world.tstates[1]);
		look(&world, loop);
		assert_false(world.loops.complete);
		assert_int_equal(cs_loops_tid(&world.loops, loop), 0);
		made_end(&world.made);
	}
}

/* A thread's dict that cannot be read is that of a thread that runs nothing. */
static void unreadable_dict(void **state)
{
	static const int minors[] = {8, 11, 12};

	for (size_t i = 0; i < sizeof(minors) / sizeof(*minors); i++) {
		struct world world;
		uint64_t loop;

		begin(&world, minors[i]);
		loop = made_object(&world.made, made_type(&world.made, "uvloop.Loop", 0, 0, 64),
				   64);
		made_put(&world.made, world.tstates[1], world.made.interp.info.off.tstate_dict,
			 0x10);
		run(&world, 0, loop);
		expect(&world, loop, 4001);
		made_end(&world.made);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asyncios_own),    cmocka_unit_test(foreign),
		cmocka_unit_test(foreign_again),   cmocka_unit_test(too_many_threads),
		cmocka_unit_test(unreadable_dict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
