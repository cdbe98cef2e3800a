/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What samples tell of event loops: what a stack shows, where a hold begins and ends and how long it can have been, what of it is passed on, how long
 * what became ready waited. Time is in milliseconds, ticks come every 10. A frame's code object is one letter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <coroscope/code_check.h>
#include <coroscope/limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "stitch/loop_health.h"
#include "stitch/loop_sight.h"
#include "stitch/waits.h"

enum { PID = 7, TID = 70, TICK = 10, THRESHOLD = 100 };
enum { A = 0x10, B = 0x20, CORO = 0x1000 };
enum { KERNEL_POLL = 0x900, KERNEL_SLEEP = 0x901 };

#define MS      1000000ull
#define STACKS  64
#define IDLE    "mLos"
#define IN_STEP "mLohx"

struct made {
	struct cs_loop_health *health;
	struct cs_graph *graph;
	uint64_t now;          /* ms */
	uint64_t told[STACKS]; /* ms that were passed on, by stack */
	struct cs_py_frame *
		frames; /* of the event under construction: on its own, so that a checker sees who keeps it */
};

static struct cs_text text(const char *str)
{
	return (struct cs_text){str, strlen(str)};
}

static void on_slow(void *ctx, uint32_t stack, uint64_t ns)
{
	struct made *made = ctx;

	assert_in_range(stack, 0, STACKS - 1);
	made->told[stack] += ns / MS;
}

static void feed(struct made *made, struct cs_event *event, uint32_t stack)
{
	event->ts_ns = made->now * MS;
	event->pid = PID;
	event->tid = event->tid ? event->tid : TID;
	assert_int_equal(cs_loop_health_feed(made->health, event, made->graph, stack), 0);
}

/* A function of asyncio, or another one: its name and flags. */
struct function {
	char code;
	unsigned int flags;
	const char *name;
};

static const struct function new_python[] = {
	{'m', 0, "<module>"},
	{'R', CS_CODE_ASYNCIO | CS_CODE_LOOP, "Runner.run"},
	{'L', CS_CODE_ASYNCIO | CS_CODE_LOOP, "BaseEventLoop.run_forever"},
	{'o', CS_CODE_ASYNCIO, "BaseEventLoop._run_once"},
	{'h', CS_CODE_ASYNCIO, "Handle._run"},
	{'a', CS_CODE_ASYNCIO, "BaseEventLoop._process_events"},
	{'s', 0, "EpollSelector.select"},
	{'x', 0, "handle_request"},
	{'y', 0, "tooselect"},
};

static const struct function old_python[] = {
	{'m', 0, "<module>"},
	{'R', CS_CODE_ASYNCIO | CS_CODE_LOOP, "run"},
	{'L', CS_CODE_ASYNCIO | CS_CODE_LOOP, "run_forever"},
	{'o', CS_CODE_ASYNCIO, "_run_once"},
	{'h', CS_CODE_ASYNCIO, "_run"},
	{'a', CS_CODE_ASYNCIO, "_process_events"},
	{'s', 0, "select"},
	{'x', 0, "handle_request"},
	{'y', 0, "tooselect"},
};

static struct cs_event code_event(const struct function *function)
{
	return (struct cs_event){.kind = CS_EV_CODE,
				 .pid = PID,
				 .code = {.code = (uint64_t)function->code,
					  .flags = function->flags,
					  .name = text(function->name)}};
}

static struct cs_event kernel_event(uint64_t addr, const char *name)
{
	return (struct cs_event){.kind = CS_EV_KSYM, .ksym = {.addr = addr, .name = text(name)}};
}

static void begin(struct made *made, enum cs_capture_mode mode)
{
	struct cs_event event = {.kind = CS_EV_CAPTURE,
				 .capture = {.mode = mode, .interval_ns = TICK * MS}};

	made->now = 1000;
	feed(made, &event, CS_HOLD_NO_STACK);
	for (size_t i = 0; i < ARRAY_SIZE(new_python); i++) {
		event = code_event(&new_python[i]);
		feed(made, &event, CS_HOLD_NO_STACK);
	}
}

