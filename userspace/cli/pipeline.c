/* SPDX-License-Identifier: Apache-2.0 */
/* A raw capture through all stages into a profile. */
#include "cli/pipeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <uthash.h>

#include "cli/known_samples.h"
#include "cli/loop_text.h"
#include "cli/part_frames.h"
#include "cli/waiting.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "decode/decode.h"
#include "stitch/loop_health.h"
#include "stitch/stitch.h"
#include "symbolize/symbolize.h"

struct process_name {
	uint32_t pid;
	char *name; /* owned */
	UT_hash_handle hh;
};

struct pipeline {
	struct cs_profile *profile;
	const struct cs_view *view;
	struct cs_symbols *symbols;
	struct cs_stitch *stitch;
	struct cs_loop_health *health;
	struct cs_known_samples *known;
	struct cs_waiting *waiting; /* NULL: of no interest */
	uint32_t sample;            /* that this event became; CS_HOLD_NO_STACK: none */
	struct process_name *names;
	struct cs_part_frames parts;
	struct cs_buf text; /* scratch for one note */
	uint32_t *frames;   /* scratch for one stack */
	size_t cap;
	uint64_t first_ns, last_ns;
	uint64_t shown_ns, hidden_ns; /* time in samples that the view shows, and does not */
	bool ended;
};

static const char *process_name(const struct pipeline *p, const struct cs_stitched *sample)
{
	struct process_name *it;

	HASH_FIND(hh, p->names, &sample->pid, sizeof(sample->pid), it);
	if (it)
		return it->name;
	return *sample->thread_name ? sample->thread_name : "process";
}

static int reserve_frames(struct pipeline *p, size_t n)
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

static int64_t intern(struct pipeline *p, const char *str)
{
	return str ? cs_profile_string(p->profile, str, strlen(str)) : 0;
}

static int fill_labels(struct pipeline *p, const struct cs_stitched *sample,
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
	return 0;
}

/* A sample stands for the time up to its moment. */
static int see_sample(struct pipeline *p, const struct cs_stitched *sample)
{
	uint64_t before_ns = sample->ts_ns > p->first_ns ? sample->ts_ns - p->first_ns : 0;
	uint64_t own_ns = sample->weight_ns / sample->tasks;
	uint64_t weight_ns = own_ns < before_ns ? own_ns : before_ns;
	struct cs_seen seen = {
		.span = {sample->ts_ns - weight_ns, sample->ts_ns},
		.suspended = sample->suspended,
	};

	if (sample->suspended)
		seen.waited_ns = weight_ns + cs_waiting_ns(p->waiting, sample->pid, sample->task_id,
							   sample->ts_ns);
	return cs_profile_see(p->profile, sample->tree, cs_profile_last(p->profile), &seen);
}

/* A stack that is not known yet, by its names. */
static int add_new_sample(struct pipeline *p, const struct cs_stitched *sample,
			  const uint64_t values[CS_VALUE_MAX_])
{
	struct cs_labels labels;
	int64_t frame;
	uint32_t n = 0;

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
		if (frame < 0)
			return -ENOMEM;
		p->frames[n++] = (uint32_t)frame;
	}
	if (cs_profile_add_in(p->profile, sample->tree, p->frames, n, &labels, values))
		return -ENOMEM;
	cs_known_samples_add(p->known, cs_profile_last(p->profile));
	return 0;
}

static int add_sample(void *ctx, const struct cs_stitched *sample)
{
	uint64_t values[CS_VALUE_MAX_] = {sample->count, sample->on_cpu ? sample->weight_ns : 0,
					  sample->weight_ns};
	struct pipeline *p = ctx;
	bool main_tree = sample->tree == p->view->tree;
	int64_t known;

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
	struct pipeline *p = ctx;

	cs_profile_add_value(p->profile, sample, CS_VALUE_SLOW_NS, ns);
}

static int learn_process(struct pipeline *p, const struct cs_event *event)
{
	const struct cs_event_process *process = &event->process;
	struct process_name *it;
	char *name = strndup(process->comm.str, process->comm.len);

	if (!name)
		return -ENOMEM;
	HASH_FIND(hh, p->names, &event->pid, sizeof(event->pid), it);
	if (!it) {
		it = calloc(1, sizeof(*it));
		if (!it) {
			free(name);
			return -ENOMEM;
		}
		it->pid = event->pid;
		HASH_ADD(hh, p->names, pid, sizeof(it->pid), it);
	}
	free(it->name);
	it->name = name;
	if (!process->note.len)
		return 0;
	p->text.len = 0;
	if (cs_buf_printf(&p->text, "process %u (%s): ", event->pid, name) ||
	    cs_buf_append(&p->text, process->note.str, process->note.len))
		return -ENOMEM;
	return cs_profile_note(p->profile, cs_buf_str(&p->text));
}

static int learn_capture(struct pipeline *p, const struct cs_event *event)
{
	struct cs_profile_meta *meta = cs_profile_meta_mut(p->profile);
	const struct cs_event_capture *capture = &event->capture;

	meta->start_realtime_ns = capture->realtime_ns;
	meta->interval_ns = capture->interval_ns;
	meta->ncpu = capture->ncpu;
	meta->wall = capture->mode == CS_MODE_WALL;
	p->first_ns = event->ts_ns;
	return cs_profile_set_text(p->profile, capture->host.str, capture->host.len,
				   capture->command.str, capture->command.len);
}

