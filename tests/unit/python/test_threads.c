/* SPDX-License-Identifier: Apache-2.0 */
/* Threads as the threading module knows them, and the list of their states. */
#include "python/threads.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "made_threads.h"
#include "test.h"

#define IDENT(n) (0x7f0000000000 + (n))

struct found {
	struct cs_py_thread threads[8];
	size_t n, stop_after;
};

static int note(void *arg, const struct cs_py_thread *thread)
{
	struct found *found = arg;

	assert_in_range(found->n, 0, ARRAY_SIZE(found->threads) - 1);
	found->threads[found->n++] = *thread;
	return found->n == found->stop_after ? 7 : 0;
}

static void check(const struct cs_py_thread *thread, uint64_t ident, uint64_t native,
		  const char *name)
{
	assert_int_equal(thread->ident, ident);
	assert_int_equal(thread->native, native);
	assert_string_equal(thread->name, name);
}

static void names_and_numbers(void **state)
{
	struct made_thread threads[] = {
		{.ident = IDENT(1), .native = 4000000, .name = "MainThread"},
		{.ident = IDENT(2),
		 .native = 17,
		 .name = "0123456789012345678901234567890123456789012345678901234567890123456789"},
		{.ident = IDENT(3), .native = 0, .name = "starting"},
		{.ident = IDENT(4), .native = 18, .name = NULL},
	};
	struct made made;

	for (int minor = 8; minor <= 13; minor++) {
		struct found found = {0};
		uint64_t native;

		made_begin(&made, minor);
		made_first(&made, made_interpreter(&made, threads, ARRAY_SIZE(threads), 0));
		assert_int_equal(cs_py_threads_each(&made.ctx, note, &found), 0);
		assert_int_equal(found.n, 4);
		check(&found.threads[0], IDENT(1), 4000000, "MainThread");
		check(&found.threads[1], IDENT(2), 17,
		      "012345678901234567890123456789012345678901234567890123456789012");
		check(&found.threads[2], IDENT(3), 0, "starting");
		check(&found.threads[3], IDENT(4), 18, "");

		assert_int_equal(cs_py_thread_native(&made.ctx, IDENT(4), &native), 0);
		assert_int_equal(native, 18);
		assert_int_equal(cs_py_thread_native(&made.ctx, IDENT(3), &native), -ENOENT);
		assert_int_equal(cs_py_thread_native(&made.ctx, IDENT(5), &native), -ENOENT);
		made_end(&made);
	}
}

/* ... the main one first, which is listed last; another never loaded the module. */
static void all_interpreters(void **state)
{
	struct made_thread newest = {.ident = IDENT(1), .native = 11, .name = "newest"};
	struct made_thread main = {.ident = IDENT(2), .native = 12, .name = "main"};
	struct found found = {0};
	uint64_t second, native;
	struct made made;

	made_begin(&made, 13);
	second = made_interpreter(&made, NULL, 0, made_interpreter(&made, &main, 1, 0));
	made_put(&made, second, made.interp.info.off.interp_modules, 0);
	made_first(&made, made_interpreter(&made, &newest, 1, second));
	assert_int_equal(cs_py_threads_each(&made.ctx, note, &found), 0);
	assert_int_equal(found.n, 2);
	check(&found.threads[0], IDENT(2), 12, "main");
	check(&found.threads[1], IDENT(1), 11, "newest");
	assert_int_equal(cs_py_thread_native(&made.ctx, IDENT(2), &native), 0);
	assert_int_equal(native, 12);

	found = (struct found){.stop_after = 1};
	assert_int_equal(cs_py_threads_each(&made.ctx, note, &found), 7);
	assert_int_equal(found.n, 1);
	made_end(&made);
}

static void not_loaded(void **state)
{
	struct made_thread thread = {.ident = IDENT(1), .native = 11, .name = "first"};
	struct found found = {0};
	uint64_t interpreter;
	struct made made;

	made_begin(&made, 12);
	assert_int_equal(cs_py_threads_each(&made.ctx, note, &found), -EFAULT);
	interpreter = made_interpreter(&made, &thread, 1, 0);
	made_first(&made, interpreter);
	made_put(&made, interpreter, made.interp.info.off.interp_modules,
		 made_dict_of(&made, NULL, NULL, 0));
	assert_int_equal(cs_py_threads_each(&made.ctx, note, &found), -ENOENT);
	made_first(&made, 0);
	assert_int_equal(cs_py_threads_each(&made.ctx, note, &found), -ENOENT);
	made_first(&made, 0x10);
	assert_int_equal(cs_py_threads_each(&made.ctx, note, &found), -ENOENT);
	assert_int_equal(found.n, 0);
	made_end(&made);
}

static int count(void *arg, const struct cs_py_thread *thread)
{
	++*(size_t *)arg;
	return 0;
}

