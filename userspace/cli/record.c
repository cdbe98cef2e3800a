/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroscope record: attach, capture into a raw spool, and when that is over turn the spool into a profile. The spool
 * outlives a failed export: nothing captured is lost to a full disk.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cli/attach.h"
#include "cli/child.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/pipeline.h"
#include "cli/record_agent.h"
#include "cli/record_options.h"
#include "collect/record.h"
#include "collect/session.h"
#include "core/cleanup.h"
#include "core/log.h"

#define PROGRESS_NS 500000000ull

static int explain_target(pid_t pid, int err)
{
	if (err == -ESRCH) {
		cs_err("no such process: %d", pid);
		return CS_EXIT_NOTHING;
	}
	if (err == -EPERM || err == -EACCES) {
		cs_err("no permission to read process %d%s", pid,
		       geteuid() ? ": run as root" : ": root may not here, see coroscope check");
		return CS_EXIT_PERMISSION;
	}
	cs_err("cannot watch process %d: %s", pid, strerror(-err));
	return CS_EXIT_FAILURE;
}

/* Returns an exit code; the targets are watched when it is 0. */
static int add_targets(struct cs_session *session, const struct cs_record_options *options,
		       struct cs_child *child)
{
	int err;

	for (unsigned int i = 0; i < options->npids; i++) {
		err = cs_session_add(session, options->pids[i]);
		if (err)
			return explain_target(options->pids[i], err);
	}
	if (cs_record_options_open_ended(options)) {
		err = cs_session_add_all(session);
		if (err) {
			cs_err("cannot look at all processes: %s", strerror(-err));
			return CS_EXIT_FAILURE;
		}
	}
	if (options->subprocesses && cs_session_add_children(session)) {
		cs_err("cannot look for subprocesses in /proc");
		return CS_EXIT_FAILURE;
	}
	if (options->command) {
		err = cs_child_start(child, options->command);
		if (!err)
			err = cs_session_add(session, child->pid);
		if (err) {
			cs_err("cannot start %s: %s", options->command[0], strerror(-err));
			return CS_EXIT_FAILURE;
		}
	}
	return CS_EXIT_OK;
}

static void show_progress(const struct cs_session *session, uint64_t start_ns, bool last)
{
	static uint64_t shown_ns;
	uint64_t c[CS_COUNTER_MAX_], now = cs_now_ns();
	double seconds = (double)(now - start_ns) / 1e9;

	if ((!last && now - shown_ns < PROGRESS_NS) || cs_session_counters(session, c))
		return;
	shown_ns = now;
	if (c[CS_COUNTER_OFF_BLOCKS]) {
		fprintf(stderr, "\r\033[K%.1f s  blocks %" PRIu64 ", shown %" PRIu64 "%s", seconds,
			c[CS_COUNTER_OFF_BLOCKS], c[CS_COUNTER_OFF_SAMPLES], last ? "\n" : "");
		return;
	}
	fprintf(stderr,
		"\r\033[K%.1f s  %.1f Hz per CPU  samples %" PRIu64 " cpu, %" PRIu64
		" wall, %" PRIu64 " tasks  lost %" PRIu64 "%s",
		seconds,
		(double)c[CS_COUNTER_TICKS] / seconds / (double)sysconf(_SC_NPROCESSORS_ONLN),
		c[CS_COUNTER_SAMPLES], c[CS_COUNTER_WALL_SAMPLES] + c[CS_COUNTER_WALL_SAME],
		c[CS_COUNTER_TASKS], c[CS_COUNTER_RING_FULL] + c[CS_COUNTER_WALL_RING_FULL],
		last ? "\n" : "");
}

/* Turns until something ends the capture. */
static enum cs_end_reason capture(struct cs_session *session,
				  const struct cs_record_options *options, struct cs_child *child)
{
	bool progress = isatty(STDERR_FILENO) && !options->quiet;
	bool open_ended = cs_record_options_open_ended(options);
	uint64_t start = cs_now_ns();
	enum cs_end_reason reason;

	for (;;) {
		cs_session_wait(session);
		if (cs_session_turn(session)) {
			reason = CS_END_SPOOL_FULL;
			break;
		}
		if (cs_interrupted) {
			reason = CS_END_INTERRUPTED;
			break;
		}
		if (options->duration_ns && cs_now_ns() - start >= options->duration_ns) {
			reason = CS_END_DURATION;
			break;
		}
		if (cs_child_ended(child) || (!open_ended && !cs_session_alive(session))) {
			reason = CS_END_TARGETS_GONE;
			break;
		}
		if (progress)
			show_progress(session, start, false);
	}
	if (progress)
		show_progress(session, start, true);
	return reason;
}

/*
 * A turn that waits for a CPU is a moment not seen, and a busy machine is when people profile. The work is a small share of
 * a CPU, so it may go first; without the privilege it takes its turn.
 */
static void run_ahead_of_load(void)
{
	if (setpriority(PRIO_PROCESS, 0, -10))
		cs_debug("priority not raised: %s, ignoring", strerror(errno));
}

