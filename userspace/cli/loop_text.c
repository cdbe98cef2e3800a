/* SPDX-License-Identifier: Apache-2.0 */
/* The health of event loops as notes. */
#include "cli/loop_text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "export/exporter.h"

/* Shares of fewer samples would be noise. */
#define MIN_SAMPLES 10
#define MAX_LOOPS   8
#define MAX_FRAMES  8 /* of a slow callback's stack; the profile has the whole */

/* Text under construction; err sticks. */
struct text {
	struct cs_profile *profile;
	struct cs_buf line, escaped;
	int err;
};

static void text_free(struct text *text)
{
	cs_buf_free(&text->line);
	cs_buf_free(&text->escaped);
}

#define PUT(text, ...)                                                           \
	do {                                                                     \
		if (!(text)->err)                                                \
			(text)->err = cs_buf_printf(&(text)->line, __VA_ARGS__); \
	} while (0)

/* A note of this process, 0: of none. Names are the program's: they may hold what steers a terminal. */
static void end_line_of(struct text *text, uint32_t pid)
{
	text->escaped.len = 0;
	if (!text->err)
		text->err =
			cs_buf_append_escaped(&text->escaped, text->line.data, text->line.len, "");
	if (!text->err)
		text->err = cs_profile_note_of(text->profile, pid, cs_buf_str(&text->escaped));
	text->line.len = 0;
}

static void end_line(struct text *text)
{
	end_line_of(text, 0);
}

static void put_ms(struct text *text, uint64_t ns)
{
	PUT(text, "%.0f ms", (double)ns / 1e6);
}

/* What is shorter than an interval is not told. */
static void put_wait(struct text *text, uint64_t ns)
{
	uint64_t interval_ns = cs_profile_meta(text->profile)->interval_ns;

	if (ns < interval_ns)
		PUT(text, "less than ");
	put_ms(text, ns < interval_ns ? interval_ns : ns);
}

/* "298 ms (288 to 308) if it was one step" */
static void put_length(struct text *text, const struct cs_hold *hold)
{
	put_ms(text, hold->ns);
	if (hold->most_ns == CS_HOLD_NO_BOUND)
		PUT(text, " (%.0f or more)", (double)hold->least_ns / 1e6);
	else
		PUT(text, " (%.0f to %.0f)", (double)hold->least_ns / 1e6,
		    (double)hold->most_ns / 1e6);
	if (hold->sure_ns < hold->least_ns)
		PUT(text, " if it was one step");
}

/* "thread MainThread [12] of python3 [12]": every stack begins with its process. */
static void put_thread(struct text *text, uint32_t tid, uint32_t sample_index)
{
	const struct cs_profile *profile = text->profile;
	const struct cs_sample *sample = cs_profile_sample(profile, sample_index);
	struct cs_stack stack = cs_profile_stack(profile, sample->stack);

	PUT(text, "thread %s [%u] of %s", cs_profile_str(profile, sample->labels.thread_name), tid,
	    cs_profile_str(profile, cs_profile_get_frame(profile, stack.frames[0])->name));
}

static void put_loop(struct text *text, const struct cs_loop *loop)
{
	const struct cs_profile_meta *meta = cs_profile_meta(text->profile);
	double watched = (double)loop->watched_ns;

	PUT(text, "event loop in ");
	put_thread(text, loop->tid, loop->stack);
	PUT(text, ": %s callbacks and task steps %.1f%% of %.1f s", meta->wall ? "in" : "ran",
	    watched > 0 ? (double)loop->held_ns / watched * 100 : 0.0, watched / 1e9);
	if (loop->longest.ns) {
		PUT(text, ", the longest ");
		put_length(text, &loop->longest);
	}
	PUT(text, "; what becomes ready %swaits ",
	    loop->longest.sure_ns < loop->longest.least_ns ? "then " : "");
	put_wait(text, loop->wait_p50_ns);
	PUT(text, " (p50), ");
	put_wait(text, loop->wait_p99_ns);
	PUT(text, " (p99)");
	if (!meta->wall)
		PUT(text, "; blocking calls are not seen in cpu mode");
	if (loop->unknown_ns)
		PUT(text, "; not known what it did for %.1f s", (double)loop->unknown_ns / 1e9);
	end_line_of(text, loop->pid);
}

/* It has a stack in this view, and enough of them. */
static bool is_told(const struct cs_loop *loop)
{
	return loop->stack != CS_HOLD_NO_STACK && loop->nsamples >= MIN_SAMPLES;
}

/* The one behind `last`, busiest first; NULL begins. */
static const struct cs_loop *next_busiest(const struct cs_loop_health *health,
					  const struct cs_loop *last)
{
	const struct cs_loop *it = NULL, *best = NULL;
	bool passed = false;

	while ((it = cs_loop_health_next(health, it))) {
		bool before = last && (it->held_ns > last->held_ns ||
				       (it->held_ns == last->held_ns && !passed));

		passed = passed || it == last;
		if (is_told(it) && !before && (!best || it->held_ns > best->held_ns))
			best = it;
	}
	return best;
}