static int setup(void **state)
{
	struct made *made = calloc(1, sizeof(*made));

	*state = made;
	return !made || cs_graph_new(&made->graph) ||
	       cs_loop_health_new(THRESHOLD * MS, on_slow, made, &made->health);
}

static int teardown(void **state)
{
	struct made *made = *state;

	cs_loop_health_free(made->health);
	cs_graph_free(made->graph);
	free(made->frames);
	free(made);
	return 0;
}

/* What a thread shows. frames: letters, root first; the task's outermost frame is the newest one. */
struct shown {
	const char *frames;
	uint64_t task, coro; /* coro 0: task + CORO */
	bool wall;
	enum cs_status status;
	uint32_t stack, nskipped;
	uint64_t kernel; /* one address; 0: none */
	uint64_t weight; /* ms; 0: a tick */
	struct cs_step step;
};

/* Frames live in `frames`, of which there must be enough. */
static struct cs_event_stack stack_of(const struct shown *shown, struct cs_py_frame *frames)
{
	uint32_t n = (uint32_t)strlen(shown->frames);
	struct cs_event_stack stack = {
		.weight_ns = (shown->weight ? shown->weight : TICK) * MS,
		.origin = shown->wall ? CS_ORIGIN_WALL : CS_ORIGIN_CPU,
		.status = shown->status,
		.frames = frames,
		.nframes = n,
		.nskipped = shown->nskipped,
		.kernel = &shown->kernel,
		.nkernel = shown->kernel != 0,
		.step = shown->step,
	};

	for (uint32_t i = 0; i < n; i++)
		frames[i].code = shown->frames[n - 1 - i] == '?'
					 ? CS_CODE_STALE
					 : (uint64_t)shown->frames[n - 1 - i];
	if (shown->task)
		stack.running = (struct cs_event_running){
			.task = shown->task,
			.coro = shown->coro ? shown->coro : shown->task + CORO,
		};
	return stack;
}

/* The thread shows this for n ticks, the first one now. */
static void show(struct made *made, uint32_t n, const struct shown *shown)
{
	for (uint32_t i = 0; i < n; i++, made->now += TICK) {
		struct cs_event event = {.kind = CS_EV_STACK};

		free(made->frames);
		made->frames = calloc(strlen(shown->frames) + 1, sizeof(*made->frames));
		assert_non_null(made->frames);
		event.stack = stack_of(shown, made->frames);
		feed(made, &event, shown->stack);
	}
}
#define SHOW(made, n, ...) show(made, n, &(const struct shown){__VA_ARGS__})

/* It has not run since its last wall stack; weights are the time since the visit before. */
static void same(struct made *made, uint64_t weight_ms, uint32_t stack)
{
	struct cs_event event = {.kind = CS_EV_SAME, .same_weight_ns = weight_ms * MS};

	feed(made, &event, stack);
}

static void other_event(struct made *made, enum cs_ev_kind kind)
{
	struct cs_event event = {.kind = kind};

	feed(made, &event, CS_HOLD_NO_STACK);
}

static void finish(struct made *made)
{
	cs_loop_health_finish(made->health, made->now * MS);
}

/* The slow hold with this index; `all` is how many there must be. */
static const struct cs_hold *slow(const struct made *made, uint32_t index, uint64_t all)
{
	uint64_t seen, sum_ns;
	uint32_t n;
	const struct cs_hold *holds = cs_loop_health_slow(made->health, &n, &seen, &sum_ns);

	assert_int_equal(seen, all);
	assert_int_equal(n, all < CS_HOLDS_KEPT ? all : CS_HOLDS_KEPT);
	return &holds[index];
}

static void check_length(const struct cs_hold *hold, uint64_t ms, uint64_t least, uint64_t most)
{
	assert_int_equal(hold->ns, ms * MS);
	assert_int_equal(hold->least_ns, least * MS);
	assert_int_equal(hold->most_ns, most == CS_HOLD_NO_BOUND ? most : most * MS);
}

