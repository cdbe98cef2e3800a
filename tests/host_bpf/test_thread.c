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
		unsigned int oldness = i < CS_LEAF_FRAMES ? i : i + f->w->ev.nskipped;

		assert_int_equal(f->w->frames[i].code, 0x5000 + 8 * (n - 1 - oldness));
		assert_int_equal(f->w->frames[i].lasti, 2 * (n - 1 - oldness));
		assert_int_equal(f->w->frames[i].check, CS_CODE_NOT_CHECKED); /* not there */
	}
	return f->w->ev.nframes;
}

static void test_depths(void **state)
{
	static const struct {
		unsigned int frames, recorded, skipped;
		enum cs_status status;
	} cases[] = {
		{0, 0, 0, CS_STATUS_COMPLETE},
		{1, 1, 0, CS_STATUS_COMPLETE},
		{10, 10, 0, CS_STATUS_COMPLETE},
		{192, 192, 0, CS_STATUS_COMPLETE},
		{193, 193, 0, CS_STATUS_COMPLETE},
		{256, 256, 0, CS_STATUS_COMPLETE},
		{257, 256, 1, CS_STATUS_CUT},
		{319, 256, 63, CS_STATUS_CUT},
		{320, 256, 64, CS_STATUS_CUT},
		{2000, 256, 1744, CS_STATUS_CUT},
		{CS_MAX_DEPTH - 2, 256, CS_MAX_DEPTH - 258, CS_STATUS_CUT},
		{CS_MAX_DEPTH + 1, 256, CS_MAX_DEPTH - 256, CS_STATUS_TRUNCATED},
	};

	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			_cleanup_fixture_ struct fixture f = setup(made_minors[m]);

			assert_int_equal(walk_frames(&f, cases[i].frames), cases[i].recorded);
			assert_int_equal(f.w->ev.status, cases[i].status);
			assert_int_equal(f.w->ev.nskipped, cases[i].skipped);
		}
	}
}

/* Some reach the frame through a _PyCFrame (3.11, 3.12), some do not: the rows say so and are followed. */
static void test_cframe(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		uint64_t frame = made_frame(f.py, 0, 0x5000, 0, 0);
		bool via = f.py->info.traits.frame_via_cframe;

		assert_int_equal(via, made_minors[m] == 11 || made_minors[m] == 12);
		made_put_u64(f.py, f.tstate + f.py->info.off.tstate_frame, frame);
		if (via) /* a frame where a _PyCFrame should be: read as one */
			made_put_u64(f.py, frame + f.py->info.off.cframe_current_frame,
				     MADE_NOWHERE);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.status,
				 via ? CS_STATUS_UNREADABLE_FRAME : CS_STATUS_COMPLETE);
		assert_int_equal(f.w->ev.nframes, via ? 0 : 1);
	}
}

/* The frame between C and Python of 3.12 and later is no Python frame; before there is none. */
static void test_entry_frames(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		bool none = f.py->info.traits.owner_skip == 255;
		uint64_t frame = 0;

		for (unsigned int i = 0; i < 3; i++) {
			frame = made_frame(f.py, frame, 0x5000 + 8 * i, 0, 0);
			frame = made_frame(f.py, frame, 0x6000 + 8 * i, 0, 3 + (i & 1));
		}
		made_set_frame(f.py, f.tstate, frame);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.status, CS_STATUS_COMPLETE);
		assert_int_equal(f.w->ev.nframes, none ? 6 : 3);
		assert_int_equal(f.w->frames[0].code, none ? 0x6010 : 0x5010);
		assert_int_equal(f.w->frames[f.w->ev.nframes - 1].code, 0x5000);
	}
}

/* A stack of thousands of frames, with C code between any two: as deep as steps go. */
static void test_deep_with_entry_frames(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(13);
	uint64_t frame = 0;

	for (unsigned int i = 0; i < 2000; i++)
		frame = made_frame(f.py, made_frame(f.py, frame, 0x5000 + 8 * i, 0, 0), 0x6000, 0,
				   3);
	made_set_frame(f.py, f.tstate, frame);
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.status, CS_STATUS_CUT);
	assert_int_equal(f.w->ev.nskipped, 2000 - CS_MAX_PY_FRAMES);
	assert_int_equal(f.w->frames[0].code, 0x5000 + 8 * 1999);
	assert_int_equal(f.w->frames[CS_MAX_PY_FRAMES - 1].code, 0x5000);
}

