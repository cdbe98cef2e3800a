/* SPDX-License-Identifier: Apache-2.0 */
/* From a thread to its state and along its frames, with the layout of every supported version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "walk_host.h"

static const int minors[] = {11, 12, 13};

struct fixture {
	struct made_python *py;
	struct cs_walk *w;
	uint64_t tstate;
};

static struct fixture setup(int minor)
{
	struct fixture f = {.py = made_python(minor), .w = calloc(1, sizeof(*f.w))};

	assert_non_null(f.w);
	made_tstate(f.py, f.py->interp, 0x1111);
	f.tstate = made_tstate(f.py, f.py->interp, MADE_THREAD_POINTER);
	made_tstate(f.py, f.py->interp, 0x2222);
	return f;
}

static void teardown(struct fixture *f)
{
	made_free(f->py);
	free(f->w);
}

#define _cleanup_fixture_ _cleanup_(teardown)

/* A stack of n frames; returns how many were recorded, each checked. */
static unsigned int walk_frames(struct fixture *f, unsigned int n)
{
	made_set_frame(f->py, f->tstate, made_frames(f->py, n, 0x5000));
	walk_thread(f->w, f->py, 0);
	assert_int_equal(f->w->ev.tstate, f->tstate);
	assert_int_equal(f->w->ev.running.task, 0);
	for (unsigned int i = 0; i < f->w->ev.nframes; i++) {
		assert_int_equal(f->w->frames[i].code, 0x5000 + n - 1 - i);
		assert_int_equal(f->w->frames[i].lasti, 2 * (n - 1 - i));
		assert_int_equal(f->w->frames[i].check, CS_CODE_NOT_CHECKED); /* not there */
	}
	return f->w->ev.nframes;
}

static void test_depths(void **state)
{
	static const struct {
		unsigned int frames, recorded;
		enum cs_status status;
	} cases[] = {
		{0, 0, CS_STATUS_COMPLETE},      {1, 1, CS_STATUS_COMPLETE},
		{10, 10, CS_STATUS_COMPLETE},    {256, 256, CS_STATUS_COMPLETE},
		{257, 256, CS_STATUS_TRUNCATED}, {600, 256, CS_STATUS_TRUNCATED},
	};

	for (size_t m = 0; m < ARRAY_SIZE(minors); m++) {
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			_cleanup_fixture_ struct fixture f = setup(minors[m]);

			assert_int_equal(walk_frames(&f, cases[i].frames), cases[i].recorded);
			assert_int_equal(f.w->ev.status, cases[i].status);
		}
	}
}

/* 3.11 and 3.12 reach the frame through a _PyCFrame, 3.13 does not: the rows say so and are followed. */
static void test_cframe(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(minors[m]);
		uint64_t frame = made_frame(f.py, 0, 0x5000, 0, 0);

		assert_int_equal(f.py->info.traits.frame_via_cframe, minors[m] < 13);
		made_put_u64(f.py, f.tstate + f.py->info.off.tstate_frame, frame);
		if (minors[m] < 13) /* a frame where a _PyCFrame should be: read as one */
			made_put_u64(f.py, frame + f.py->info.off.cframe_current_frame,
				     MADE_NOWHERE);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.status,
				 minors[m] < 13 ? CS_STATUS_UNREADABLE_FRAME : CS_STATUS_COMPLETE);
		assert_int_equal(f.w->ev.nframes, minors[m] < 13 ? 0 : 1);
	}
}

/* The frame between C and Python of 3.12 and later is no Python frame; 3.11 has none. */
static void test_entry_frames(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(minors[m]);
		uint64_t frame = 0;

		for (unsigned int i = 0; i < 3; i++) {
			frame = made_frame(f.py, frame, 0x5000 + i, 0, 0);
			frame = made_frame(f.py, frame, 0x6000 + i, 0, 3);
		}
		made_set_frame(f.py, f.tstate, frame);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.status, CS_STATUS_COMPLETE);
		assert_int_equal(f.w->ev.nframes, minors[m] == 11 ? 6 : 3);
		assert_int_equal(f.w->frames[0].code, minors[m] == 11 ? 0x6002 : 0x5002);
		assert_int_equal(f.w->frames[f.w->ev.nframes - 1].code, 0x5000);
	}
}

static void test_negative_lasti(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(13);

	made_set_frame(f.py, f.tstate, made_frame(f.py, 0, 0x5000, -2, 0));
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.nframes, 1);
	assert_int_equal(f.w->frames[0].lasti, -2);
}