static const struct cs_loop *only_loop(const struct made *made)
{
	const struct cs_loop *loop = cs_loop_health_next(made->health, NULL);

	assert_non_null(loop);
	assert_null(cs_loop_health_next(made->health, loop));
	assert_int_equal(loop->pid, PID);
	assert_int_equal(loop->tid, TID);
	return loop;
}

/* Stacks and what they show */

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

/* Holds */

static void test_hold(void **state)
{
	struct made *made = *state;
	const struct cs_hold *hold;

	begin(made, CS_MODE_WALL);
	SHOW(made, 10, .frames = IDLE, .stack = 1);
	made->now += 3;
	SHOW(made, 12, .frames = IN_STEP, .task = A, .stack = 2);
	SHOW(made, 18, .frames = IN_STEP, .task = A, .stack = 3);
	made->now += 4;
	SHOW(made, 10, .frames = IDLE, .stack = 1);
	finish(made);
	hold = slow(made, 0, 1);
	check_length(hold, 300, 290, 290 + 13 + 14);
	assert_int_equal(hold->start_ns, 1103 * MS);
	assert_int_equal(hold->task, A);
	assert_int_equal(hold->tid, TID);
	assert_int_equal(hold->stack, 3);
	assert_int_equal(hold->off_cpu_ns, 0);
	assert_int_equal(hold->sure_ns, 0);
	assert_int_equal(made->told[1], 0);
	assert_int_equal(made->told[2], 120);
	assert_int_equal(made->told[3], 180);
	check_length(&only_loop(made)->longest, 300, 290, 317);
	assert_int_equal(only_loop(made)->held_ns, 300 * MS);
	assert_int_equal(only_loop(made)->watched_ns, 500 * MS);
	assert_int_equal(only_loop(made)->nsamples, 50);
	/* 300 of 500 ms: the median waits 50 ms, one in a hundred all but 5 */
	assert_int_equal(only_loop(made)->wait_p50_ns, 50 * MS);
	assert_int_equal(only_loop(made)->wait_p99_ns, 295 * MS);
}

/* A step that one sample shows may have been as short as any; the time counts, a hold it is not. */
static void test_single_samples(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	for (int i = 0; i < 50; i++) {
		SHOW(made, 1, .frames = IDLE, .stack = 1);
		SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 2);
	}
	finish(made);
	slow(made, 0, 0);
	assert_int_equal(only_loop(made)->longest.ns, 0);
	assert_int_equal(only_loop(made)->held_ns, 500 * MS);
	assert_int_equal(only_loop(made)->wait_p99_ns, 0);
}

/* What comes between two halves of 100 ms each makes two holds of them, or leaves one. */
static void between(struct made *made, const struct shown *what, bool two)
{
	begin(made, CS_MODE_WALL);
	SHOW(made, 1, .frames = IDLE, .stack = 1);
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 2);
	show(made, 1, what);
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 2);
	SHOW(made, 1, .frames = IDLE, .stack = 1);
	finish(made);
	if (two)
		check_length(slow(made, 1, 2), 100, 90, 110);
	else
		check_length(slow(made, 0, 1), 200, 200, 220);
}

static void test_selector_between(void **state)
{
	between(*state, &(struct shown){.frames = IDLE, .stack = 1}, true);
}

static void test_loop_between(void **state)
{
	between(*state, &(struct shown){.frames = "mLo", .stack = 1}, true);
}

static void test_task_between(void **state)
{
	between(*state, &(struct shown){.frames = IN_STEP, .task = B, .stack = 2}, true);
}

static void test_successor_between(void **state)
{
	between(*state, &(struct shown){.frames = IN_STEP, .task = A, .coro = 0x77, .stack = 2},
		true);
}

static void test_callback_between(void **state)
{
	between(*state, &(struct shown){.frames = IN_STEP, .stack = 2}, true);
}

/* Nobody knows what it was: no end, and no time. */
static void test_unknown_between(void **state)
{
	struct made *made = *state;

	between(made, &(struct shown){.frames = "x", .status = CS_STATUS_UNREADABLE_FRAME}, false);
	assert_int_equal(only_loop(made)->unknown_ns, TICK * MS);
	assert_int_equal(only_loop(made)->watched_ns, 220 * MS);
}