/* What is below a deep stack's readable frames is not known; what is there stays in order. */
static void test_deep_unreadable(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(12);
	uint64_t frame = MADE_NOWHERE;

	for (unsigned int i = 0; i < 300; i++)
		frame = made_frame(f.py, frame, 0x5000 + 8 * i, 0, 0);
	made_set_frame(f.py, f.tstate, frame);
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.status, CS_STATUS_UNREADABLE_FRAME);
	assert_int_equal(f.w->ev.nskipped, 44);
	assert_int_equal(f.w->frames[CS_LEAF_FRAMES - 1].code, 0x5000 + 8 * 108);
	assert_int_equal(f.w->frames[CS_LEAF_FRAMES].code, 0x5000 + 8 * 63);
	assert_int_equal(f.w->frames[CS_MAX_PY_FRAMES - 1].code, 0x5000);
}

static void test_negative_lasti(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);

		made_set_frame(f.py, f.tstate, made_frame(f.py, 0, 0x5000, -2, 0));
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.nframes, 1);
		assert_int_equal(f.w->frames[0].lasti, -2);
	}
}

/* The instruction as a number of bytes (3.8, 3.9) or of units (3.10), at an offset that is a multiple of four only. */
static void test_lasti_numbers(void **state)
{
	static const int given[] = {-1, 0, 6, INT32_MAX, INT32_MIN};
	static const int units[] = {-2, 0, 12, -2, 0};

	for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
		_cleanup_fixture_ struct fixture f = setup(MADE_OBJECT_FRAMES);
		uint64_t frame = made_frame(f.py, 0, 0x5000, 0, 0);

		made_put(f.py, frame + f.py->info.off.frame_instr_ptr, &given[i], sizeof(given[i]));
		made_set_frame(f.py, f.tstate, frame);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->frames[0].lasti, units[i]);
		f.py->info.traits.lasti_kind = CS_LASTI_BYTES;
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->frames[0].lasti, given[i]);
		assert_int_equal(f.w->ev.status, CS_STATUS_COMPLETE);
	}
}

/* A thread of a free-threaded interpreter runs a copy of the bytecode: positions count from there. */
static void test_bytecode_copies(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(MADE_TAGGED);
	const struct cs_py_offsets *off = &f.py->info.off;
	uint64_t code = made_code(f.py, 10, "a"), copies = made_alloc(f.py, 8 + 3 * 8);
	uint64_t frame = made_frame(f.py, 0, code, 6, 0);
	uint32_t index = 2, beyond = 3, absurd = UINT32_MAX;

	made_put_u64(f.py, code + off->code_tlbc, copies);
	made_put_u64(f.py, copies, 3);
	made_put_u64(f.py, copies + 8 + 2 * 8, 0x90000);
	made_set_frame(f.py, f.tstate, frame);
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->frames[0].lasti, 6); /* number 0: its own */
	made_put(f.py, frame + off->frame_tlbc_index, &index, sizeof(index));
	made_put_u64(f.py, frame + off->frame_instr_ptr, 0x90000 + 14);
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->frames[0].lasti, 14);
	made_put(f.py, frame + off->frame_tlbc_index, &beyond, sizeof(beyond));
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->frames[0].lasti, -1);
	made_put(f.py, frame + off->frame_tlbc_index, &absurd, sizeof(absurd));
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->frames[0].lasti, -1);
	assert_int_equal(f.w->ev.status, CS_STATUS_COMPLETE);
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
	/* noticed soon, not after as many frames as a stack may have */
	assert_in_range(f.py->reads, CS_MAX_PY_FRAMES, 3 * CS_MAX_PY_FRAMES);

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
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		int generator = f.py->info.traits.owner_generator;
		uint64_t first = made_frame(f.py, 0, 0x5000, 0, generator);

		made_set_frame(f.py, f.tstate, made_frame(f.py, first, 0x5008, 0, 0));
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.nframes, 2);
		assert_int_equal(f.w->ev.status, CS_STATUS_TORN);

		first = made_frame(f.py, 0, 0x5000, 0, 0);
		made_set_frame(f.py, f.tstate, made_frame(f.py, first, 0x5008, 0, generator));
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.status, CS_STATUS_COMPLETE);
	}
}