static void put_loops(struct text *text, const struct cs_loop_health *health)
{
	const struct cs_loop *loop = NULL;
	unsigned int n = 0;

	while ((loop = cs_loop_health_next(health, loop)))
		n += is_told(loop);
	for (unsigned int i = 0; i < n && i < MAX_LOOPS; i++) {
		loop = next_busiest(health, loop);
		put_loop(text, loop);
	}
	if (n > MAX_LOOPS) {
		PUT(text, "and %u event loops that were held for less", n - MAX_LOOPS);
		end_line(text);
	}
}

/* Where a step's own part of a stack ends: at its task, or at what called the callback, or started the loop that did. */
static bool is_below_step(const struct cs_profile *profile, const struct cs_frame *frame)
{
	const char *name = cs_profile_str(profile, frame->name);
	const char *file = cs_profile_str(profile, frame->file);

	return frame->kind == CS_FRAME_TASK || frame->kind == CS_FRAME_THREAD ||
	       strstr(file, "asyncio/runners.py") ||
	       (strstr(file, "asyncio/events.py") &&
		(!strcmp(name, "Handle._run") || !strcmp(name, "_run")));
}

/* The Python frames of the step, innermost first. */
static void put_stack(struct text *text, uint32_t sample)
{
	const struct cs_profile *profile = text->profile;
	struct cs_stack stack =
		cs_profile_stack(profile, cs_profile_sample(profile, sample)->stack);
	unsigned int n = 0;

	for (uint32_t i = stack.n; i-- > 0 && n <= MAX_FRAMES;) {
		const struct cs_frame *frame = cs_profile_get_frame(profile, stack.frames[i]);

		if (is_below_step(profile, frame))
			break;
		if (frame->kind != CS_FRAME_PYTHON)
			continue;
		PUT(text, "%s", n ? " < " : ": ");
		if (n++ == MAX_FRAMES)
			PUT(text, "...");
		else if (!text->err)
			text->err = cs_export_frame_text(profile, frame, &text->line);
	}
	if (!n)
		PUT(text, ": C code");
}

static void put_slow(struct text *text, const struct cs_hold *hold, uint64_t start_ns)
{
	const struct cs_profile_meta *meta = cs_profile_meta(text->profile);
	const struct cs_labels *labels = &cs_profile_sample(text->profile, hold->stack)->labels;
	uint64_t at_ns = hold->start_ns > start_ns ? hold->start_ns - start_ns : 0;

	PUT(text, "  ");
	put_length(text, hold);
	if (meta->wall)
		PUT(text, ", %.0f off the CPU", (double)hold->off_cpu_ns / 1e6);
	PUT(text, ", at %.2f s, ", (double)at_ns / 1e9);
	if (hold->task)
		PUT(text, "task %s, ", cs_profile_str(text->profile, labels->task_name));
	else
		PUT(text, "a callback, ");
	put_thread(text, hold->tid, hold->stack);
	put_stack(text, hold->stack);
	end_line_of(text, labels->process_id);
}

static void put_all_slow(struct text *text, const struct cs_loop_health *health, uint64_t start_ns)
{
	const struct cs_profile_meta *meta = cs_profile_meta(text->profile);
	uint64_t all, sum_ns;
	uint32_t n;
	const struct cs_hold *holds = cs_loop_health_slow(health, &n, &all, &sum_ns);
	struct cs_stretches stretches = cs_loop_health_stretches(health);

	PUT(text, "%" PRIu64 " callbacks and task steps held an event loop for ", all);
	put_ms(text, meta->slow_ns);
	PUT(text, " or more, %.1f s in all", (double)sum_ns / 1e9);
	if (all > n)
		PUT(text, "; the longest %u", n);
	if (meta->slow_ns < 2 * meta->interval_ns)
		PUT(text, "; at this rate what is shorter than %.0f ms may not be seen",
		    (double)(2 * meta->interval_ns) / 1e6);
	end_line(text);
	for (uint32_t i = 0; i < n; i++)
		put_slow(text, &holds[i], start_ns);
	if (stretches.n) {
		PUT(text,
		    "%" PRIu64
		    " stretches of as long, %.1f s in all, may be steps or not: one task or callback ran, "
		    "but entered contexts meanwhile, as each step does",
		    stretches.n, (double)stretches.sum_ns / 1e9);
		end_line(text);
	}
	PUT(text, "(lengths as sampled, and what they are at least and at most%s)",
	    meta->wall ? "" : "; CPU time only, cut where the step waited");
	end_line(text);
}

int cs_loop_text_notes(const struct cs_loop_health *health, uint64_t start_ns,
		       struct cs_profile *profile)
{
	_cleanup_(text_free) struct text text = {.profile = profile};

	put_loops(&text, health);
	if (cs_profile_meta(profile)->slow_ns)
		put_all_slow(&text, health, start_ns);
	return text.err;
}
