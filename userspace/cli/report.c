/* SPDX-License-Identifier: Apache-2.0 */
/* coroscope report: a raw capture into any format, on any machine, without privilege. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/pipeline.h"
#include "core/cleanup.h"
#include "core/log.h"

struct options {
	const char *capture;
	struct cs_view view;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &options->view;
		return 0;
	case ARGP_KEY_ARG:
		if (options->capture)
			cs_usage_error("one capture at a time");
		options->capture = arg;
		return 0;
	case ARGP_KEY_END:
		if (!options->capture)
			cs_usage_error("which capture?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static int report(const struct options *options)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	_cleanup_(cs_output_close) struct cs_output output = {.fd = -1};
	struct cs_view view = options->view;
	_cleanup_close_ int fd = -1;
	int err;

	if (cs_output_choose(&output, options->view.format, options->view.output))
		return CS_EXIT_USAGE;
	if (!output.exporter) {
		cs_err("%s is a raw capture already: choose collapsed, pprof or html",
		       options->capture);
		return CS_EXIT_USAGE;
	}
	view.all_trees = output.exporter->all_trees;
	fd = open(options->capture, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		cs_err("cannot open %s: %s", options->capture, strerror(errno));
		return CS_EXIT_FAILURE;
	}
	err = cs_pipeline_read(fd, &view, &profile);
	if (err) {
		cs_err("cannot read %s: %s", options->capture,
		       err == -EBADMSG           ? "this is no raw capture"
		       : err == -EPROTONOSUPPORT ? "it was made by another version of coroscope"
						 : strerror(-err));
		return CS_EXIT_FAILURE;
	}
	if (cs_output_open(&output))
		return CS_EXIT_FAILURE;
	if (same_file(fd, output.fd)) {
		cs_err("%s is the capture itself: choose another file", output.path);
		return CS_EXIT_USAGE;
	}
	if (cs_output_write(&output, profile))
		return CS_EXIT_FAILURE;
	cs_output_summary(&output, profile);
	return CS_EXIT_OK;
}

int cs_cli_report(int argc, char **argv)
{
	static const struct argp_child children[] = {{&cs_view_argp, 0, NULL, 0}, {0}};
	static const struct argp argp = {
		.children = children,
		.parser = parse_option,
		.args_doc = "CAPTURE.raw",
		.doc = "Turns a raw capture into another format. Needs no privilege.",
	};
	struct options options = {0};

	argv[0] = (char *)"coroscope report";
	if (argp_parse(&argp, argc, argv, 0, NULL, &options))
		return CS_EXIT_USAGE;
	return report(&options);
}
