/* SPDX-License-Identifier: Apache-2.0 */
/* A raw capture through all stages into a profile. */
#include "cli/pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <uthash.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "decode/decode.h"
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

static int64_t task_frame(struct pipeline *p, const struct cs_part *part)
{
	p->text.len = 0;
	if (cs_buf_append_str(&p->text, "<task ") ||
	    cs_buf_append_str(&p->text, part->name ? part->name : "?"))
		return -ENOMEM;
	if (part->mark == CS_MARK_CREATED && cs_buf_append_str(&p->text, " (created)"))
		return -ENOMEM;
	if (part->mark == CS_MARK_FINISHED && cs_buf_append_str(&p->text, " (finished)"))
		return -ENOMEM;
	if (part->parents > 1 && cs_buf_printf(&p->text, " (%u parents)", part->parents))
		return -ENOMEM;
	if (cs_buf_append_str(&p->text, ">"))
		return -ENOMEM;
	return name_frame(p, CS_FRAME_TASK);
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

/* Frame index of one part, or -ENOMEM. */
static int64_t part_frame(struct pipeline *p, uint32_t pid, const struct cs_part *part)
{
	switch (part->kind) {
	case CS_PART_PYTHON:
		return cs_symbols_python(p->symbols, pid, &part->python);
	case CS_PART_TASK:
		return task_frame(p, part);
	case CS_PART_KERNEL:
		return cs_symbols_kernel(p->symbols, part->addr);
	case CS_PART_NATIVE:
		return cs_symbols_native(p->symbols, pid, part->addr);
	case CS_PART_STATUS:
		return mark_frame(p, status_mark(part->status));
	case CS_PART_TASKS_CUT:
		return mark_frame(p, "[tasks cut]");
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
	if (cs_buf_printf(&p->text, "thread %s [%u]", sample->thread_name, sample->tid))
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

	if (thread < 0 || task < 0)
		return -ENOMEM;
	*labels = (struct cs_labels){
		.process_id = sample->pid,
		.thread_id = sample->tid,
		.thread_name = (uint32_t)thread,
		.task_name = (uint32_t)task,
		.task_id = sample->task_id,
	};
	return 0;
}

static int add_sample(void *ctx, const struct cs_stitched *sample)
{
	uint64_t values[CS_VALUE_MAX_] = {1, sample->on_cpu ? sample->weight_ns : 0,
					  sample->weight_ns};
	struct pipeline *p = ctx;
	struct cs_labels labels;
	int64_t frame;
	uint32_t n = 0;

	if (p->view->thread && strcmp(p->view->thread, sample->thread_name)) {
		p->hidden_ns += sample->weight_ns;
		return 0;
	}
	p->shown_ns += sample->weight_ns;
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
		frame = part_frame(p, sample->pid, &sample->parts[i]);
		if (frame == -ENOENT)
			continue;
		if (frame < 0)
			return -ENOMEM;
		p->frames[n++] = (uint32_t)frame;
	}
	return cs_profile_add(p->profile, p->frames, n, &labels, values);
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
	if (!err)
		err = cs_symbols_feed(p->symbols, event);
	return err ? err : cs_stitch_feed(p->stitch, event);
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

	if (!err)
		err = cs_stitch_new(add_sample, p, &p->stitch);
	if (!err)
		err = feed_all(p, bytes, len);
	if (!err)
		err = note_view(p);
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
