/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture of the CPU clock: it brings creations, samples of running tasks and passes over the
 * suspended ones.
 */
#include "cli/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/attach.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "collect/record.h"
#include "collect/session.h"
#include "core/cleanup.h"
#include "core/log.h"

/* What `record` does by default. */
#define RATE_HZ    99
#define RING_BYTES ((size_t)4 << 20)

struct cs_watch {
	struct cs_spool *spool;
	struct cs_session *session;
};

void cs_watch_free(struct cs_watch *watch)
{
	if (!watch)
		return;
	cs_session_free(watch->session);
	cs_spool_free(watch->spool);
	free(watch);
}

static int load(struct cs_watch *watch, bool all)
{
	const struct cs_session_options options = {
		.mode = CS_MODE_CPU,
		.async = CS_ASYNC_RUNNING,
		.task_events = CS_PROBING_AUTO,
		.interval_ns = 1000000000u / RATE_HZ,
		.ring_bytes = RING_BYTES,
		.all_processes = all,
		.command = "",
	};
	_cleanup_free_ char *log = NULL;
	int err = cs_spool_new(NULL, &watch->spool);

	if (err) {
		cs_err("cannot create a private file (set TMPDIR to a writable directory): %s",
		       strerror(-err));
		return CS_EXIT_FAILURE;
	}
	err = cs_session_new(&options, watch->spool, &watch->session, &log);
	return err ? cs_attach_explain(err, log) : CS_EXIT_OK;
}

/* Returns 0 or -errno. Who cannot be watched is left out: the look will say why. */
static int add_targets(struct cs_session *session, const pid_t *pids, unsigned int n, bool all)
{
	for (unsigned int i = 0; i < n; i++) {
		int err = cs_session_add(session, pids[i]);

		if (err == -ENOMEM)
			return err;
	}
	return all ? cs_session_add_all(session) : 0;
}

/* Returns 0 or -errno of the file. */
static int turn_until(struct cs_session *session, bool all, uint64_t end_ns)
{
	int err = 0;

	while (!err && !cs_interrupted && cs_now_ns() < end_ns &&
	       (all || cs_session_alive(session))) {
		cs_session_wait(session);
		err = cs_session_turn(session);
	}
	return err;
}

int cs_watch_begin(const pid_t *pids, unsigned int n, bool all, uint64_t duration_ns,
		   struct cs_watch **ret)
{
	_cleanup_(cs_watch_freep) struct cs_watch *watch = NULL;
	int err, code;

	if (!cs_attach_possible())
		return CS_EXIT_FAILURE;
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return CS_EXIT_FAILURE;
	code = load(watch, all);
	if (code)
		return code;
	cs_interrupt_catch(true);
	err = add_targets(watch->session, pids, n, all);
	if (!err)
		err = cs_session_start(watch->session);
	if (!err)
		err = turn_until(watch->session, all, cs_now_ns() + duration_ns);
	if (err) {
		cs_err("cannot watch: %s: see coroscope check", strerror(-err));
		return err == -EACCES || err == -EPERM ? CS_EXIT_PERMISSION : CS_EXIT_FAILURE;
	}
	*ret = TAKE_PTR(watch);
	return CS_EXIT_OK;
}

void cs_watch_keep_up(struct cs_watch *watch)
{
	/* a file that cannot be written stays so, and cs_watch_end says it */
	cs_session_turn(watch->session);
}

static void warn_of_losses(const struct cs_session *session)
{
	uint64_t counters[CS_COUNTER_MAX_], lost;

	if (cs_session_counters(session, counters))
		return;
	lost = counters[CS_COUNTER_CREATES_RING_FULL] + counters[CS_COUNTER_CREATES_NESTED];
	if (lost)
		cs_warn("%" PRIu64
			" creations of tasks were missed: creators and ages may be another task's",
			lost);
}

int cs_watch_end(struct cs_watch *watch)
{
	int err = cs_session_finish(watch->session, CS_END_DURATION);

	warn_of_losses(watch->session);
	return err ? err : cs_spool_fd(watch->spool);
}
