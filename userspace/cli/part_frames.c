/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a stack as frames of the profile. */
#include "cli/part_frames.h"

#include <coroscope/off_cpu.h>
#include <errno.h>

#include "core/cleanup.h"

static int64_t intern_text(struct cs_part_frames *frames)
{
	return cs_profile_string(frames->profile, frames->text.data ? frames->text.data : "",
				 frames->text.len);
}

/* A frame that is a name and nothing else; the name is in frames->text. */
static int64_t name_frame(struct cs_part_frames *frames, enum cs_frame_kind kind)
{
	int64_t name = intern_text(frames);
	struct cs_frame frame = {.name = (uint32_t)name, .kind = kind};

	return name < 0 ? name : cs_profile_frame(frames->profile, &frame);
}

/*
 * The frame of Python code, by its function or (with_line) by what executes, as struct cs_frame refers to it: index + 1, 0 if it
 * is not known.
 */
static int64_t frame_reference(struct cs_part_frames *frames, uint32_t pid,
			       const struct cs_py_frame *python, bool with_line)
{
	int64_t index = cs_symbols_python(frames->symbols, pid, python);
	struct cs_frame frame;

	if (index < 0)
		return index == -ENOENT ? 0 : index;
	frame = *cs_profile_get_frame(frames->profile, (uint32_t)index);
	if (frame.kind != CS_FRAME_PYTHON)
		return 0;
	if (!with_line) {
		frame.line = frame.first_line;
		index = cs_profile_frame(frames->profile, &frame);
	}
	return index < 0 ? index : index + 1;
}

/* What tells one task from another of the same name. next: the part above it, or NULL. */
static int describe_task(struct cs_part_frames *frames, uint32_t pid, const struct cs_part *part,
			 const struct cs_part *next, struct cs_frame *frame)
{
	int64_t coro = 0, site = 0;

	if (next && next->kind == CS_PART_PYTHON)
		coro = frame_reference(frames, pid, &next->python, false);
	if (part->site.code)
		site = frame_reference(frames, pid, &part->site, true);
	if (coro < 0 || site < 0)
		return -ENOMEM;
	frame->task = part->task;
	frame->coro = (uint32_t)coro;
	frame->site = (uint32_t)site;
	return 0;
}

static int64_t task_frame(struct cs_part_frames *frames, uint32_t pid, const struct cs_part *part,
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

	frames->text.len = 0;
	if (cs_buf_append_str(&frames->text, "<task ") ||
	    cs_buf_append_str(&frames->text, part->name ? part->name : "?"))
		return -ENOMEM;
	if (cs_buf_append_str(&frames->text, marks[part->mark]))
		return -ENOMEM;
	if (part->parents > 1 && cs_buf_printf(&frames->text, " (%u parents)", part->parents))
		return -ENOMEM;
	if (cs_buf_append_str(&frames->text, ">"))
		return -ENOMEM;
	name = intern_text(frames);
	if (name < 0 || (frames->tell_tasks && describe_task(frames, pid, part, next, &frame)))
		return -ENOMEM;
	frame.name = (uint32_t)name;
	return cs_profile_frame(frames->profile, &frame);
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
	case CS_STATUS_NOT_SEEN:
		return "[not seen]";
	case CS_STATUS_NATIVE_NOT_YET:
		return "[code not known yet]";
	case CS_STATUS_NATIVE_NO_CODE:
		return "[no known code]";
	case CS_STATUS_NATIVE_NO_RULE:
		return "[no unwind information]";
	default:
		return "[unreadable]";
	}
}

/* Why it waits; whether that lasted from before the capture, or beyond its end. */
static int64_t wait_frame(struct cs_part_frames *frames, uint64_t wait)
{
	static const char *const reasons[] = {
#define X(name, id, text) [id] = text,
		CS_WAIT_REASON(X)
#undef X
	};
	uint64_t reason = wait & ~(uint64_t)(CS_STACKF_BEFORE | CS_STACKF_STILL);

	frames->text.len = 0;
	if (cs_buf_printf(&frames->text, "[%s%s%s]",
			  reason < ARRAY_SIZE(reasons) ? reasons[reason] : "unknown",
			  wait & CS_STACKF_BEFORE ? ", begun before" : "",
			  wait & CS_STACKF_STILL ? ", not over" : ""))
		return -ENOMEM;
	return name_frame(frames, CS_FRAME_MARK);
}

static int64_t mark_frame(struct cs_part_frames *frames, const char *mark)
{
	frames->text.len = 0;
	if (cs_buf_append_str(&frames->text, mark))
		return -ENOMEM;
	return name_frame(frames, CS_FRAME_MARK);
}

int64_t cs_part_frame(struct cs_part_frames *frames, uint32_t pid, const struct cs_part *part,
		      const struct cs_part *next)
{
	switch (part->kind) {
	case CS_PART_PYTHON:
		return cs_symbols_python(frames->symbols, pid, &part->python);
	case CS_PART_TASK:
		return task_frame(frames, pid, part, next);
	case CS_PART_KERNEL:
		return cs_symbols_kernel(frames->symbols, part->addr);
	case CS_PART_NATIVE:
		return cs_symbols_native(frames->symbols, pid, part->addr);
	case CS_PART_STATUS:
		return mark_frame(frames, status_mark(part->status));
	case CS_PART_TASKS_CUT:
		return mark_frame(frames, "[tasks cut]");
	case CS_PART_THREAD:
		frames->text.len = 0;
		if (cs_buf_printf(&frames->text, "<thread %s>", part->name))
			return -ENOMEM;
		return name_frame(frames, CS_FRAME_THREAD);
	case CS_PART_WAIT:
		return wait_frame(frames, part->addr);
	case CS_PART_WAKER:
		frames->text.len = 0;
		if (cs_buf_printf(&frames->text, "<woken by %s>",
				  part->name ? part->name : "an interrupt"))
			return -ENOMEM;
		return name_frame(frames, CS_FRAME_MARK);
	case CS_PART_LEAF:
		frames->text.len = 0;
		if (cs_buf_append_str(&frames->text, part->name))
			return -ENOMEM;
		return name_frame(frames, CS_FRAME_NATIVE);
	}
	return mark_frame(frames, "[unknown]");
}

int64_t cs_part_frame_process(struct cs_part_frames *frames, const char *name, uint32_t pid)
{
	frames->text.len = 0;
	if (cs_buf_printf(&frames->text, "%s [%u]", name, pid))
		return -ENOMEM;
	return name_frame(frames, CS_FRAME_PROCESS);
}

int64_t cs_part_frame_thread(struct cs_part_frames *frames, const char *name, uint32_t tid)
{
	frames->text.len = 0;
	if (cs_buf_printf(&frames->text, "thread %s [%u]", name, tid))
		return -ENOMEM;
	return name_frame(frames, CS_FRAME_THREAD);
}