static void test_frame_cycles(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(12);
	uint64_t first = made_frame(f.py, 0, 0x5000, 0, 0);
	uint64_t second = made_frame(f.py, first, 0x5001, 0, 0);

	made_frame_at(f.py, first, second, 0x5000, 0, 0);
	made_set_frame(f.py, f.tstate, second);
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.nframes, CS_MAX_PY_FRAMES);
	assert_int_equal(f.w->ev.status, CS_STATUS_TRUNCATED);

	/* entry frames only: nothing is recorded, the steps run out */
	made_frame_at(f.py, first, second, 0x5000, 0, f.py->info.traits.owner_skip);
	made_frame_at(f.py, second, first, 0x5001, 0, f.py->info.traits.owner_skip);
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.nframes, 0);
	assert_int_equal(f.w->ev.status, CS_STATUS_TRUNCATED);
	assert_in_range(f.py->reads, CS_FRAME_STEPS, CS_FRAME_STEPS + 10);
}

/* A generator's frame with nobody below it: it was just being entered or left. */
static void test_generator_without_caller(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(13);
	int generator = f.py->info.traits.owner_generator;
	uint64_t first = made_frame(f.py, 0, 0x5000, 0, generator);

	made_set_frame(f.py, f.tstate, made_frame(f.py, first, 0x5001, 0, 0));
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.nframes, 2);
	assert_int_equal(f.w->ev.status, CS_STATUS_TORN);

	made_set_frame(f.py, f.tstate,
		       made_frame(f.py, made_frame(f.py, 0, 0x5000, 0, 0), 0x5001, 0, generator));
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.status, CS_STATUS_COMPLETE);
}

static void test_no_such_thread(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(13);

	made_put_u64(f.py, f.tstate + f.py->info.off.tstate_thread_id, 0x3333);
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.status, CS_STATUS_NO_TSTATE);
	assert_int_equal(f.w->ev.tstate, 0);
	assert_int_equal(f.w->ev.nframes, 0);
}

/* The lists of threads and of interpreters may lead in circles: the search gives up. */
static void test_search_cycles(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(13);
	const struct cs_py_offsets *off = &f.py->info.off;

	made_put_u64(f.py, f.tstate + off->tstate_thread_id, 0x3333);
	made_put_u64(f.py, f.tstate + off->tstate_next, f.tstate);
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.status, CS_STATUS_NO_TSTATE);
	assert_in_range(f.py->reads, CS_THREAD_STEPS, 2 * CS_THREAD_STEPS + 10);

	made_put_u64(f.py, f.tstate + off->tstate_next, 0);
	made_put_u64(f.py, f.py->interp + off->interp_next, f.py->interp);
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.status, CS_STATUS_NO_TSTATE);
	assert_in_range(f.py->reads, CS_THREAD_STEPS, 2 * CS_THREAD_STEPS + 10);
}

static void test_second_interpreter(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(12);
	uint64_t second = made_interp(f.py, made_interp(f.py, f.py->interp)), tstate;

	made_put_u64(f.py, f.tstate + f.py->info.off.tstate_thread_id, 0x3333);
	tstate = made_tstate(f.py, second, MADE_THREAD_POINTER);
	made_set_frame(f.py, tstate, made_frames(f.py, 3, 0x5000));
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.tstate, tstate);
	assert_int_equal(f.w->ev.nframes, 3);
}

static void test_cached_tstate(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(13);
	uint64_t other = made_tstate(f.py, f.py->interp, 0x4444);
	unsigned int searched, cached;

	made_set_frame(f.py, f.tstate, made_frames(f.py, 2, 0x5000));
	made_set_frame(f.py, other, made_frames(f.py, 7, 0x6000));
	walk_thread(f.w, f.py, 0);
	searched = f.py->reads;

	/* right: the list is not searched, shown by the reads and by a list that leads nowhere */
	walk_thread(f.w, f.py, f.tstate);
	cached = f.py->reads;
	assert_int_equal(f.w->ev.nframes, 2);
	assert_in_range(cached, 1, searched - 2);
	made_put_u64(f.py, f.py->info.interpreters_head, MADE_NOWHERE);
	walk_thread(f.w, f.py, f.tstate);
	assert_int_equal(f.w->ev.nframes, 2);
	made_put_u64(f.py, f.py->info.interpreters_head, f.py->interp);

	/* another thread's, or no longer there: searched again */
	walk_thread(f.w, f.py, other);
	assert_int_equal(f.w->ev.tstate, f.tstate);
	assert_int_equal(f.w->ev.nframes, 2);
	walk_thread(f.w, f.py, MADE_NOWHERE);
	assert_int_equal(f.w->ev.tstate, f.tstate);
	assert_int_equal(f.w->ev.nframes, 2);
}

#define CODE_READS 4 /* firstlineno, qualname, name, the name's hash */

