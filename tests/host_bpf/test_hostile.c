/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that lies. Whatever is read, a walk ends within its bounds, writes into its own fields only (the
 * sanitizers and walk_host.h watch) and leaves a record that the decoder accepts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "decode/decode.h"
#include "made_work.h"
#include "walk_host.h"

#define VERSION_ROUNDS 90000
/*
 * The search reads a state a step, a candidate is its task, coroutine and frame, with its attributes some sixteen, a frame is two reads (its page, itself), its bytecode two, its
 * code two and its texts eleven, its work item one; from there to a future it is the steps and some ten, a look at one of its callbacks up to sixty; the rest is some twenty.
 */
#define MAX_READS                                                                                 \
	(CS_THREAD_STEPS + 19 * CS_MAX_CURRENT_TASKS + 18 * CS_FRAME_STEPS + CS_WORK_STEPS + 10 + \
	 60 * CS_WORK_LOOKS + 20)
#define NSTATUS (CS_STATUS_CUT + 1)

struct fixture {
	struct made_python *py;
	struct cs_walk *w;
	struct cs_decoder *decoder;
	uint64_t tstate, task;      /* the task that runs, or for which the thread works */
	bool worker;                /* nothing runs in the thread, but it works for a task */
	unsigned int recorded;      /* frames of a walk in which nothing is wrong */
	unsigned int seen[NSTATUS]; /* how the walks ended */
	unsigned int seen_task, seen_name, seen_origin;
};

/* Several event loops, one of which runs the coroutine; or an executor's thread works for one. */
static void make_tasks(struct fixture *f, uint64_t coro, uint64_t waiter)
{
	struct made_python *py = f->py;
	uint64_t values[4] = {0};

	f->task = f->worker ? waiter : made_task(py, coro, made_str(py, "name", 4, 1, true));
	values[1] = made_task(py, made_coro(py, 0, 0x7000), made_int(py, 1));
	values[3] = f->worker ? 0 : f->task;
	if (py->info.off.tstate_running_task)
		made_run_task(py, f->tstate, f->worker ? values[1] : f->task);
	else
		made_current_tasks(py, values, ARRAY_SIZE(values));
}

/* Two interpreters with threads, a stack of plain, entry and coroutine frames, on that of a work item. */
static struct fixture setup(int minor, bool worker)
{
	struct fixture f = {
		.py = made_python(minor), .w = calloc(1, sizeof(*f.w)), .worker = worker};
	struct made_python *py = f.py;
	uint64_t second = made_interp(py, py->interp), frame, coro, code;
	struct made_work work;

	assert_non_null(f.w);
	assert_int_equal(cs_decoder_new(&f.decoder), 0);
	made_tstate(py, py->interp, 0x1111);
	f.tstate = made_tstate(py, second, MADE_THREAD_POINTER);
	made_tstate(py, second, 0x2222);
	work = made_work(py, made_str(py, "name", 4, 1, true));
	frame = made_work_frame(py, made_frames(py, 2, 0x5000), work.item);
	frame = made_frame(py, frame, 0x6000, 0, 3);
	coro = made_coro(py, frame, 0x5003);
	frame = made_frame(py, made_coro_frame(py, coro), 0x5004, 0, 0);
	code = made_code_texts(py, 10, made_str(py, "name", 4, 1, true),
			       made_str(py, "file", 4, 1, true), "lines", 5);
	made_set_frame(py, f.tstate, made_frame(py, frame, code, 0, 0));
	make_tasks(&f, coro, work.task);
	f.recorded = py->info.traits.owner_skip == 3 ? 6 : 7;
	py->info.since_ns = 1;
	py->now_ns = 2;
	walk_host.want_gil = true;
	return f;
}

static void teardown(struct fixture *f)
{
	cs_decoder_free(f->decoder);
	made_free(f->py);
	free(f->w);
}

#define _cleanup_fixture_ _cleanup_(teardown)

/* The record of a task for which the thread works, as it would be pushed. */
static void check_origin(struct fixture *f)
{
	struct cs_ev_origin *origin = &f->w->origin;
	struct cs_event event;

	if (!origin->waiter.task)
		return;
	assert_int_equal(f->w->ev.running.task, 0);
	assert_true(f->w->work_item);
	assert_in_range(f->w->ev.nframes, 1, CS_MAX_PY_FRAMES);
	assert_in_range(origin->waiter.root_frame, 0, f->w->ev.nframes - 1);
	assert_in_range(origin->waiter.name_bytes, 0, CS_TASK_NAME_BYTES);
	origin->hdr = (struct cs_ev_hdr){.size = sizeof(*origin), .kind = CS_EV_ORIGIN};
	assert_int_equal(cs_decode(f->decoder, origin, sizeof(*origin), &event), sizeof(*origin));
	f->seen_origin++;
}

