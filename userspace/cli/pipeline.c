/* SPDX-License-Identifier: Apache-2.0 */
/* A raw capture through all stages into a profile. */
#include "cli/pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <uthash.h>

#include "cli/known_samples.h"
#include "cli/loop_text.h"
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
	struct cs_waiting *waiting; /* NULL: of no interest, and neither is which task is which */
	uint64_t now_ns;            /* of this event */
	uint32_t sample;            /* that this event became; CS_HOLD_NO_STACK: none */
	struct process_name *names;
	struct cs_buf text; /* scratch for one name */
	uint32_t *frames;   /* scratch for one stack */
	size_t cap;
	uint64_t first_ns, last_ns;
	uint64_t shown_ns, hidden_ns; /* time in samples that the view shows, and does not */
	bool ended;
};

static int64_t intern_text(struct pipeline *p)
{
	return cs_profile_string(p->profile, p->text.data ? p->text.data : "", p->text.len);
}

/* A frame that is a name and nothing else; the name is in p->text. */
static int64_t name_frame(struct pipeline *p, enum cs_frame_kind kind)
{
	int64_t name = intern_text(p);
	struct cs_frame frame = {.name = (uint32_t)name, .kind = kind};

	return name < 0 ? name : cs_profile_frame(p->profile, &frame);
}

/*
 * The frame of Python code, by its function or (with_line) by what executes, as struct cs_frame refers to it: index + 1, 0 if it
 * is not known.
 */
static int64_t frame_reference(struct pipeline *p, uint32_t pid, const struct cs_py_frame *python,
			       bool with_line)
{
	int64_t index = cs_symbols_python(p->symbols, pid, python);
	struct cs_frame frame;

	if (index < 0)
		return index == -ENOENT ? 0 : index;
	frame = *cs_profile_get_frame(p->profile, (uint32_t)index);
	if (frame.kind != CS_FRAME_PYTHON)
		return 0;
	if (!with_line) {
		frame.line = frame.first_line;
		index = cs_profile_frame(p->profile, &frame);
	}
	return index < 0 ? index : index + 1;
}

/* What tells one task from another of the same name. next: the part above it, or NULL. */
static int describe_task(struct pipeline *p, uint32_t pid, const struct cs_part *part,
			 const struct cs_part *next, struct cs_frame *frame)
{
	int64_t coro = 0, site = 0;

	if (next && next->kind == CS_PART_PYTHON)
		coro = frame_reference(p, pid, &next->python, false);
	if (part->site.code)
		site = frame_reference(p, pid, &part->site, true);
	if (coro < 0 || site < 0)
		return -ENOMEM;
	frame->task = part->task;
	frame->coro = (uint32_t)coro;
	frame->site = (uint32_t)site;
	return 0;
}

static int64_t task_frame(struct pipeline *p, uint32_t pid, const struct cs_part *part,
			  const struct cs_part *next)
{
	static const char *const marks[] = {
		[CS_MARK_NONE] = "",
		[CS_MARK_CREATED] = " (created)",
		[CS_MARK_FINISHED] = " (finished)",
		[CS_MARK_PROBABLE] = " (probable)",
	};
	struct cs_frame frame = {.kind = CS_FRAME_TASK, .mark = part->mark};
	int64_t name;

	p->text.len = 0;
	if (cs_buf_append_str(&p->text, "<task ") ||
	    cs_buf_append_str(&p->text, part->name ? part->name : "?"))
		return -ENOMEM;
	if (cs_buf_append_str(&p->text, marks[part->mark]))
		return -ENOMEM;
	if (part->parents > 1 && cs_buf_printf(&p->text, " (%u parents)", part->parents))
		return -ENOMEM;
	if (cs_buf_append_str(&p->text, ">"))
		return -ENOMEM;
	name = intern_text(p);
	if (name < 0 || (p->waiting && describe_task(p, pid, part, next, &frame)))
		return -ENOMEM;
	frame.name = (uint32_t)name;
	return cs_profile_frame(p->profile, &frame);
}

static const char *status_mark(enum cs_status status)
{
	switch (status) {
	case CS_STATUS_TRUNCATED:
		return "[truncated]";
	case CS_STATUS_NO_TSTATE:
		return "[no Python thread]";
	case CS_STATUS_UNSUPPORTED:
		return "[unsupported Python]";
	case CS_STATUS_TORN:
		return "[torn]";
	default:
		return "[unreadable]";
	}
}

static int64_t mark_frame(struct pipeline *p, const char *mark)
{
	p->text.len = 0;
	if (cs_buf_append_str(&p->text, mark))
		return -ENOMEM;
	return name_frame(p, CS_FRAME_MARK);
}

