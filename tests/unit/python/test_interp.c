/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detection of interpreters that no one has built. This test's own executable has the symbols of one, of the version
 * MADE_VERSION; its memory is laid out as a made-up row says, and a child that only waits is looked at.
 *
 * Built as a version of the future it shows that one row is all that a new version takes; built as one that publishes its offsets
 * it shows that a damaged table is refused, with the reason.
 */
#include "python/interp.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "made_objects.h"
#include "python/coro.h"
#include "python/layout.h"
#include "test.h"

#define MINOR      (MADE_VERSION >> 16 & 0xff)
#define SHIFT      16
#define NEXT_MINOR 99

/* What an interpreter exports, and what detection asks a file for. */
extern const uint64_t Py_Version;
extern uint64_t _PyRuntime[512];
extern char PyCoro_Type[1024], PyGen_Type[1024], PyAsyncGen_Type[1024];
const uint64_t Py_Version = MADE_VERSION;
uint64_t _PyRuntime[512];
char PyCoro_Type[1024], PyGen_Type[1024], PyAsyncGen_Type[1024];

/*
 * A version that moved things about: every field of thread states, frames and generators lies further back, states of
 * generators have other numbers, and there are two more words above what is awaited.
 */
static struct cs_py_layout future_row(void)
{
	struct cs_py_layout row = *cs_py_layout_find(3, 12, "gil");
	uint32_t *const moved[] = {
		&row.off.runtime_interpreters_head,
		&row.off.interp_threads_head,
		&row.off.interp_modules,
		&row.off.tstate_next,
		&row.off.tstate_thread_id,
		&row.off.tstate_frame,
		&row.off.frame_executable,
		&row.off.frame_globals,
		&row.off.frame_previous,
		&row.off.frame_instr_ptr,
		&row.off.frame_owner,
		&row.off.frame_stacktop,
		&row.off.frame_localsplus,
		&row.off.gen_iframe,
		&row.off.gen_frame_state,
	};

	for (size_t i = 0; i < ARRAY_SIZE(moved); i++)
		*moved[i] += SHIFT;
	row.minor = NEXT_MINOR;
	row.traits.gen_created = 5;
	row.traits.gen_yield_from = 6;
	row.traits.gen_executing = 7;
	row.traits.gen_ended = 8;
	row.traits.awaited_slot = 3;
	return row;
}

struct world {
	struct cs_py_layout row;
	struct made made;
	uint64_t interpreter, tstate, modules;
};

static uint64_t address(const void *at)
{
	return (uint64_t)(uintptr_t)at;
}

static void put_type(struct world *world, char *type, const char *name)
{
	memset(type, 0, sizeof(PyCoro_Type));
	made_put(&world->made, address(type), world->row.off.type_name, address(name));
}

static void world_begin(struct world *world)
{
	world->row = MINOR == NEXT_MINOR ? future_row() : *cs_py_layout_find(3, MINOR, "gil");
	if (MINOR == NEXT_MINOR)
		cs_py_layout_add_for_test(&world->row);
	made_begin(&world->made, MINOR);
	memset(_PyRuntime, 0, sizeof(_PyRuntime));
	put_type(world, PyCoro_Type, "coroutine");
	put_type(world, PyGen_Type, "generator");
	put_type(world, PyAsyncGen_Type, "async_generator");
	world->interpreter = made_bytes(&world->made, 16384);
	world->tstate = made_bytes(&world->made, 512);
	world->modules = made_object(&world->made, world->made.type_dict, 64);
	made_put(&world->made, address(_PyRuntime), world->row.off.runtime_interpreters_head,
		 world->interpreter);
	made_put(&world->made, world->interpreter, world->row.off.interp_threads_head,
		 world->tstate);
	made_put(&world->made, world->interpreter, world->row.off.interp_modules, world->modules);
	made_put(&world->made, world->tstate, world->row.off.tstate_interp, world->interpreter);
	made_put(&world->made, world->tstate, world->row.off.tstate_thread_id, pthread_self());
}

static void world_end(struct world *world)
{
	made_end(&world->made);
	cs_py_layout_add_for_test(NULL);
}

/* What is found in a process with the memory of this one. */
static struct cs_interp detect(void)
{
	struct cs_interp interp;
	pid_t pid = fork();

