/* SPDX-License-Identifier: Apache-2.0 */
/* The running task: found among asyncio's current tasks by its coroutine's frame on the stack, and its name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "walk_host.h"

/* A loop's two frames, the coroutine of the running task, and one plain function called by it. */
struct fixture {
	struct made_python *py;
	struct cs_walk *w;
	uint64_t tstate, coro, task;
};

static struct fixture setup(int minor)
{
	struct fixture f = {.py = made_python(minor), .w = calloc(1, sizeof(*f.w))};

	assert_non_null(f.w);
	f.tstate = made_tstate(f.py, f.py->interp, MADE_THREAD_POINTER);
	f.coro = made_coro(f.py, made_frames(f.py, 2, 0x5000), 0x5002);
	f.task = made_task(f.py, f.coro, made_str(f.py, "fetch", 5, 1, true));
	made_set_frame(f.py, f.tstate,
		       made_frame(f.py, made_coro_frame(f.py, f.coro), 0x5003, 0, 0));
	return f;
}

static void teardown(struct fixture *f)
{
	made_free(f->py);
	free(f->w);
}

#define _cleanup_fixture_ _cleanup_(teardown)

/* Walk, expect all four frames whatever the task, and the task or none. */
static void walk_and_expect(struct fixture *f, uint64_t task)
{
	walk_thread(f->w, f->py, 0);
	assert_int_equal(f->w->ev.status, CS_STATUS_COMPLETE);
	assert_int_equal(f->w->ev.nframes, 4);
	assert_int_equal(f->w->ev.running.task, task);
	assert_int_equal(f->w->ev.running.coro, task ? f->coro : 0);
	assert_int_equal(f->w->ev.running.root_frame, task ? 1 : 0);
	if (!task)
		assert_int_equal(f->w->ev.running.name_kind, CS_NAME_NONE);
}

static void expect_name(struct fixture *f, uint64_t name, enum cs_name_kind kind, const void *bytes,
			size_t n, bool cut)
{
	const struct cs_running_task *running = &f->w->ev.running;

	made_put_u64(f->py, f->task + f->py->info.off.task_name, name);
	walk_and_expect(f, f->task);
	assert_int_equal(running->name_kind, kind);
	assert_int_equal(running->name_bytes, n);
	assert_int_equal(running->name_cut, cut);
	if (n)
		assert_memory_equal(running->name, bytes, n);
}

static void test_match(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);

		made_run_task(f.py, f.tstate, f.task);
		walk_and_expect(&f, f.task);
		assert_int_equal(f.w->ev.running.name_kind, CS_NAME_LATIN1);
		assert_memory_equal(f.w->ev.running.name, "fetch", 5);
	}
}

static void test_no_match(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		uint64_t other = made_task(f.py, made_coro(f.py, 0, 0x7000), 0);

		walk_and_expect(&f, 0); /* asyncio is not loaded */
		made_run_task(f.py, f.tstate, 0);
		walk_and_expect(&f, 0);
		made_run_task(f.py, f.tstate, other); /* another thread's */
		walk_and_expect(&f, 0);
		made_run_task(f.py, f.tstate, MADE_NOWHERE);
		walk_and_expect(&f, 0);
	}
}

/* What tells its steps apart: the context's version, and the first local of what called the task. */
static void test_step(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		const struct cs_py_offsets *off = &f.py->info.off;
		uint64_t below = made_alloc(f.py, off->frame_localsplus + 8);
		uint64_t coro, frame;

		made_frame_at(f.py, below, made_frames(f.py, 1, 0x5000), 0x5001, 0, 0);
		made_put_u64(f.py, below + off->frame_localsplus, 0x7f0123456780);
		coro = made_coro(f.py, below, 0x5002);
		frame = made_frame(f.py, made_coro_frame(f.py, coro), 0x5003, 0, 0);
		made_set_frame(f.py, f.tstate, frame);
		made_put_u64(f.py, f.tstate + off->tstate_context_ver, 0x500000007);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.step.context_ver, 7);
		assert_int_equal(f.w->ev.step.caller, 0); /* no task */
		made_run_task(f.py, f.tstate, made_task(f.py, coro, 0));
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.running.coro, coro);
		assert_int_equal(f.w->ev.step.context_ver, 7);
		assert_int_equal(f.w->ev.step.caller, 0x12345678);
		f.py->info.off.tstate_context_ver = 0;
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.step.context_ver, 0);
	}
}

