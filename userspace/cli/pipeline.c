/* SPDX-License-Identifier: Apache-2.0 */
/* A raw capture through all stages, into one profile or one a period. */
#include "cli/pipeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "cli/known_samples.h"
#include "cli/lookups.h"
#include "cli/loop_text.h"
#include "cli/part_frames.h"
#include "cli/process_names.h"
#include "cli/span_labels.h"
#include "cli/waiting.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "decode/decode.h"
#include "link/link.h"
#include "stitch/loop_health.h"
#include "stitch/stitch.h"
#include "symbolize/symbolize.h"

struct cs_pipeline {
	struct cs_profile *profile; /* of this period; owned */
	const struct cs_view *view; /* borrowed */
	struct cs_decoder *decoder;
	struct cs_symbols *symbols;
	struct cs_lookups lookups;
	struct cs_stitch *stitch;
	struct cs_spans *spans;
	struct cs_loop_health *health;
	struct cs_known_samples *known;
	struct cs_waiting *waiting; /* NULL: of no interest */
	uint32_t sample;            /* that this event became; CS_HOLD_NO_STACK: none */
	struct cs_process_names names;
	struct cs_part_frames parts;
	struct cs_buf text; /* scratch for one note */
	uint32_t *frames;   /* scratch for one stack */
	size_t cap;
	uint64_t first_ns, last_ns;
	uint64_t shown_ns, hidden_ns;       /* time in samples that the view shows, and does not */
	uint64_t counters[CS_COUNTER_MAX_]; /* as of the last record of them */
	uint64_t counted[CS_COUNTER_MAX_];  /* of these, in former periods */
	bool ended;
};

static const char *process_name(const struct cs_pipeline *p, const struct cs_stitched *sample)
{
	const char *name = cs_process_names_find(&p->names, sample->pid);

	if (name)
		return name;
	return *sample->thread_name ? sample->thread_name : "process";
}