/* From attaching to the last record in the spool. Returns an exit code. */
static int run_session(const struct cs_record_options *options, struct cs_spool *spool,
		       struct cs_child *child, const char *command_line)
{
	const struct cs_session_options session_options = {
		.mode = options->mode,
		.interval_ns = cs_record_options_interval(options),
		.ring_bytes = options->ring_bytes,
		/* a selection narrows -a down */
		.all_processes = options->all && !cs_selection_given(&options->selection),
		.subprocesses = options->subprocesses,
		.no_idle = options->no_idle || options->only_gil,
		.only_gil = options->only_gil,
		.async = options->async,
		.span_events = options->span_events,
		.task_events = options->task_events,
		.selection = options->selection,
		.no_iterator = options->no_iterator,
		.native = options->native,
		.off_wakers = options->off_wakers,
		.off_min_ns = options->off_min_ns,
		.off_budget = options->off_budget,
		.command = command_line,
		.kubelet = cs_book_kubelet_from_environment(),
	};
	_cleanup_(cs_session_freep) struct cs_session *session = NULL;
	_cleanup_free_ char *log = NULL;
	enum cs_end_reason reason;
	int err, code;

	err = cs_session_new(&session_options, spool, &session, &log);
	if (err)
		return cs_attach_explain(err, log);
	code = add_targets(session, options, child);
	if (code)
		return code;
	run_ahead_of_load();
	err = cs_session_start(session);
	if (err && cs_spool_flush(spool)) {
		cs_err("cannot write the capture file %s: %s", cs_spool_path(spool),
		       strerror(-err));
		return CS_EXIT_FAILURE;
	}
	if (err == -EOPNOTSUPP) {
		cs_err("--mode offcpu: this kernel does not tell when a thread is back: before Linux 6.15 it needs CONFIG_KPROBES and names of its functions (kernel.kptr_restrict)");
		return CS_EXIT_FAILURE;
	}
	if (err) {
		cs_err("cannot start the clocks: %s: see coroscope check", strerror(-err));
		return err == -EACCES || err == -EPERM ? CS_EXIT_PERMISSION : CS_EXIT_FAILURE;
	}
	if (options->command) {
		err = cs_child_go(child);
		if (err) {
			cs_err("cannot run %s: %s", options->command[0], strerror(-err));
			return CS_EXIT_FAILURE;
		}
	}
	reason = capture(session, options, child);
	err = cs_session_finish(session, reason);
	if (reason == CS_END_SPOOL_FULL || err)
		cs_warn("the capture ended early: %s could not grow", cs_spool_path(spool));
	return CS_EXIT_OK;
}

static int export_spool(struct cs_spool *spool, const struct cs_view *view,
			struct cs_output *output)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	struct cs_view shown = *view;
	int err;

	shown.look_up = true;
	shown.all_trees = output->exporter && output->exporter->all_trees;
	/* A raw capture is all there is to write; its samples are counted for the summary. */
	shown.outline = !output->exporter && !view->slow_ns && !view->filter.task;
	err = cs_pipeline_read(cs_spool_fd(spool), &shown, &profile);
	if (err) {
		cs_err("cannot read the capture back: %s", strerror(-err));
	} else if (output->exporter) {
		err = cs_output_write(output, profile);
	}
	if (err) {
		cs_spool_keep(spool);
		cs_err("the capture is kept: coroscope report %s -o FILE", cs_spool_path(spool));
		return CS_EXIT_FAILURE;
	}
	cs_output_summary(output, profile);
	return CS_EXIT_OK;
}

static int record(const struct cs_record_options *options, const char *command_line)
{
	_cleanup_(cs_output_close) struct cs_output output = {.fd = -1};
	_cleanup_(cs_child_end) struct cs_child child = {.go = -1, .report = -1};
	_cleanup_(cs_spool_freep) struct cs_spool *spool = NULL;
	int err, code;

	if (cs_output_choose(&output, options->view.format, options->view.output))
		return CS_EXIT_USAGE;
	if (output.exporter && cs_output_open(&output))
		return CS_EXIT_FAILURE;
	if (!cs_attach_possible())
		return CS_EXIT_FAILURE;
	err = cs_spool_new(output.exporter ? NULL : output.path, &spool);
	if (err) {
		cs_err("cannot create the capture file (%s): %s",
		       output.exporter ? "set TMPDIR to a writable directory" : output.path,
		       strerror(-err));
		return CS_EXIT_FAILURE;
	}
	cs_interrupt_catch(false);
	signal(SIGPIPE, SIG_IGN);
	code = run_session(options, spool, &child, command_line);
	if (code)
		return code;
	/* A second Ctrl-C ends a long export; the capture file stays. */
	signal(SIGINT, SIG_DFL);
	code = export_spool(spool, &options->view, &output);
	cs_child_end(&child);
	if (!code && options->exit_status && options->command)
		return cs_child_exit_status(&child);
	return code;
}

static void join_arguments(int argc, char **argv, char *dst, size_t size)
{
	size_t at = (size_t)snprintf(dst, size, "coroscope");

	for (int i = 0; i < argc && at < size; i++)
		at += (size_t)snprintf(dst + at, size - at, " %s", argv[i]);
}

int cs_cli_record(int argc, char **argv)
{
	struct cs_record_options options;
	char command_line[4096];

	join_arguments(argc, argv, command_line, sizeof(command_line));
	cs_record_options_parse(&options, argc, argv);
	return options.agent ? cs_record_agent(&options) : record(&options, command_line);
}