static void hostile(void **state)
{
	struct made_thread thread = {.ident = IDENT(1), .native = 11, .name = "first"};
	const struct cs_py_offsets *off;
	uint64_t interpreter, slot, text;
	struct found found = {0};
	struct made made;
	size_t n = 0;

	made_begin(&made, 12);
	off = &made.interp.info.off;
	interpreter = made_interpreter(&made, &thread, 1, 0);
	made_first(&made, interpreter);
	text = made_str(&made, "no number");
	assert_int_equal(cs_pyobj_attr_slot(&made.ctx, thread.object, "_native_id", &slot), 0);
	made_put(&made, slot, 0, made_int(&made, -11));
	assert_int_equal(cs_py_threads_each(&made.ctx, note, &found), 0);
	check(&found.threads[0], IDENT(1), 0, "first");
	made_put(&made, thread.object, off->object_type, 0xdead0000);
	assert_int_equal(cs_py_threads_each(&made.ctx, note, &found), 0);
	check(&found.threads[1], IDENT(1), 0, "");

	/* a list of interpreters without an end */
	made_put(&made, interpreter, off->interp_next, interpreter);
	assert_int_equal(cs_py_threads_each(&made.ctx, count, &n), 0);
	assert_int_equal(n, CS_MAX_INTERPRETERS);

	/* a thread under no number, beside one that has one */
	const uint64_t keys[] = {text, made_int(&made, 5)};
	const uint64_t values[] = {thread.object, text};
	const uint64_t module_keys[] = {made_str(&made, "_active")};
	const uint64_t active = made_dict_of(&made, keys, values, 2);
	uint64_t modules, module;

	made_put(&made, interpreter, off->interp_next, 0);
	assert_int_equal(cs_mem_read_u64(made.ctx.mem, interpreter + off->interp_modules, &modules),
			 0);
	assert_int_equal(cs_pyobj_dict_get(&made.ctx, modules, "threading", &module), 0);
	made_put(&made, module, off->module_dict, made_dict_of(&made, module_keys, &active, 1));
	found.n = 0;
	assert_int_equal(cs_py_threads_each(&made.ctx, note, &found), 0);
	assert_int_equal(found.n, 1);
	check(&found.threads[0], 5, 0, "");
	made_put(&made, module, off->module_dict, made_dict_of(&made, module_keys, &text, 1));
	assert_int_equal(cs_py_threads_each(&made.ctx, note, &found), -ENOENT);
	made_end(&made);
}

struct states {
	uint64_t ids[8], tstates[8];
	size_t n, stop_after;
};

static int note_state(void *arg, uint64_t thread_id, uint64_t tstate)
{
	struct states *states = arg;

	if (states->n < ARRAY_SIZE(states->ids)) {
		states->ids[states->n] = thread_id;
		states->tstates[states->n] = tstate;
	}
	return ++states->n == states->stop_after ? 7 : 0;
}

static void states_of_threads(void **state)
{
	struct made made;

	for (int minor = 8; minor <= 13; minor++) {
		uint64_t first, second, tstates[3];
		struct states found = {0};

		made_begin(&made, minor);
		second = made_interpreter(&made, NULL, 0, 0);
		first = made_interpreter(&made, NULL, 0, second);
		made_first(&made, first);
		tstates[2] = made_tstate(&made, second, IDENT(3));
		tstates[1] = made_tstate(&made, first, IDENT(2));
		tstates[0] = made_tstate(&made, first, IDENT(1));
		assert_int_equal(cs_py_tstates_each(&made.ctx, note_state, &found), 0);
		assert_int_equal(found.n, 3);
		for (size_t i = 0; i < 3; i++) {
			assert_int_equal(found.ids[i], IDENT(i + 1));
			assert_int_equal(found.tstates[i], tstates[i]);
		}
		found = (struct states){.stop_after = 2};
		assert_int_equal(cs_py_tstates_each(&made.ctx, note_state, &found), 7);
		assert_int_equal(found.n, 2);

		/* a list without an end, then one that leads nowhere */
		found = (struct states){0};
		made_put(&made, tstates[1], made.interp.info.off.tstate_next, tstates[0]);
		assert_int_equal(cs_py_tstates_each(&made.ctx, note_state, &found), 0);
		assert_in_range(found.n, CS_MAX_THREADS - 2, CS_MAX_THREADS);
		made_put(&made, tstates[1], made.interp.info.off.tstate_next, 0x10);
		assert_int_equal(cs_py_tstates_each(&made.ctx, note_state, &found), -EFAULT);
		made_end(&made);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_numbers), cmocka_unit_test(all_interpreters),
		cmocka_unit_test(not_loaded),        cmocka_unit_test(hostile),
		cmocka_unit_test(states_of_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