/* Callbacks are told apart by their function. */
static void test_callbacks(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 10, .frames = "mLohxy", .stack = 1);
	SHOW(made, 11, .frames = "mLohyx", .stack = 2);
	SHOW(made, 12, .frames = "mLoh", .stack = 3);
	SHOW(made, 1, .frames = IDLE, .stack = 4);
	finish(made);
	assert_int_equal(slow(made, 0, 3)->stack, 3);
	assert_int_equal(slow(made, 1, 3)->stack, 2);
	check_length(slow(made, 2, 3), 100, 90, CS_HOLD_NO_BOUND);
	assert_int_equal(slow(made, 2, 3)->task, 0);
}

static void created_in(struct made *made, uint64_t by, struct cs_step step)
{
	const struct shown shown = {.frames = IN_STEP, .task = by, .step = step};
	struct cs_py_frame frames[sizeof(IN_STEP)] = {0};
	struct cs_event event = {.kind = CS_EV_TASK_CREATED, .stack = stack_of(&shown, frames)};

	made->now -= TICK / 2;
	feed(made, &event, CS_HOLD_NO_STACK);
	made->now += TICK / 2;
}

static void created(struct made *made, uint64_t by)
{
	created_in(made, by, (struct cs_step){0});
}

/* A creation shows, for no time, who runs. */
static void test_creations(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 1);
	created(made, A);
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 1);
	created(made, B);
	SHOW(made, 15, .frames = IN_STEP, .task = A, .stack = 1);
	SHOW(made, 1, .frames = IDLE, .stack = 2);
	finish(made);
	check_length(slow(made, 0, 2), 200, 190, CS_HOLD_NO_BOUND);
	check_length(slow(made, 1, 2), 150, 140, 155);
	assert_int_equal(only_loop(made)->held_ns, 350 * MS);
}

/* Passes over the task in the middle of two halves. */
static void passes(struct made *made, enum cs_task_state state, bool complete, bool two)
{
	static const uint64_t tasks[] = {A};
	const struct cs_event_task task = {
		.task = A, .coro = A + CORO, .state = state, .name = text("A"), .leaf = text("")};
	struct cs_event event = {.kind = CS_EV_PASS};

	begin(made, CS_MODE_WALL);
	SHOW(made, 1, .frames = IDLE, .stack = 1);
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 2);
	made->now -= TICK / 2;
	assert_int_equal(cs_graph_update(made->graph, made->now * MS, &task, TID), 0);
	cs_graph_pass(made->graph, made->now * MS, tasks, complete, true);
	feed(made, &event, CS_HOLD_NO_STACK);
	made->now += TICK / 2;
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 2);
	SHOW(made, 1, .frames = IDLE, .stack = 1);
	finish(made);
	check_length(slow(made, 0, two ? 2 : 1), two ? 100 : 200, two ? 90 : 190, two ? 105 : 210);
}

static void test_pass_suspended(void **state)
{
	passes(*state, CS_TASK_READY, true, true);
}

static void test_pass_running(void **state)
{
	passes(*state, CS_TASK_RUNNING, true, false);
}

/* Its state is an old one: the pass did not see it. */
static void test_pass_without_it(void **state)
{
	passes(*state, CS_TASK_WAITING, false, false);
}

/* A thread asleep in a step: it has not run, however long nobody looked. */
static void test_blocked(void **state)
{
	struct made *made = *state;
	const struct cs_hold *hold;

	begin(made, CS_MODE_WALL);
	same(made, 10, CS_HOLD_NO_STACK); /* of a thread that nobody knows */
	SHOW(made, 2, .frames = IDLE, .stack = 1);
	SHOW(made, 2, .frames = IN_STEP, .task = A, .stack = 2);
	SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 3, .wall = true);
	made->now += 90;
	same(made, 100, 3);
	made->now += 10;
	same(made, 10, 3);
	made->now += 10;
	SHOW(made, 1, .frames = IDLE, .stack = 1);
	finish(made);
	hold = slow(made, 0, 1);
	check_length(hold, 140, 130, 150);
	assert_int_equal(hold->off_cpu_ns, 120 * MS);
	assert_int_equal(hold->sure_ns, 110 * MS);
	assert_int_equal(hold->stack, 3);
	assert_int_equal(made->told[2] + made->told[3], 140);
}

