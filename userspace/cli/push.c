/* SPDX-License-Identifier: Apache-2.0 */
/* coroscope push: a raw capture to servers and directories, on any machine, without privilege. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/delivery.h"
#include "cli/pipeline.h"
#include "cli/push_options.h"
#include "core/cleanup.h"
#include "core/log.h"

/* One server, and how it went. */
struct delivery {
	struct cs_delivery way;
	int err; /* that ended it */
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int read_capture(const char *path, struct cs_profile **ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	const struct cs_view view = {0};
	int err;

	if (fd < 0)
		return cs_err_r(-errno, "cannot open %s: %s", path, strerror(errno));
	err = cs_pipeline_read(fd, &view, ret);
	if (err)
		cs_err("cannot read %s: %s", path,
		       err == -EBADMSG           ? "this is no raw capture"
		       : err == -EPROTONOSUPPORT ? "it was made by another version of coroscope"
						 : strerror(-err));
	return err;
}

static int put(struct cs_delivery *way, const struct cs_profile *profile)
{
	int err = cs_delivery_put(way, profile);

	if (!err && !way->to->backend)
		cs_info("wrote a profile of %" PRIu64 " bytes to %s; %" PRIu64
			" older ones removed",
			way->files.bytes, way->to->where, way->files.removed);
	return err;
}

/* One attempt of each that is due. Returns whether any has more to do; *due_ns: when. */
static bool turn(struct delivery *deliveries, size_t n, uint64_t *due_ns)
{
	bool more = false;
	uint64_t due;

	*due_ns = UINT64_MAX;
	for (size_t i = 0; i < n && !cs_interrupted; i++) {
		struct delivery *delivery = &deliveries[i];

		if (!delivery->way.sender || delivery->err)
			continue;
		delivery->err = cs_sender_step(delivery->way.sender, &due);
		if (delivery->err == -EAGAIN)
			delivery->err = 0;
		if (delivery->err)
			continue;
		more = true;
		*due_ns = due < *due_ns ? due : *due_ns;
	}
	return more;
}

/* Until all is delivered, nothing can be, or it has taken too long. */
static void deliver(struct delivery *deliveries, size_t n, uint64_t keep_trying_ns)
{
	uint64_t until = keep_trying_ns ? now_ns() + keep_trying_ns : UINT64_MAX, due, now;

	while (!cs_interrupted && turn(deliveries, n, &due)) {
		now = now_ns();
		if (due > until)
			return;
		/* signals end it */
		if (due > now)
			poll(NULL, 0, (int)((due - now) / 1000000 + 1));
	}
}

/* Whether all is well. */
static bool sum_up(struct delivery *delivery)
{
	const struct cs_sender_counts *c = cs_sender_counts(delivery->way.sender);
	const struct cs_destination *to = delivery->way.to;
	size_t waiting;

	cs_delivery_end(&delivery->way);
	waiting = cs_sender_waiting(delivery->way.sender);

	cs_info("%s: %" PRIu64 " parcels = %" PRIu64 " delivered (%" PRIu64 " bytes) + %" PRIu64
		" refused + %" PRIu64 " lost + %zu waiting; %" PRIu64 " requests, %" PRIu64
		" of them repeated; %" PRIu64 " profiles rejected",
		to->where, c->packed + c->found, c->taken, c->bytes, c->refused, c->lost, waiting,
		c->attempts, c->repeated, c->rejected);
	if (delivery->err && delivery->err != -ENOENT && delivery->err != -ECANCELED)
		cs_err("cannot deliver to %s: %s", to->where, strerror(-delivery->err));
	if (waiting && to->spool)
		cs_warn("what waits is kept: coroscope push --spool %s --to %s=%s",
			to->spool_parent, to->backend->name, to->where);
	else if (waiting)
		cs_err("%s has not taken all: keep it with --spool, or try for longer with --keep-trying",
		       to->where);
	return !waiting && !c->refused && !c->lost && !c->rejected;
}

static int push(const struct cs_push_options *options, struct delivery *deliveries)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	bool well = true;
	int err;

	if (options->capture && read_capture(options->capture, &profile))
		return CS_EXIT_FAILURE;
	if (profile && !cs_profile_nsamples(profile))
		cs_warn("%s has no samples: nothing of it is sent", options->capture);
	for (size_t i = 0; i < options->n; i++) {
		err = cs_delivery_open(&deliveries[i].way, &options->to[i], &cs_interrupted);
		if (!err && profile)
			err = put(&deliveries[i].way, profile);
		well = well && !err;
	}
	deliver(deliveries, options->n, options->keep_trying_ns);
	for (size_t i = 0; i < options->n; i++)
		if (deliveries[i].way.sender)
			well = sum_up(&deliveries[i]) && well;
	return well ? CS_EXIT_OK : CS_EXIT_FAILURE;
}

int cs_cli_push(int argc, char **argv)
{
	struct delivery deliveries[CS_DESTINATIONS] = {0};
	_cleanup_(cs_push_options_free) struct cs_push_options options;
	int code;

	cs_push_options_parse(&options, argc, argv);
	cs_interrupt_catch(true); /* the first one keeps what can be kept */
	code = push(&options, deliveries);
	for (size_t i = 0; i < options.n; i++)
		cs_delivery_close(&deliveries[i].way);
	return code;
}
