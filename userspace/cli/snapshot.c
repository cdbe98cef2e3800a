/* SPDX-License-Identifier: Apache-2.0 */
/* One look at one live process. */
#include "cli/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "collect/names.h"
#include "collect/record.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "export/exporter.h"
#include "python/tasks.h"

#define MS           1000000ull
/* A person waits: give the loop more time to fall asleep than a sampling pass may. */
#define PASS_WAIT_NS (20 * MS)
#define PASS_TRIES   10
/* Passes that read most of the tasks are not made again for the rest, or for one moment, more often than this. */
#define WHOLE_TRIES  3
/*
 * So long copies are waited for beyond that, and so many are made: what a single look has to copy is not known from others before, and a machine
 * with much to do lets a busy loop wait.
 */
#define COPIES_NS    (100 * MS)
#define COPY_TRIES   12

pid_t cs_snapshot_pid(const char *arg)
{
	pid_t pids[CS_MAX_PIDS];
	unsigned int n = 0;

	if (cs_parse_pids(arg, pids, &n) || n != 1) {
		cs_err("'%s' is no process id", arg);
		return 0;
	}
	return pids[0];
}

static int no_emit(void *ctx, const struct cs_stitched *sample)
{
	return 0;
}

static int state_error(enum cs_interp_state state)
{
	switch (state) {
	case CS_INTERP_READY:
		return 0;
	case CS_INTERP_UNSUPPORTED:
		return -ENOTSUP;
	case CS_INTERP_STARTING:
		return -EAGAIN;
	default:
		return -ENOEXEC;
	}
}

int cs_snapshot_try(pid_t pid, struct cs_snapshot *snapshot)
{
	int err;

	*snapshot = (struct cs_snapshot){0};
	err = cs_target_new(pid, cs_now_ns(), &snapshot->target);
	if (!err)
		err = state_error(snapshot->target->interp.state);
	if (!err)
		err = cs_profile_new(&snapshot->profile);
	if (!err)
		err = cs_symbols_new(snapshot->profile, false, &snapshot->symbols);
	if (!err)
		err = cs_stitch_new(no_emit, NULL, &snapshot->stitch);
	if (!err)
		err = cs_since_new(&snapshot->since);
	return err;
}

static void explain_again(const struct cs_snapshot *snapshot, pid_t pid)
{
	if (snapshot->target && snapshot->target->interp.state == CS_INTERP_STARTING)
		cs_err("process %d: its Python is still starting; try again", pid);
	else
		cs_err("process %d: its tasks changed faster than they could be read; try again",
		       pid);
}

int cs_snapshot_explain(const struct cs_snapshot *snapshot, pid_t pid, int err)
{
	switch (-err) {
	case ESRCH:
		cs_err("no such process: %d", pid);
		return CS_EXIT_NOTHING;
	case EPERM:
	case EACCES:
		cs_err("no permission to read process %d: run as root, or as its user with ptrace allowed",
		       pid);
		return CS_EXIT_PERMISSION;
	case ENOEXEC:
		cs_err("process %d is not a Python process", pid);
		return CS_EXIT_NOTHING;
	case ENODATA:
		cs_err("process %d has not loaded asyncio", pid);
		return CS_EXIT_NOTHING;
	case EAGAIN:
		explain_again(snapshot, pid);
		return CS_EXIT_FAILURE;
	case ENOTSUP:
		cs_err("process %d: %s", pid, snapshot->target->interp.reason);
		return CS_EXIT_FAILURE;
	default:
		cs_err("cannot read process %d: %s", pid, strerror(-err));
		return CS_EXIT_FAILURE;
	}
}

int cs_snapshot_open(pid_t pid, struct cs_snapshot *snapshot)
{
	int err = cs_snapshot_try(pid, snapshot);

	return err ? cs_snapshot_explain(snapshot, pid, err) : CS_EXIT_OK;
}

void cs_snapshot_close(struct cs_snapshot *snapshot)
{
	cs_buf_free(&snapshot->look);
	cs_since_free(snapshot->since);
	cs_stitch_free(snapshot->stitch);
	cs_symbols_free(snapshot->symbols);
	cs_profile_free(snapshot->profile);
	cs_target_free(snapshot->target);
	*snapshot = (struct cs_snapshot){0};
}

/* Append the records to out, each behind the names that it needs. Returns 0 or -errno. */
static int name_records(struct cs_snapshot *snapshot, struct cs_buf *records, struct cs_buf *out)
{
	_cleanup_(cs_names_freep) struct cs_names *names = NULL;
	struct cs_target *table = NULL;
	struct cs_names_lost lost = {0};
	int err = cs_names_new(&names);

	if (err)
		return err;
	HASH_ADD_INT(table, pid, snapshot->target);
	err = cs_names_for(names, table, records, cs_now_ns(), out, &lost);
	HASH_DEL(table, snapshot->target);
	return err;
}

static int take_event(struct cs_snapshot *snapshot, const struct cs_event *event)
{
	int err = cs_symbols_feed(snapshot->symbols, event);

	if (!err)
		err = cs_stitch_feed(snapshot->stitch, event);
	return err ? err : cs_since_feed(snapshot->since, event);
}

/* Decode and take records of this look. Returns 0, -EBADMSG or -errno. */
static int take_records(struct cs_snapshot *snapshot, const struct cs_buf *records,
			int (*fn)(void *ctx, const struct cs_event *event), void *ctx)
{
	_cleanup_(cs_decoder_freep) struct cs_decoder *decoder = NULL;
	struct cs_event event;
	int err = cs_decoder_new(&decoder);

	for (size_t at = 0; !err && at < records->len;) {
		int64_t n = cs_decode(decoder, records->data + at, records->len - at, &event);

		if (n <= 0)
			return n < 0 ? (int)n : -EBADMSG;
		at += (size_t)n;
		err = take_event(snapshot, &event);
		if (!err && fn)
			err = fn(ctx, &event);
	}
	return err;
}