/* Frame index of one part, or -ENOMEM. next: the part above it, or NULL. */
static int64_t part_frame(struct pipeline *p, uint32_t pid, const struct cs_part *part,
			  const struct cs_part *next)
{
	switch (part->kind) {
	case CS_PART_PYTHON:
		return cs_symbols_python(p->symbols, pid, &part->python);
	case CS_PART_TASK:
		return task_frame(p, pid, part, next);
	case CS_PART_KERNEL:
		return cs_symbols_kernel(p->symbols, part->addr);
	case CS_PART_NATIVE:
		return cs_symbols_native(p->symbols, pid, part->addr);
	case CS_PART_STATUS:
		return mark_frame(p, status_mark(part->status));
	case CS_PART_TASKS_CUT:
		return mark_frame(p, "[tasks cut]");
	case CS_PART_THREAD:
		p->text.len = 0;
		if (cs_buf_printf(&p->text, "<thread %s>", part->name))
			return -ENOMEM;
		return name_frame(p, CS_FRAME_THREAD);
	case CS_PART_LEAF:
		p->text.len = 0;
		if (cs_buf_append_str(&p->text, part->name))
			return -ENOMEM;
		return name_frame(p, CS_FRAME_NATIVE);
	}
	return mark_frame(p, "[unknown]");
}

static int64_t process_frame(struct pipeline *p, uint32_t pid, const char *thread_name)
{
	struct process_name *it;

	HASH_FIND(hh, p->names, &pid, sizeof(pid), it);
	p->text.len = 0;
	if (cs_buf_printf(&p->text, "%s [%u]",
			  it             ? it->name
			  : *thread_name ? thread_name
					 : "process",
			  pid))
		return -ENOMEM;
	return name_frame(p, CS_FRAME_PROCESS);
}

static int64_t thread_frame(struct pipeline *p, const struct cs_stitched *sample)
{
	p->text.len = 0;
	if (cs_buf_printf(&p->text, "thread %s [%u]", sample->root_thread_name, sample->root_tid))
		return -ENOMEM;
	return name_frame(p, CS_FRAME_THREAD);
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
	int64_t thread = intern(p, sample->thread_name), task = intern(p, sample->task_name);
	int64_t origin = intern(p, sample->origin_name);

	if (thread < 0 || task < 0 || origin < 0)
		return -ENOMEM;
	*labels = (struct cs_labels){
		.process_id = sample->pid,
		.thread_id = sample->tid,
		.thread_name = (uint32_t)thread,
		.task_name = (uint32_t)task,
		.task_id = sample->task_id,
		.origin_task_name = (uint32_t)origin,
		.origin_task_id = sample->origin_id,
	};
	return 0;
}

/* A sample stands for the time up to its moment. */
static int see_sample(struct pipeline *p, const struct cs_stitched *sample)
{
	uint64_t before_ns = p->now_ns > p->first_ns ? p->now_ns - p->first_ns : 0;
	uint64_t weight_ns = sample->weight_ns < before_ns ? sample->weight_ns : before_ns;
	struct cs_seen seen = {
		.span = {p->now_ns - weight_ns, p->now_ns},
		.suspended = sample->suspended,
	};

	if (sample->suspended)
		seen.waited_ns = weight_ns +
				 cs_waiting_ns(p->waiting, sample->pid, sample->task_id, p->now_ns);
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
	frame = process_frame(p, sample->pid, sample->thread_name);
	if (frame < 0)
		return -ENOMEM;
	p->frames[n++] = (uint32_t)frame;
	frame = thread_frame(p, sample);
	if (frame < 0)
		return -ENOMEM;
	p->frames[n++] = (uint32_t)frame;
	for (uint32_t i = 0; i < sample->n; i++) {
		frame = part_frame(p, sample->pid, &sample->parts[i],
				   i + 1 < sample->n ? &sample->parts[i + 1] : NULL);
		if (frame == -ENOENT)
			continue;
		if (frame < 0)
			return -ENOMEM;
		p->frames[n++] = (uint32_t)frame;
	}
	if (cs_profile_add_in(p->profile, sample->tree, p->frames, n, &labels, values))
		return -ENOMEM;
	return cs_known_samples_add(p->known, cs_profile_last(p->profile));
}

static int add_sample(void *ctx, const struct cs_stitched *sample)
{
	uint64_t values[CS_VALUE_MAX_] = {1, sample->on_cpu ? sample->weight_ns : 0,
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
	int err = 0;

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
	p->now_ns = event->ts_ns;
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
	return err;
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

static int run(struct pipeline *p, const char *bytes, size_t len)
{
	struct cs_profile_meta *meta = cs_profile_meta_mut(p->profile);
	int err = cs_symbols_new(p->profile, p->view->first_lines, &p->symbols);

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
		cs_loop_health_finish(p->health, p->last_ns);
	if (!err)
		err = cs_loop_text_notes(p->health, p->first_ns, p->profile);
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