/* A function's frame that has just been pushed, without the way to its caller. */
static void test_frame_without_caller(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		bool object = f.py->info.traits.frame_is_object;
		uint64_t first = made_frame(f.py, made_frames(f.py, 2, 0x6000), 0x5000, 0, 0);

		made_put_u64(f.py, first + f.py->info.off.frame_previous, 0);
		made_set_frame(f.py, f.tstate, first);
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.nframes, 1);
		assert_int_equal(f.w->ev.status, object ? CS_STATUS_COMPLETE : CS_STATUS_TORN);
	}
}

/* One that has not executed anything: the way to its caller may be that of a frame that lay there before. */
static void test_frame_just_pushed(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		bool object = f.py->info.traits.frame_is_object;
		uint64_t below = made_frames(f.py, 2, 0x6000);

		for (int lasti = -4; lasti <= 2; lasti += 2) {
			bool torn = lasti < 0 && !object;

			made_set_frame(f.py, f.tstate, made_frame(f.py, below, 0x5000, lasti, 0));
			walk_thread(f.w, f.py, 0);
			assert_int_equal(f.w->ev.nframes, torn ? 1 : 3);
			assert_int_equal(f.w->ev.status,
					 torn ? CS_STATUS_TORN : CS_STATUS_COMPLETE);
		}
		/* below the newest one, nothing is pushed any more */
		below = made_frame(f.py, below, 0x5000, -2, 0);
		made_set_frame(f.py, f.tstate, made_frame(f.py, below, 0x5008, 2, 0));
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->ev.nframes, 4);
		assert_int_equal(f.w->ev.status, CS_STATUS_COMPLETE);
	}
}

static void test_no_such_thread(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(13);

	made_put_u64(f.py, f.tstate + f.py->info.off.tstate_thread_id, 0x3333);
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.status, CS_STATUS_NO_TSTATE);
	assert_int_equal(f.w->ev.tstate, 0);
	assert_int_equal(f.w->ev.nframes, 0);
	assert_true(f.w->searched); /* for sure */

	/* an interpreter that has just begun: it may yet get one */
	made_put_u64(f.py, f.py->info.interpreters_head, 0);
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.status, CS_STATUS_NO_TSTATE);
	assert_false(f.w->searched);
}

/* A state told by user space is believed if it is the thread's, and saves the search. */
static void test_told(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(13);
	uint64_t last = f.tstate;

	for (unsigned int i = 0; i < CS_THREAD_STEPS + 10; i++)
		last = made_tstate(f.py, f.py->interp, 0x10000 + i);
	made_set_frame(f.py, f.tstate, made_frames(f.py, 2, 0x5000));
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.status, CS_STATUS_NO_TSTATE);
	assert_false(f.w->searched);
	walk_host.told = f.tstate;
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.tstate, f.tstate);
	assert_int_equal(f.w->ev.nframes, 2);
	assert_in_range(f.py->reads, 1, 12);
	walk_host.told = last; /* another thread's by now */
	walk_thread(f.w, f.py, 0);
	assert_int_equal(f.w->ev.status, CS_STATUS_NO_TSTATE);
	walk_host.told = MADE_NOWHERE;
	walk_thread(f.w, f.py, f.tstate);
	assert_int_equal(f.w->ev.nframes, 2); /* the cache comes first */
	walk_host.told = 0;
}

static void expect_gil(struct fixture *f, enum cs_gil gil)
{
	walk_thread(f->w, f->py, 0);
	assert_int_equal(f->w->ev.gil, gil);
	assert_int_equal(f->w->ev.nframes, 1);
}

