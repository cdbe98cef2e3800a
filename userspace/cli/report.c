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
#include "cli/by.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/pipeline.h"
#include "core/cleanup.h"
#include "core/log.h"

enum { KEY_BY = 0x100 };

static const struct argp_option argp_options[] = {
	{"by", KEY_BY, "LABEL", 0,
	 "a table of the time in place of a profile, by process, thread, task, span, root (the local root span), trace or type",
	 1},
	{0},
};

struct options {
	const char *capture;
	const struct cs_by *by; /* NULL: a profile */
	struct cs_view view;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &options->view;
		return 0;
	case KEY_BY:
		options->by = cs_by_name(arg);
		if (!options->by)
			cs_usage_error("--by %s: %s", arg, cs_by_names);
		return 0;
	case ARGP_KEY_ARG:
		if (options->capture)
			cs_usage_error("one capture at a time");
		options->capture = arg;
		return 0;
	case ARGP_KEY_END:
		if (!options->capture)
			cs_usage_error("which capture?");
		if (options->by && options->view.format)
			cs_usage_error("--by is a table of its own: without -f");
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

/* Where to and in which format. Returns an exit code. */
static int choose_output(const struct options *options, struct cs_output *output)
{
	if (options->by) {
		cs_output_choose_text(output, options->view.output);
		return CS_EXIT_OK;
	}
	if (cs_output_choose(output, options->view.format, options->view.output))
		return CS_EXIT_USAGE;
	if (!output->exporter) {
		cs_err("%s is a raw capture already: choose collapsed, pprof, otlp or html",
		       options->capture);
		return CS_EXIT_USAGE;
	}
	return CS_EXIT_OK;
}

/* Returns 0 or -errno; what is wrong is said. */
static int write_output(const struct options *options, struct cs_output *output,
			const struct cs_profile *profile)
{
	_cleanup_buf_ struct cs_buf table = {0};

	if (!options->by)
		return cs_output_write(output, profile);
	if (cs_by_table(options->by, profile, &table))
		return cs_err_r(-ENOMEM, "cannot make the table: %s", strerror(ENOMEM));
	return cs_output_write_bytes(output, &table);
}

static int report(const struct options *options)
{
	_cleanup_(cs_profile_freep) struct cs_profile *profile = NULL;
	_cleanup_(cs_output_close) struct cs_output output = {.fd = -1};
	struct cs_view view = options->view;
	_cleanup_close_ int fd = -1;
	int err = choose_output(options, &output);

	if (err)
		return err;
	view.look_up = true;
	view.all_trees = output.exporter && output.exporter->all_trees;
	view.tell_tasks = options->by;
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
	if (write_output(options, &output, profile))
		return CS_EXIT_FAILURE;
	cs_output_summary(&output, profile);
	return CS_EXIT_OK;
}

int cs_cli_report(int argc, char **argv)
{
	static const struct argp_child children[] = {{&cs_view_argp, 0, NULL, 0}, {0}};
	static const struct argp argp = {
		.children = children,
		.options = argp_options,
		.parser = parse_option,
		.args_doc = "CAPTURE.raw",
		.doc = "Turns a raw capture into another format, or a table. Needs no privilege.",
	};
	struct options options = {0};

	argv[0] = (char *)"coroscope report";
	if (argp_parse(&argp, argc, argv, 0, NULL, &options))
		return CS_EXIT_USAGE;
	return report(&options);
}
