/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of `coroscope push`. What stands before the first --to is for every destination, what follows one for that one
 * only: a token must not reach a server that it is not for.
 */
#include "cli/push_options.h"

#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "core/cleanup.h"

#define DEFAULT_KEEP_TRYING_NS 60000000000ull

enum {
	KEY_TO = 0x300,
	KEY_SERVICE,
	KEY_TAG,
	KEY_HEADER,
	KEY_HEADER_FILE,
	KEY_TOKEN_FILE,
	KEY_CA,
	KEY_CERT,
	KEY_KEY,
	KEY_PROXY,
	KEY_TIMEOUT,
	KEY_SPOOL,
	KEY_MAX_SIZE,
	KEY_MAX_AGE,
	KEY_KEEP_TRYING,
};

static const struct argp_option option_table[] = {
	{"to", KEY_TO, "KIND=WHERE", 0,
	 "otlp=URL, pyroscope=URL, datadog=URL or dir=PATH; may be repeated. Options before the first are for all, others for the one they follow",
	 1},
	{"service", KEY_SERVICE, "NAME", 0,
	 "service of every process; else each is named as it says itself (OTEL_*, DD_*, its tracer), or after its program",
	 2},
	{"tag", KEY_TAG, "KEY=VALUE", 0, "of every process, as env=prod; may be repeated", 2},
	{"header", KEY_HEADER, "NAME=VALUE", 0, "of every request; may be repeated", 3},
	{"header-file", KEY_HEADER_FILE, "NAME=FILE", 0,
	 "the same with the text of a file, read for each request: for secrets", 3},
	{"token-file", KEY_TOKEN_FILE, "FILE", 0, "the bearer token, read for each request", 3},
	{"ca", KEY_CA, "FILE", 0, "certificates to trust instead of the system's (PEM)", 3},
	{"cert", KEY_CERT, "FILE", 0, "our certificate (PEM), with --key", 3},
	{"key", KEY_KEY, "FILE", 0, "its private key (PEM)", 3},
	{"proxy", KEY_PROXY, "URL", 0,
	 "instead of http_proxy, https_proxy, no_proxy of the environment", 3},
	{"timeout", KEY_TIMEOUT, "TIME", 0, "of one request (30s)", 3},
	{"spool", KEY_SPOOL, "DIR", 0,
	 "keep what is not delivered in DIR/KIND; a later push with it sends that first", 4},
	{"max-size", KEY_MAX_SIZE, "BYTES", 0,
	 "of the spool or the files of dir=, the oldest go (256M)", 4},
	{"max-age", KEY_MAX_AGE, "TIME", 0, "likewise (24h)", 4},
	{"keep-trying", KEY_KEEP_TRYING, "TIME", 0,
	 "while servers cannot be reached (1m); or unlimited", 4},
	{0},
};

struct parsing {
	struct cs_push_options *options;
	struct cs_destination defaults;
};

static struct cs_destination *current(struct parsing *parsing)
{
	struct cs_push_options *options = parsing->options;

	return options->n ? &options->to[options->n - 1] : &parsing->defaults;
}

/* What a destination refuses is said. */
static void must(int err, const char *option, const struct cs_why *why)
{
	if (err)
		cs_usage_error("--%s: %s", option, err == -ENOMEM ? "out of memory" : why->text);
}

static void begin_destination(struct parsing *parsing, char *arg)
{
	struct cs_push_options *options = parsing->options;
	struct cs_destination *to;
	struct cs_why why;

	if (options->n == CS_DESTINATIONS)
		cs_usage_error("at most %d destinations", CS_DESTINATIONS);
	to = &options->to[options->n++];
	*to = parsing->defaults;
	must(cs_destination_set_to(to, arg, &why), "to", &why);
}

static uint64_t parse_time(const char *arg, const char *what)
{
	uint64_t ns;

	if (cs_parse_duration(arg, &ns))
		cs_usage_error("%s: '%s' is no duration: 10s, 5m", what, arg);
	return ns;
}