/* A gap is no hold: what the loop did in it is not known. */
static void test_gap(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_CPU);
	made->now += 500;
	SHOW(made, 11, .frames = IN_STEP, .task = A, .stack = 1);
	made->now += 250;
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 1);
	made->now += 10; /* a tick later than it should: it has moved to another CPU */
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 1);
	made->now += 500;
	finish(made);
	/* the CPU clock would have seen more of them, had they run for an interval more */
	check_length(slow(made, 0, 2), 200, 200, 220);
	check_length(slow(made, 1, 2), 110, 100, 120);
	assert_int_equal(only_loop(made)->held_ns, 310 * MS);
	assert_int_equal(only_loop(made)->watched_ns, 1070 * MS);
}

/* On a busy machine visits come late. A wait for a CPU tells how long it was; of any other gap nobody knows whether the hold went on. */
static void test_gap_of_wall(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 1, .frames = IDLE, .stack = 2);
	SHOW(made, 12, .frames = IN_STEP, .task = A, .stack = 1);
	made->now += 60;
	SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 1, .wall = true, .weight = 50);
	made->now += 60;
	SHOW(made, 14, .frames = IN_STEP, .task = A, .stack = 1);
	SHOW(made, 1, .frames = IDLE, .stack = 2);
	finish(made);
	check_length(slow(made, 0, 2), 180, 180, CS_HOLD_NO_BOUND);
	assert_int_equal(slow(made, 0, 2)->off_cpu_ns, 50 * MS);
	check_length(slow(made, 1, 2), 140, 130, CS_HOLD_NO_BOUND);
}

/* Told steps */

static struct cs_stretches stretches(const struct made *made)
{
	return cs_loop_health_stretches(made->health);
}

/* Samples of one step, told by the version alone; creations and what tells nothing change nothing. */
static void test_told(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 1, .frames = IDLE, .stack = 1, .step = {3, 0});
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 2, .step = {4, 0});
	created_in(made, A, (struct cs_step){4, 0});
	SHOW(made, 5, .frames = IN_STEP, .task = A, .stack = 2, .step = {4, 9});
	created(made, A);
	SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 2);
	made->now += 500; /* nobody looked, but it is the same */
	SHOW(made, 4, .frames = IN_STEP, .task = A, .stack = 2, .step = {4, 0});
	SHOW(made, 1, .frames = IDLE, .stack = 1, .step = {5, 0});
	finish(made);
	check_length(slow(made, 0, 1), 690, 690, 710);
	assert_int_equal(slow(made, 0, 1)->sure_ns, 690 * MS);
	assert_int_equal(stretches(made).n, 0);
}

/* Where it begins to be told, it begins to be certain. */
static void test_told_late(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 5, .frames = IN_STEP, .task = A, .stack = 2);
	SHOW(made, 10, .frames = IN_STEP, .task = A, .stack = 2, .step = {4, 0});
	finish(made);
	check_length(slow(made, 0, 1), 150, 140, CS_HOLD_NO_BOUND);
	assert_int_equal(slow(made, 0, 1)->sure_ns, 90 * MS);
}

/* A task that only yields: each of its steps was seen once. */
static void test_yielding(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 1, .frames = IDLE, .stack = 1);
	for (uint32_t i = 0; i < 30; i++)
		SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 2, .step = {4 + i, 8 + i % 2});
	finish(made);
	slow(made, 0, 0);
	assert_int_equal(only_loop(made)->longest.ns, 0);
	assert_int_equal(only_loop(made)->held_ns, 300 * MS);
	assert_int_equal(stretches(made).n, 0);
}