int cs_snapshot_feed(struct cs_snapshot *snapshot, struct cs_buf *records,
		     int (*fn)(void *ctx, const struct cs_event *event), void *ctx)
{
	_cleanup_buf_ struct cs_buf all = {0};
	int err = name_records(snapshot, records, &all);

	return err ? err : take_records(snapshot, &all, fn, ctx);
}

/* After a pass that holds only task by task it is known what to copy: the next may be of one moment, if copies can be had. */
static bool is_enough(const struct cs_tasks_result *result, struct cs_instants *instants)
{
	return !result->ndropped && !result->nmoved &&
	       (result->coherence != CS_COHERENT_PER_TASK || cs_instants_load(instants));
}

/* A pass has held: what it wrote behind `before` takes the place of what was there. */
static void take_pass(struct cs_snapshot *snapshot, const struct cs_tasks_result *result,
		      struct cs_buf *records, size_t before)
{
	records->len -= before;
	memmove(records->data, records->data + before, records->len);
	snapshot->ndropped = result->ndropped;
	snapshot->coherence = result->coherence;
	/* all records of a pass bear the time at which it was true */
	snapshot->looked_ns = ((const struct cs_ev_hdr *)records->data)->ts_ns;
}

/*
 * Passes until one has read every task as it was at one moment, or the last that could be made, whose records are kept. Returns 0, or why
 * there was none.
 */
static int pass_over(struct cs_snapshot *snapshot, struct cs_instants *instants,
		     struct cs_buf *records)
{
	const struct timespec pause = {.tv_nsec = 5 * MS};
	struct cs_target *target = snapshot->target;
	struct cs_tasks_result result;
	int err = -EAGAIN, last;

	for (int i = 0; i < PASS_TRIES; i++) {
		size_t before = records->len;

		if (i)
			nanosleep(&pause, NULL);
		cs_mem_forget(target->mem);
		cs_tasks_renew_all(target->tasks);
		cs_instants_turn(instants, cs_now_ns() + PASS_WAIT_NS + COPIES_NS);
		last = cs_tasks_pass(target->tasks, target->mem, 0, PASS_WAIT_NS, records, &result);
		if (last == -EAGAIN)
			continue;
		err = last;
		if (last)
			break;
		take_pass(snapshot, &result, records, before);
		if (i + 1 >= WHOLE_TRIES || is_enough(&result, instants))
			break;
	}
	return err;
}

int cs_snapshot_look(struct cs_snapshot *snapshot, struct cs_instants *instants)
{
	struct cs_target *target = snapshot->target;
	_cleanup_buf_ struct cs_buf records = {0};
	int err = cs_asyncio_find(&target->interp, target->mem, false, &target->asyncio);

	if (!err && !target->asyncio.loaded)
		return -ENODATA;
	if (!err)
		err = cs_tasks_new(&target->interp, &target->asyncio, &target->tasks);
	if (!err) {
		cs_tasks_limit(target->tasks, CS_MAX_TASKS);
		cs_tasks_use_instants(target->tasks, cs_instants_source(instants), COPY_TRIES);
		err = pass_over(snapshot, instants, &records);
	}
	return err ? err : name_records(snapshot, &records, &snapshot->look);
}

/*
 * Is this event of this process's time before the look? Names are taken whenever they were found:
 * they stand before what needs them.
 */
static bool is_told(const struct cs_snapshot *snapshot, const struct cs_event *event)
{
	return event->pid == (uint32_t)snapshot->target->pid &&
	       (event->ts_ns <= snapshot->looked_ns || event->kind == CS_EV_CODE);
}

/*
 * A capture that ends in the middle of a record has told all that it can. Returns 0, -EBADMSG or
 * -errno.
 */
static int take_capture(struct cs_snapshot *snapshot, const char *bytes, size_t len)
{
	_cleanup_(cs_decoder_freep) struct cs_decoder *decoder = NULL;
	int start = cs_decode_file_header(bytes, len);
	int err = start < 0 ? start : cs_decoder_new(&decoder);
	struct cs_event event;

	for (size_t at = (size_t)start; !err && at < len;) {
		int64_t n = cs_decode(decoder, bytes + at, len - at, &event);

		if (n <= 0)
			return (int)n;
		at += (size_t)n;
		if (!event.kind || !is_told(snapshot, &event))
			continue;
		if (event.kind == CS_EV_PROCESS)
			snprintf(snapshot->note, sizeof(snapshot->note), "%.*s",
				 (int)event.process.note.len, event.process.note.str);
		err = take_event(snapshot, &event);
	}
	return err;
}

int cs_snapshot_tell(struct cs_snapshot *snapshot, int fd)
{
	struct stat st;
	void *bytes;
	int err = 0;

	if (fd >= 0 && fstat(fd, &st) < 0)
		return -errno;
	if (fd >= 0) {
		bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (bytes == MAP_FAILED)
			return -errno;
		err = take_capture(snapshot, bytes, (size_t)st.st_size);
		munmap(bytes, (size_t)st.st_size);
	}
	return err ? err : take_records(snapshot, &snapshot->look, NULL, NULL);
}

int cs_snapshot_frame(struct cs_snapshot *snapshot, const struct cs_py_frame *frame,
		      struct cs_buf *out)
{
	int64_t index =
		cs_symbols_python(snapshot->symbols, (uint32_t)snapshot->target->pid, frame);

	if (index < 0)
		return (int)index;
	return cs_export_frame_text(snapshot->profile,
				    cs_profile_get_frame(snapshot->profile, (uint32_t)index), out);
}
