/* SPDX-License-Identifier: Apache-2.0 */
/* The health of event loops as notes: which loops have a line, what a slow callback's line says, and names that would steer a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/loop_text.h"
#include "core/cleanup.h"

enum { PID = 7, TASK = 0x10 };

#define MS    1000000ull
#define TICK  (10 * MS)
#define START (1000 * MS)

struct made {
	struct cs_profile *profile;
	struct cs_loop_health *health;
	uint64_t now;
};

static void on_slow(void *ctx, uint32_t stack, uint64_t ns)
{
}

static void begin(struct made *made, bool wall, uint64_t slow_ns)
{
	struct cs_event event = {
		.kind = CS_EV_CAPTURE,
		.ts_ns = START,
		.capture = {.mode = wall ? CS_MODE_WALL : CS_MODE_CPU, .interval_ns = TICK},
	};
	struct cs_profile_meta *meta;

	assert_int_equal(cs_profile_new(&made->profile), 0);
	assert_int_equal(cs_loop_health_new(slow_ns, on_slow, NULL, &made->health), 0);
	assert_int_equal(cs_loop_health_feed(made->health, &event, NULL, CS_HOLD_NO_STACK), 0);
	meta = cs_profile_meta_mut(made->profile);
	meta->wall = wall;
	meta->interval_ns = TICK;
	meta->slow_ns = slow_ns;
	made->now = START + 20 * TICK;
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct made));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	struct made *made = *state;

	cs_profile_free(made->profile);
	cs_loop_health_free(made->health);
	free(made);
	return 0;
}

static uint32_t string(struct made *made, const char *str)
{
	return (uint32_t)cs_profile_string(made->profile, str, strlen(str));
}

static uint32_t frame(struct made *made, enum cs_frame_kind kind, const char *name,
		      const char *file)
{
	const struct cs_frame frame = {
		.kind = kind, .name = string(made, name), .file = string(made, file), .line = 3};

	return (uint32_t)cs_profile_frame(made->profile, &frame);
}

/* A sample of the thread: its task's boundary, or what calls callbacks; and above that this many functions and a kernel frame. */
static uint32_t sample(struct made *made, const char *task, uint32_t functions)
{
	const uint64_t values[CS_VALUE_MAX_] = {1, TICK, TICK};
	const struct cs_labels labels = {.thread_name = string(made, "main"),
					 .task_name = task ? string(made, task) : 0};
	uint32_t frames[32], n = 0;
	char name[16];

	frames[n++] = frame(made, CS_FRAME_PROCESS, "python3 [7]", "");
	frames[n++] = frame(made, CS_FRAME_THREAD, "thread main [70]", "");
	frames[n++] = frame(made, CS_FRAME_PYTHON, "Handle._run", "asyncio/events.py");
	if (task)
		frames[n++] = frame(made, CS_FRAME_TASK, "<task T>", "");
	for (uint32_t i = 0; i < functions; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		frames[n++] = frame(made, CS_FRAME_PYTHON, name, "app.py");
	}
	frames[n++] = frame(made, CS_FRAME_KERNEL, "read", "");
	assert_int_equal(cs_profile_add(made->profile, frames, n, &labels, values), 0);
	return cs_profile_last(made->profile);
}

/* Its thread is seen for n ticks in a step of this task. */
static void step(struct made *made, uint32_t tid, uint64_t task, uint32_t n, uint32_t stack)
{
	static const struct cs_py_frame frames[1];
	struct cs_event event = {
		.kind = CS_EV_STACK,
		.pid = PID,
		.tid = tid,
		.stack = {.weight_ns = TICK, .frames = frames, .nframes = 1},
	};

	event.stack.running = (struct cs_event_running){.task = task, .coro = task + 1};
	for (uint32_t i = 0; i < n; i++, made->now += TICK) {
		event.ts_ns = made->now;
		assert_int_equal(cs_loop_health_feed(made->health, &event, NULL, stack), 0);
	}
}

static void finish(struct made *made)
{
	cs_loop_health_finish(made->health, made->now);
	assert_int_equal(cs_loop_text_notes(made->health, START, made->profile), 0);
}

static void check_note(const struct made *made, size_t i, const char *expected)
{
	assert_true(i < cs_profile_nnotes(made->profile));
	assert_string_equal(cs_profile_get_note(made->profile, i), expected);
}