/* ... without a handle to look at, which may have been one step that enters contexts. */
static void test_perhaps_yielding(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	for (uint32_t i = 0; i < 40; i++)
		SHOW(made, 1, .frames = i == 20 ? IDLE : IN_STEP, .task = i == 20 ? 0 : A,
		     .stack = i == 20 ? 1 : 2, .step = {4 + i, 0});
	SHOW(made, 9, .frames = IDLE, .stack = 1);
	for (uint32_t i = 0; i < 9; i++) /* too short */
		SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 2, .step = {4 + i, 0});
	finish(made);
	slow(made, 0, 0);
	assert_int_equal(stretches(made).n, 2);
	assert_int_equal(stretches(made).sum_ns, (190 + 180) * MS);
}

/* A slow step among many short ones: it has bounds if these are certainly others. */
static void slow_among_short(struct made *made, bool handles)
{
	uint32_t ver = 4;

	begin(made, CS_MODE_WALL);
	for (uint32_t i = 0; i < 10; i++, ver += 2)
		SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 2,
		     .step = {ver, handles ? 8 + i % 2 : 0});
	SHOW(made, 15, .frames = IN_STEP, .task = A, .stack = 3, .step = {ver, handles ? 8 : 0});
	for (uint32_t i = 0; i < 10; i++)
		SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 2,
		     .step = {ver += 2, handles ? 9 - i % 2 : 0});
	finish(made);
	check_length(slow(made, 0, 1), 150, 140, handles ? 160 : CS_HOLD_NO_BOUND);
	assert_int_equal(slow(made, 0, 1)->sure_ns, 140 * MS);
	assert_int_equal(slow(made, 0, 1)->stack, 3);
	assert_int_equal(made->told[2], 0);
	assert_int_equal(stretches(made).n, 0);
}

static void test_slow_among_short(void **state)
{
	slow_among_short(*state, true);
}

static void test_slow_among_perhaps_short(void **state)
{
	slow_among_short(*state, false);
}

/* The CPU clock's lengths are of what ran: a step that waited is told in pieces even so. */
static void test_told_gap_of_cpu(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_CPU);
	made->now += 100;
	SHOW(made, 11, .frames = IN_STEP, .task = A, .stack = 1, .step = {4, 0});
	made->now += 250;
	SHOW(made, 12, .frames = IN_STEP, .task = A, .stack = 1, .step = {4, 0});
	made->now += 100;
	finish(made);
	check_length(slow(made, 0, 2), 120, 110, 130);
	check_length(slow(made, 1, 2), 110, 100, 120);
}

/* At the ends of the capture, and of the process. */
static void test_ends(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 20, .frames = IN_STEP, .task = A, .stack = 1);
	SHOW(made, 1, .frames = IDLE, .stack = 2);
	SHOW(made, 19, .frames = IN_STEP, .task = A, .stack = 1);
	other_event(made, CS_EV_EXIT);
	made->now += 30;
	begin(made, CS_MODE_WALL);
	SHOW(made, 1, .frames = IDLE, .stack = 2);
	SHOW(made, 18, .frames = IN_STEP, .task = A, .stack = 1);
	finish(made);
	check_length(slow(made, 0, 3), 200, 190, CS_HOLD_NO_BOUND);
	check_length(slow(made, 1, 3), 190, 180, 200);
	check_length(slow(made, 2, 3), 180, 170, CS_HOLD_NO_BOUND);
}

/* Records change places: what user space saw is written before or behind what the kernel's ring held meanwhile. */
static void test_order(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	made->now += 10;
	SHOW(made, 30, .frames = IN_STEP, .task = A, .stack = 1);
	made->now -= 150; /* it was in the middle */
	SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 1, .wall = true);
	made->now -= 170; /* before all of it */
	SHOW(made, 1, .frames = IDLE, .stack = 2);
	made->now += 300;
	SHOW(made, 1, .frames = IDLE, .stack = 2);
	finish(made);
	check_length(slow(made, 0, 1), 310, 290, 310);
}

/* Two threads and two processes' loops are apart; a process that ended keeps its own. */
static void test_loops(void **state)
{
	struct made *made = *state;
	const struct cs_loop *loop = NULL;
	unsigned int n = 0;

	begin(made, CS_MODE_WALL);
	for (int i = 0; i < 20; i++) {
		struct cs_py_frame frames[8] = {0};
		struct cs_event event = {.kind = CS_EV_STACK, .tid = TID + 1};

		event.stack = stack_of(&(struct shown){.frames = IN_STEP, .task = B}, frames);
		feed(made, &event, 5);
		SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 6);
	}
	finish(made);
	slow(made, 1, 2);
	assert_int_equal(made->told[5], 200);
	assert_int_equal(made->told[6], 200);
	while ((loop = cs_loop_health_next(made->health, loop)))
		assert_int_equal(loop->tid, n++ ? TID : TID + 1);
	assert_int_equal(n, 2);
}

