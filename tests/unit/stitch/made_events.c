/* SPDX-License-Identifier: Apache-2.0 */
/* Events made up for the stitcher, and its samples as text. */
#include "unit/stitch/made_events.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <coroscope/code_check.h>

#define MAX_FRAMES CS_MAX_PY_FRAMES
#define PASS_NS    10
#define STACK_NS   100

static int append_part(struct cs_buf *out, const struct cs_part *part)
{
	switch (part->kind) {
	case CS_PART_PYTHON:
		if (part->python.code == CS_CODE_LEFT_OUT)
			return cs_buf_printf(out, "{%d}", part->python.lasti);
		return cs_buf_printf(out, "%c", (char)part->python.code);
	case CS_PART_TASK:
		if (cs_buf_printf(out, "<%s%s", part->name ? part->name : "?",
				  part->mark == CS_MARK_CREATED    ? "+"
				  : part->mark == CS_MARK_FINISHED ? "!"
				  : part->mark == CS_MARK_PROBABLE ? "~"
								   : ""))
			return -1;
		return part->parents > 1 ? cs_buf_printf(out, "*%u>", part->parents)
					 : cs_buf_append_str(out, ">");
	case CS_PART_KERNEL:
		return cs_buf_printf(out, "k%" PRIx64, part->addr);
	case CS_PART_THREAD:
		return cs_buf_printf(out, "(%s)", part->name);
	case CS_PART_NATIVE:
		return cs_buf_printf(out, "n%" PRIx64, part->addr);
	case CS_PART_STATUS:
		return cs_buf_printf(out, "[%s]",
				     part->status == CS_STATUS_TRUNCATED          ? "truncated"
				     : part->status == CS_STATUS_UNREADABLE_FRAME ? "unreadable"
				     : part->status == CS_STATUS_NOT_SEEN         ? "not seen"
										  : "status");
	case CS_PART_TASKS_CUT:
		return cs_buf_append_str(out, "[cut]");
	case CS_PART_LEAF:
		return cs_buf_printf(out, "~%s", part->name);
	case CS_PART_WAKER:
		return cs_buf_printf(out, "!%s", part->name ? part->name : "");
	case CS_PART_WAIT:
		return cs_buf_printf(out, "?%" PRIx64, part->addr);
	}
	return -1;
}

static int on_sample(void *ctx, const struct cs_stitched *sample)
{
	struct made_stitch *made = ctx;

	for (uint32_t i = 0; i < sample->n; i++)
		assert_int_equal(cs_buf_append_str(&made->text, i ? " " : "") ||
					 append_part(&made->text, &sample->parts[i]),
				 0);
	assert_int_equal(cs_buf_append_str(&made->text, "\n"), 0);
	made->last = *sample;
	made->last_part = sample->n ? sample->parts[sample->n - 1] : (struct cs_part){0};
	snprintf(made->thread_name, sizeof(made->thread_name), "%s", sample->thread_name);
	snprintf(made->task_name, sizeof(made->task_name), "%s",
		 sample->task_name ? sample->task_name : "");
	snprintf(made->origin_name, sizeof(made->origin_name), "%s",
		 sample->origin_name ? sample->origin_name : "");
	snprintf(made->root_thread_name, sizeof(made->root_thread_name), "%s",
		 sample->root_thread_name);
	made->nsamples++;
	made->sum_ns += sample->weight_ns;
	return 0;
}

int made_setup(void **state)
{
	struct made_stitch *made = calloc(1, sizeof(*made));

	*state = made;
	return made ? cs_stitch_new(on_sample, made, &made->stitch) : -1;
}

int made_teardown(void **state)
{
	struct made_stitch *made = *state;

	cs_stitch_free(made->stitch);
	cs_buf_free(&made->text);
	free(made);
	return 0;
}

void made_expect(struct made_stitch *made, const char *lines)
{
	assert_int_equal(cs_stitch_settle(made->stitch, NULL), 0);
	assert_string_equal(cs_buf_str(&made->text), lines);
	made->text.len = 0;
}