static int reserve_frames(struct cs_pipeline *p, size_t n)
{
	uint32_t *frames;

	if (n <= p->cap)
		return 0;
	frames = realloc(p->frames, n * sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	p->frames = frames;
	p->cap = n;
	return 0;
}

static int64_t intern(struct cs_pipeline *p, const char *str)
{
	return str ? cs_profile_string(p->profile, str, strlen(str)) : 0;
}

static int fill_labels(struct cs_pipeline *p, const struct cs_stitched *sample,
		       struct cs_labels *labels)
{
	int64_t thread = intern(p, sample->thread_name), task = 0, origin = 0;

	*labels = (struct cs_labels){.process_id = sample->pid, .thread_id = sample->tid};
	if (!p->view->outline) {
		task = intern(p, sample->task_name);
		origin = intern(p, sample->origin_name);
		labels->task_id = sample->task_id;
		labels->origin_task_id = sample->origin_id;
	}
	if (thread < 0 || task < 0 || origin < 0)
		return -ENOMEM;
	labels->thread_name = (uint32_t)thread;
	labels->task_name = (uint32_t)task;
	labels->origin_task_name = (uint32_t)origin;
	return p->view->outline ? 0 : cs_span_labels_fill(p->profile, sample->span, labels);
}

/* A sample stands for the time up to its moment. */
static int see_sample(struct cs_pipeline *p, const struct cs_stitched *sample)
{
	uint64_t before_ns = sample->ts_ns > p->first_ns ? sample->ts_ns - p->first_ns : 0;
	uint64_t weight_ns = sample->span_ns < before_ns ? sample->span_ns : before_ns;
	uint64_t looks =
		sample->tasks && sample->count > sample->tasks ? sample->count / sample->tasks : 1;
	struct cs_seen seen = {
		.span = {sample->ts_ns - weight_ns, sample->ts_ns, sample->on_cpu},
		.suspended = sample->suspended,
	};

	/* since it was first seen there, and before that the time for which that look stands: one of the `looks` that are taken together */
	if (sample->suspended)
		seen.waited_ns = weight_ns / looks + cs_waiting_ns(p->waiting, sample->pid,
								   sample->task_id, sample->ts_ns);
	return cs_profile_see(p->profile, sample->tree, cs_profile_last(p->profile), &seen);
}

/* One more frame on the scratch stack, below it what it was put into by the compiler. Returns how many there are, or -ENOMEM. */
static int64_t push_frame(struct cs_pipeline *p, uint32_t n, uint32_t frame)
{
	uint32_t depth = cs_profile_inlined(p->profile, frame) + 1;

	if (reserve_frames(p, (size_t)n + depth))
		return -ENOMEM;
	for (uint32_t i = depth; i-- > 0;) {
		p->frames[n + i] = frame;
		frame = cs_profile_get_frame(p->profile, frame)->inlined_into;
	}
	return n + depth;
}

/* A stack that is not known yet, by its names. */
static int add_new_sample(struct cs_pipeline *p, const struct cs_stitched *sample,
			  const uint64_t values[CS_VALUE_MAX_])
{
	struct cs_labels labels;
	int64_t frame, n = 0;

	if (reserve_frames(p, (size_t)sample->n + 2) || fill_labels(p, sample, &labels))
		return -ENOMEM;
	frame = cs_part_frame_process(&p->parts, process_name(p, sample), sample->pid);
	if (frame < 0)
		return -ENOMEM;
	p->frames[n++] = (uint32_t)frame;
	frame = cs_part_frame_thread(&p->parts, sample->root_thread_name, sample->root_tid);
	if (frame < 0)
		return -ENOMEM;
	p->frames[n++] = (uint32_t)frame;
	for (uint32_t i = 0; i < sample->n && !p->view->outline; i++) {
		frame = cs_part_frame(&p->parts, sample->pid, &sample->parts[i],
				      i + 1 < sample->n ? &sample->parts[i + 1] : NULL);
		if (frame == -ENOENT)
			continue;
		if (frame >= 0)
			n = push_frame(p, (uint32_t)n, (uint32_t)frame);
		if (frame < 0 || n < 0)
			return -ENOMEM;
	}
	if (cs_profile_add_in(p->profile, sample->tree, p->frames, (uint32_t)n, &labels, values))
		return -ENOMEM;
	cs_known_samples_add(p->known, cs_profile_last(p->profile));
	return 0;
}

static int add_sample(void *ctx, const struct cs_stitched *sample)
{
	uint64_t values[CS_VALUE_MAX_] = {sample->count, sample->on_cpu ? sample->weight_ns : 0,
					  sample->weight_ns};
	struct cs_pipeline *p = ctx;
	bool main_tree = sample->tree == p->view->tree;
	int64_t known;

	if (cs_profile_meta(p->profile)->off_cpu)
		values[CS_VALUE_OFF_NS] = sample->weight_ns;

	if (p->view->thread && strcmp(p->view->thread, sample->thread_name)) {
		p->hidden_ns += main_tree ? sample->weight_ns : 0;
		return 0;
	}
	p->shown_ns += main_tree ? sample->weight_ns : 0;
	known = cs_known_samples_find(p->known, sample);
	if (known >= 0)
		cs_profile_add_again(p->profile, sample->tree, (uint32_t)known, values);
	else if (add_new_sample(p, sample, values))
		return -ENOMEM;
	if (main_tree)
		p->sample = cs_profile_last(p->profile);
	return p->waiting ? see_sample(p, sample) : 0;
}

static void add_slow(void *ctx, uint32_t sample, uint64_t ns)
{
	struct cs_pipeline *p = ctx;

	cs_profile_add_value(p->profile, sample, CS_VALUE_SLOW_NS, ns);
}

/* What is to be said of a process, e.g. that its Python is not supported. */
static int note_process(struct cs_pipeline *p, const struct cs_event *event)
{
	const struct cs_event_process *process = &event->process;

	if (!process->note.len)
		return 0;
	p->text.len = 0;
	if (cs_buf_printf(&p->text, "process %u (%s): ", event->pid,
			  cs_process_names_find(&p->names, event->pid)) ||
	    cs_buf_append(&p->text, process->note.str, process->note.len))
		return -ENOMEM;
	return cs_profile_note_of(p->profile, event->pid, cs_buf_str(&p->text));
}

static int learn_capture(struct cs_pipeline *p, const struct cs_event *event)
{
	struct cs_profile_meta *meta = cs_profile_meta_mut(p->profile);
	const struct cs_event_capture *capture = &event->capture;

	meta->start_realtime_ns = capture->realtime_ns;
	meta->interval_ns = capture->interval_ns;
	meta->ncpu = capture->ncpu;
	meta->wall = capture->mode == CS_MODE_WALL;
	meta->off_cpu = capture->mode == CS_MODE_OFF_CPU;
	p->first_ns = event->ts_ns;
	return cs_profile_set_text(p->profile, capture->host.str, capture->host.len,
				   capture->command.str, capture->command.len);
}

static void learn_stats(struct cs_pipeline *p, const struct cs_event *event)
{
	struct cs_profile_meta *meta = cs_profile_meta_mut(p->profile);

	if (event->pid)
		return;
	for (uint32_t i = 0; i < event->stats.n && i < CS_COUNTER_MAX_; i++) {
		p->counters[i] = event->stats.counters[i];
		meta->counters[i] =
			p->counters[i] > p->counted[i] ? p->counters[i] - p->counted[i] : 0;
	}
	meta->has_counters = true;
}

static int feed(struct cs_pipeline *p, const struct cs_event *event)
{
	int err = cs_stitch_settle(p->stitch, event->kind == CS_EV_END ? NULL : event);

	if (!err)
		err = cs_process_names_feed(&p->names, event);
	if (err)
		return err;
	/* The end says until when the capture speaks; names may have been found later. */
	if (event->ts_ns > p->last_ns || event->kind == CS_EV_END)
		p->last_ns = event->ts_ns;
	if (event->kind == CS_EV_CAPTURE)
		err = learn_capture(p, event);
	else if (event->kind == CS_EV_PROCESS)
		err = note_process(p, event);
	else if (event->kind == CS_EV_STATS)
		learn_stats(p, event);
	else if (event->kind == CS_EV_END)
		cs_profile_meta_mut(p->profile)->end_reason = event->end_reason;
	p->ended = p->ended || event->kind == CS_EV_END;
	cs_known_samples_heed(p->known, event);
	if (!err)
		err = cs_spans_feed(p->spans, event);
	if (!err && event->kind == CS_EV_SPAN_CHANGE)
		err = cs_span_labels_change(p->profile, p->spans, event);
	if (!err && p->waiting)
		err = cs_waiting_feed(p->waiting, event);
	if (!err)
		err = cs_symbols_feed(p->symbols, event);
	p->sample = CS_HOLD_NO_STACK;
	if (!err)
		err = cs_stitch_feed(p->stitch, event);
	/* blocks are no looks at a loop: nothing is seen of it while it runs */
	if (err || cs_profile_meta(p->profile)->off_cpu)
		return err;
	return cs_loop_health_feed(p->health, event, cs_stitch_graph(p->stitch, event->pid),
				   p->sample);
}

int cs_pipeline_feed(struct cs_pipeline *p, const char *records, size_t len)
{
	struct cs_event event;
	int err = 0;

	for (size_t at = 0; !err && at < len;) {
		int64_t n = cs_decode(p->decoder, records + at, len - at, &event);

		if (n == -ENOMEM)
			return -ENOMEM;
		if (n <= 0)
			return -EBADMSG;
		at += (size_t)n;
		if (event.kind)
			err = feed(p, &event);
	}
	return err;
}

void cs_pipeline_free(struct cs_pipeline *p)
{
	if (!p)
		return;
	cs_process_names_free(&p->names);
	cs_loop_health_free(p->health);
	cs_waiting_free(p->waiting);
	cs_known_samples_free(p->known);
	cs_stitch_free(p->stitch);
	cs_spans_free(p->spans);
	cs_symbols_free(p->symbols);
	cs_lookups_end(&p->lookups);
	cs_decoder_free(p->decoder);
	cs_profile_free(p->profile);
	cs_buf_free(&p->text);
	cs_buf_free(&p->parts.text);
	free(p->frames);
	free(p);
}

static int note_view(struct cs_pipeline *p)
{
	double all = (double)(p->shown_ns + p->hidden_ns);

	if (!p->view->thread)
		return 0;
	p->text.len = 0;
	if (cs_buf_printf(&p->text, "only threads named %s: %.1f%% of the time in samples",
			  p->view->thread, all > 0 ? (double)p->shown_ns / all * 100 : 0.0))
		return -ENOMEM;
	return cs_profile_note(p->profile, cs_buf_str(&p->text));
}

static int note_natives(struct cs_pipeline *p)
{
	struct cs_natives_told told = cs_stitch_natives(p->stitch);

	if (!told.left_out)
		return 0;
	p->text.len = 0;
	if (cs_buf_printf(&p->text,
			  "%" PRIu64 " of %" PRIu64
			  " Python stacks are without their native frames: the two did not match",
			  told.left_out, told.left_out + told.matched))
		return -ENOMEM;
	return cs_profile_note(p->profile, cs_buf_str(&p->text));
}

/* What is not told for want of room. */
static int note_spans(struct cs_pipeline *p)
{
	uint64_t unknown = cs_spans_left_out(p->spans);
	uint64_t dropped = cs_profile_traced_dropped(p->profile);

	if (!unknown && !dropped)
		return 0;
	p->text.len = 0;
	if (cs_buf_printf(&p->text,
			  "there were too many spans: roots and endpoints were not kept %" PRIu64
			  " times so far, begins and ends %" PRIu64 " times",
			  unknown, dropped))
		return -ENOMEM;
	return cs_profile_note(p->profile, cs_buf_str(&p->text));
}

static void describe_profile(struct cs_pipeline *p)
{
	struct cs_profile_meta *meta = cs_profile_meta_mut(p->profile);

	p->parts.profile = p->profile;
	meta->slow_ns = p->view->slow_ns;
	meta->tree = p->view->tree;
}

int cs_pipeline_show(struct cs_pipeline *p, unsigned int trees, bool whole)
{
	struct cs_waiting *waiting = NULL;
	int err = whole ? cs_waiting_new(&waiting) : 0;

	if (err)
		return err;
	cs_waiting_free(p->waiting);
	p->waiting = waiting;
	p->parts.tell_tasks = whole || p->view->tell_tasks;
	cs_stitch_show(p->stitch, trees);
	return 0;
}

static int begin_stages(struct cs_pipeline *p)
{
	const struct cs_view *view = p->view;
	int err = cs_decoder_new(&p->decoder);

	if (!err)
		err = cs_symbols_new(p->profile, view->first_lines, &p->symbols);
	if (!err)
		err = cs_lookups_begin(&p->lookups, view, p->symbols);
	if (!err)
		err = cs_stitch_new(add_sample, p, &p->stitch);
	if (!err)
		err = cs_pipeline_show(p, view->all_trees ? CS_ALL_TREES : 1u << view->tree,
				       view->all_trees);
	if (!err)
		cs_stitch_unfold(p->stitch, p->view->unfold);
	if (!err)
		err = cs_known_samples_new(&p->known);
	if (!err)
		err = cs_spans_new(&p->spans);
	return err ? err : cs_loop_health_new(view->slow_ns, add_slow, p, &p->health);
}

int cs_pipeline_new(const struct cs_view *view, struct cs_pipeline **ret)
{
	_cleanup_(cs_pipeline_freep) struct cs_pipeline *p = calloc(1, sizeof(*p));
	int err = p ? cs_profile_new(&p->profile) : -ENOMEM;

	if (err)
		return err;
	p->view = view;
	err = begin_stages(p);
	if (err)
		return err;
	p->parts.symbols = p->symbols;
	describe_profile(p);
	*ret = TAKE_PTR(p);
	return 0;
}

static int finish_profile(struct cs_pipeline *p)
{
	struct cs_profile_meta *meta = cs_profile_meta_mut(p->profile);
	int err = cs_stitch_settle(p->stitch, NULL);

	if (!err)
		err = note_view(p);
	if (!err)
		err = note_natives(p);
	if (!err)
		err = cs_lookups_note(&p->lookups, p->profile);
	if (err)
		return err;
	cs_loop_health_finish(p->health, p->last_ns);
	meta->duration_ns = p->last_ns > p->first_ns ? p->last_ns - p->first_ns : 0;
	err = cs_loop_text_notes(p->health, p->first_ns, p->profile);
	if (!err)
		err = cs_span_labels_complete(p->profile, p->spans);
	if (!err)
		err = note_spans(p);
	/* last: it renumbers the samples */
	return err ? err : cs_filter_apply(&p->view->filter, p->profile);
}

/* What is known lives on; what refers to the profile that was handed out, or to its period, does not. */
static void begin_period(struct cs_pipeline *p, struct cs_profile *profile)
{
	p->profile = profile;
	describe_profile(p);
	cs_symbols_begin(p->symbols, profile);
	cs_stitch_begin(p->stitch, p->last_ns);
	cs_loop_health_begin(p->health);
	cs_known_samples_forget(p->known);
	cs_spans_begin(p->spans);
	cs_process_names_begin(&p->names);
	memcpy(p->counted, p->counters, sizeof(p->counted));
	p->shown_ns = p->hidden_ns = 0;
	p->first_ns = p->last_ns;
}

int cs_pipeline_take(struct cs_pipeline *p, struct cs_profile **ret)
{
	_cleanup_(cs_profile_freep) struct cs_profile *next = NULL;
	int err = cs_profile_new(&next);

	if (!err)
		err = finish_profile(p);
	if (err)
		return err;
	*ret = p->profile;
	begin_period(p, TAKE_PTR(next));
	return 0;
}

static int read_capture(const char *bytes, size_t len, const struct cs_view *view,
			struct cs_profile **ret)
{
	_cleanup_(cs_pipeline_freep) struct cs_pipeline *p = NULL;
	int start = cs_decode_file_header(bytes, len), err;

	if (start < 0)
		return start;
	err = cs_pipeline_new(view, &p);
	if (err)
		return err;
	err = cs_pipeline_feed(p, bytes + start, len - (size_t)start);
	/* cut off or damaged: what was read counts, and it has no end */
	if (err && err != -EBADMSG)
		return err;
	cs_profile_meta_mut(p->profile)->partial = !p->ended;
	return cs_pipeline_take(p, ret);
}

int cs_pipeline_read(int fd, const struct cs_view *view, struct cs_profile **ret)
{
	struct stat st;
	void *bytes;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size <= 0)
		return -EBADMSG;
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	err = read_capture(bytes, (size_t)st.st_size, view, ret);
	munmap(bytes, (size_t)st.st_size);
	return err;
}