static void walk_and_check(struct fixture *f, uint64_t known)
{
	const struct cs_ev_stack *ev = &f->w->ev;
	struct cs_event event;

	memset(f->w->met, 0, sizeof(f->w->met)); /* every walk reads the code objects */
	walk_thread(f->w, f->py, known);
	assert_in_range(f->py->reads, 0, MAX_READS);
	assert_in_range(ev->nframes, 0, CS_MAX_PY_FRAMES);
	assert_in_range(f->w->ncandidates, 0, CS_MAX_CURRENT_TASKS);
	assert_in_range(ev->running.name_bytes, 0, CS_TASK_NAME_BYTES);
	if (ev->running.task)
		assert_in_range(ev->running.root_frame, 0, ev->nframes - 1);
	assert_int_equal(cs_decode(f->decoder, ev, ev->hdr.size, &event), ev->hdr.size);
	assert_int_equal(event.kind, walk_host.to_root ? CS_EV_TASK_CREATED : CS_EV_STACK);
	assert_in_range(ev->status, 0, NSTATUS - 1);
	assert_in_range(walk_host.seen_bytes, 0, sizeof(f->w->seen_text));
	assert_in_range(f->w->seen.name_bytes, 0, CS_SEEN_NAME_BYTES);
	assert_in_range(f->w->seen.file_bytes, 0, CS_SEEN_FILE_BYTES);
	assert_in_range(f->w->seen.linetable_bytes, 0, CS_SEEN_LINES_BYTES);
	f->seen[ev->status]++;
	f->seen_task += ev->running.task != 0;
	f->seen_name += ev->running.name_kind != CS_NAME_NONE;
	check_origin(f);
}

/* The walk of the whole fixture: what the other tests take away from. */
static unsigned int walk_untouched(struct fixture *f)
{
	const struct cs_running_task *told = f->worker ? &f->w->origin.waiter : &f->w->ev.running;

	walk_and_check(f, 0);
	assert_int_equal(f->w->ev.status, CS_STATUS_COMPLETE);
	assert_int_equal(f->w->ev.nframes, f->recorded);
	assert_int_equal(told->task, f->task);
	assert_memory_equal(told->name, "name", 4);
	return f->py->reads;
}

static void check_ends_seen(const struct fixture *f)
{
	assert_true(f->seen[CS_STATUS_COMPLETE]);
	assert_true(f->seen[CS_STATUS_NO_TSTATE]);
	assert_true(f->seen[CS_STATUS_UNREADABLE_FRAME]);
	/* the walk gives this one to nobody */
	assert_false(f->seen[CS_STATUS_NOT_PYTHON]);
}

static void test_each_read_fails(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m], false);
		const struct cs_py_traits *traits = &f.py->info.traits;
		unsigned int n = walk_untouched(&f), without_task = 0;

		for (unsigned int i = 1; i <= n; i++) {
			f.py->fail_at = i;
			walk_and_check(&f, 0);
			if (f.w->ev.status == CS_STATUS_COMPLETE) {
				assert_int_equal(f.w->ev.nframes, f.recorded);
				without_task += !f.w->ev.running.task;
			}
		}
		check_ends_seen(&f);
		/* the one read between a known thread state and its frame */
		assert_int_equal(!!f.seen[CS_STATUS_UNREADABLE_TSTATE], traits->frame_via_cframe);
		/* the thread's word for it and its coroutine; or the dict, its keys, the task's entry, its coroutine and that one's frame */
		assert_int_equal(without_task, f.py->info.off.tstate_running_task ? 2
					       : traits->frame_is_object          ? 5
										  : 4);
		f.py->fail_at = 0;
		walk_untouched(&f);
	}
}

/* Every word of one object in turn leads nowhere, to the object itself, or is a number that cannot be. */
static void spoil_words(struct fixture *f, unsigned int index)
{
	const uint64_t wrong[] = {0,         1,         MADE_NOWHERE, UINT64_MAX,
				  INT64_MAX, f->tstate, f->task,      made_address(index)};
	struct made_object *object = &f->py->objects[index];
	uint64_t right;

	for (size_t at = 0; at + sizeof(right) <= object->size; at += sizeof(right)) {
		memcpy(&right, object->bytes + at, sizeof(right));
		for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
			memcpy(object->bytes + at, &wrong[i], sizeof(right));
			walk_and_check(f, 0);
		}
		memcpy(object->bytes + at, &right, sizeof(right));
	}
}

static void test_each_word_is_wrong(void **state)
{
	for (size_t m = 0; m < 2 * ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m / 2], m % 2);

		for (unsigned int i = 0; i < f.py->n; i++)
			spoil_words(&f, i);
		check_ends_seen(&f);
		assert_true(f.seen[CS_STATUS_TRUNCATED]); /* a frame that is its own previous */
		assert_true(f.seen_origin); /* of a thread that runs a task: only without it */
		walk_untouched(&f);
	}
}