static void test_slow(void **state)
{
	struct made *made = *state;

	begin(made, true, 100 * MS);
	step(made, 70, TASK + 9, 1, sample(made, "other", 1));
	step(made, 70, TASK, 20, sample(made, "fetch", 2));
	step(made, 70, TASK + 9, 1, sample(made, "other", 1));
	step(made, 70, TASK, 12, sample(made, "fetch", 11));
	finish(made);
	assert_int_equal(cs_profile_nnotes(made->profile), 5);
	check_note(
		made, 0,
		"event loop in thread main [70] of python3 [7]: in callbacks and task steps 100.0% of 0.3 s, "
		"the longest 200 ms (190 to 210) if it was one step; what becomes ready then waits 75 ms (p50), 197 ms (p99)");
	check_note(
		made, 1,
		"2 callbacks and task steps held an event loop for 100 ms or more, 0.3 s in all");
	check_note(
		made, 2,
		"  200 ms (190 to 210) if it was one step, 0 off the CPU, at 0.21 s, task fetch, thread main [70] of python3 [7]: "
		"f1 (app.py:3) < f0 (app.py:3)");
	check_note(
		made, 3,
		"  120 ms (110 or more) if it was one step, 0 off the CPU, at 0.42 s, task fetch, thread main [70] of python3 [7]: "
		"f10 (app.py:3) < f9 (app.py:3) < f8 (app.py:3) < f7 (app.py:3) < f6 (app.py:3) < "
		"f5 (app.py:3) < f4 (app.py:3) < f3 (app.py:3) < ...");
}

/* Names are the program's: they cannot steer a terminal. */
static void test_names(void **state)
{
	struct made *made = *state;

	begin(made, true, 100 * MS);
	step(made, 70, TASK, 20, sample(made, "a\x1b[2Jb\n", 1));
	finish(made);
	assert_non_null(strstr(cs_profile_get_note(made->profile, 2), "task a\\x1b[2Jb\\x0a, "));
}

/* Nothing is listed unless asked for, and few samples tell nothing. */
static void test_few(void **state)
{
	struct made *made = *state;

	begin(made, false, 0);
	step(made, 70, TASK, 9, sample(made, "fetch", 1));
	step(made, 71, TASK, 10, sample(made, "fetch", 1));
	step(made, 72, TASK, 20, CS_HOLD_NO_STACK);
	finish(made);
	assert_int_equal(cs_profile_nnotes(made->profile), 1);
	assert_non_null(strstr(cs_profile_get_note(made->profile, 0), "[71]"));
	assert_non_null(strstr(cs_profile_get_note(made->profile, 0), "not seen in cpu mode"));
}

/* The busiest loops have lines, the others a number. */
static void test_many_loops(void **state)
{
	struct made *made = *state;
	char tid[16];

	begin(made, true, 10 * MS);
	for (uint32_t i = 0; i < 12; i++)
		step(made, 100 + i * 5 % 12, TASK, 20 + i * 5 % 12, sample(made, "fetch", 1));
	finish(made);
	for (uint32_t i = 0; i < 8; i++) {
		snprintf(tid, sizeof(tid), "[%u]", 111 - i);
		assert_non_null(strstr(cs_profile_get_note(made->profile, i), tid));
	}
	check_note(made, 8, "and 4 event loops that were held for less");
	check_note(
		made, 9,
		"12 callbacks and task steps held an event loop for 10 ms or more, 3.1 s in all; "
		"at this rate what is shorter than 20 ms may not be seen");
}

/* A callback that is C code has no frame of its own, and no task. */
static void test_callback(void **state)
{
	static const struct cs_py_frame frames[] = {{.code = 'h'}, {.code = 'o'}, {.code = 'L'}};
	static const struct cs_text names[] = {{"_run", 4}, {"_run_once", 9}, {"run_forever", 11}};
	struct made *made = *state;
	uint32_t stack;

	begin(made, true, 100 * MS);
	stack = sample(made, NULL, 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct cs_event event = {
			.kind = CS_EV_CODE,
			.pid = PID,
			.code = {.code = frames[i].code,
				 .flags = CS_CODE_ASYNCIO | (i == 2 ? CS_CODE_LOOP : 0),
				 .name = names[i]},
		};

		assert_int_equal(cs_loop_health_feed(made->health, &event, NULL, stack), 0);
	}
	for (int i = 0; i < 20; i++, made->now += TICK) {
		const struct cs_event event = {
			.kind = CS_EV_STACK,
			.ts_ns = made->now,
			.pid = PID,
			.tid = 70,
			.stack = {.weight_ns = TICK,
				  .origin = CS_ORIGIN_WALL,
				  .frames = frames,
				  .nframes = ARRAY_SIZE(frames)},
		};

		assert_int_equal(cs_loop_health_feed(made->health, &event, NULL, stack), 0);
	}
	finish(made);
	check_note(
		made, 2,
		"  200 ms (190 or more) if it was one step, 200 off the CPU, at 0.20 s, a callback, thread main [70] of python3 [7]: C code");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_slow),       TEST(test_names),    TEST(test_few),
		TEST(test_many_loops), TEST(test_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
