/* SPDX-License-Identifier: Apache-2.0 */
/* What a stack shows of an event loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <coroscope/limits.h>

#include "unit/stitch/made_loop.h"

static enum cs_sight_kind see(const struct cs_sights *sights, const struct shown *shown)
{
	struct cs_py_frame frames[CS_MAX_PY_FRAMES] = {0};
	struct cs_event_stack stack = stack_of(shown, frames);

	return cs_sights_see(sights, PID, &stack).kind;
}

static void check_sights(const struct function *functions, size_t n)
{
	static const struct {
		struct shown shown;
		enum cs_sight_kind kind;
	} cases[] = {
		{{.frames = IDLE}, CS_SIGHT_SELECTOR},
		{{.frames = IDLE "x"},
		 CS_SIGHT_SELECTOR}, /* a selector of somebody's that calls on */
		{{.frames = "mLo"}, CS_SIGHT_LOOP},
		{{.frames = "mLoa"}, CS_SIGHT_LOOP},
		{{.frames = "mLoy"}, CS_SIGHT_LOOP}, /* no selector, and no callback */
		{{.frames = "mLohx"}, CS_SIGHT_STEP},
		{{.frames = "mLohxs"}, CS_SIGHT_STEP}, /* the program's own selecting */
		{{.frames = "mLoh"}, CS_SIGHT_STEP},   /* a callback that is C code */
		{{.frames = "mLohax"}, CS_SIGHT_STEP}, /* asyncio calls what was given to it */
		{{.frames = "mLohxLos"},
		 CS_SIGHT_SELECTOR}, /* a loop within a step: that one waits */
		{{.frames = "mLohxLohx"}, CS_SIGHT_STEP},
		{{.frames = "mx"}, CS_SIGHT_NO_LOOP},
		{{.frames = "ms", .kernel = KERNEL_SLEEP}, CS_SIGHT_NO_LOOP},
		{{.frames = "mLo?"}, CS_SIGHT_UNKNOWN},
		{{.frames = "x", .status = CS_STATUS_TRUNCATED}, CS_SIGHT_UNKNOWN},
		{{.frames = "x", .status = CS_STATUS_CUT}, CS_SIGHT_UNKNOWN},
		{{.frames = "mLohx", .task = A}, CS_SIGHT_STEP},
		{{.frames = "x", .task = A, .status = CS_STATUS_TRUNCATED}, CS_SIGHT_STEP},
		/* a loop that is no Python code */
		{{.frames = "mR", .wall = true, .kernel = KERNEL_POLL}, CS_SIGHT_SELECTOR},
		{{.frames = "mR", .wall = true, .kernel = KERNEL_SLEEP}, CS_SIGHT_UNKNOWN},
		{{.frames = "mR", .wall = true}, CS_SIGHT_UNKNOWN},
		{{.frames = "mR"}, CS_SIGHT_LOOP},
		{{.frames = "mRx"}, CS_SIGHT_STEP},
		{{.frames = "mRa"}, CS_SIGHT_LOOP},
		{{.frames = "mRax"}, CS_SIGHT_LOOP},
		{{.frames = "m", .wall = true, .kernel = KERNEL_POLL}, CS_SIGHT_POLL},
		{{.frames = "mx", .task = A}, CS_SIGHT_STEP},
	};
	struct cs_event poll = kernel_event(KERNEL_POLL, "do_epoll_wait.part.0");
	struct cs_event sleep = kernel_event(KERNEL_SLEEP, "do_nanosleep");
	struct cs_sights *sights;

	assert_int_equal(cs_sights_new(&sights), 0);
	assert_int_equal(cs_sights_learn(sights, &poll), 0);
	assert_int_equal(cs_sights_learn(sights, &sleep), 0);
	for (size_t i = 0; i < n; i++) {
		struct cs_event event = code_event(&functions[i]);

		assert_int_equal(cs_sights_learn(sights, &event), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (see(sights, &cases[i].shown) != cases[i].kind)
			fail_msg("%s: %d, not %d", cases[i].shown.frames,
				 see(sights, &cases[i].shown), cases[i].kind);
	cs_sights_free(sights);
}

static void test_sights(void **state)
{
	check_sights(new_python, ARRAY_SIZE(new_python));
	check_sights(old_python, ARRAY_SIZE(old_python));
}

/* Of a deep stack the middle is left out: the loop may be in there, or what stands above it. */
static void test_deep_sights(void **state)
{
	char frames[CS_LEAF_FRAMES + 8] = "mLo";
	struct cs_sights *sights;

	assert_int_equal(cs_sights_new(&sights), 0);
	for (size_t i = 0; i < ARRAY_SIZE(new_python); i++) {
		struct cs_event event = code_event(&new_python[i]);

		assert_int_equal(cs_sights_learn(sights, &event), 0);
	}
	memset(frames + 4, 'x', CS_LEAF_FRAMES);
	frames[3] = 'h';
	assert_int_equal(see(sights, &(struct shown){.frames = frames}), CS_SIGHT_STEP);
	assert_int_equal(
		see(sights,
		    &(struct shown){.frames = frames, .nskipped = 3, .status = CS_STATUS_CUT}),
		CS_SIGHT_UNKNOWN);
	assert_int_equal(see(sights, &(struct shown){.frames = frames,
						     .task = A,
						     .nskipped = 3,
						     .status = CS_STATUS_CUT}),
			 CS_SIGHT_STEP);
	cs_sights_free(sights);
}

/* An address is what it was last said to be, until the process is another program. */
static void test_forgetting(void **state)
{
	static const struct function reused = {'L', 0, "ordinary"};
	struct cs_event event = code_event(&new_python[2]);
	struct cs_sights *sights;

	assert_int_equal(cs_sights_new(&sights), 0);
	assert_int_equal(cs_sights_learn(sights, &event), 0);
	assert_int_equal(see(sights, &(struct shown){.frames = "mL"}), CS_SIGHT_LOOP);
	event = code_event(&reused);
	assert_int_equal(cs_sights_learn(sights, &event), 0);
	assert_int_equal(see(sights, &(struct shown){.frames = "mL"}), CS_SIGHT_NO_LOOP);
	event = code_event(&new_python[2]);
	assert_int_equal(cs_sights_learn(sights, &event), 0);
	event = (struct cs_event){.kind = CS_EV_EXEC, .pid = PID + 1};
	assert_int_equal(cs_sights_learn(sights, &event), 0);
	assert_int_equal(see(sights, &(struct shown){.frames = "mL"}), CS_SIGHT_LOOP);
	event.pid = PID;
	assert_int_equal(cs_sights_learn(sights, &event), 0);
	assert_int_equal(see(sights, &(struct shown){.frames = "mL"}), CS_SIGHT_NO_LOOP);
	cs_sights_free(sights);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sights),
		cmocka_unit_test(test_deep_sights),
		cmocka_unit_test(test_forgetting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