/* The task's root frame is where it was, or, if it was left out, just before the gap. */
static void test_deep_tasks(void **state)
{
	static const struct {
		unsigned int above, below, root;
	} cases[] = {
		{100, 1000, 100}, {191, 1000, 191}, {192, 1000, 191}, {600, 1000, 191},
		{1000, 63, 192},  {1000, 20, 235},  {1000, 0, 255},   {190, 10, 190},
	};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		_cleanup_fixture_ struct fixture f =
			setup(i % 2 ? MADE_OBJECT_FRAMES : MADE_TAGGED);
		unsigned int above = cases[i / 2].above, below = cases[i / 2].below;
		uint64_t coro = made_coro(f.py, made_frames(f.py, below, 0x5000), 0x7000);
		uint64_t task = made_task(f.py, coro, 0), frame = made_coro_frame(f.py, coro);

		for (unsigned int k = 0; k < above; k++)
			frame = made_frame(f.py, frame, 0x6000, 0, 0);
		made_set_frame(f.py, f.tstate, frame);
		made_run_task(f.py, f.tstate, task);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.status, !below                ? CS_STATUS_TORN
						 : above + below > 255 ? CS_STATUS_CUT
								       : CS_STATUS_COMPLETE);
		assert_int_equal(f.w->ev.running.task, task);
		assert_int_equal(f.w->ev.running.root_frame, cases[i / 2].root);
		if (cases[i / 2].root != CS_LEAF_FRAMES - 1 || above == CS_LEAF_FRAMES - 1)
			assert_int_equal(f.w->frames[cases[i / 2].root].code, 0x7000);
	}
}

/* A frame's address matches only if the frame is a generator's. */
static void test_frame_of_another_owner(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(13);

	made_current_tasks(f.py, &f.task, 1);
	made_put(f.py, f.coro + f.py->info.off.gen_iframe + f.py->info.off.frame_owner, "\0", 1);
	walk_and_expect(&f, 0);
}

/* One event loop per thread: the others' tasks, entries that are deleted or lead nowhere are passed over. */
static void test_several_candidates(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(13);
	uint64_t values[CS_MAX_CURRENT_TASKS + 1];

	values[0] = 0;
	values[1] = MADE_NOWHERE;
	values[2] = made_task(f.py, 0, 0);
	for (unsigned int i = 3; i < ARRAY_SIZE(values); i++)
		values[i] = made_task(f.py, made_coro(f.py, 0, 0x7000 + i), 0);
	values[5] = f.task;
	made_current_tasks(f.py, values, ARRAY_SIZE(values));
	walk_and_expect(&f, f.task);
}

static void test_more_candidates_than_room(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(13);
	uint64_t values[CS_MAX_CURRENT_TASKS + 1];

	for (unsigned int i = 0; i < CS_MAX_CURRENT_TASKS; i++)
		values[i] = made_task(f.py, made_coro(f.py, 0, 0x7000 + i), 0);
	values[CS_MAX_CURRENT_TASKS] = f.task;
	made_current_tasks(f.py, values, ARRAY_SIZE(values));
	walk_and_expect(&f, 0);
	assert_int_equal(f.w->ncandidates, CS_MAX_CURRENT_TASKS);

	values[CS_MAX_CURRENT_TASKS - 1] = f.task;
	made_current_tasks(f.py, values, ARRAY_SIZE(values));
	walk_and_expect(&f, f.task);
}

