/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that runs an event loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <coroscope/code_check.h>
#include <stdlib.h>
#include <string.h>

#include "unit/stitch/made_loop.h"

const struct function new_python[NFUNCTIONS] = {
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

const struct function old_python[NFUNCTIONS] = {
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

struct cs_text text(const char *str)
{
	return (struct cs_text){str, strlen(str)};
}

static void on_slow(void *ctx, uint32_t stack, uint64_t ns)
{
	struct made *made = ctx;

	assert_in_range(stack, 0, STACKS - 1);
	made->told[stack] += ns / MS;
}

void feed(struct made *made, struct cs_event *event, uint32_t stack)
{
	event->ts_ns = made->now * MS;
	event->pid = PID;
	event->tid = event->tid ? event->tid : TID;
	assert_int_equal(cs_loop_health_feed(made->health, event, made->graph, stack), 0);
}

struct cs_event code_event(const struct function *function)
{
	return (struct cs_event){.kind = CS_EV_CODE,
				 .pid = PID,
				 .code = {.code = (uint64_t)function->code,
					  .flags = function->flags,
					  .name = text(function->name)}};
}

struct cs_event kernel_event(uint64_t addr, const char *name)
{
	return (struct cs_event){.kind = CS_EV_KSYM, .ksym = {.addr = addr, .name = text(name)}};
}

void begin(struct made *made, enum cs_capture_mode mode)
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

int setup(void **state)
{
	struct made *made = calloc(1, sizeof(*made));

	*state = made;
	return !made || cs_graph_new(&made->graph) ||
	       cs_loop_health_new(THRESHOLD * MS, on_slow, made, &made->health);
}

int teardown(void **state)
{
	struct made *made = *state;

	cs_loop_health_free(made->health);
	cs_graph_free(made->graph);
	free(made->frames);
	free(made);
	return 0;
}

struct cs_event_stack stack_of(const struct shown *shown, struct cs_py_frame *frames)
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

void show(struct made *made, uint32_t n, const struct shown *shown)
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

void same(struct made *made, uint64_t weight_ms, uint32_t stack)
{
	struct cs_event event = {.kind = CS_EV_SAME, .same = {weight_ms * MS, 1}};

	feed(made, &event, stack);
}

void other_event(struct made *made, enum cs_ev_kind kind)
{
	struct cs_event event = {.kind = kind};

	feed(made, &event, CS_HOLD_NO_STACK);
}

void finish(struct made *made)
{
	cs_loop_health_finish(made->health, made->now * MS);
}

const struct cs_hold *slow(const struct made *made, uint32_t index, uint64_t all)
{
	uint64_t seen, sum_ns;
	uint32_t n;
	const struct cs_hold *holds = cs_loop_health_slow(made->health, &n, &seen, &sum_ns);

	assert_int_equal(seen, all);
	assert_int_equal(n, all < CS_HOLDS_KEPT ? all : CS_HOLDS_KEPT);
	return &holds[index];
}

void check_length(const struct cs_hold *hold, uint64_t ms, uint64_t least, uint64_t most)
{
	assert_int_equal(hold->ns, ms * MS);
	assert_int_equal(hold->least_ns, least * MS);
	assert_int_equal(hold->most_ns, most == CS_HOLD_NO_BOUND ? most : most * MS);
}

const struct cs_loop *only_loop(const struct made *made)
{
	const struct cs_loop *loop = cs_loop_health_next(made->health, NULL);

	assert_non_null(loop);
	assert_null(cs_loop_health_next(made->health, loop));
	assert_int_equal(loop->pid, PID);
	assert_int_equal(loop->tid, TID);
	return loop;
}

void created_in(struct made *made, uint64_t by, struct cs_step step)
{
	const struct shown shown = {.frames = IN_STEP, .task = by, .step = step};
	struct cs_py_frame frames[sizeof(IN_STEP)] = {0};
	struct cs_event event = {.kind = CS_EV_TASK_CREATED, .stack = stack_of(&shown, frames)};

	made->now -= TICK / 2;
	feed(made, &event, CS_HOLD_NO_STACK);
	made->now += TICK / 2;
}

void created(struct made *made, uint64_t by)
{
	created_in(made, by, (struct cs_step){0});
}