/* A code object is read when it is met, and not again: not in the same walk, not in the next. */
static void test_code_met(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(minors[m]);
		uint64_t a = made_code(f.py, 10, 0xabc, 5), b = made_code(f.py, 20, 0xdef, 6);
		uint64_t frame = made_frame(f.py, made_frame(f.py, 0, a, 0, 0), b, 0, 0);
		unsigned int reads;

		made_set_frame(f.py, f.tstate, made_frame(f.py, frame, a, 6, 0));
		walk_thread(f.w, f.py, 0);
		reads = f.py->reads;
		assert_int_equal(f.w->ev.nframes, 3);
		assert_int_equal(f.w->frames[0].check, cs_code_check(10, 0xabc, 5));
		assert_int_equal(f.w->frames[1].check, cs_code_check(20, 0xdef, 6));
		assert_int_equal(f.w->frames[2].check, CS_CODE_NOT_CHECKED);
		assert_int_not_equal(f.w->frames[0].check, f.w->frames[1].check);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.py->reads, reads - 2 * CODE_READS);
		for (unsigned int i = 0; i < 3; i++)
			assert_int_equal(f.w->frames[i].check, CS_CODE_NOT_CHECKED);

		/* another process has another object there */
		f.py->tgid++;
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->frames[0].check, cs_code_check(10, 0xabc, 5));
		/* so has another module: other globals */
		made_put_u64(f.py, frame + f.py->info.off.frame_globals, 0x777);
		made_put_u64(f.py, b + f.py->info.off.code_qualname, 0x999);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->frames[0].check, CS_CODE_NOT_CHECKED);
		assert_int_equal(f.w->frames[1].check, cs_code_check(20, 0x999, 6));
	}
}

/* A code object that cannot be read is not taken for met: it is asked for again. */
static void test_code_unreadable(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(12);
	uint64_t code = made_code(f.py, 10, 0xabc, 5);
	unsigned int last;

	made_set_frame(f.py, f.tstate, made_frame(f.py, 0, code, 0, 0));
	walk_thread(f.w, f.py, f.tstate);
	memset(f.w->met, 0, sizeof(f.w->met));
	last = f.py->reads;
	for (unsigned int i = 0; i < CODE_READS; i++) {
		f.py->fail_at = last - i;
		walk_thread(f.w, f.py, f.tstate);
		assert_int_equal(f.w->ev.nframes, 1);
		assert_int_equal(f.w->ev.status, CS_STATUS_COMPLETE);
		assert_int_equal(f.w->frames[0].check, CS_CODE_NOT_CHECKED);
	}
	f.py->fail_at = 0;
	walk_thread(f.w, f.py, f.tstate);
	assert_int_equal(f.w->frames[0].check, cs_code_check(10, 0xabc, 5));
}

/* Published offsets may put the fields in any order: nothing is taken from what the last walk left. */
static void test_fields_in_any_order(void **state)
{
	static const uint32_t owners[] = {16, 40, 119, 120, 127};

	for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
		_cleanup_fixture_ struct fixture f = setup(13);

		f.py->info.off.frame_localsplus = CS_FRAME_CHUNK;
		f.py->info.off.frame_owner = owners[i];
		memset(f.w->window, 0xee, sizeof(f.w->window));
		assert_int_equal(walk_frames(&f, 3), 3);
		assert_int_equal(f.w->ev.status, CS_STATUS_COMPLETE);
	}
}

/* A stack that ends in unreadable memory keeps what was read, and says so. */
static void test_unreadable_frame(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(11);
	uint64_t frame = made_frame(f.py, MADE_NOWHERE, 0x5000, 0, 0);

	made_set_frame(f.py, f.tstate, made_frame(f.py, frame, 0x5001, 0, 0));
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.status, CS_STATUS_UNREADABLE_FRAME);
	assert_int_equal(f.w->ev.nframes, 2);
	assert_int_equal(f.w->frames[1].code, 0x5000);

	made_put_u64(f.py, f.tstate + f.py->info.off.tstate_frame, MADE_NOWHERE);
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.status, CS_STATUS_UNREADABLE_TSTATE);
	assert_int_equal(f.w->ev.nframes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_depths),
		cmocka_unit_test(test_cframe),
		cmocka_unit_test(test_entry_frames),
		cmocka_unit_test(test_negative_lasti),
		cmocka_unit_test(test_frame_cycles),
		cmocka_unit_test(test_generator_without_caller),
		cmocka_unit_test(test_frame_cycles),
		cmocka_unit_test(test_no_such_thread),
		cmocka_unit_test(test_search_cycles),
		cmocka_unit_test(test_second_interpreter),
		cmocka_unit_test(test_cached_tstate),
		cmocka_unit_test(test_code_met),
		cmocka_unit_test(test_code_unreadable),
		cmocka_unit_test(test_fields_in_any_order),
		cmocka_unit_test(test_unreadable_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
