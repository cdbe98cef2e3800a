/* SPDX-License-Identifier: Apache-2.0 */
/* One look at one live process. */
#include "cli/snapshot.h"

#include <errno.h>
#include <string.h>
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

static int explain_open(pid_t pid, int err)
{
	if (err == -ESRCH) {
		cs_err("no such process: %d", pid);
		return CS_EXIT_NOTHING;
	}
	if (err == -EPERM || err == -EACCES) {
		cs_err("no permission to read process %d: run as root, or as its user with ptrace allowed",
		       pid);
		return CS_EXIT_PERMISSION;
	}
	cs_err("cannot read process %d: %s", pid, strerror(-err));
	return CS_EXIT_FAILURE;
}

static int explain_state(const struct cs_interp *interp)
{
	switch (interp->state) {
	case CS_INTERP_READY:
		return CS_EXIT_OK;
	case CS_INTERP_UNSUPPORTED:
		cs_err("process %d: %s", interp->pid, interp->reason);
		return CS_EXIT_FAILURE;
	case CS_INTERP_STARTING:
		cs_err("process %d: its Python is still starting; try again", interp->pid);
		return CS_EXIT_FAILURE;
	default:
		cs_err("process %d is not a Python process", interp->pid);
		return CS_EXIT_NOTHING;
	}
}

int cs_snapshot_open(pid_t pid, struct cs_snapshot *snapshot)
{
	int err, code;

	*snapshot = (struct cs_snapshot){0};
	err = cs_target_new(pid, cs_now_ns(), &snapshot->target);
	if (err)
		return explain_open(pid, err);
	code = explain_state(&snapshot->target->interp);
	if (code)
		return code;
	err = cs_profile_new(&snapshot->profile);
	if (!err)
		err = cs_symbols_new(snapshot->profile, false, &snapshot->symbols);
	if (!err)
		err = cs_stitch_new(no_emit, NULL, &snapshot->stitch);
	return err ? explain_open(pid, err) : CS_EXIT_OK;
}

void cs_snapshot_close(struct cs_snapshot *snapshot)
{
	cs_stitch_free(snapshot->stitch);
	cs_symbols_free(snapshot->symbols);
	cs_profile_free(snapshot->profile);
	cs_target_free(snapshot->target);
}

int cs_snapshot_feed(struct cs_snapshot *snapshot, struct cs_buf *records,
		     int (*fn)(void *ctx, const struct cs_event *event), void *ctx)
{
	_cleanup_(cs_decoder_freep) struct cs_decoder *decoder = NULL;
	_cleanup_(cs_names_freep) struct cs_names *names = NULL;
	_cleanup_buf_ struct cs_buf all = {0};
	struct cs_target *table = NULL;
	struct cs_event event;
	struct cs_names_lost lost = {0};
	int err = cs_names_new(&names);

	if (!err)
		err = cs_decoder_new(&decoder);
	if (err)
		return err;
	HASH_ADD_INT(table, pid, snapshot->target);
	err = cs_names_for(names, table, records, cs_now_ns(), &all, &lost);
	HASH_DEL(table, snapshot->target);
	for (size_t at = 0; !err && at < all.len;) {
		int64_t n = cs_decode(decoder, all.data + at, all.len - at, &event);

		if (n <= 0)
			return n < 0 ? (int)n : -EBADMSG;
		at += (size_t)n;
		err = cs_symbols_feed(snapshot->symbols, &event);
		if (!err)
			err = cs_stitch_feed(snapshot->stitch, &event);
		if (!err && fn)
			err = fn(ctx, &event);
	}
	return err;
}

static int pass_over(struct cs_snapshot *snapshot, struct cs_buf *records)
{
	const struct timespec pause = {.tv_nsec = 5 * MS};
	struct cs_target *target = snapshot->target;
	struct cs_tasks_result result;
	int err = -EAGAIN;

	for (int i = 0; i < PASS_TRIES && err == -EAGAIN; i++) {
		if (i)
			nanosleep(&pause, NULL);
		cs_mem_forget(target->mem);
		err = cs_tasks_pass(target->tasks, target->mem, 0, PASS_WAIT_NS, records, &result);
	}
	return err;
}

int cs_snapshot_tasks(struct cs_snapshot *snapshot)
{
	struct cs_target *target = snapshot->target;
	_cleanup_buf_ struct cs_buf records = {0};
	int err = cs_asyncio_find(&target->interp, target->mem, &target->asyncio);

	if (!err && !target->asyncio.loaded) {
		cs_err("process %d has not loaded asyncio", target->pid);
		return CS_EXIT_NOTHING;
	}
	if (!err)
		err = cs_tasks_new(&target->interp, &target->asyncio, &target->tasks);
	if (!err)
		err = pass_over(snapshot, &records);
	if (!err)
		err = cs_snapshot_feed(snapshot, &records, NULL, NULL);
	if (err == -EAGAIN) {
		cs_err("process %d: its tasks changed faster than they could be read; try again",
		       target->pid);
		return CS_EXIT_FAILURE;
	}
	return err ? explain_open(target->pid, err) : CS_EXIT_OK;
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
