/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events made up for the stitcher, and its samples as text. A frame's code object is one letter. A sample
 * reads, root first:
 *
 *   L         a Python frame            <A> <A+> <A!> <A~> a task: plain, (created), (finished), (probably)
 *   k10 n10   kernel, native address    <A*3>              of 3 parents
 *   (name)    what follows runs there   {7}                frames left out
 *   ~Type     what the leaf awaits      [truncated] [cut]  how the frames ended, tasks cut
 *   ?2        why it is off the CPU: see CS_PART_WAIT    !name  who woke it; !: an interrupt
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "stitch/stitch.h"

#define MADE_PID 7
#define MADE_TID 70

struct made_stitch {
	struct cs_stitch *stitch;
	struct cs_buf text;                  /* the samples since the last made_take, one a line */
	struct cs_stitched last;             /* its pointers are no longer valid */
	struct cs_part last_part;            /* the leafmost one */
	char thread_name[32], task_name[32]; /* of the last sample */
	char origin_name[32], root_thread_name[32];
	unsigned int nsamples;
	uint64_t sum_ns;
};

/* For cmocka's setup and teardown: *state is a struct made_stitch. */
int made_setup(void **state);
int made_teardown(void **state);

/* What was emitted since the last call must be exactly this: lines, each ended by '\n'. */
void made_expect(struct made_stitch *made, const char *lines);

void made_code(struct made_stitch *made, char code, unsigned int flags);
/*
 * A stack of the thread. `frames` are the letters from root to newest. task 0: none runs; else the frame with
 * index root_frame (counted from the newest) is its outermost. The task's coroutine is at task + 0x1000.
 */
struct made_stack {
	const char *frames;
	uint64_t task;
	uint32_t root_frame;
	const char *name;
	enum cs_stack_origin origin;
	uint64_t blocked_ns; /* these four of CS_ORIGIN_OFF_CPU */
	enum cs_wait_reason reason;
	bool before, still;
	enum cs_status status;
	uint32_t nskipped;  /* frames left out behind the newest CS_LEAF_FRAMES; shown as {N} */
	uint64_t subject;   /* not 0: the event is the creation of that task */
	uint64_t weight_ns; /* 0: 100 */
	bool weightless;
	uint64_t ts_ns;
	uint64_t user_ip;
	uint64_t coro;    /* 0: task + 0x1000 */
	uint32_t tid;     /* 0: MADE_TID */
	uint32_t nkernel; /* their addresses are 0x10 for the newest, 0x11, ... */
};
void made_stack(struct made_stitch *made, const struct made_stack *stack);
#define MADE_STACK(made, ...) made_stack(made, &(const struct made_stack){__VA_ARGS__})

/* The thread's stack of this time works for this task: the frames before root_frame, counted from the newest. */
struct made_origin {
	uint64_t task;
	uint32_t root_frame;
	const char *name;
	uint64_t ts_ns;
	uint64_t coro; /* 0: task + 0x1000 */
	uint32_t tid;  /* 0: MADE_TID */
};
void made_origin(struct made_stitch *made, const struct made_origin *origin);
#define MADE_ORIGIN(made, ...) made_origin(made, &(const struct made_origin){__VA_ARGS__})

/*
 * The native frames of the thread's stack of this time: their addresses are 0x20 for the newest, 0x21, ... Bits of `entries`: which
 * of its Python frames, counted from the newest, native code called.
 */
void made_native(struct made_stitch *made, uint64_t ts_ns, uint32_t n, enum cs_status status,
		 uint64_t entries);

/* Who woke the thread in its stack of this time, with the kernel addresses 0x30, 0x31. */
void made_waker(struct made_stitch *made, uint64_t ts_ns, enum cs_waker_kind kind);

/* What is known of a native address: enum cs_symbol_flags. */
void made_symbol(struct made_stitch *made, uint64_t addr, unsigned int flags);

/* The span that is active in the stack of this time of this thread (0: MADE_TID). */
void made_span(struct made_stitch *made, uint64_t ts_ns, uint32_t tid, uint64_t id,
	       const char *type);

struct made_task {
	uint64_t task;
	const char *name, *frames, *leaf; /* NULL: "" */
	uint64_t waiter;
	enum cs_task_state state; /* 0: CS_TASK_WAITING */
	unsigned int flags;
	uint64_t ts_ns;
	uint64_t coro;                           /* 0: task + 0x1000 */
	uint32_t tid;                            /* 0: MADE_TID */
	struct cs_task_link links[CS_MAX_LINKS]; /* as many as have a waiter */
	uint64_t span;                           /* 0: none; its type is "web" */
};
void made_task(struct made_stitch *made, const struct made_task *task);
#define MADE_TASK(made, ...) made_task(made, &(const struct made_task){__VA_ARGS__})

/* A pass over the tasks given, each of which gets 10 ns; and the last one once more. */
void made_pass_again(struct made_stitch *made, uint64_t ts_ns);
void made_pass(struct made_stitch *made, uint64_t ts_ns, uint32_t ndropped, const uint64_t *tasks,
	       uint32_t n);
#define MADE_PASS(made, ts_ns, ndropped, ...)                             \
	made_pass(made, ts_ns, ndropped, (const uint64_t[]){__VA_ARGS__}, \
		  sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* A pass that read one task of so many. */
void made_share(struct made_stitch *made, uint64_t ts_ns, uint32_t every, const uint64_t *tasks,
		uint32_t n);
#define MADE_SHARE(made, ts_ns, every, ...)                             \
	made_share(made, ts_ns, every, (const uint64_t[]){__VA_ARGS__}, \
		   sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* The thread has this name in Python. */
void made_thread(struct made_stitch *made, const char *name);

/* An event that is its kind and nothing else; for CS_EV_SAME the weight is 100. */
void made_event(struct made_stitch *made, enum cs_ev_kind kind);