static void feed(struct made_stitch *made, struct cs_event *event)
{
	event->pid = MADE_PID;
	assert_int_equal(cs_stitch_settle(made->stitch, event), 0);
	assert_int_equal(cs_stitch_feed(made->stitch, event), 0);
}

static struct cs_text text(const char *str)
{
	return (struct cs_text){str ? str : "", str ? strlen(str) : 0};
}

void made_code(struct made_stitch *made, char code, unsigned int flags)
{
	struct cs_event event = {
		.kind = CS_EV_CODE,
		.code = {.code = (uint64_t)code,
			 .flags = flags,
			 .name = text("f"),
			 .file = text("f")},
	};

	feed(made, &event);
}

/* Letters in order into frames; newest_first turns them round. Returns how many. */
static uint32_t letters(const char *str, bool newest_first, struct cs_py_frame *frames)
{
	uint32_t n = str ? (uint32_t)strlen(str) : 0;

	assert_in_range(n, 0, MAX_FRAMES);
	for (uint32_t i = 0; i < n; i++)
		frames[newest_first ? n - 1 - i : i] =
			(struct cs_py_frame){.code = (uint64_t)str[i]};
	return n;
}

void made_stack(struct made_stitch *made, const struct made_stack *stack)
{
	static const uint64_t kernel[] = {0x10, 0x11, 0x12, 0x13};
	struct cs_py_frame frames[MAX_FRAMES];
	struct cs_event event = {
		.kind = stack->subject ? CS_EV_TASK_CREATED : CS_EV_STACK,
		.ts_ns = stack->ts_ns,
		.tid = stack->tid ? stack->tid : MADE_TID,
		.stack =
			{
				.weight_ns = stack->weightless  ? 0
					     : stack->weight_ns ? stack->weight_ns
								: STACK_NS,
				.subject = stack->subject,
				.user_ip = stack->user_ip,
				.origin = stack->origin,
				.blocked_ns = stack->blocked_ns,
				.reason = stack->reason,
				.before = stack->before,
				.still = stack->still,
				.status = stack->status,
				.comm = text("worker"),
				.frames = frames,
				.nframes = letters(stack->frames, true, frames),
				.nskipped = stack->nskipped,
				.kernel = kernel,
				.nkernel = stack->nkernel,
			},
	};

	if (stack->task)
		event.stack.running = (struct cs_event_running){
			.task = stack->task,
			.coro = stack->coro ? stack->coro : stack->task + 0x1000,
			.root_frame = stack->root_frame,
			.name = text(stack->name),
		};
	feed(made, &event);
}

void made_origin(struct made_stitch *made, const struct made_origin *origin)
{
	struct cs_event event = {
		.kind = CS_EV_ORIGIN,
		.ts_ns = origin->ts_ns,
		.tid = origin->tid ? origin->tid : MADE_TID,
		.origin =
			{
				.task = origin->task,
				.coro = origin->coro ? origin->coro : origin->task + 0x1000,
				.root_frame = origin->root_frame,
				.name = text(origin->name),
			},
	};

	feed(made, &event);
}

void made_native(struct made_stitch *made, uint64_t ts_ns, uint32_t n, enum cs_status status,
		 uint64_t entries)
{
	static const uint64_t addresses[] = {0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27};
	const uint64_t words[CS_MAX_PY_FRAMES / 64] = {entries};
	struct cs_event event = {
		.kind = CS_EV_NATIVE,
		.ts_ns = ts_ns,
		.tid = MADE_TID,
		.native = {.status = status, .addresses = addresses, .n = n, .entries = words},
	};

	feed(made, &event);
}

