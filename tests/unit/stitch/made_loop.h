/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that runs an event loop, made up: time is in milliseconds, ticks come every 10, a frame's code object is one letter. For tests of cmocka, whose headers come first. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cleanup.h"
#include "stitch/loop_health.h"
#include "stitch/loop_sight.h"

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

/* A function of asyncio, or another one: its name and flags. */
struct function {
	char code;
	unsigned int flags;
	const char *name;
};

/* What asyncio calls them from 3.11 on, and before. */
#define NFUNCTIONS 9
extern const struct function new_python[NFUNCTIONS], old_python[NFUNCTIONS];

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

void feed(struct made *made, struct cs_event *event, uint32_t stack);

struct cs_event code_event(const struct function *function);

struct cs_event kernel_event(uint64_t addr, const char *name);

void begin(struct made *made, enum cs_capture_mode mode);

int setup(void **state);

int teardown(void **state);

/* Frames live in `frames`, of which there must be enough. */
struct cs_event_stack stack_of(const struct shown *shown, struct cs_py_frame *frames);

/* The thread shows this for n ticks, the first one now. */
void show(struct made *made, uint32_t n, const struct shown *shown);
#define SHOW(made, n, ...) show(made, n, &(const struct shown){__VA_ARGS__})

/* It has not run since its last wall stack; weights are the time since the visit before. */
void same(struct made *made, uint64_t weight_ms, uint32_t stack);

void other_event(struct made *made, enum cs_ev_kind kind);

void finish(struct made *made);

/* The slow hold with this index; `all` is how many there must be. */
const struct cs_hold *slow(const struct made *made, uint32_t index, uint64_t all);

void check_length(const struct cs_hold *hold, uint64_t ms, uint64_t least, uint64_t most);

const struct cs_loop *only_loop(const struct made *made);

/* A creation, for no time: by the thread's task, or in this step of the loop. */
void created_in(struct made *made, uint64_t by, struct cs_step step);
void created(struct made *made, uint64_t by);

struct cs_text text(const char *str);

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
