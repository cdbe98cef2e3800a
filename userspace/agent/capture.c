/* SPDX-License-Identifier: Apache-2.0 */
/* A capture without an end. The session hands its records on about once a second; they become samples at once. */
#include "agent/capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/attach.h"
#include "cli/cli.h"
#include "cli/pipeline.h"
#include "core/cleanup.h"
#include "core/log.h"

struct cs_capture {
	struct cs_view view;
	struct cs_pipeline *pipeline;
	struct cs_spool *spool;
	struct cs_session *session;
	/* the session keeps using them when the configuration was read again; owned */
	char *kubelet_url, *kubelet_ca, *kubelet_token_file;
	char kubelet_error[256]; /* as it was said */
};

static int take_records(void *ctx, const char *records, size_t len)
{
	return cs_pipeline_feed(ctx, records, len);
}

void cs_capture_free(struct cs_capture *capture)
{
	if (!capture)
		return;
	cs_session_free(capture->session);
	cs_spool_free(capture->spool);
	cs_pipeline_free(capture->pipeline);
	free(capture->kubelet_url);
	free(capture->kubelet_ca);
	free(capture->kubelet_token_file);
	free(capture);
}

static bool is_open(const struct cs_config *config)
{
	return !config->npids;
}

static int copy_text(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

static int copy_kubelet(struct cs_capture *capture, const struct cs_kubelet_options *kubelet)
{
	int err = copy_text(kubelet->url, &capture->kubelet_url);

	if (!err)
		err = copy_text(kubelet->ca_file, &capture->kubelet_ca);
	return err ? err : copy_text(kubelet->token_file, &capture->kubelet_token_file);
}

static int load(struct cs_capture *capture, const struct cs_config *config)
{
	bool chosen = cs_selection_given(&config->selection);
	const struct cs_session_options options = {
		.mode = config->mode,
		.interval_ns = 1000000000u / config->rate_hz,
		.ring_bytes = config->ring_bytes,
		.all_processes = is_open(config) && !chosen,
		.subprocesses = config->subprocesses,
		.no_idle = config->no_idle || config->only_gil,
		.only_gil = config->only_gil,
		.async = config->async,
		.span_events = config->span_events,
		.task_events = config->task_events,
		.selection = config->selection,
		.native = config->native,
		.command = "coroscope agent",
		.kubelet = {capture->kubelet_url, capture->kubelet_ca, capture->kubelet_token_file},
	};
	_cleanup_free_ char *log = NULL;
	int err = cs_session_new(&options, capture->spool, &capture->session, &log);

	return err ? cs_attach_explain(err, log) : CS_EXIT_OK;
}

/* One that is not there, or may not be read, is left out. Returns 0 or -errno. */
static int add_targets(struct cs_capture *capture, const struct cs_config *config)
{
	int err;

	for (unsigned int i = 0; i < config->npids; i++) {
		err = cs_session_add(capture->session, config->pids[i]);
		if (err == -ENOMEM)
			return err;
		if (err)
			cs_warn("process %d is left out: %s", config->pids[i], strerror(-err));
	}
	err = is_open(config) ? cs_session_add_all(capture->session) : 0;
	if (!err && config->subprocesses)
		err = cs_session_add_children(capture->session);
	return err;
}

static int begin(struct cs_capture *capture, const struct cs_config *config)
{
	int err = add_targets(capture, config);

	if (!err)
		err = cs_session_start(capture->session);
	if (!err)
		return CS_EXIT_OK;
	cs_err("cannot begin: %s: see coroscope check", strerror(-err));
	return err == -EACCES || err == -EPERM ? CS_EXIT_PERMISSION : CS_EXIT_FAILURE;
}

int cs_capture_new(const struct cs_config *config, struct cs_capture **ret)
{
	_cleanup_(cs_capture_freep) struct cs_capture *capture = calloc(1, sizeof(*capture));
	int code;

	if (!capture || cs_pipeline_new(&capture->view, &capture->pipeline) ||
	    cs_spool_new_to(take_records, capture->pipeline, &capture->spool) ||
	    copy_kubelet(capture, &config->kubelet)) {
		cs_err("out of memory");
		return CS_EXIT_FAILURE;
	}
	code = load(capture, config);
	if (code == CS_EXIT_OK)
		code = begin(capture, config);
	if (code == CS_EXIT_OK)
		*ret = TAKE_PTR(capture);
	return code;
}

/* Once for each reason, not for each time: it goes on without names of pods. */
static void tell_kubelet(struct cs_capture *capture)
{
	const char *error = cs_session_kubelet_error(capture->session);

	if (!strncmp(error, capture->kubelet_error, sizeof(capture->kubelet_error) - 1))
		return;
	if (*error)
		cs_warn("the kubelet does not tell of pods: %s", error);
	else
		cs_info("the kubelet tells of pods");
	snprintf(capture->kubelet_error, sizeof(capture->kubelet_error), "%s", error);
}

int cs_capture_turn(struct cs_capture *capture)
{
	int err;

	cs_session_wait(capture->session);
	err = cs_session_turn(capture->session);
	tell_kubelet(capture);
	return err;
}

int cs_capture_end_period(struct cs_capture *capture, struct cs_profile **ret)
{
	int err = cs_session_end_period(capture->session);

	return err ? err : cs_pipeline_take(capture->pipeline, ret);
}

int cs_capture_begin_period(struct cs_capture *capture, struct cs_ease ease,
			    const struct cs_agent_request *asked)
{
	bool whole = asked && asked->exporter->all_trees;
	unsigned int trees = 1u << capture->view.tree;
	int err;

	if (asked)
		trees |= whole ? CS_ALL_TREES : 1u << asked->tree;
	err = cs_pipeline_show(capture->pipeline, trees, whole);
	return err ? err : cs_session_begin_period(capture->session, ease);
}

const struct cs_session *cs_capture_session(const struct cs_capture *capture)
{
	return capture->session;
}