static void test_gil(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(MADE_TAGGED);
	uint64_t own = made_alloc(f.py, 24), all = made_alloc(f.py, 24);
	uint32_t locked = 1;

	made_set_frame(f.py, f.tstate, made_frame(f.py, 0, 0x5000, 0, 0));
	made_put_u64(f.py, f.py->interp + 8, own);
	made_put_u64(f.py, own + 8, f.tstate);
	expect_gil(&f, CS_GIL_NOT_TOLD); /* nobody asked */
	walk_host.want_gil = true;
	expect_gil(&f, CS_GIL_NOT_HELD); /* it was the last holder */
	made_put(f.py, own + 16, &locked, sizeof(locked));
	expect_gil(&f, CS_GIL_HELD);
	made_put_u64(f.py, own + 8, 0x1234);
	expect_gil(&f, CS_GIL_NOT_HELD);
	/* one for the process */
	f.py->info.gil = all;
	made_put_u64(f.py, all + 8, f.tstate);
	made_put(f.py, all + 16, &locked, sizeof(locked));
	expect_gil(&f, CS_GIL_HELD);
	f.py->info.gil = MADE_NOWHERE;
	expect_gil(&f, CS_GIL_NOT_TOLD);
	/* none at all */
	f.py->info.gil = 0;
	f.py->info.off.interp_gil = 0;
	expect_gil(&f, CS_GIL_NOT_TOLD);
	walk_host.want_gil = false;
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

/* The object; before 3.12 also head and end of both texts. */
static unsigned int code_reads(const struct made_python *py)
{
	return py->info.traits.code_has_version ? 1 : 1 + 2 * 2;
}

/* Meet the newest frame's code object as often as it takes to believe that it stays, less `spare` times. */
static void meet_until_sure(struct fixture *f, unsigned int spare)
{
	for (unsigned int i = spare; i < CS_MET_SURE; i++)
		walk_thread(f->w, f->py, 0);
}

/* A code object is read until it was the same for a while, then not again, before something else is met. */
static void test_code_met(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		uint64_t a = made_code(f.py, 10, "a"), b = made_code(f.py, 20, "b");
		uint64_t frame = made_frame(f.py, 0, b, 0, 0);
		unsigned int reads;

		made_set_frame(f.py, f.tstate, made_frame(f.py, frame, a, 6, 0));
		for (unsigned int i = 0; i <= CS_MET_SURE; i++) {
			walk_thread(f.w, f.py, 0);
			reads = f.py->reads;
			assert_int_equal(f.w->ev.nframes, 2);
			assert_int_equal(f.w->frames[0].check, made_check(f.py, a));
			assert_int_equal(f.w->frames[1].check, made_check(f.py, b));
			assert_int_not_equal(f.w->frames[0].check, f.w->frames[1].check);
		}
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.py->reads, reads - 2 * code_reads(f.py));
		for (unsigned int i = 0; i < 2; i++)
			assert_int_equal(f.w->frames[i].check, CS_CODE_NOT_CHECKED);

		/* another process has another object there */
		f.py->tgid++;
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->frames[0].check, made_check(f.py, a));
		meet_until_sure(&f, 0);
		/* so has another module: other globals */
		made_put_u64(f.py, frame + f.py->info.off.frame_globals, 0x777);
		made_put_u64(f.py, b + f.py->info.off.code_filename,
			     made_str(f.py, "/b", 2, 1, true));
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->frames[0].check, CS_CODE_NOT_CHECKED);
		assert_int_equal(f.w->frames[1].check, made_check(f.py, b));
		assert_int_equal(walk_host.nseen, 0); /* it is old: names can wait */
	}
}