static void test_absurd_offsets(void **state)
{
	static const unsigned char bytes[] = {0xff, 0x7f, 0x80, 0x01, 0x00, 0x78};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(bytes); i++) {
		_cleanup_fixture_ struct fixture f = setup(13, i % 2);
		struct cs_proc_info *info = &f.py->info;

		memset(&info->off, bytes[i / 2], sizeof(info->off));
		walk_and_check(&f, 0);
		walk_and_check(&f, f.tstate);
		memset(&info->traits, bytes[i / 2], sizeof(info->traits));
		walk_and_check(&f, 0);
		walk_and_check(&f, f.tstate);
		memset(info, bytes[i / 2], sizeof(*info));
		walk_and_check(&f, 0);
		walk_and_check(&f, f.tstate);
	}
}

/* xorshift64: the same numbers in every run */
static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static uint64_t random_word(struct fixture *f, uint64_t *seed)
{
	uint64_t value = next_random(seed);

	switch (value >> 61) {
	case 0:
		return value;
	case 1:
		return UINT64_MAX - (value & 0xff);
	case 2:
		return value & 0xff;
	case 3:
		return 0;
	default: /* memory that is there, mostly the start of an object */
		return made_address((unsigned int)(value & 0xff) % f->py->n) +
		       (value & 0x1000 ? value >> 32 & 0xff : 0);
	}
}

static void fuzz_info(struct fixture *f, const struct cs_proc_info *good, uint64_t *seed)
{
	struct cs_proc_info *info = &f->py->info;
	__u32 *offsets = (__u32 *)&info->off;
	__s16 *traits = (__s16 *)&info->traits;
	__u64 *work = (__u64 *)&info->work, *types = (__u64 *)&info->types;

	*info = *good;
	for (unsigned int n = next_random(seed) % 4; n > 0; n--)
		offsets[next_random(seed) % (sizeof(info->off) / sizeof(*offsets))] =
			(__u32)random_word(f, seed);
	if (next_random(seed) % 4 == 0)
		traits[next_random(seed) % (sizeof(info->traits) / sizeof(*traits))] =
			(__s16)next_random(seed);
	if (next_random(seed) % 4 == 0)
		work[next_random(seed) % (sizeof(info->work) / sizeof(*work))] =
			random_word(f, seed);
	if (next_random(seed) % 8 == 0)
		types[next_random(seed) % (sizeof(info->types) / sizeof(*types))] =
			random_word(f, seed);
	if (next_random(seed) % 64 == 0)
		info->interpreters_head = random_word(f, seed);
	if (next_random(seed) % 64 == 0)
		info->current_tasks = random_word(f, seed);
}

/* Overwrite one word somewhere; *ret_old gets what was there. Returns where. */
static unsigned char *fuzz_memory(struct fixture *f, uint64_t *seed, uint64_t *ret_old)
{
	struct made_object *object = &f->py->objects[next_random(seed) % f->py->n];
	uint64_t words = object->size / 8, value = random_word(f, seed);
	unsigned char *at = object->bytes + next_random(seed) % (words < 64 ? words : 64) * 8;

	memcpy(ret_old, at, sizeof(*ret_old));
	memcpy(at, &value, sizeof(value));
	return at;
}

static void walk_at_random(struct fixture *f, unsigned int rounds, uint64_t seed)
{
	const struct cs_proc_info good = f->py->info;

	for (unsigned int i = 0; i < rounds; i++) {
		unsigned char *at[4];
		uint64_t old[4];

		fuzz_info(f, &good, &seed);
		walk_host.to_root = i % 8 == 7;
		for (size_t k = 0; k < ARRAY_SIZE(at); k++)
			at[k] = fuzz_memory(f, &seed, &old[k]);
		walk_and_check(f, i % 2 ? 0 : random_word(f, &seed));
		for (size_t k = ARRAY_SIZE(at); k-- > 0;)
			memcpy(at[k], &old[k], sizeof(old[k]));
	}
	walk_host.to_root = false;
	/* it got everywhere, not just as far as the first check */
	check_ends_seen(f);
	assert_true(f->seen[CS_STATUS_TRUNCATED]);
	assert_true(f->seen[CS_STATUS_UNREADABLE_TSTATE]);
	f->py->info = good;
	walk_untouched(f);
}

static void test_random(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m], false);

		walk_at_random(&f, VERSION_ROUNDS, 0x9e3779b97f4a7c15 + (uint64_t)made_minors[m]);
		assert_in_range(f.seen_task, VERSION_ROUNDS / 33, VERSION_ROUNDS);
		assert_in_range(f.seen_name, VERSION_ROUNDS / 33, f.seen_task - 1);
	}
}

static void test_random_work(void **state)
{
	for (size_t m = 0; m < ARRAY_SIZE(made_minors); m++) {
		_cleanup_fixture_ struct fixture f = setup(made_minors[m], true);

		walk_at_random(&f, VERSION_ROUNDS, 0x2545f4914f6cdd1d + (uint64_t)made_minors[m]);
		assert_in_range(f.seen_origin, VERSION_ROUNDS / 33, VERSION_ROUNDS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_read_fails), cmocka_unit_test(test_each_word_is_wrong),
		cmocka_unit_test(test_absurd_offsets),  cmocka_unit_test(test_random),
		cmocka_unit_test(test_random_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