	if (pid == 0) {
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	assert_int_equal(cs_interp_detect(pid, &interp), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return interp;
}

/* mm->start_code of this process, as the kernel side has it. */
static uint64_t start_code(void)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/stat", "r");
	unsigned long start;

	assert_non_null(file);
	assert_int_equal(fscanf(file,
				"%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d "
				"%*d %*d %*d %*d %*d %*u %*u %*d %*u %lu",
				&start),
			 1);
	return start;
}

static void assert_refused(const char *reason)
{
	struct cs_interp interp = detect();

	assert_int_equal(interp.state, CS_INTERP_UNSUPPORTED);
	assert_string_equal(interp.reason, reason);
	assert_int_equal(interp.info.flags, CS_PROC_UNSUPPORTED);
}

static void a_version_without_a_row_is_refused_by_name(void **state)
{
	struct world world;

	world_begin(&world);
	cs_py_layout_add_for_test(NULL);
	assert_refused("Python 3.99 is not supported");
	world_end(&world);
}

static void one_row_is_all_that_a_new_version_takes(void **state)
{
	struct cs_interp interp;
	struct world world;

	world_begin(&world);
	interp = detect();
	assert_string_equal(interp.reason, "");
	assert_int_equal(interp.state, CS_INTERP_READY);
	assert_int_equal(interp.minor, NEXT_MINOR);
	assert_int_equal(interp.micro, 1);
	assert_string_equal(interp.offsets_source, "generated table (3.99, gil)");
	assert_memory_equal(&interp.info.off, &world.row.off, sizeof(world.row.off));
	assert_memory_equal(&interp.info.traits, &world.row.traits, sizeof(world.row.traits));
	assert_int_equal(interp.info.interpreters_head,
			 address(_PyRuntime) + world.row.off.runtime_interpreters_head);
	world_end(&world);
}

static void the_next_process_is_known_by_its_file(void **state)
{
	struct cs_interp interp;
	struct cs_file_info info;
	struct cs_file_id id;
	struct world world;

	world_begin(&world);
	interp = detect();
	interp.pid = getpid();
	assert_int_equal(cs_interp_file(&interp, &id, &info), 0);
	assert_false(info.asks);
	assert_int_equal(info.row.interpreters_head + start_code() - info.text_vaddr,
			 interp.info.interpreters_head);
	world_end(&world);
}

/* A generator's state, and what it awaits: three words below the end of its stack. */
static void its_coroutines_are_read_through_the_row(void **state)
{
	struct world world;
	const struct cs_py_offsets *off = &world.row.off;
	uint64_t coro, frame, code;
	struct cs_coro read;

	world_begin(&world);
	world.made.interp.type_coro = address(PyCoro_Type);
	coro = made_object(&world.made, address(PyCoro_Type), 512);
	code = made_object(&world.made, world.made.type_code, 512);
	frame = coro + off->gen_iframe;
	made_put(&world.made, frame, off->frame_executable, code);
	made_put(&world.made, frame, off->frame_instr_ptr, code + off->code_instructions);
	made_put32(&world.made, frame, off->frame_stacktop, 4);
	made_put(&world.made, frame, off->frame_localsplus + 8, 0x1234);
	made_put8(&world.made, coro, off->gen_frame_state, 6);
	assert_int_equal(cs_coro_read(&world.made.ctx, coro, &read), 0);
	assert_int_equal(read.state, CS_CORO_SUSPENDED);
	assert_int_equal(read.awaits, 0x1234);
	assert_int_equal(read.frame.code, code);
	made_put8(&world.made, coro, off->gen_frame_state, 5);
	assert_int_equal(cs_coro_read(&world.made.ctx, coro, &read), 0);
	assert_int_equal(read.state, CS_CORO_CREATED);
	made_put8(&world.made, coro, off->gen_frame_state, 8);
	assert_int_equal(cs_coro_read(&world.made.ctx, coro, &read), 0);
	assert_int_equal(read.state, CS_CORO_ENDED);
	world_end(&world);
}

/* Is a coroutine that was read the same when this word is another? */
static bool is_same_with(struct world *world, uint64_t coro, const struct cs_coro_place *place,
			 uint64_t at, uint64_t other)
{
	_cleanup_(cs_mem_freep) struct cs_mem *again = NULL;
	uint64_t *word = (uint64_t *)(uintptr_t)at, was = *word;
	bool same;

	assert_int_equal(cs_mem_new(getpid(), &again), 0);
	*word = other;
	cs_coro_want(&world->made.ctx, again, coro, place);
	cs_mem_fetch(again);
	same = cs_coro_same(&world->made.ctx, again, coro, place);
	*word = was;
	return same;
}

/* A coroutine has not run if, and only if, all is the same that tells where it stands and what it awaits. */
static void one_that_has_run_is_told(void **state)
{
	struct world world;
	const struct cs_py_offsets *off = &world.row.off;
	uint64_t coro, frame, code, slot;
	struct cs_coro read;

	world_begin(&world);
	world.made.interp.type_coro = address(PyCoro_Type);
	coro = made_object(&world.made, address(PyCoro_Type), 1024);
	code = made_object(&world.made, world.made.type_code, 512);
	frame = coro + off->gen_iframe;
	slot = frame + off->frame_localsplus + 8 * 40; /* far behind the chunk that is read */
	made_put(&world.made, frame, off->frame_executable, code);
	made_put(&world.made, frame, off->frame_instr_ptr, code + off->code_instructions);
	made_put32(&world.made, frame, off->frame_stacktop,
		   40 + world.made.interp.info.traits.awaited_slot);
	made_put(&world.made, slot, 0, 0x1234);
	made_put8(&world.made, coro, off->gen_frame_state, 6);
	assert_int_equal(cs_coro_read(&world.made.ctx, coro, &read), 0);
	assert_int_equal(read.awaits, 0x1234);
	assert_int_equal(read.place.slot, slot);
	assert_true(is_same_with(&world, coro, &read.place, slot, 0x1234));
	assert_true(is_same_with(&world, coro, &read.place, coro, 99)); /* references */
	assert_false(is_same_with(&world, coro, &read.place, slot, 0x1235));
	assert_false(is_same_with(&world, coro, &read.place, coro + off->object_type, 0x5678));
	assert_false(is_same_with(&world, coro, &read.place, frame + off->frame_instr_ptr,
				  code + off->code_instructions + 2));
	assert_false(
		is_same_with(&world, coro, &read.place, frame + off->frame_executable, code + 8));
	world_end(&world);
}

static void one_that_has_not_started_is_waited_for(void **state)
{
	struct world world;

	world_begin(&world);
	made_put(&world.made, world.interpreter, world.row.off.interp_modules, 0);
	assert_int_equal(detect().state, CS_INTERP_STARTING);
	made_put(&world.made, address(_PyRuntime), world.row.off.runtime_interpreters_head, 0);
	assert_int_equal(detect().state, CS_INTERP_STARTING);
	world_end(&world);
}

/* Damage that nothing publishes: reading the process through the row shows it. */
static void what_does_not_fit_the_row_is_refused(void **state)
{
	static const char reason[] = "the known layout of Python 3.99 does not fit this process";
	struct world world;

	world_begin(&world);
	put_type(&world, PyGen_Type, "function");
	assert_refused(reason);
	put_type(&world, PyGen_Type, "generator");
	made_put(&world.made, world.tstate, world.row.off.tstate_interp, world.tstate);
	assert_refused(reason);
	made_put(&world.made, world.tstate, world.row.off.tstate_interp, world.interpreter);
	/* thread states in a circle, none of them of a live thread */
	made_put(&world.made, world.tstate, world.row.off.tstate_thread_id,
		 address(_PyRuntime) + 2048);
	made_put(&world.made, world.tstate, world.row.off.tstate_next, world.tstate);
	assert_refused(reason);
	made_put(&world.made, world.interpreter, world.row.off.interp_threads_head, 8);
	assert_refused("the memory of Python 3.99 could not be read");
	world_end(&world);
}

static void damaged_tables_are_refused(void **state)
{
	struct world world;

	world_begin(&world);
	assert_refused("Python 3.13 without its table of offsets");
	memcpy(_PyRuntime, "xdebugpy", 8);
	_PyRuntime[1] = 0x030c01f0;
	assert_refused("Python 3.13 whose table of offsets is of another version (0x30c01f0)");
	_PyRuntime[1] = MADE_VERSION;
	assert_refused("Python 3.13 whose table of offsets cannot be true");
	memset(_PyRuntime + 3, 0xff, sizeof(_PyRuntime) - 24);
	assert_refused("Python 3.13 whose table of offsets cannot be true");
	world_end(&world);
}

int main(void)
{
	static const struct CMUnitTest future[] = {
		cmocka_unit_test(a_version_without_a_row_is_refused_by_name),
		cmocka_unit_test(one_row_is_all_that_a_new_version_takes),
		cmocka_unit_test(the_next_process_is_known_by_its_file),
		cmocka_unit_test(its_coroutines_are_read_through_the_row),
		cmocka_unit_test(one_that_has_run_is_told),
		cmocka_unit_test(one_that_has_not_started_is_waited_for),
		cmocka_unit_test(what_does_not_fit_the_row_is_refused),
	};
	static const struct CMUnitTest publishing[] = {
		cmocka_unit_test(damaged_tables_are_refused),
	};

	return MINOR == NEXT_MINOR ? cmocka_run_group_tests(future, NULL, NULL)
				   : cmocka_run_group_tests(publishing, NULL, NULL);
}