/* Two that take turns at an address never pass for one, however they take them. */
static void test_code_taking_turns(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		uint64_t code = made_code(f.py, 10, "a");
		uint64_t lines = code + f.py->info.off.code_firstlineno;

		made_set_frame(f.py, f.tstate, made_frame(f.py, 0, code, 0, 0));
		walk_thread(f.w, f.py, 0);
		for (uint32_t turn = 1; turn < 8; turn++) {
			uint32_t line = 10 + turn % 2;

			meet_until_sure(&f, 1);
			assert_int_equal(f.w->frames[0].check, made_check(f.py, code));
			made_put(f.py, lines, &line, sizeof(line));
			walk_thread(f.w, f.py, 0);
			assert_int_equal(f.w->frames[0].check, made_check(f.py, code));
		}
	}
}

/* The value that the kernel side finds for a code object that it has not met. */
static uint32_t check_met(struct fixture *f, uint64_t code)
{
	memset(f->w->met, 0, sizeof(f->w->met));
	made_set_frame(f->py, f->tstate, made_frame(f->py, 0, code, 0, 0));
	walk_thread(f->w, f->py, 0);
	assert_int_equal(f->w->ev.nframes, 1);
	assert_int_equal(f->w->frames[0].check, made_check(f->py, code));
	return f->w->frames[0].check;
}

/* Whatever of the object differs, the value does. */
static void test_check_values(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		const struct cs_py_offsets *off = &f.py->info.off;
		uint64_t code = made_code(f.py, 10, "a");
		uint32_t before = check_met(&f, code), value = 11;

		assert_int_not_equal(before, CS_CODE_NOT_CHECKED);
		made_put_u64(f.py, code + off->code_filename, made_str(f.py, "/b", 2, 1, true));
		assert_int_not_equal(before, check_met(&f, code));
		before = check_met(&f, code);
		made_put(f.py, code + off->code_firstlineno, &value, sizeof(value));
		assert_int_not_equal(before, check_met(&f, code));
		/* what lies outside does not count: it may change while the object lives */
		before = check_met(&f, code);
		made_put_u64(f.py, code, 0x777);
		made_put_u64(f.py, code + off->code_linetable, 0x777);
		assert_int_equal(before, check_met(&f, code));
	}
}

/* Two functions take turns at the same addresses, texts included: co_version tells them apart, or the texts do. */
static void test_check_texts(void **state)
{
	char text[CS_CODE_TEXT_CHUNK + 16];

	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		const struct cs_py_offsets *off = &f.py->info.off;
		bool versioned = f.py->info.traits.code_has_version;

		for (size_t length = 1; length < sizeof(text); length += 26) {
			uint64_t name, code;
			uint32_t before;

			memset(text, 'x', sizeof(text));
			name = made_str(f.py, text, length, 1, true);
			code = made_code_texts(f.py, 10, name, name, "", 0);
			before = check_met(&f, code);
			made_put(f.py, name + off->unicode_ascii_data + length - 1, "y", 1);
			assert_true((before == check_met(&f, code)) == versioned);
			before = check_met(&f, code);
			made_put_u64(f.py, name + off->unicode_length, length - 1);
			assert_true((before == check_met(&f, code)) == versioned);
		}
	}
}

/* Layouts whose fields lie too far apart, or the other way round, have no check values. */
static void test_no_check_value(void **state)
{
	struct cs_py_offsets off = {.code_firstlineno = 68, .code_name = 120};

	assert_int_equal(cs_code_check_size(&off), 64);
	off.code_filename = 64 + CS_CODE_CHUNK - 8;
	assert_int_equal(cs_code_check_size(&off), CS_CODE_CHUNK);
	off.code_filename += 8;
	assert_int_equal(cs_code_check_size(&off), 0);
	off.code_filename = 0;
	off.code_name = 56;
	assert_int_equal(cs_code_check_size(&off), 0);
	off.code_firstlineno = off.code_name = UINT32_MAX;
	assert_in_range(cs_code_check_size(&off), 0, CS_CODE_CHUNK);
}