static void learn_stats(struct pipeline *p, const struct cs_event *event)
{
	struct cs_profile_meta *meta = cs_profile_meta_mut(p->profile);

	if (event->pid)
		return;
	for (uint32_t i = 0; i < event->stats.n && i < CS_COUNTER_MAX_; i++)
		meta->counters[i] = event->stats.counters[i];
	meta->has_counters = true;
}

static int feed(struct pipeline *p, const struct cs_event *event)
{
	int err = cs_stitch_settle(p->stitch, event->kind == CS_EV_END ? NULL : event);

	if (err)
		return err;
	/* The end says until when the capture speaks; names may have been found later. */
	if (event->ts_ns > p->last_ns || event->kind == CS_EV_END)
		p->last_ns = event->ts_ns;
	if (event->kind == CS_EV_CAPTURE)
		err = learn_capture(p, event);
	else if (event->kind == CS_EV_PROCESS)
		err = learn_process(p, event);
	else if (event->kind == CS_EV_STATS)
		learn_stats(p, event);
	else if (event->kind == CS_EV_END)
		cs_profile_meta_mut(p->profile)->end_reason = event->end_reason;
	p->ended = p->ended || event->kind == CS_EV_END;
	cs_known_samples_heed(p->known, event);
	if (!err && p->waiting)
		err = cs_waiting_feed(p->waiting, event);
	if (!err)
		err = cs_symbols_feed(p->symbols, event);
	p->sample = CS_HOLD_NO_STACK;
	if (!err)
		err = cs_stitch_feed(p->stitch, event);
	return err ? err
		   : cs_loop_health_feed(p->health, event, cs_stitch_graph(p->stitch, event->pid),
					 p->sample);
}

static int feed_all(struct pipeline *p, const char *bytes, size_t len)
{
	_cleanup_(cs_decoder_freep) struct cs_decoder *decoder = NULL;
	int start = cs_decode_file_header(bytes, len);
	int err = start < 0 ? start : cs_decoder_new(&decoder);
	struct cs_event event;

	for (size_t at = (size_t)start; !err && at < len;) {
		int64_t n = cs_decode(decoder, bytes + at, len - at, &event);

		if (n == -ENOMEM)
			return -ENOMEM;
		if (n <= 0)
			break; /* cut off or damaged: what was read counts, and it has no end */
		at += (size_t)n;
		if (event.kind)
			err = feed(p, &event);
	}
	return err ? err : cs_stitch_settle(p->stitch, NULL);
}

static void pipeline_free(struct pipeline *p)
{
	struct process_name *it, *tmp;

	HASH_ITER (hh, p->names, it, tmp) {
		HASH_DEL(p->names, it);
		free(it->name);
		free(it);
	}
	cs_loop_health_free(p->health);
	cs_waiting_free(p->waiting);
	cs_known_samples_free(p->known);
	cs_stitch_free(p->stitch);
	cs_symbols_free(p->symbols);
	cs_buf_free(&p->text);
	cs_buf_free(&p->parts.text);
	free(p->frames);
}

static int note_view(struct pipeline *p)
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

static int note_natives(struct pipeline *p)
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

static int run(struct pipeline *p, const char *bytes, size_t len)
{
	struct cs_profile_meta *meta = cs_profile_meta_mut(p->profile);
	int err = cs_symbols_new(p->profile, p->view->first_lines, &p->symbols);

	p->parts = (struct cs_part_frames){.profile = p->profile,
					   .symbols = p->symbols,
					   .tell_tasks = p->view->all_trees || p->view->tell_tasks};
	meta->slow_ns = p->view->slow_ns;
	meta->tree = p->view->tree;
	if (!err)
		err = cs_stitch_new(add_sample, p, &p->stitch);
	if (!err)
		cs_stitch_show(p->stitch,
			       p->view->all_trees ? (1u << CS_TREE_MAX_) - 1 : 1u << p->view->tree);
	if (!err)
		err = cs_known_samples_new(&p->known);
	if (!err && p->view->all_trees)
		err = cs_waiting_new(&p->waiting);
	if (!err)
		err = cs_loop_health_new(p->view->slow_ns, add_slow, p, &p->health);
	if (!err)
		err = feed_all(p, bytes, len);
	if (!err)
		err = note_view(p);
	if (!err)
		err = note_natives(p);
	if (!err)
		cs_loop_health_finish(p->health, p->last_ns);
	if (!err)
		err = cs_loop_text_notes(p->health, p->first_ns, p->profile);
	if (!err) /* last: it renumbers the samples */
		err = cs_filter_apply(&p->view->filter, p->profile);
	meta->partial = !p->ended;
	meta->duration_ns = p->last_ns > p->first_ns ? p->last_ns - p->first_ns : 0;
	return err;
}

int cs_pipeline_read(int fd, const struct cs_view *view, struct cs_profile **ret)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	_cleanup_(pipeline_free) struct pipeline p = {0};
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
	err = cs_profile_new(&profile);
	p.profile = profile;
	p.view = view;
	if (!err)
		err = run(&p, bytes, (size_t)st.st_size);
	munmap(bytes, (size_t)st.st_size);
	if (err)
		return err;
	*ret = TAKE_PTR(profile);
	return 0;
}