static uint64_t parse_bound(const char *arg, const char *what)
{
	uint64_t ns = parse_time(arg, what);

	return ns ? ns : UINT64_MAX;
}

static error_t parse_keeping(int key, char *arg, struct parsing *parsing)
{
	struct cs_destination *to = current(parsing);
	size_t bytes;

	switch (key) {
	case KEY_SPOOL:
		to->spool_parent = arg;
		return 0;
	case KEY_MAX_SIZE:
		if (cs_parse_size(arg, &bytes))
			cs_usage_error("--max-size: '%s' is no size: 64M", arg);
		to->limits.bytes = bytes;
		return 0;
	case KEY_MAX_AGE:
		to->limits.age_ns = parse_bound(arg, "--max-age");
		return 0;
	case KEY_KEEP_TRYING:
		parsing->options->keep_trying_ns = parse_time(arg, "--keep-trying");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct parsing *parsing = state->input;
	struct cs_destination *to = current(parsing);
	struct cs_why why;

	switch (key) {
	case KEY_TO:
		begin_destination(parsing, arg);
		return 0;
	case KEY_SERVICE:
		must(cs_destination_set_service(to, arg, &why), "service", &why);
		return 0;
	case KEY_TAG:
		must(cs_destination_add_tag(to, arg, &why), "tag", &why);
		return 0;
	case KEY_HEADER:
		must(cs_destination_add_header(to, arg, &why), "header", &why);
		return 0;
	case KEY_HEADER_FILE:
		must(cs_destination_add_header_file(to, arg, &why), "header-file", &why);
		return 0;
	case KEY_TOKEN_FILE:
		must(cs_destination_add_token_file(to, arg, &why), "token-file", &why);
		return 0;
	case KEY_CA:
		to->transport.ca_file = arg;
		return 0;
	case KEY_CERT:
		to->transport.cert_file = arg;
		return 0;
	case KEY_KEY:
		to->transport.key_file = arg;
		return 0;
	case KEY_PROXY:
		to->transport.proxy = arg;
		return 0;
	case KEY_TIMEOUT:
		to->transport.timeout_ns = parse_time(arg, "--timeout");
		return 0;
	case ARGP_KEY_ARG:
		if (parsing->options->capture)
			cs_usage_error("one capture at a time");
		parsing->options->capture = arg;
		return 0;
	default:
		return parse_keeping(key, arg, parsing);
	}
}

/* What is known only when all was read. */
static void complete(struct cs_push_options *options)
{
	bool spooled = false;
	struct cs_why why;

	if (!options->n)
		cs_usage_error("where to? --to otlp=URL, pyroscope=URL, datadog=URL or dir=PATH");
	for (size_t i = 0; i < options->n; i++) {
		struct cs_destination *to = &options->to[i];

		must(cs_destination_complete(to, &why), "to", &why);
		spooled = spooled || to->spool;
	}
	if (!options->capture && !spooled)
		cs_usage_error("which capture?");
}

void cs_push_options_parse(struct cs_push_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_table,
		.parser = parse_option,
		.args_doc = "[CAPTURE.raw]",
		.doc = "Delivers a raw capture to servers and directories. Needs no privilege. Without a capture, what waits in the spool.",
	};
	struct parsing parsing = {
		.options = options,
		.defaults = {.limits = cs_destination_limits},
	};

	*options = (struct cs_push_options){.keep_trying_ns = DEFAULT_KEEP_TRYING_NS};
	argv[0] = (char *)"coroscope push";
	if (argp_parse(&argp, argc, argv, 0, NULL, &parsing))
		cs_usage_error("see coroscope push --help");
	complete(options);
}

void cs_push_options_free(struct cs_push_options *options)
{
	for (size_t i = 0; i < options->n; i++)
		cs_destination_free(&options->to[i]);
}