/* A thread without a loop is none; one that has had one is not watched while it has none. */
static void test_no_loop(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 20, .frames = "mx", .stack = 1);
	assert_null(cs_loop_health_next(made->health, NULL));
	SHOW(made, 20, .frames = IN_STEP, .task = A, .stack = 2);
	SHOW(made, 20, .frames = "mx", .stack = 1);
	finish(made);
	check_length(slow(made, 0, 1), 200, 190, CS_HOLD_NO_BOUND);
	assert_int_equal(only_loop(made)->watched_ns, 200 * MS);
}

/* Without stacks (they are not shown) nothing is listed or passed on. */
static void test_hidden(void **state)
{
	struct made *made = *state;

	begin(made, CS_MODE_WALL);
	SHOW(made, 20, .frames = IN_STEP, .task = A, .stack = CS_HOLD_NO_STACK);
	finish(made);
	slow(made, 0, 0);
	assert_int_equal(only_loop(made)->stack, CS_HOLD_NO_STACK);
}

/* The longest are kept, all are summed and passed on. */
static void test_many(void **state)
{
	struct made *made = *state;
	uint64_t all, sum_ns, told = 0;
	uint32_t n;

	begin(made, CS_MODE_WALL);
	for (uint32_t i = 0; i < 100; i++) {
		SHOW(made, 1, .frames = IDLE, .stack = 0);
		/* 10 to 109 ticks, in no order */
		for (uint32_t k = 0; k < 10 + i * 37 % 100; k++)
			SHOW(made, 1, .frames = IN_STEP, .task = A, .stack = 1 + k % (STACKS - 1));
	}
	SHOW(made, 1, .frames = IDLE, .stack = 0);
	finish(made);
	for (uint32_t i = 0; i < CS_HOLDS_KEPT; i++)
		assert_int_equal(slow(made, i, 100)->ns, (1090 - i * 10) * MS);
	cs_loop_health_slow(made->health, &n, &all, &sum_ns);
	assert_int_equal(sum_ns, 59500 * MS);
	/* more stacks than a hold tells apart, and all their time */
	for (uint32_t i = 1; i < STACKS; i++)
		told += made->told[i];
	assert_int_equal(told, 59500);
	assert_int_equal(made->told[0], 0);
}

/* Times and weights of a forged capture: any figures, but no crash. */
static void test_hostile(void **state)
{
	static const uint64_t times[] = {0, 5, UINT64_MAX, 7, UINT64_MAX - 1};
	struct made *made = *state;

	begin(made, CS_MODE_CPU);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(times); i++) {
		struct cs_py_frame frames[8] = {0};
		struct cs_event event = {.kind = CS_EV_STACK,
					 .ts_ns = times[i % ARRAY_SIZE(times)],
					 .pid = PID,
					 .tid = TID};

		event.stack = stack_of(&(struct shown){.frames = IN_STEP, .task = A}, frames);
		event.stack.weight_ns = UINT64_MAX;
		assert_int_equal(cs_loop_health_feed(made->health, &event, NULL, 1), 0);
	}
	finish(made);
	assert_in_range(slow(made, 0, 2)->ns, slow(made, 0, 2)->least_ns,
			slow(made, 0, 2)->most_ns);
}

/* Waits */

/* The share of what becomes ready in watched ms that waits longer than x, by its definition. */
static double share_above(const uint64_t *holds, size_t n, double watched, double x)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)holds[i] > x ? (double)holds[i] - x : 0;
	return sum / watched;
}