static void test_dict_beyond_the_limit(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(11);
	uint64_t values[CS_MAX_CURRENT_TASKS + 8] = {0};

	values[CS_MAX_CURRENT_TASKS - 1] = f.task;
	made_current_tasks(f.py, values, ARRAY_SIZE(values));
	walk_and_expect(&f, f.task);
	values[CS_MAX_CURRENT_TASKS - 1] = 0;
	values[CS_MAX_CURRENT_TASKS] = f.task;
	made_current_tasks(f.py, values, ARRAY_SIZE(values));
	walk_and_expect(&f, 0);
}

/* The entries lie behind 2^log2_index_bytes of indices: those of a dict that could be asyncio's, not more. */
static void test_dict_of_any_size(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(13);
	const struct cs_py_offsets *off = &f.py->info.off;
	uint64_t keys = made_current_tasks(f.py, &f.task, 1), last = 0;

	while (last < keys + (1u << 17)) {
		last = made_alloc(f.py, off->keys_indices + 24);
		made_put_u64(f.py, last + off->keys_indices + 16, f.task);
	}
	for (unsigned int log2 = 15; log2 <= UINT8_MAX; log2++) {
		made_put(f.py, keys + off->keys_log2_index_bytes,
			 &(unsigned char){(unsigned char)log2}, 1);
		walk_and_expect(&f, log2 <= 16 ? f.task : 0);
	}
}

static void test_odd_dicts(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(13);
	const struct cs_py_offsets *off = &f.py->info.off;
	uint64_t keys = made_current_tasks(f.py, &f.task, 1);

	made_put(f.py, keys + off->keys_kind, "\1", 1); /* keys are all strings: not event loops */
	walk_and_expect(&f, 0);
	made_put(f.py, keys + off->keys_kind, "\0", 1);
	walk_and_expect(&f, f.task);
	made_put_u64(f.py, keys + off->keys_nentries, UINT64_MAX);
	walk_and_expect(&f, f.task);
	made_put_u64(f.py, f.py->info.current_tasks + off->dict_keys, 0);
	walk_and_expect(&f, 0);
}

static void test_name_kinds(void **state)
{
	static const uint16_t ucs2[] = {0x442, 0x435, 0x441, 0x442};
	static const uint32_t ucs4[] = {0x1f40d, 'x'};

	for (int minor = 11; minor <= 13; minor++) {
		_cleanup_fixture_ struct fixture f = setup(minor);
		struct made_python *py = f.py;

		made_current_tasks(py, &f.task, 1);
		expect_name(&f, made_str(py, "", 0, 1, true), CS_NAME_LATIN1, "", 0, false);
		expect_name(&f, made_str(py, "caf\xe9", 4, 1, false), CS_NAME_LATIN1, "caf\xe9", 4,
			    false);
		expect_name(&f, made_str(py, ucs2, 4, 2, false), CS_NAME_UCS2, ucs2, 8, false);
		expect_name(&f, made_str(py, ucs4, 2, 4, false), CS_NAME_UCS4, ucs4, 8, false);
	}
}

/* The N of "Task-N" that was never asked for is an int (3.12 and later keep one). */
static void test_name_numbers(void **state)
{
	static const uint64_t values[] = {0, 1, (1u << 30) - 1, 1u << 30, (1ull << 60) - 1};

	for (int minor = 11; minor <= 13; minor++) {
		_cleanup_fixture_ struct fixture f = setup(minor);

		made_current_tasks(f.py, &f.task, 1);
		for (size_t i = 0; i < ARRAY_SIZE(values); i++)
			expect_name(&f, made_int(f.py, values[i]), CS_NAME_NUMBER, &values[i], 8,
				    false);
		expect_name(&f, made_int(f.py, 1ull << 60), CS_NAME_NONE, "", 0, false);
	}
}