void made_waker(struct made_stitch *made, uint64_t ts_ns, enum cs_waker_kind kind)
{
	static const uint64_t kernel[] = {0x30, 0x31};
	struct cs_event event = {
		.kind = CS_EV_WAKER,
		.ts_ns = ts_ns,
		.tid = MADE_TID,
		.waker = {.kind = kind,
			  .pid = 9,
			  .tid = 90,
			  .comm = text("w"),
			  .kernel = kernel,
			  .n = 2},
	};

	feed(made, &event);
}

void made_symbol(struct made_stitch *made, uint64_t addr, unsigned int flags)
{
	struct cs_event event = {
		.kind = CS_EV_SYMBOL,
		.symbol = {.addr = addr, .flags = flags, .name = text("f")},
	};

	feed(made, &event);
}

void made_span(struct made_stitch *made, uint64_t ts_ns, uint32_t tid, uint64_t id,
	       const char *type)
{
	struct cs_event event = {
		.kind = CS_EV_SPAN,
		.ts_ns = ts_ns,
		.tid = tid ? tid : MADE_TID,
		.span = {.span_id = id, .kind = CS_TRACER_DDTRACE, .type = text(type)},
	};

	feed(made, &event);
}

void made_task(struct made_stitch *made, const struct made_task *task)
{
	struct cs_py_frame frames[MAX_FRAMES];
	struct cs_event event = {
		.kind = CS_EV_TASK,
		.ts_ns = task->ts_ns,
		.tid = task->tid ? task->tid : MADE_TID,
		.task =
			{
				.task = task->task,
				.coro = task->coro ? task->coro : task->task + 0x1000,
				.waiter = task->waiter,
				.state = task->state ? task->state : CS_TASK_WAITING,
				.flags = task->flags,
				.name = text(task->name),
				.leaf = text(task->leaf),
				.frames = frames,
				.nframes = letters(task->frames, false, frames),
				.links = task->links,
				.span = {.span_id = task->span,
					 .kind = CS_TRACER_DDTRACE,
					 .type = text("web")},
			},
	};

	while (event.task.nlinks < CS_MAX_LINKS && task->links[event.task.nlinks].waiter)
		event.task.nlinks++;
	feed(made, &event);
}

void made_pass(struct made_stitch *made, uint64_t ts_ns, uint32_t ndropped, const uint64_t *tasks,
	       uint32_t n)
{
	struct cs_event event = {
		.kind = CS_EV_PASS,
		.ts_ns = ts_ns,
		.pass = {.weight_ns = PASS_NS,
			 .ndropped = ndropped,
			 .every = 1,
			 .coherence = CS_COHERENT_QUIET,
			 .tasks = tasks,
			 .ntasks = n},
	};

	feed(made, &event);
	assert_int_equal(cs_stitch_settle(made->stitch, NULL), 0);
}

void made_share(struct made_stitch *made, uint64_t ts_ns, uint32_t every, const uint64_t *tasks,
		uint32_t n)
{
	struct cs_event event = {
		.kind = CS_EV_PASS,
		.ts_ns = ts_ns,
		.pass = {.weight_ns = PASS_NS,
			 .every = every,
			 .coherence = CS_COHERENT_QUIET,
			 .tasks = tasks,
			 .ntasks = n},
	};

	feed(made, &event);
	assert_int_equal(cs_stitch_settle(made->stitch, NULL), 0);
}

void made_thread(struct made_stitch *made, const char *name)
{
	struct cs_event event = {
		.kind = CS_EV_THREAD, .tid = MADE_TID, .thread_name = {name, strlen(name)}};

	feed(made, &event);
}

void made_event(struct made_stitch *made, enum cs_ev_kind kind)
{
	struct cs_event event = {.kind = kind, .tid = MADE_TID};

	if (kind == CS_EV_SAME)
		event.same.weight_ns = STACK_NS;
	event.same.visits = 1;
	feed(made, &event);
}

void made_pass_again(struct made_stitch *made, uint64_t ts_ns)
{
	struct cs_event event = {
		.kind = CS_EV_PASS_AGAIN, .ts_ns = ts_ns, .same.weight_ns = PASS_NS};

	feed(made, &event);
}