/* In a young process every frame is checked, and each code object is told of once, and again when it is another. */
static void test_young(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m]);
		uint64_t code = made_code(f.py, 10, "a");
		uint64_t frame = made_frame(f.py, made_frame(f.py, 0, code, 0, 0), code, 0, 0);

		made_set_frame(f.py, f.tstate, frame);
		f.py->info.since_ns = 1000;
		f.py->now_ns = 2000;
		walk_host.nseen = 0;
		walk_host.ring_full = true;
		walk_thread(f.w, f.py, 0);
		assert_int_equal(walk_host.nseen, 2); /* tried again: the first was lost */
		walk_host.ring_full = false;
		for (unsigned int turn = 0; turn < 3; turn++) {
			walk_thread(f.w, f.py, 0);
			assert_int_equal(f.w->frames[0].check, made_check(f.py, code));
			assert_int_equal(f.w->frames[1].check, made_check(f.py, code));
			assert_int_equal(walk_host.nseen, 3);
			assert_int_equal(f.w->seen.code, code);
			assert_int_equal(f.w->seen.check, f.w->frames[0].check);
			assert_int_equal(f.w->seen.firstlineno, 10);
		}
		/* its memory is another object's */
		made_put_u64(f.py, code + f.py->info.off.code_filename,
			     made_str(f.py, "/other", 6, 1, true));
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->frames[0].check, made_check(f.py, code));
		assert_int_equal(walk_host.nseen, 4);
		/* another program of the same process */
		f.py->info.since_ns = 1500;
		walk_thread(f.w, f.py, 0);
		assert_int_equal(walk_host.nseen, 5);
		/* grown up: what has stayed is not checked */
		f.py->now_ns = 1500 + CS_YOUNG_NS;
		meet_until_sure(&f, 0);
		assert_int_equal(f.w->frames[0].check, CS_CODE_NOT_CHECKED);
		f.py->info.flags |= CS_PROC_CHECK_ALL;
		walk_thread(f.w, f.py, 0);
		assert_int_equal(f.w->frames[0].check, made_check(f.py, code));
		assert_int_equal(walk_host.nseen, 5);
	}
}

/* A code object that cannot be read is not taken for met: it is asked for again. */
static void test_code_unreadable(void **state)
{
	_cleanup_fixture_ struct fixture f = setup(12);
	uint64_t code = made_code(f.py, 10, "a");
	unsigned int last;

	made_set_frame(f.py, f.tstate, made_frame(f.py, 0, code, 0, 0));
	walk_thread(f.w, f.py, f.tstate);
	memset(f.w->met, 0, sizeof(f.w->met));
	last = f.py->reads - 1; /* the last one of all is of the entry frame */
	for (unsigned int i = 0; i < code_reads(f.py); i++) {
		f.py->fail_at = last - i;
		walk_thread(f.w, f.py, f.tstate);
		assert_int_equal(f.w->ev.nframes, 1);
		assert_int_equal(f.w->ev.status, CS_STATUS_COMPLETE);
		assert_int_equal(f.w->frames[0].check, CS_CODE_NOT_CHECKED);
	}
	f.py->fail_at = 0;
	walk_thread(f.w, f.py, f.tstate);
	assert_int_equal(f.w->frames[0].check, made_check(f.py, code));
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
		cmocka_unit_test(test_lasti_numbers),
		cmocka_unit_test(test_bytecode_copies),
		cmocka_unit_test(test_deep_with_entry_frames),
		cmocka_unit_test(test_deep_unreadable),
		cmocka_unit_test(test_frame_cycles),
		cmocka_unit_test(test_generator_without_caller),
		cmocka_unit_test(test_frame_without_caller),
		cmocka_unit_test(test_frame_just_pushed),
		cmocka_unit_test(test_no_such_thread),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_gil),
		cmocka_unit_test(test_search_cycles),
		cmocka_unit_test(test_second_interpreter),
		cmocka_unit_test(test_cached_tstate),
		cmocka_unit_test(test_code_met),
		cmocka_unit_test(test_code_taking_turns),
		cmocka_unit_test(test_check_values),
		cmocka_unit_test(test_check_texts),
		cmocka_unit_test(test_no_check_value),
		cmocka_unit_test(test_young),
		cmocka_unit_test(test_code_unreadable),
		cmocka_unit_test(test_fields_in_any_order),
		cmocka_unit_test(test_unreadable_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