static void test_long_names(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(12);
	uint32_t text[CS_TASK_NAME_BYTES];
	uint64_t name;

	for (unsigned int i = 0; i < ARRAY_SIZE(text); i++)
		text[i] = 0x41414141 + i;
	made_current_tasks(f.py, &f.task, 1);
	expect_name(&f, made_str(f.py, text, 64, 1, true), CS_NAME_LATIN1, text, 64, false);
	expect_name(&f, made_str(f.py, text, 65, 1, true), CS_NAME_LATIN1, text, 64, true);
	expect_name(&f, made_str(f.py, text, 33, 2, false), CS_NAME_UCS2, text, 64, true);
	expect_name(&f, made_str(f.py, text, 17, 4, false), CS_NAME_UCS4, text, 64, true);
	/* a length that cannot be: what is there is less than the cut, and nothing is taken of it */
	name = made_str(f.py, text, 8, 1, true);
	made_put_u64(f.py, name + f.py->info.off.unicode_length, UINT64_MAX);
	made_put_u64(f.py, f.task + f.py->info.off.task_name, name);
	walk_and_expect(&f, f.task);
	assert_int_equal(f.w->ev.running.name_kind, CS_NAME_NONE);
	assert_int_equal(f.w->ev.running.name_bytes, 0);
}

/* Names in memory that is another object's by now: no name, the stack and the task stay. */
static void test_torn_names(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(13);
	const struct cs_py_offsets *off = &f.py->info.off;
	uint64_t name = made_str(f.py, "torn", 4, 1, true), type = made_alloc(f.py, 8);

	made_current_tasks(f.py, &f.task, 1);
	for (uint32_t bits = 0; bits < 128; bits++) {
		uint32_t kind = (bits >> 2) & 7;

		if ((bits & 32) && (kind == 1 || kind == 2 || kind == 4))
			continue;
		made_put(f.py, name + off->unicode_state, &bits, sizeof(bits));
		expect_name(&f, name, CS_NAME_NONE, "", 0, false);
	}
	expect_name(&f, MADE_NOWHERE, CS_NAME_NONE, "", 0, false);
	expect_name(&f, 0, CS_NAME_NONE, "", 0, false);
	expect_name(&f, f.task, CS_NAME_NONE, "", 0, false); /* its type is unreadable */
	made_put_u64(f.py, name + off->object_type, type);
	expect_name(&f, name, CS_NAME_NONE, "", 0, false);
}

/* As a creation is walked: only the creator is asked for, and the frames it called. */
static void test_to_root(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		uint64_t frame = made_coro_frame(f.py, f.coro);

		/* what called the creator is not even read */
		made_put_u64(f.py, frame + f.py->info.off.frame_previous, MADE_NOWHERE);
		made_run_task(f.py, f.tstate, f.task);
		walk_host.to_root = true;
		walk_thread(f.w, f.py, 0);
		walk_host.to_root = false;
		assert_int_equal(f.w->ev.status, CS_STATUS_COMPLETE);
		assert_int_equal(f.w->ev.nframes, 2);
		assert_int_equal(f.w->frames[0].code, 0x5003 & f.w->code_mask);
		assert_int_equal(f.w->frames[1].code, 0x5002 & f.w->code_mask);
		assert_int_equal(f.w->ev.running.task, f.task);
		assert_int_equal(f.w->ev.running.root_frame, 1);
		assert_memory_equal(f.w->ev.running.name, "fetch", 5);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.status, CS_STATUS_UNREADABLE_FRAME);
	}
}

/* A creation; again: after another one of the same thread. */
static void walk_creation(struct fixture *f, bool again)
{
	walk_host.to_root = true;
	walk_host.again = again;
	walk_thread(f->w, f->py, f->tstate);
	walk_host.to_root = walk_host.again = false;
	assert_int_equal(f->w->ev.status, CS_STATUS_COMPLETE);
}

static void expect_creator(struct fixture *f, const char *name, unsigned int most_reads)
{
	assert_int_equal(f->w->ev.running.task, f->task);
	assert_int_equal(f->w->ev.running.coro, f->coro);
	assert_int_equal(f->w->ev.nframes, 2);
	assert_int_equal(f->w->ev.running.name_kind, CS_NAME_LATIN1);
	assert_int_equal(f->w->ev.running.name_bytes, strlen(name));
	assert_memory_equal(f->w->ev.running.name, name, strlen(name));
	assert_in_range(f->py->reads, 1, most_reads);
}