static void test_waits(void **state)
{
	static const double quantiles[] = {0.5, 0.9, 0.99, 0.999};
	struct cs_waits waits = {0};
	uint64_t holds[500], sum = 0, random = 1;

	assert_int_equal(cs_waits_quantile(&waits, 1000 * MS, 0.5), 0);
	assert_int_equal(cs_waits_quantile(&waits, 0, 0.99), 0);
	for (size_t i = 0; i < ARRAY_SIZE(holds); i++) {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		holds[i] = 2 + (random >> 40) % 30 * ((random >> 50) % 30);
		sum += holds[i];
		cs_waits_add(&waits, holds[i] * MS);
	}
	for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++) {
		double x = (double)cs_waits_quantile(&waits, sum * 3 / 2 * MS, quantiles[i]) / MS;
		double share = 1 - quantiles[i];

		assert_true(x > 0);
		/* classes are a fifth wide: so exact is the wait */
		assert_true(share_above(holds, ARRAY_SIZE(holds), (double)sum * 1.5, x * 1.1) <
			    share);
		assert_true(share_above(holds, ARRAY_SIZE(holds), (double)sum * 1.5, x * 0.9) >
			    share);
	}
	assert_int_equal(cs_waits_quantile(&waits, sum * 3 * MS, 0.5), 0);
	cs_waits_add(&waits, UINT64_MAX);
	assert_true(cs_waits_quantile(&waits, UINT64_MAX, 0.01) > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* A capture in periods: what a loop showed last and what its functions are lives on, what was told of the last period does not. */
static void test_periods(void **state)
{
	struct made *made = *state;
	struct cs_event event = {.kind = CS_EV_CAPTURE,
				 .capture = {.mode = CS_MODE_WALL, .interval_ns = TICK * MS}};

	begin(made, CS_MODE_WALL);
	SHOW(made, 20, .frames = IN_STEP, .stack = 3);
	SHOW(made, 10, .frames = IDLE, .wall = true);
	finish(made);
	slow(made, 0, 1);
	cs_loop_health_begin(made->health);
	slow(made, 0, 0);
	feed(made, &event, CS_HOLD_NO_STACK);
	for (int i = 0; i < 20; i++, made->now += TICK)
		same(made, TICK, 5); /* asleep as it was */
	finish(made);
	assert_int_equal(only_loop(made)->watched_ns, 20 * TICK * MS);
	assert_int_equal(only_loop(made)->held_ns, 0);
	assert_int_equal(only_loop(made)->stack, 5);
	slow(made, 0, 0);
	cs_loop_health_begin(made->health);
	feed(made, &event, CS_HOLD_NO_STACK);
	SHOW(made, 30, .frames = IN_STEP, .stack = 4);
	finish(made);
	assert_int_equal(slow(made, 0, 1)->stack, 4);
	/* not seen for a whole period: its thread has ended without a word */
	cs_loop_health_begin(made->health);
	feed(made, &event, CS_HOLD_NO_STACK);
	finish(made);
	cs_loop_health_begin(made->health);
	assert_null(cs_loop_health_next(made->health, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sights),
		cmocka_unit_test(test_deep_sights),
		cmocka_unit_test(test_forgetting),
		TEST(test_hold),
		TEST(test_single_samples),
		TEST(test_selector_between),
		TEST(test_loop_between),
		TEST(test_task_between),
		TEST(test_successor_between),
		TEST(test_callback_between),
		TEST(test_unknown_between),
		TEST(test_callbacks),
		TEST(test_creations),
		TEST(test_pass_suspended),
		TEST(test_pass_running),
		TEST(test_pass_without_it),
		TEST(test_blocked),
		TEST(test_gap),
		TEST(test_gap_of_wall),
		TEST(test_told),
		TEST(test_told_late),
		TEST(test_yielding),
		TEST(test_perhaps_yielding),
		TEST(test_slow_among_short),
		TEST(test_slow_among_perhaps_short),
		TEST(test_told_gap_of_cpu),
		TEST(test_ends),
		TEST(test_order),
		TEST(test_loops),
		TEST(test_no_loop),
		TEST(test_hidden),
		TEST(test_many),
		TEST(test_hostile),
		cmocka_unit_test(test_waits),
		cmocka_unit_test_setup_teardown(test_periods, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