/* In one step the creator is not looked for again; the frames are walked. In the next one it is. */
static void test_creates_again(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		const struct cs_py_offsets *off = &f.py->info.off;
		uint64_t other = made_task(f.py, f.coro, made_str(f.py, "other", 5, 1, true));

		made_run_task(f.py, f.tstate, f.task);
		made_put_u64(f.py, f.tstate + off->tstate_context_ver, 7);
		walk_creation(&f, false);
		expect_creator(&f, "fetch", 32);
		made_put_u64(f.py, f.tstate + off->tstate_frame, 0);
		made_set_frame(f.py, f.tstate,
			       made_frame(f.py, made_coro_frame(f.py, f.coro), 0x5013, 0, 0));
		made_put_u64(f.py, f.task + off->task_name, MADE_NOWHERE); /* not read */
		memset(f.w->met, 0xff, sizeof(f.w->met));
		walk_creation(&f, true);
		expect_creator(&f, "fetch", 12);
		assert_int_equal(f.w->frames[0].code, 0x5013 & f.w->code_mask);
		/* a thread's new state counts from the beginning: another task has the same coroutine's address */
		made_put_u64(f.py, f.task + off->task_coro, 0);
		made_run_task(f.py, f.tstate, other);
		f.w->current_tasks = f.py->info.current_tasks; /* it is made anew */
		f.task = other;
		walk_creation(&f, true);
		expect_creator(&f, "other", 32);
		/* the next step */
		made_put_u64(f.py, f.tstate + off->tstate_context_ver, 9);
		made_put_u64(f.py, f.task + off->task_name, made_str(f.py, "third", 5, 1, true));
		walk_creation(&f, true);
		expect_creator(&f, "third", 32);
		/* another thread in between */
		made_put_u64(f.py, f.task + off->task_name, made_str(f.py, "forth", 5, 1, true));
		walk_creation(&f, false);
		expect_creator(&f, "forth", 32);
		/* nobody creates, then somebody */
		made_set_frame(f.py, f.tstate, made_frames(f.py, 2, 0x5000));
		walk_creation(&f, true);
		assert_int_equal(f.w->ev.running.task, 0);
		assert_int_equal(f.w->ev.running.name_kind, CS_NAME_NONE);
		made_set_frame(f.py, f.tstate,
			       made_frame(f.py, made_coro_frame(f.py, f.coro), 0x5003, 0, 0));
		walk_creation(&f, true);
		expect_creator(&f, "forth", 32);
	}
}

/* No task runs in the process: nobody is the creator, and no frame is read. */
static void test_to_root_without_candidates(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);

		made_set_frame(f.py, f.tstate, MADE_NOWHERE);
		walk_host.to_root = true;
		walk_thread(f.w, f.py, 0);
		walk_host.to_root = false;
		assert_int_equal(f.w->ev.status, CS_STATUS_COMPLETE);
		assert_int_equal(f.w->ev.nframes, 0);
		assert_int_equal(f.w->ev.running.task, 0);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.status, CS_STATUS_UNREADABLE_FRAME);
	}
}

/* Only other threads' tasks run: their frames are looked for to the end. */
static void test_to_root_of_another_thread(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);

		made_run_task(f.py, f.tstate, made_task(f.py, made_coro(f.py, 0, 0x7000), 0));
		walk_host.to_root = true;
		walk_and_expect(&f, 0);
		walk_host.to_root = false;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_no_match),
		cmocka_unit_test(test_step),
		cmocka_unit_test(test_deep_tasks),
		cmocka_unit_test(test_frame_of_another_owner),
		cmocka_unit_test(test_several_candidates),
		cmocka_unit_test(test_more_candidates_than_room),
		cmocka_unit_test(test_dict_beyond_the_limit),
		cmocka_unit_test(test_dict_of_any_size),
		cmocka_unit_test(test_odd_dicts),
		cmocka_unit_test(test_name_kinds),
		cmocka_unit_test(test_name_numbers),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_torn_names),
		cmocka_unit_test(test_to_root),
		cmocka_unit_test(test_creates_again),
		cmocka_unit_test(test_to_root_without_candidates),
		cmocka_unit_test(test_to_root_of_another_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
